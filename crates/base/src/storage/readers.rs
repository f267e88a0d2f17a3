//! Connections for statements that change nothing. Every request needs one, so they are handed out leaner than by sqlx's
//! pool, which asks a connection whether it is alive before and after each use: two round trips around every one that
//! does something. Here a connection is given up when a statement on it failed or was abandoned, and a statement that
//! met a connection which had died meanwhile is run once more on a new one.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::{ConnectOptions, Connection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::StorageError;

/// At most so many connections, opened when they are needed.
pub struct Readers<C: Connection> {
    options: C::Options,
    idle: Mutex<Vec<C>>,
    permits: Arc<Semaphore>,
    patience: Duration,
    welcome: for<'a> fn(&'a mut C) -> Welcome<'a>,
}

/// Whether a new connection is of use.
pub(super) type Welcome<'a> = Pin<Box<dyn Future<Output = Result<(), sqlx::Error>> + Send + 'a>>;

/// A connection on loan. It goes back when dropped, if it is sound.
pub struct Reader<C: Connection> {
    home: Arc<Readers<C>>,
    conn: Option<C>,
    /// Between statements; not while one is under way, nor after one that failed.
    sound: bool,
    /// Was idle before: it may have died unnoticed.
    used: bool,
    _permit: OwnedSemaphorePermit,
}

impl<C: Connection> Readers<C> {
    /// `welcome` judges each new connection.
    pub(super) fn new(
        options: C::Options,
        size: usize,
        patience: Duration,
        welcome: for<'a> fn(&'a mut C) -> Welcome<'a>,
    ) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(size.max(1)));
        Arc::new(Self { options, idle: Mutex::default(), permits, patience, welcome })
    }

    pub(super) async fn take(self: &Arc<Self>) -> Result<Reader<C>, StorageError> {
        let permit = timeout(self.patience, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.ok().and_then(Result::ok).ok_or_else(|| late("no connection is free"))?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let used = idle.is_some();
        let conn = match idle {
            Some(conn) => conn,
            None => self.connect().await?,
        };
        Ok(Reader { home: Arc::clone(self), conn: Some(conn), sound: true, used, _permit: permit })
    }

    /// Closes what is idle, and hands out no more.
    pub(super) async fn close(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for conn in idle {
            // What does not close politely is dropped.
            let _ = timeout(self.patience, conn.close()).await;
        }
    }

    async fn connect(&self) -> Result<C, StorageError> {
        let conn = timeout(self.patience, async {
            let mut conn = self.options.connect().await?;
            (self.welcome)(&mut conn).await?;
            Ok::<_, sqlx::Error>(conn)
        })
        .await;
        Ok(conn.map_err(|_| late("no connection in time"))??)
    }
}

impl<C: Connection> Reader<C> {
    /// The connection, for one statement; [`Reader::judge`] must follow.
    pub(super) async fn lend(&mut self) -> Result<&mut C, StorageError> {
        self.sound = false;
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.home.connect().await?,
        };
        Ok(self.conn.insert(conn))
    }

    /// Takes note of how a statement went; `true` if it is worth running once more, on a new connection.
    pub(super) fn judge<T>(&mut self, outcome: &Result<T, StorageError>) -> bool {
        self.sound = !matches!(outcome, Err(StorageError::Unavailable(_)));
        if !self.sound {
            self.conn = None;
        }
        !self.sound && std::mem::take(&mut self.used)
    }
}

impl<C: Connection> Drop for Reader<C> {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take().filter(|_| self.sound) {
            self.home.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        }
    }
}

fn late(what: &str) -> StorageError {
    StorageError::Unavailable(what.to_owned())
}

impl<C: Connection> fmt::Debug for Readers<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readers(…)")
    }
}

impl<C: Connection> fmt::Debug for Reader<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader(…)")
    }
}

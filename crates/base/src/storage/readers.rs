//! Connections for statements that change nothing. Every request needs one, so they are handed out leaner than by sqlx's
//! pool, which asks a connection whether it is alive before and after each use: two round trips around every one that
//! does something. Here a connection is given up when a statement on it failed or was abandoned, and a statement that
//! met a connection which had died meanwhile is run once more on a new one.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{ConnectOptions, Connection, Database, Pool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::StorageError;

/// At most so many connections, opened when they are needed.
pub struct Readers<C: Connection> {
    source: Source<C>,
    permits: Arc<Semaphore>,
    patience: Duration,
}

/// Whether a new connection is of use.
pub(super) type Welcome<'a> = Pin<Box<dyn Future<Output = Result<(), sqlx::Error>> + Send + 'a>>;

/// Where connections come from.
enum Source<C: Connection> {
    /// Our own. `welcome` judges each new one.
    Own { options: C::Options, idle: Mutex<Vec<C>>, welcome: for<'a> fn(&'a mut C) -> Welcome<'a> },
    /// A pool of somebody else's, which checks and keeps them in its own way.
    Shared(Pool<C::Database>),
}

/// A connection, and where it goes back to.
enum Lent<C: Connection> {
    Own(C),
    Shared(PoolConnection<C::Database>),
}

/// A connection on loan. It goes back when dropped, if it is sound.
pub struct Reader<C: Connection> {
    home: Arc<Readers<C>>,
    conn: Option<Lent<C>>,
    /// Between statements; not while one is under way, nor after one that failed.
    sound: bool,
    /// Was idle before: it may have died unnoticed.
    used: bool,
    _permit: OwnedSemaphorePermit,
}

impl<C: Connection> Readers<C>
where
    C::Database: Database<Connection = C>,
{
    /// `welcome` judges each new connection.
    pub(super) fn new(
        options: C::Options,
        size: usize,
        patience: Duration,
        welcome: for<'a> fn(&'a mut C) -> Welcome<'a>,
    ) -> Arc<Self> {
        Self::of(Source::Own { options, idle: Mutex::default(), welcome }, size, patience)
    }

    /// Borrows from a pool.
    pub(super) fn of_pool(pool: Pool<C::Database>, patience: Duration) -> Arc<Self> {
        let size = pool.options().get_max_connections() as usize;
        Self::of(Source::Shared(pool), size, patience)
    }

    fn of(source: Source<C>, size: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self { source, permits: Arc::new(Semaphore::new(size.max(1))), patience })
    }

    pub(super) async fn take(self: &Arc<Self>) -> Result<Reader<C>, StorageError> {
        let permit = timeout(self.patience, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.ok().and_then(Result::ok).ok_or_else(|| late("no connection is free"))?;
        let idle = match &self.source {
            Source::Own { idle, .. } => idle.lock().unwrap_or_else(PoisonError::into_inner).pop(),
            Source::Shared(_) => None,
        };
        let used = idle.is_some();
        let conn = match idle {
            Some(conn) => Lent::Own(conn),
            None => self.connect().await?,
        };
        Ok(Reader { home: Arc::clone(self), conn: Some(conn), sound: true, used, _permit: permit })
    }

    /// Closes what is idle and ours, and hands out no more.
    pub(super) async fn close(&self) {
        self.permits.close();
        let Source::Own { idle, .. } = &self.source else { return };
        let idle = std::mem::take(&mut *idle.lock().unwrap_or_else(PoisonError::into_inner));
        for conn in idle {
            // What does not close politely is dropped.
            let _ = timeout(self.patience, conn.close()).await;
        }
    }

    async fn connect(&self) -> Result<Lent<C>, StorageError> {
        let conn = async {
            Ok::<_, sqlx::Error>(match &self.source {
                Source::Own { options, welcome, .. } => {
                    let mut conn = options.connect().await?;
                    welcome(&mut conn).await?;
                    Lent::Own(conn)
                }
                Source::Shared(pool) => Lent::Shared(pool.acquire().await?),
            })
        };
        Ok(timeout(self.patience, conn).await.map_err(|_| late("no connection in time"))??)
    }
}

impl<C: Connection> Reader<C>
where
    C::Database: Database<Connection = C>,
{
    /// The connection, for one statement; [`Reader::judge`] must follow.
    pub(super) async fn lend(&mut self) -> Result<&mut C, StorageError> {
        self.sound = false;
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.home.connect().await?,
        };
        Ok(match self.conn.insert(conn) {
            Lent::Own(conn) => conn,
            Lent::Shared(conn) => conn,
        })
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
        // A pool takes back its own.
        if let (Some(Lent::Own(conn)), Source::Own { idle, .. }) =
            (self.conn.take().filter(|_| self.sound), &self.home.source)
        {
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
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

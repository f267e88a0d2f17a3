//! Messages waiting to be sent, shared by all instances. Who takes one holds it by a lease: until then nobody else
//! sends it, and after that somebody will, should the holder have died.

use super::{Conn, Row, StorageError};
use crate::security::Millis;
use crate::vals;

/// A message under lease.
#[derive(Debug)]
pub struct Leased {
    /// Its number; later messages have higher ones.
    pub id: i64,
    /// The sealed content.
    pub message: Vec<u8>,
    /// How often it was tried before.
    pub attempts: i64,
    /// When it was written.
    pub created_at: Millis,
    /// When the lease ends. Whoever settles the message names it, so that a late holder settles nothing.
    pub lease: Millis,
}

/// Writes a message that is due at once.
///
/// # Errors
/// Any of [`StorageError`]; so for all below.
pub async fn push(tx: &mut Conn, channel: &str, message: &[u8], now: Millis) -> Result<(), StorageError> {
    const SQL: &str = "INSERT INTO outbox (channel, message, created_at, due_at) VALUES ($1, $2, $3, $3)";
    tx.execute(SQL, vals![channel, message, now]).await.map(drop)
}

/// Takes up to `limit` messages that are due at `now`, oldest first, and holds them until `lease`.
///
/// # Errors
/// [`StorageError`].
pub async fn take(
    tx: &mut Conn,
    channel: &str,
    now: Millis,
    lease: Millis,
    limit: i64,
) -> Result<Vec<Leased>, StorageError> {
    // The outer condition is not idle: PostgreSQL checks it again on a row that another instance has just taken.
    const SQL: &str = "UPDATE outbox SET due_at = $3 WHERE due_at <= $2 AND id IN \
        (SELECT id FROM outbox WHERE channel = $1 AND due_at <= $2 ORDER BY id LIMIT $4) \
        RETURNING id, message, attempts, created_at";
    let leased = |row: Row| {
        Ok(Leased {
            id: row.int(0)?,
            message: row.bytes(1)?,
            attempts: row.int(2)?,
            created_at: row.int(3)?,
            lease,
        })
    };
    let rows = tx.all(SQL, vals![channel, now, lease, limit]).await?;
    let mut taken = rows.into_iter().map(leased).collect::<Result<Vec<_>, StorageError>>()?;
    taken.sort_by_key(|message| message.id);
    Ok(taken)
}

/// Removes a message that was sent, or given up.
///
/// # Errors
/// [`StorageError`].
pub async fn remove(tx: &mut Conn, id: i64, lease: Millis) -> Result<(), StorageError> {
    tx.execute("DELETE FROM outbox WHERE id = $1 AND due_at = $2", vals![id, lease]).await.map(drop)
}

/// Ends the lease: the message is due again at `due_at`, after `tried` more attempts.
///
/// # Errors
/// [`StorageError`].
pub async fn postpone(
    tx: &mut Conn,
    id: i64,
    lease: Millis,
    due_at: Millis,
    tried: i64,
) -> Result<(), StorageError> {
    const SQL: &str = "UPDATE outbox SET due_at = $3, attempts = attempts + $4 WHERE id = $1 AND due_at = $2";
    tx.execute(SQL, vals![id, lease, due_at, tried]).await.map(drop)
}

/// When the next message is due, if there is one.
///
/// # Errors
/// [`StorageError`].
pub async fn next_due(conn: &mut Conn, channel: &str) -> Result<Option<Millis>, StorageError> {
    const SQL: &str = "SELECT min(due_at) FROM outbox WHERE channel = $1";
    conn.maybe(SQL, vals![channel]).await?.map_or(Ok(None), |row| row.opt_int(0))
}

/// How many messages wait, on all channels.
///
/// # Errors
/// [`StorageError`].
pub async fn count(conn: &mut Conn) -> Result<i64, StorageError> {
    conn.maybe("SELECT count(*) FROM outbox", vec![]).await?.map_or(Ok(0), |row| row.int(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Db;

    async fn open(dir: &tempfile::TempDir) -> Db {
        let db = Db::open(&format!("sqlite://{}", dir.path().join("db").display()), 2).await.unwrap();
        db.migrate().await.unwrap();
        db
    }

    #[tokio::test]
    async fn a_leased_message_is_taken_once_until_its_lease_ends() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir).await;
        let mut tx = db.write().await.unwrap();
        push(&mut tx, "mail", b"one", 100).await.unwrap();
        push(&mut tx, "mail", b"two", 100).await.unwrap();
        push(&mut tx, "sms", b"three", 100).await.unwrap();
        assert_eq!(next_due(&mut tx, "mail").await.unwrap(), Some(100));
        let taken = take(&mut tx, "mail", 100, 200, 9).await.unwrap();
        assert_eq!(taken.iter().map(|m| m.message.as_slice()).collect::<Vec<_>>(), [b"one", b"two"]);
        assert!(take(&mut tx, "mail", 199, 300, 9).await.unwrap().is_empty());

        remove(&mut tx, taken[0].id, 200).await.unwrap();
        postpone(&mut tx, taken[1].id, 200, 150, 1).await.unwrap();
        let again = take(&mut tx, "mail", 150, 250, 9).await.unwrap();
        assert_eq!((again.len(), again[0].attempts, again[0].created_at), (1, 1, 100));
        // A holder whose lease has gone to another settles nothing.
        remove(&mut tx, again[0].id, 200).await.unwrap();
        assert_eq!(count(&mut tx).await.unwrap(), 2);
    }
}

//! Keys in mailed links. They work once, from any browser.

use super::{Conn, Row, StorageError};
use crate::security::{Digest, Millis};
use crate::vals;

/// A row of `links`.
#[derive(Debug, Clone)]
pub struct Link {
    /// The row.
    pub id: i64,
    /// Whom it is for.
    pub user_id: i64,
    /// The address that it was mailed to.
    pub email: String,
}

fn read(row: &Row) -> Result<Link, StorageError> {
    Ok(Link { id: row.int(0)?, user_id: row.int(1)?, email: row.text(2)? })
}

/// Notes a key.
///
/// # Errors
/// Any of [`StorageError`]; so for all below.
pub async fn insert(
    conn: &mut Conn,
    kind: &str,
    key_hash: &Digest,
    user_id: i64,
    email: &str,
    expires_at: Millis,
) -> Result<(), StorageError> {
    conn.execute(
        "INSERT INTO links (kind, key_hash, user_id, email, expires_at) VALUES ($1, $2, $3, $4, $5)",
        vals![kind, key_hash, user_id, email, expires_at],
    )
    .await
    .map(drop)
}

/// What a key is for, as long as it is good. It stays good.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn find(
    conn: &mut Conn,
    kind: &str,
    key_hash: &Digest,
    now: Millis,
) -> Result<Option<Link>, StorageError> {
    let row = conn
        .maybe(
            "SELECT id, user_id, email FROM links WHERE kind = $1 AND key_hash = $2 AND expires_at > $3",
            vals![kind, key_hash, now],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Spends a key: of several requests with it, one gets it.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn take(
    conn: &mut Conn,
    kind: &str,
    key_hash: &Digest,
    now: Millis,
) -> Result<Option<Link>, StorageError> {
    let row = conn
        .maybe(
            "DELETE FROM links WHERE kind = $1 AND key_hash = $2 AND expires_at > $3 RETURNING id, user_id, email",
            vals![kind, key_hash, now],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Ends the keys of one kind mailed to an address of a user.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn delete_of_address(
    conn: &mut Conn,
    kind: &str,
    user_id: i64,
    email: &str,
) -> Result<(), StorageError> {
    conn.execute(
        "DELETE FROM links WHERE kind = $1 AND user_id = $2 AND email = $3",
        vals![kind, user_id, email],
    )
    .await
    .map(drop)
}

/// Ends the keys of one kind of a user.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn delete_of_kind(conn: &mut Conn, kind: &str, user_id: i64) -> Result<(), StorageError> {
    conn.execute("DELETE FROM links WHERE kind = $1 AND user_id = $2", vals![kind, user_id]).await.map(drop)
}

/// Ends all keys of a user.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn delete_of_user(conn: &mut Conn, user_id: i64) -> Result<(), StorageError> {
    conn.execute("DELETE FROM links WHERE user_id = $1", vals![user_id]).await.map(drop)
}

/// Removes up to `limit` keys that have expired.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn purge(conn: &mut Conn, now: Millis, limit: i64) -> Result<u64, StorageError> {
    conn.execute(
        "DELETE FROM links WHERE id IN (SELECT id FROM links WHERE expires_at <= $1 LIMIT $2)",
        vals![now, limit],
    )
    .await
}

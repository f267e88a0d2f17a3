//! Browsers that users have said to trust.

use super::{Conn, StorageError};
use crate::security::{Digest, Millis};
use crate::vals;

/// The mark under which a browser is trusted by a user.
///
/// # Errors
/// Any of [`StorageError`]; so for all below.
pub async fn mark(
    conn: &mut Conn,
    token_hash: &Digest,
    user_id: i64,
    now: Millis,
) -> Result<Option<Vec<u8>>, StorageError> {
    let row = conn
        .maybe(
            "SELECT mark FROM trusts WHERE token_hash = $1 AND user_id = $2 AND expires_at > $3",
            vals![token_hash, user_id, now],
        )
        .await?;
    row.map(|row| row.bytes(0)).transpose()
}

/// Notes that a user trusts the browser with this token, in place of what they said of it before.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn put(
    conn: &mut Conn,
    token_hash: &Digest,
    user_id: i64,
    mark: &[u8],
    expires_at: Millis,
) -> Result<(), StorageError> {
    conn.execute(
        "INSERT INTO trusts (token_hash, user_id, mark, expires_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (token_hash, user_id) DO UPDATE SET mark = excluded.mark, expires_at = excluded.expires_at",
        vals![token_hash, user_id, mark, expires_at],
    )
    .await
    .map(drop)
}

/// Gives a browser another token: whoever trusted it, still does.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn rename(conn: &mut Conn, old: &Digest, new: &Digest) -> Result<(), StorageError> {
    conn.execute("UPDATE trusts SET token_hash = $2 WHERE token_hash = $1", vals![old, new]).await.map(drop)
}

/// Removes up to `limit` trusts that are over.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn purge(conn: &mut Conn, now: Millis, limit: i64) -> Result<u64, StorageError> {
    conn.execute(
        "DELETE FROM trusts WHERE id IN (SELECT id FROM trusts WHERE expires_at <= $1 LIMIT $2)",
        vals![now, limit],
    )
    .await
}

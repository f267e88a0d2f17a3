//! Counters of rate limits: one row a bucket, with the hits of its window.

use super::{Conn, StorageError};
use crate::security::{Digest, Millis};
use crate::vals;

/// The hits of a bucket. The row is made if need be, and stays locked until the transaction ends.
///
/// # Errors
/// Any of [`StorageError`]; so for all below.
pub async fn lock(conn: &mut Conn, bucket: &Digest, expires_at: Millis) -> Result<Vec<u8>, StorageError> {
    let row = conn
        .maybe(
            "INSERT INTO limits (bucket, hits, expires_at) VALUES ($1, $2, $3)
             ON CONFLICT (bucket) DO UPDATE SET expires_at = excluded.expires_at RETURNING hits",
            vals![bucket, Vec::new(), expires_at],
        )
        .await?;
    row.map_or_else(|| Ok(Vec::new()), |row| row.bytes(0))
}

/// The hits of a bucket that is there; the row stays locked until the transaction ends.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn lock_existing(conn: &mut Conn, bucket: &Digest) -> Result<Option<Vec<u8>>, StorageError> {
    let row = conn
        .maybe("UPDATE limits SET expires_at = expires_at WHERE bucket = $1 RETURNING hits", vals![bucket])
        .await?;
    row.map(|row| row.bytes(0)).transpose()
}

/// The hits of a bucket, without a lock.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn peek(conn: &mut Conn, bucket: &Digest) -> Result<Vec<u8>, StorageError> {
    let row = conn.maybe("SELECT hits FROM limits WHERE bucket = $1", vals![bucket]).await?;
    row.map_or_else(|| Ok(Vec::new()), |row| row.bytes(0))
}

/// Writes the hits of a bucket.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn put(conn: &mut Conn, bucket: &Digest, hits: Vec<u8>) -> Result<(), StorageError> {
    conn.execute("UPDATE limits SET hits = $2 WHERE bucket = $1", vals![bucket, hits]).await.map(drop)
}

/// Forgets a bucket.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn clear(conn: &mut Conn, bucket: &Digest) -> Result<(), StorageError> {
    conn.execute("DELETE FROM limits WHERE bucket = $1", vals![bucket]).await.map(drop)
}

/// Removes up to `limit` buckets whose windows are over.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn purge(conn: &mut Conn, now: Millis, limit: i64) -> Result<u64, StorageError> {
    conn.execute(
        "DELETE FROM limits WHERE bucket IN (SELECT bucket FROM limits WHERE expires_at <= $1 LIMIT $2)",
        vals![now, limit],
    )
    .await
}

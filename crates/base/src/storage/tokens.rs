//! The chain of refresh tokens of a session.

use super::{Conn, StorageError};
use crate::security::{Digest, Millis};
use crate::vals;

/// What is known of a chain beside its good token.
#[derive(Debug)]
pub struct Former {
    /// Hash of the token that was good before.
    pub hash: Vec<u8>,
    /// When it was used.
    pub rotated_at: Millis,
    /// What it was exchanged for, sealed.
    pub successor: Option<Vec<u8>>,
}

/// Begins the chain of a session.
///
/// # Errors
/// Any of [`StorageError`]; so for all below.
pub async fn begin(
    tx: &mut Conn,
    session_id: i64,
    sid: &str,
    refresh: &Digest,
    now: Millis,
) -> Result<(), StorageError> {
    tx.execute(
        "INSERT INTO tokens (session_id, sid, refresh_hash, rotated_at) VALUES ($1, $2, $3, $4)",
        vals![session_id, sid, refresh, now],
    )
    .await
    .map(drop)
}

/// Exchanges the good refresh token for the next; `false` if the one that is presented is not the good one.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn rotate(
    tx: &mut Conn,
    session_id: i64,
    presented: &Digest,
    next: &Digest,
    successor: Option<&[u8]>,
    now: Millis,
) -> Result<bool, StorageError> {
    let touched = tx
        .execute(
            "UPDATE tokens SET refresh_hash = $3, former_hash = $2, rotated_at = $5, successor = $4
             WHERE session_id = $1 AND refresh_hash = $2",
            vals![session_id, presented, next, successor, now],
        )
        .await?;
    Ok(touched == 1)
}

/// Whether a refresh token is the good one.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn is_good(conn: &mut Conn, session_id: i64, presented: &Digest) -> Result<bool, StorageError> {
    let row = conn
        .maybe(
            "SELECT 1 FROM tokens WHERE session_id = $1 AND refresh_hash = $2",
            vals![session_id, presented],
        )
        .await?;
    Ok(row.is_some())
}

/// The token of a session's chain that was good before the present one.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn former(conn: &mut Conn, session_id: i64) -> Result<Option<Former>, StorageError> {
    let row = conn
        .maybe(
            "SELECT former_hash, rotated_at, successor FROM tokens
             WHERE session_id = $1 AND former_hash IS NOT NULL",
            vals![session_id],
        )
        .await?;
    let read = |row: super::Row| {
        Ok(Former { hash: row.bytes(0)?, rotated_at: row.int(1)?, successor: row.opt_bytes(2)? })
    };
    row.map(read).transpose()
}

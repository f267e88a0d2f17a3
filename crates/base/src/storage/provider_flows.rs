//! People who were sent to a provider and have not come back: one row a redirect, several a session.

use super::{Conn, Row, StorageError};
use crate::security::{Digest, Millis};
use crate::vals;

/// A row of `provider_flows`.
#[derive(Debug, Clone)]
pub struct ProviderFlow {
    /// SHA-256 of what the callback names the flow by.
    pub name_hash: Vec<u8>,
    /// The session that it belongs to.
    pub session_id: i64,
    /// The provider that it was begun at.
    pub provider: String,
    /// What for.
    pub process: String,
    /// Where the front end wants its user back.
    pub callback_url: String,
    /// What the second half needs to know of the first, sealed.
    pub memory: Vec<u8>,
    /// What came by a form of the provider's page, sealed.
    pub answer: Option<Vec<u8>>,
    /// The moment after which it is worthless.
    pub expires_at: Millis,
}

fn read(row: &Row) -> Result<ProviderFlow, StorageError> {
    Ok(ProviderFlow {
        name_hash: row.bytes(0)?,
        session_id: row.int(1)?,
        provider: row.text(2)?,
        process: row.text(3)?,
        callback_url: row.text(4)?,
        memory: row.bytes(5)?,
        answer: row.opt_bytes(6)?,
        expires_at: row.int(7)?,
    })
}

/// Notes a flow, and forgets the oldest ones of its session beyond `most`.
///
/// # Errors
/// Any of [`StorageError`]; so for all below.
pub async fn insert(conn: &mut Conn, flow: &ProviderFlow, most: i64) -> Result<(), StorageError> {
    conn.execute(
        "INSERT INTO provider_flows (name_hash, session_id, provider, process, callback_url, memory, answer, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        vals![
            flow.name_hash.as_slice(),
            flow.session_id,
            flow.provider.as_str(),
            flow.process.as_str(),
            flow.callback_url.as_str(),
            flow.memory.as_slice(),
            flow.answer.as_deref(),
            flow.expires_at
        ],
    )
    .await?;
    conn.execute(
        "DELETE FROM provider_flows WHERE session_id = $1 AND name_hash NOT IN
             (SELECT name_hash FROM provider_flows WHERE session_id = $1 ORDER BY expires_at DESC LIMIT $2)",
        vals![flow.session_id, most],
    )
    .await
    .map(drop)
}

/// Spends a flow of this session and provider: of two requests that come back with it, one gets it.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn take(
    conn: &mut Conn,
    name_hash: &Digest,
    session_id: i64,
    provider: &str,
    now: Millis,
) -> Result<Option<ProviderFlow>, StorageError> {
    let row = conn
        .maybe(
            "DELETE FROM provider_flows
             WHERE name_hash = $1 AND session_id = $2 AND provider = $3 AND expires_at > $4
             RETURNING name_hash, session_id, provider, process, callback_url, memory, answer, expires_at",
            vals![name_hash, session_id, provider, now],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Takes all flows out of a session that is about to give way to another.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn take_of_session(conn: &mut Conn, session_id: i64) -> Result<Vec<ProviderFlow>, StorageError> {
    let rows = conn
        .all(
            "DELETE FROM provider_flows WHERE session_id = $1
             RETURNING name_hash, session_id, provider, process, callback_url, memory, answer, expires_at",
            vals![session_id],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Forgets the flows of a session that were begun for one purpose.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn forget(conn: &mut Conn, session_id: i64, process: &str) -> Result<(), StorageError> {
    conn.execute(
        "DELETE FROM provider_flows WHERE session_id = $1 AND process = $2",
        vals![session_id, process],
    )
    .await
    .map(drop)
}

/// Keeps what the provider's page sent by a form until the browser of the flow's session fetches it; `false` if there is
/// no such flow, or it has an answer.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn put_answer(
    conn: &mut Conn,
    name_hash: &Digest,
    provider: &str,
    answer: &[u8],
    now: Millis,
) -> Result<bool, StorageError> {
    let touched = conn
        .execute(
            "UPDATE provider_flows SET answer = $3
             WHERE name_hash = $1 AND provider = $2 AND answer IS NULL AND expires_at > $4",
            vals![name_hash, provider, answer, now],
        )
        .await?;
    Ok(touched == 1)
}

/// Forgets up to `limit` flows that are over.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn purge(conn: &mut Conn, now: Millis, limit: i64) -> Result<u64, StorageError> {
    conn.execute(
        "DELETE FROM provider_flows WHERE name_hash IN
             (SELECT name_hash FROM provider_flows WHERE expires_at <= $1 LIMIT $2)",
        vals![now, limit],
    )
    .await
}

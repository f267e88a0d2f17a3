//! What the development mailbox received. Only the newest messages are kept.

use super::{Conn, Row, StorageError};
use crate::security::Millis;
use crate::vals;

/// How many messages are kept.
pub const KEPT: i64 = 200;

/// A received message.
#[derive(Debug)]
pub struct Received {
    /// Its number; later messages have higher ones.
    pub id: i64,
    /// `mail` or `sms`.
    pub channel: String,
    /// An email address or a phone number.
    pub recipient: String,
    /// The content, as JSON.
    pub message: String,
    /// When it was received.
    pub received_at: Millis,
}

/// Keeps a message and lets the oldest go.
///
/// # Errors
/// Any of [`StorageError`]; so for all below.
pub async fn push(
    tx: &mut Conn,
    channel: &str,
    recipient: &str,
    message: &str,
    now: Millis,
) -> Result<(), StorageError> {
    const INSERT: &str =
        "INSERT INTO mailbox (channel, recipient, message, received_at) VALUES ($1, $2, $3, $4)";
    const FORGET: &str =
        "DELETE FROM mailbox WHERE id NOT IN (SELECT id FROM mailbox ORDER BY id DESC LIMIT $1)";
    tx.execute(INSERT, vals![channel, recipient, message, now]).await?;
    tx.execute(FORGET, vals![KEPT]).await.map(drop)
}

/// All kept messages, newest first.
///
/// # Errors
/// [`StorageError`].
pub async fn list(conn: &mut Conn) -> Result<Vec<Received>, StorageError> {
    const SQL: &str = "SELECT id, channel, recipient, message, received_at FROM mailbox ORDER BY id DESC";
    let received = |row: Row| {
        Ok(Received {
            id: row.int(0)?,
            channel: row.text(1)?,
            recipient: row.text(2)?,
            message: row.text(3)?,
            received_at: row.int(4)?,
        })
    };
    conn.all(SQL, vec![]).await?.into_iter().map(received).collect()
}

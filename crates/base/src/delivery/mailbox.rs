//! The development mailbox: keeps what would have been sent, and shows it in the log. The only place where a code is
//! ever logged.

use serde::{Deserialize, Serialize};

use super::Channel;
use super::template::clean;
use crate::security::Millis;
use crate::storage::{Db, StorageError, mailbox};

/// A message in the mailbox.
#[derive(Debug, Clone, Serialize)]
pub struct StoredMessage {
    /// Its number; later messages have higher ones.
    pub id: i64,
    /// `mail` or `sms`.
    pub channel: String,
    /// An email address or a phone number.
    pub to: String,
    /// What it says.
    #[serde(flatten)]
    pub content: Content,
    /// When it was received, in milliseconds since 1970.
    pub received_at: Millis,
}

/// What a message in the mailbox says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Content {
    /// The subject of a mail; empty for a text message.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The HTML of a mail.
    pub html: Option<String>,
    /// The code to type.
    pub code: Option<String>,
    /// The link to follow.
    pub link: Option<String>,
}

/// All kept messages, newest first.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn list(db: &Db) -> Result<Vec<StoredMessage>, StorageError> {
    let received = mailbox::list(&mut db.read().await?).await?;
    let stored = |message: mailbox::Received| {
        let content = serde_json::from_str(&message.message)
            .map_err(|error| StorageError::Broken(format!("mailbox {}: {error}", message.id)))?;
        Ok(StoredMessage {
            id: message.id,
            channel: message.channel,
            to: message.recipient,
            content,
            received_at: message.received_at,
        })
    };
    received.into_iter().map(stored).collect()
}

/// Keeps a message and shows it in the log.
pub(super) async fn keep(
    db: &Db,
    now: Millis,
    channel: Channel,
    to: &str,
    content: &Content,
) -> Result<(), StorageError> {
    let to = clean(to);
    let json = serde_json::to_string(content).map_err(|error| StorageError::Broken(error.to_string()))?;
    let mut tx = db.write().await?;
    mailbox::push(&mut tx, channel.name(), &to, &json, now).await?;
    tx.commit().await?;
    let (channel, subject) = (channel.name(), clean(&content.subject));
    match (&content.link, &content.code) {
        (Some(link), _) => {
            tracing::info!(target: "vestibule::mailbox", "{channel} to={to} subject={subject} link={}", clean(link));
        }
        (None, Some(code)) => {
            tracing::info!(target: "vestibule::mailbox", "{channel} to={to} subject={subject} code={}", clean(code));
        }
        (None, None) => {
            tracing::info!(target: "vestibule::mailbox", "{channel} to={to} subject={subject}");
        }
    }
    Ok(())
}

//! What people would find in their mail and on their phone: the development mailbox of a test's database.

use vestibule_base::delivery::mailbox::{self, StoredMessage};
use vestibule_base::storage::Db;

/// What was delivered to an email address or phone number, newest first.
///
/// # Panics
/// If the database does not answer.
pub async fn messages_for(db: &Db, to: &str) -> Vec<StoredMessage> {
    let mut messages = mailbox::list(db).await.expect("the mailbox");
    messages.retain(|message| message.to == to);
    messages
}

/// The code in the newest message to `to`.
///
/// # Panics
/// If there is no message, or no code in it; shows it.
pub async fn code_for(db: &Db, to: &str) -> String {
    let message = newest(db, to).await;
    message.content.code.clone().unwrap_or_else(|| panic!("no code in {message:?}"))
}

/// The link in the newest message to `to`.
///
/// # Panics
/// If there is no message, or no link in it; shows it.
pub async fn link_for(db: &Db, to: &str) -> String {
    let message = newest(db, to).await;
    message.content.link.clone().unwrap_or_else(|| panic!("no link in {message:?}"))
}

/// The key in the link of the newest message to `to`: what follows `key=` or the last slash.
///
/// # Panics
/// If there is no message, or no link in it; shows it.
pub async fn link_key_for(db: &Db, to: &str) -> String {
    let link = link_for(db, to).await;
    let at = link.rfind("key=").map_or_else(|| link.rfind('/').map_or(0, |at| at + 1), |at| at + 4);
    decode(&link[at..])
}

async fn newest(db: &Db, to: &str) -> StoredMessage {
    let messages = messages_for(db, to).await;
    messages.into_iter().next().unwrap_or_else(|| panic!("no message to {to}"))
}

/// Undoes percent encoding.
fn decode(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(code.unwrap_or_else(|| panic!("{text} is not percent-encoded")));
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).expect("a key in UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded() {
        assert_eq!(decode("MQ%3A1a-b%3a_c"), "MQ:1a-b:_c");
        assert_eq!(decode(""), "");
    }
}

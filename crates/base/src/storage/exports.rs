//! What belongs to users, for many of them at a time: those with ids from one to another, in the order of their ids.

use super::authenticators::{self, Authenticator};
use super::emails::{self, Email};
use super::phones::Phone;
use super::social::{self, SocialToken};
use super::{Conn, StorageError};
use crate::security::Millis;
use crate::vals;

/// A row of `social_accounts` with its times.
#[derive(Debug, Clone)]
pub struct Connected {
    /// The row.
    pub account: social::SocialAccount,
    /// When it was connected.
    pub created_at: Millis,
    /// When it last logged in.
    pub last_login_at: Millis,
}

/// Addresses, oldest first.
///
/// # Errors
/// Any of [`StorageError`]; so for all below.
pub async fn emails(conn: &mut Conn, from: i64, to: i64) -> Result<Vec<Email>, StorageError> {
    let sql = "SELECT id, user_id, email, verified, is_primary, claim FROM emails
               WHERE user_id BETWEEN $1 AND $2 ORDER BY user_id, id";
    conn.all(sql, vals![from, to]).await?.iter().map(emails::read).collect()
}

/// Phone numbers.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn phones(conn: &mut Conn, from: i64, to: i64) -> Result<Vec<Phone>, StorageError> {
    let sql = "SELECT user_id, phone, verified FROM phones WHERE user_id BETWEEN $1 AND $2 ORDER BY user_id";
    let rows = conn.all(sql, vals![from, to]).await?;
    rows.iter()
        .map(|row| Ok(Phone { user_id: row.int(0)?, phone: row.text(1)?, verified: row.flag(2)? }))
        .collect()
}

/// What users entered at signup beyond what a login needs: id and JSON object.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn profiles(conn: &mut Conn, from: i64, to: i64) -> Result<Vec<(i64, String)>, StorageError> {
    let sql = "SELECT user_id, fields FROM profiles WHERE user_id BETWEEN $1 AND $2 ORDER BY user_id";
    conn.all(sql, vals![from, to]).await?.iter().map(|row| Ok((row.int(0)?, row.text(1)?))).collect()
}

/// Accounts at third parties, oldest first.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn connected(conn: &mut Conn, from: i64, to: i64) -> Result<Vec<Connected>, StorageError> {
    let sql = "SELECT id, user_id, provider, uid, extra_data, created_at, last_login_at FROM social_accounts
               WHERE user_id BETWEEN $1 AND $2 ORDER BY user_id, id";
    let rows = conn.all(sql, vals![from, to]).await?;
    rows.iter()
        .map(|row| {
            Ok(Connected { account: social::read(row)?, created_at: row.int(5)?, last_login_at: row.int(6)? })
        })
        .collect()
}

/// Tokens of these accounts, in no order.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn tokens(conn: &mut Conn, from: i64, to: i64) -> Result<Vec<SocialToken>, StorageError> {
    let sql = "SELECT t.account_id, t.access, t.refresh, t.expires_at
               FROM social_accounts a JOIN social_tokens t ON t.account_id = a.id
               WHERE a.user_id BETWEEN $1 AND $2";
    conn.all(sql, vals![from, to]).await?.iter().map(social::read_token).collect()
}

/// Authenticators, oldest first.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn authenticators(conn: &mut Conn, from: i64, to: i64) -> Result<Vec<Authenticator>, StorageError> {
    let sql = "SELECT id, user_id, kind, secret, counter, created_at, last_used_at, name FROM authenticators
               WHERE user_id BETWEEN $1 AND $2 ORDER BY user_id, id";
    conn.all(sql, vals![from, to]).await?.iter().map(authenticators::read).collect()
}

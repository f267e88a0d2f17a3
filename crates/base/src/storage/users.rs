//! Users.

use super::{Conn, Row, StorageError};
use crate::security::Millis;
use crate::security::password::{PasswordHash, usable};
use crate::vals;

/// A password that nothing can verify against is none: blank, or marked as unusable by Django.
pub(super) fn read_password(stored: Option<String>) -> Option<PasswordHash> {
    stored.filter(|hash| usable(hash)).map(PasswordHash::from_stored)
}

/// A row of `users`.
#[derive(Debug, Clone)]
pub struct User {
    /// Never given twice.
    pub id: i64,
    /// As its owner wrote it.
    pub username: Option<String>,
    /// `None`: an account without a password.
    pub password: Option<PasswordHash>,
    /// An inactive user enters by no way.
    pub is_active: bool,
    /// When the account was made.
    pub created_at: Millis,
    /// When its owner last entered.
    pub last_login_at: Option<Millis>,
}

pub(super) fn read(row: &Row) -> Result<User, StorageError> {
    Ok(User {
        id: row.int(0)?,
        username: row.opt_text(1)?,
        password: read_password(row.opt_text(2)?),
        is_active: row.flag(3)?,
        created_at: row.int(4)?,
        last_login_at: row.opt_int(5)?,
    })
}

/// Adds a user; `None` if the username is taken.
///
/// # Errors
/// Any of [`StorageError`]; so for all below.
pub async fn insert(
    conn: &mut Conn,
    username: Option<&str>,
    username_key: Option<&str>,
    password: Option<&PasswordHash>,
    now: Millis,
) -> Result<Option<i64>, StorageError> {
    let row = conn
        .maybe(
            "INSERT INTO users (username, username_key, password, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (username_key) DO NOTHING RETURNING id",
            vals![username, username_key, password.map(PasswordHash::as_str), now],
        )
        .await?;
    row.map(|row| row.int(0)).transpose()
}

/// The user with this id.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn find(conn: &mut Conn, id: i64) -> Result<Option<User>, StorageError> {
    let row = conn
        .maybe(
            "SELECT id, username, password, is_active, created_at, last_login_at FROM users WHERE id = $1",
            vals![id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// The user with this username, in the form in which names are compared.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn find_by_username(conn: &mut Conn, username_key: &str) -> Result<Option<User>, StorageError> {
    let row = conn
        .maybe(
            "SELECT id, username, password, is_active, created_at, last_login_at FROM users WHERE username_key = $1",
            vals![username_key],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Users with ids above `after`, in order.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn list(conn: &mut Conn, after: i64, limit: i64) -> Result<Vec<User>, StorageError> {
    let rows = conn
        .all(
            "SELECT id, username, password, is_active, created_at, last_login_at FROM users
             WHERE id > $1 ORDER BY id LIMIT $2",
            vals![after, limit],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Gives a user another password.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn set_password(
    conn: &mut Conn,
    id: i64,
    password: Option<&PasswordHash>,
) -> Result<(), StorageError> {
    conn.execute(
        "UPDATE users SET password = $2 WHERE id = $1",
        vals![id, password.map(PasswordHash::as_str)],
    )
    .await
    .map(drop)
}

/// Gives a user another password if `old` is still the present one: of two concurrent changes one wins.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn replace_password(
    conn: &mut Conn,
    id: i64,
    old: Option<&PasswordHash>,
    new: &PasswordHash,
) -> Result<bool, StorageError> {
    let touched = conn
        .execute(
            // No password, a blank one and one marked as unusable are the same to us.
            "UPDATE users SET password = $3
             WHERE id = $1 AND (password = $2 OR ($2 IS NULL AND (password IS NULL OR password = '' OR password LIKE '!%')))",
            vals![id, old.map(PasswordHash::as_str), new.as_str()],
        )
        .await?;
    Ok(touched == 1)
}

/// Notes that the user entered.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn touch_login(conn: &mut Conn, id: i64, now: Millis) -> Result<(), StorageError> {
    conn.execute("UPDATE users SET last_login_at = $2 WHERE id = $1", vals![id, now]).await.map(drop)
}

/// Lets a user enter, or no longer; `false` if there is none.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn set_active(conn: &mut Conn, id: i64, active: bool) -> Result<bool, StorageError> {
    Ok(conn.execute("UPDATE users SET is_active = $2 WHERE id = $1", vals![id, active]).await? == 1)
}

/// Removes a user and all that is theirs; `false` if there is none.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn delete(conn: &mut Conn, id: i64) -> Result<bool, StorageError> {
    Ok(conn.execute("DELETE FROM users WHERE id = $1", vals![id]).await? == 1)
}

/// Keeps other changes to a user's belongings waiting until the transaction ends.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn lock(conn: &mut Conn, id: i64) -> Result<(), StorageError> {
    // An update that changes nothing takes the row's lock in both databases; there is no other common word for it.
    conn.execute("UPDATE users SET is_active = is_active WHERE id = $1", vals![id]).await.map(drop)
}

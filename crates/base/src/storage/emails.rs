//! Email addresses of users. All addresses here are in canonical form: lower case, the domain as A-labels.

use super::{Conn, Row, StorageError};
use crate::vals;

/// A row of `emails`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// The row.
    pub id: i64,
    /// Whose it is.
    pub user_id: i64,
    /// The address.
    pub email: String,
    /// Whether its owner has proved it.
    pub verified: bool,
    /// Whether it is the one that the user is known by.
    pub primary: bool,
    /// Whether the account holds it to the exclusion of all others.
    pub claimed: bool,
}

impl Email {
    /// Whether the address stands for its account. One that was added beside others, and that nobody has proved, does
    /// not: its owner may be somebody else.
    #[must_use]
    pub fn stands_for_account(&self) -> bool {
        self.verified || self.primary || self.claimed
    }
}

pub(super) fn read(row: &Row) -> Result<Email, StorageError> {
    Ok(Email {
        id: row.int(0)?,
        user_id: row.int(1)?,
        email: row.text(2)?,
        verified: row.flag(3)?,
        primary: row.flag(4)?,
        claimed: row.opt_text(5)?.is_some(),
    })
}

/// The addresses of a user, oldest first.
///
/// # Errors
/// Any of [`StorageError`]; so for all below.
pub async fn of_user(conn: &mut Conn, user_id: i64) -> Result<Vec<Email>, StorageError> {
    let rows = conn
        .all(
            "SELECT id, user_id, email, verified, is_primary, claim FROM emails WHERE user_id = $1 ORDER BY id",
            vals![user_id],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// All rows with this address, verified ones first, then the oldest.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn with_address(conn: &mut Conn, email: &str) -> Result<Vec<Email>, StorageError> {
    let rows = conn
        .all(
            "SELECT id, user_id, email, verified, is_primary, claim FROM emails WHERE email = $1
             ORDER BY verified DESC, id",
            vals![email],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Adds an address. With `claim` the account holds it to the exclusion of all others.
///
/// # Errors
/// [`StorageError::Taken`] if another account claims it, or this one has it already.
pub async fn insert(
    conn: &mut Conn,
    user_id: i64,
    email: &str,
    verified: bool,
    primary: bool,
    claim: bool,
) -> Result<i64, StorageError> {
    let row = conn
        .maybe(
            "INSERT INTO emails (user_id, email, verified, is_primary, claim) VALUES ($1, $2, $3, $4, $5) RETURNING id",
            vals![user_id, email, verified, primary, claim.then_some(email)],
        )
        .await?;
    row.map_or_else(|| Err(StorageError::Broken("emails: no id".into())), |row| row.int(0))
}

/// Marks an address as verified; with `claim`, held to the exclusion of all others: a claim by an account that never
/// proved it gives way.
///
/// # Errors
/// [`StorageError::Taken`] if another account has proved it.
pub async fn set_verified(conn: &mut Conn, row: &Email, claim: bool) -> Result<(), StorageError> {
    if claim {
        conn.execute(
            "UPDATE emails SET claim = NULL WHERE claim = $1 AND verified = 0 AND id <> $2",
            vals![row.email.as_str(), row.id],
        )
        .await?;
    }
    conn.execute(
        "UPDATE emails SET verified = 1, claim = $2 WHERE id = $1",
        vals![row.id, claim.then_some(row.email.as_str())],
    )
    .await
    .map(drop)
}

/// Makes an address the primary one of its user, in place of any other.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn set_primary(conn: &mut Conn, user_id: i64, id: i64) -> Result<(), StorageError> {
    conn.execute("UPDATE emails SET is_primary = 0 WHERE user_id = $1 AND id <> $2", vals![user_id, id])
        .await?;
    conn.execute("UPDATE emails SET is_primary = 1 WHERE user_id = $1 AND id = $2", vals![user_id, id])
        .await
        .map(drop)
}

/// Removes an address.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn delete(conn: &mut Conn, id: i64) -> Result<(), StorageError> {
    conn.execute("DELETE FROM emails WHERE id = $1", vals![id]).await.map(drop)
}

/// Removes the addresses of a user that nobody has proved, but for `except`.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn delete_unverified(conn: &mut Conn, user_id: i64, except: &str) -> Result<(), StorageError> {
    conn.execute(
        "DELETE FROM emails WHERE user_id = $1 AND verified = 0 AND email <> $2",
        vals![user_id, except],
    )
    .await
    .map(drop)
}

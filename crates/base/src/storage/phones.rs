//! Phone numbers of users, in E.164. A user has one at most.

use super::{Conn, StorageError};
use crate::vals;

/// A row of `phones`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phone {
    /// Whose it is.
    pub user_id: i64,
    /// The number.
    pub phone: String,
    /// Whether its owner has proved it.
    pub verified: bool,
}

fn read(row: &super::Row) -> Result<Phone, StorageError> {
    Ok(Phone { user_id: row.int(0)?, phone: row.text(1)?, verified: row.flag(2)? })
}

/// The number of a user.
///
/// # Errors
/// Any of [`StorageError`]; so for all below.
pub async fn of_user(conn: &mut Conn, user_id: i64) -> Result<Option<Phone>, StorageError> {
    let row =
        conn.maybe("SELECT user_id, phone, verified FROM phones WHERE user_id = $1", vals![user_id]).await?;
    row.as_ref().map(read).transpose()
}

/// Who has this number: its proven owner, else the first who named it.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn holder(conn: &mut Conn, phone: &str) -> Result<Option<Phone>, StorageError> {
    let row = conn
        .maybe(
            "SELECT user_id, phone, verified FROM phones WHERE phone = $1 ORDER BY verified DESC, user_id LIMIT 1",
            vals![phone],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Takes the number of a user away.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn delete(conn: &mut Conn, user_id: i64) -> Result<(), StorageError> {
    conn.execute("DELETE FROM phones WHERE user_id = $1", vals![user_id]).await.map(drop)
}

/// Gives a user this number in place of any other. With `claim` they hold it to the exclusion of all others; a claim
/// by somebody who never proved it gives way to a verified one.
///
/// # Errors
/// [`StorageError::Taken`] if another account claims it.
pub async fn set(conn: &mut Conn, phone: &Phone, claim: bool) -> Result<(), StorageError> {
    if claim && phone.verified {
        conn.execute(
            "UPDATE phones SET claim = NULL WHERE claim = $1 AND verified = 0 AND user_id <> $2",
            vals![phone.phone.as_str(), phone.user_id],
        )
        .await?;
    }
    conn.execute(
        "INSERT INTO phones (user_id, phone, verified, claim) VALUES ($1, $2, $3, $4)
         ON CONFLICT (user_id) DO UPDATE SET phone = excluded.phone, verified = excluded.verified, claim = excluded.claim",
        vals![phone.user_id, phone.phone.as_str(), phone.verified, claim.then_some(phone.phone.as_str())],
    )
    .await
    .map(drop)
}

//! What users entered at signup beyond what a login needs: one JSON object a user.

use super::{Conn, StorageError};
use crate::vals;

/// Keeps the fields of a new user.
///
/// # Errors
/// [`StorageError::Taken`] if the user has some already; else any of [`StorageError`].
pub async fn insert(conn: &mut Conn, user_id: i64, fields: &str) -> Result<(), StorageError> {
    conn.execute("INSERT INTO profiles (user_id, fields) VALUES ($1, $2)", vals![user_id, fields])
        .await
        .map(drop)
}

/// The fields of a user, if any were entered.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn of_user(conn: &mut Conn, user_id: i64) -> Result<Option<String>, StorageError> {
    let row = conn.maybe("SELECT fields FROM profiles WHERE user_id = $1", vals![user_id]).await?;
    row.map(|row| row.text(0)).transpose()
}

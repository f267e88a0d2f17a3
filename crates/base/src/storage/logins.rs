//! Attempts to enter that are under way, one a session.

use super::{Conn, StorageError};
use crate::security::Millis;
use crate::vals;

/// A row of `logins`.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The session that it belongs to.
    pub session_id: i64,
    /// Who enters; `None` for a pretence.
    pub user_id: Option<i64>,
    /// The stage that holds it.
    pub stage: String,
    /// The rest, as JSON.
    pub state: String,
    /// When it began.
    pub started_at: Millis,
}

/// The attempt of a session.
///
/// # Errors
/// Any of [`StorageError`]; so for all below.
pub async fn find(conn: &mut Conn, session_id: i64) -> Result<Option<Attempt>, StorageError> {
    let row = conn
        .maybe(
            "SELECT session_id, user_id, stage, state, started_at FROM logins WHERE session_id = $1",
            vals![session_id],
        )
        .await?;
    row.map(|row| {
        Ok(Attempt {
            session_id: row.int(0)?,
            user_id: row.opt_int(1)?,
            stage: row.text(2)?,
            state: row.text(3)?,
            started_at: row.int(4)?,
        })
    })
    .transpose()
}

/// Notes an attempt, in place of any other of the session.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn put(conn: &mut Conn, attempt: &Attempt) -> Result<(), StorageError> {
    conn.execute(
        "INSERT INTO logins (session_id, user_id, stage, state, started_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (session_id) DO UPDATE SET user_id = excluded.user_id, stage = excluded.stage,
             state = excluded.state, started_at = excluded.started_at",
        vals![
            attempt.session_id,
            attempt.user_id,
            attempt.stage.as_str(),
            attempt.state.as_str(),
            attempt.started_at
        ],
    )
    .await
    .map(drop)
}

/// Forgets the attempt of a session; `false` if there was none: of two requests that end it, one wins.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn delete(conn: &mut Conn, session_id: i64) -> Result<bool, StorageError> {
    Ok(conn.execute("DELETE FROM logins WHERE session_id = $1", vals![session_id]).await? == 1)
}

/// Forgets all attempts of a user.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn delete_of_user(conn: &mut Conn, user_id: i64) -> Result<(), StorageError> {
    conn.execute("DELETE FROM logins WHERE user_id = $1", vals![user_id]).await.map(drop)
}

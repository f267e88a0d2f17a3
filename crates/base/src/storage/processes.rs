//! Codes that were sent out and are awaited by one session, one of a kind.

use super::{Conn, Row, StorageError};
use crate::security::Millis;
use crate::vals;

/// A row of `processes`.
#[derive(Debug, Clone)]
pub struct Process {
    /// The row.
    pub id: i64,
    /// The session that awaits the code.
    pub session_id: i64,
    /// Whose code it is; `None` for a pretence.
    pub user_id: Option<i64>,
    /// Where it was sent.
    pub address: String,
    /// What the right code is known by: its keyed hash, or the sealed secret that it is made of; `None`: no code is right.
    pub code_hash: Option<Vec<u8>>,
    /// Wrong codes that may still be tried.
    pub attempts_left: i64,
    /// How often it was sent again.
    pub resends: i64,
    /// How often the address was changed.
    pub changes: i64,
    /// The rest, as JSON.
    pub state: String,
    /// The moment after which the code is worthless.
    pub expires_at: Millis,
}

fn read(row: &Row) -> Result<Process, StorageError> {
    Ok(Process {
        id: row.int(0)?,
        session_id: row.int(1)?,
        user_id: row.opt_int(2)?,
        address: row.text(3)?,
        code_hash: row.opt_bytes(4)?,
        attempts_left: row.int(5)?,
        resends: row.int(6)?,
        changes: row.int(7)?,
        state: row.text(8)?,
        expires_at: row.int(9)?,
    })
}

/// The process of a session.
///
/// # Errors
/// Any of [`StorageError`]; so for all below.
pub async fn find(conn: &mut Conn, session_id: i64, kind: &str) -> Result<Option<Process>, StorageError> {
    let row = conn
        .maybe(
            "SELECT id, session_id, user_id, address, code_hash, attempts_left, resends, changes, state, expires_at
             FROM processes WHERE session_id = $1 AND kind = $2",
            vals![session_id, kind],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Notes a process, in place of any other of its kind in the session: a new code cancels the old one.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn put(conn: &mut Conn, kind: &str, process: &Process) -> Result<(), StorageError> {
    conn.execute(
        "DELETE FROM processes WHERE session_id = $1 AND kind = $2",
        vals![process.session_id, kind],
    )
    .await?;
    conn.execute(
        "INSERT INTO processes (session_id, kind, user_id, address, code_hash, attempts_left, resends, changes,
                                state, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        vals![
            process.session_id,
            kind,
            process.user_id,
            process.address.as_str(),
            process.code_hash.as_deref(),
            process.attempts_left,
            process.resends,
            process.changes,
            process.state.as_str(),
            process.expires_at
        ],
    )
    .await
    .map(drop)
}

/// Takes one attempt before the code is looked at, so that concurrent guesses are counted one by one. `None` if the
/// process is gone, expired or has none left. The row stays locked until the transaction ends.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn take_attempt(conn: &mut Conn, id: i64, now: Millis) -> Result<Option<Process>, StorageError> {
    let row = conn
        .maybe(
            "UPDATE processes SET attempts_left = attempts_left - 1
             WHERE id = $1 AND attempts_left > 0 AND expires_at > $2
             RETURNING id, session_id, user_id, address, code_hash, attempts_left, resends, changes, state, expires_at",
            vals![id, now],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// What a new code, or another address, makes of a process.
#[derive(Debug)]
pub struct Renewal<'a> {
    /// Where the new code goes.
    pub address: &'a str,
    /// Keyed hash of the new code.
    pub code_hash: Option<&'a [u8]>,
    /// The rest, as JSON.
    pub state: &'a str,
    /// 1 if the code is sent again.
    pub resends: i64,
    /// 1 if the address was changed.
    pub changes: i64,
    /// How often each may happen.
    pub most: i64,
}

/// Replaces the code of a process that is still awaited, if that may happen once more; else `false`. Time and attempts
/// stay what they are.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn renew(conn: &mut Conn, id: i64, new: &Renewal<'_>, now: Millis) -> Result<bool, StorageError> {
    let touched = conn
        .execute(
            "UPDATE processes SET address = $2, code_hash = $3, state = $4, resends = resends + $5, changes = changes + $6
             WHERE id = $1 AND attempts_left > 0 AND expires_at > $8
               AND ($5 = 0 OR resends < $7) AND ($6 = 0 OR changes < $7)",
            vals![id, new.address, new.code_hash, new.state, new.resends, new.changes, new.most, now],
        )
        .await?;
    Ok(touched == 1)
}

/// Gives back an attempt: the code was right.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn give_back_attempt(conn: &mut Conn, id: i64) -> Result<(), StorageError> {
    conn.execute("UPDATE processes SET attempts_left = attempts_left + 1 WHERE id = $1", vals![id])
        .await
        .map(drop)
}

/// Notes that the code was right once, and until when what follows may take place.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn confirm(conn: &mut Conn, id: i64, state: &str, expires_at: Millis) -> Result<(), StorageError> {
    conn.execute(
        "UPDATE processes SET state = $2, expires_at = $3 WHERE id = $1",
        vals![id, state, expires_at],
    )
    .await
    .map(drop)
}

/// Ends a process; `false` if it was gone: of two requests that spend it, one wins.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn delete(conn: &mut Conn, id: i64) -> Result<bool, StorageError> {
    Ok(conn.execute("DELETE FROM processes WHERE id = $1", vals![id]).await? == 1)
}

/// Ends the processes of a session, but for those of the kind `except`.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn delete_of_session(conn: &mut Conn, session_id: i64, except: &str) -> Result<(), StorageError> {
    conn.execute("DELETE FROM processes WHERE session_id = $1 AND kind <> $2", vals![session_id, except])
        .await
        .map(drop)
}

/// Ends all processes of a user.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn delete_of_user(conn: &mut Conn, user_id: i64) -> Result<(), StorageError> {
    conn.execute("DELETE FROM processes WHERE user_id = $1", vals![user_id]).await.map(drop)
}

//! Second factors of users.

use super::{Conn, Row, StorageError};
use crate::config::AuthenticatorType;
use crate::security::Millis;
use crate::vals;

/// A row of `authenticators`.
#[derive(Debug, Clone)]
pub struct Authenticator {
    /// Never given twice.
    pub id: i64,
    /// Whose it is.
    pub user_id: i64,
    /// What it is.
    pub kind: AuthenticatorType,
    /// What it takes to know a code of it or to check what it signs, sealed.
    pub secret: Vec<u8>,
    /// The newest time step whose code was taken.
    pub counter: i64,
    /// When it was set up.
    pub created_at: Millis,
    /// When it was last used.
    pub last_used_at: Option<Millis>,
    /// What its owner calls it, if it is a key.
    pub name: Option<String>,
}

pub(super) fn read(row: &Row) -> Result<Authenticator, StorageError> {
    Ok(Authenticator {
        id: row.int(0)?,
        user_id: row.int(1)?,
        kind: kind(&row.text(2)?)?,
        secret: row.bytes(3)?,
        counter: row.int(4)?,
        created_at: row.int(5)?,
        last_used_at: row.opt_int(6)?,
        name: row.opt_text(7)?,
    })
}

fn kind(name: &str) -> Result<AuthenticatorType, StorageError> {
    AuthenticatorType::named(name)
        .ok_or_else(|| StorageError::Broken(format!("authenticators.kind: {name:?} is none")))
}

/// All authenticators of a user, oldest first.
///
/// # Errors
/// Any of [`StorageError`]; so for all below.
pub async fn of_user(conn: &mut Conn, user_id: i64) -> Result<Vec<Authenticator>, StorageError> {
    let rows = conn
        .all(
            "SELECT id, user_id, kind, secret, counter, created_at, last_used_at, name FROM authenticators
             WHERE user_id = $1 ORDER BY id",
            vals![user_id],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Authenticators of all users with ids above `after`, in order.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn list(conn: &mut Conn, after: i64, limit: i64) -> Result<Vec<Authenticator>, StorageError> {
    let rows = conn
        .all(
            "SELECT id, user_id, kind, secret, counter, created_at, last_used_at, name FROM authenticators
             WHERE id > $1 ORDER BY id LIMIT $2",
            vals![after, limit],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// The kinds of authenticators that a user has, each once, by name.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn kinds(conn: &mut Conn, user_id: i64) -> Result<Vec<AuthenticatorType>, StorageError> {
    let rows = conn
        .all("SELECT DISTINCT kind FROM authenticators WHERE user_id = $1 ORDER BY kind", vals![user_id])
        .await?;
    rows.iter().map(|row| kind(&row.text(0)?)).collect()
}

/// Adds an authenticator, whose code of the time step `counter` was taken already.
///
/// # Errors
/// [`StorageError::Taken`] if the user has one of a kind of which they may have one only.
pub async fn insert(
    conn: &mut Conn,
    user_id: i64,
    kind: AuthenticatorType,
    secret: &[u8],
    counter: i64,
    now: Millis,
) -> Result<Authenticator, StorageError> {
    let row = conn
        .maybe(
            "INSERT INTO authenticators (user_id, kind, secret, counter, created_at) VALUES ($1, $2, $3, $4, $5)
             RETURNING id, user_id, kind, secret, counter, created_at, last_used_at, name",
            vals![user_id, kind.name(), secret, counter, now],
        )
        .await?;
    row.as_ref().map(read).transpose()?.ok_or_else(|| StorageError::Broken("authenticators: no row".into()))
}

/// Adds a key.
///
/// # Errors
/// [`StorageError::Taken`] if this or another user has one with this credential id.
pub async fn insert_key(
    conn: &mut Conn,
    user_id: i64,
    name: &str,
    credential_id: &[u8],
    secret: &[u8],
    now: Millis,
) -> Result<Authenticator, StorageError> {
    let row = conn
        .maybe(
            "INSERT INTO authenticators (user_id, kind, secret, created_at, name, credential_id)
             VALUES ($1, $2, $3, $4, $5, $6)
             RETURNING id, user_id, kind, secret, counter, created_at, last_used_at, name",
            vals![user_id, AuthenticatorType::Webauthn.name(), secret, now, name, credential_id],
        )
        .await?;
    row.as_ref().map(read).transpose()?.ok_or_else(|| StorageError::Broken("authenticators: no row".into()))
}

/// The key with this credential id, whosever it is.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn find_key(conn: &mut Conn, credential_id: &[u8]) -> Result<Option<Authenticator>, StorageError> {
    let row = conn
        .maybe(
            "SELECT id, user_id, kind, secret, counter, created_at, last_used_at, name FROM authenticators
             WHERE credential_id = $1",
            vals![credential_id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Gives a key another name.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn rename_key(conn: &mut Conn, id: i64, name: &str) -> Result<(), StorageError> {
    conn.execute("UPDATE authenticators SET name = $2 WHERE id = $1", vals![id, name]).await.map(drop)
}

/// Notes that the code of a time step was taken, unless one of this step or of a later one was; `false` then: of several
/// requests with one code, one wins. The secret is written anew, under the present key.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn advance(
    conn: &mut Conn,
    id: i64,
    step: i64,
    secret: &[u8],
    now: Millis,
) -> Result<bool, StorageError> {
    let touched = conn
        .execute(
            "UPDATE authenticators SET counter = $2, secret = $3, last_used_at = $4 WHERE id = $1 AND counter < $2",
            vals![id, step, secret, now],
        )
        .await?;
    Ok(touched == 1)
}

/// Replaces what an authenticator knows, if it is still `old`; else `false`: of several requests that would spend the
/// same code, one wins.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn replace_secret(
    conn: &mut Conn,
    id: i64,
    old: &[u8],
    new: &[u8],
    used_at: Option<Millis>,
) -> Result<bool, StorageError> {
    let touched = conn
        .execute(
            "UPDATE authenticators SET secret = $3, last_used_at = coalesce($4, last_used_at)
             WHERE id = $1 AND secret = $2",
            vals![id, old, new, used_at],
        )
        .await?;
    Ok(touched == 1)
}

/// Removes an authenticator; `false` if it was gone.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn delete(conn: &mut Conn, id: i64) -> Result<bool, StorageError> {
    Ok(conn.execute("DELETE FROM authenticators WHERE id = $1", vals![id]).await? == 1)
}

/// Removes all authenticators of a user.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn delete_of_user(conn: &mut Conn, user_id: i64) -> Result<(), StorageError> {
    conn.execute("DELETE FROM authenticators WHERE user_id = $1", vals![user_id]).await.map(drop)
}

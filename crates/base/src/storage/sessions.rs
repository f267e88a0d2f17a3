//! Sessions: what a token or a cookie stands for.

use super::users::{User, read_password};
use super::{Conn, Row, StorageError};
use crate::security::{Digest, Millis};
use crate::vals;

/// A row of `sessions`, with the user that it belongs to.
#[derive(Debug, Clone)]
pub struct Session {
    /// The row.
    pub id: i64,
    /// `None`: an anonymous session, which has something under way.
    pub user: Option<User>,
    /// The user's primary address.
    pub email: Option<String>,
    /// Whether the user has proved it.
    pub email_verified: bool,
    /// Keyed hash of the password that it was opened under.
    pub password_mark: Option<Vec<u8>>,
    /// Authentication records, as JSON.
    pub records: String,
    /// Ended from elsewhere.
    pub ended: bool,
    /// When it was opened.
    pub created_at: Millis,
    /// When its holder was last seen.
    pub last_seen_at: Millis,
    /// When it ends by itself.
    pub expires_at: Millis,
    /// Where its holder was last seen.
    pub ip: String,
    /// What its holder used then.
    pub user_agent: String,
    /// `app` or `browser`.
    pub client: String,
}

/// What a new session is made of, or what a login makes of an old one.
#[derive(Debug)]
pub struct Opening<'a> {
    /// What its holder keeps, hashed.
    pub token_hash: Digest,
    /// `app` or `browser`.
    pub client: &'a str,
    /// Whose it is.
    pub user_id: Option<i64>,
    /// Keyed hash of the user's password.
    pub password_mark: Option<&'a [u8]>,
    /// Authentication records, as JSON.
    pub records: &'a str,
    /// Where its holder is.
    pub ip: &'a str,
    /// What its holder uses.
    pub user_agent: &'a str,
    /// The present moment.
    pub now: Millis,
    /// When it ends by itself.
    pub expires_at: Millis,
}

fn read(row: &Row) -> Result<Session, StorageError> {
    let user = match row.opt_int(1)? {
        None => None,
        Some(id) => Some(User {
            id,
            username: row.opt_text(8)?,
            password: read_password(row.opt_text(9)?),
            is_active: row.flag(10)?,
            created_at: row.int(11)?,
            last_login_at: row.opt_int(12)?,
        }),
    };
    Ok(Session {
        id: row.int(0)?,
        user,
        email: row.opt_text(13)?,
        email_verified: row.opt_int(16)? == Some(1),
        password_mark: row.opt_bytes(2)?,
        records: row.text(3)?,
        ended: row.flag(4)?,
        created_at: row.int(5)?,
        last_seen_at: row.int(6)?,
        expires_at: row.int(7)?,
        ip: row.text(14)?,
        user_agent: row.text(15)?,
        client: row.text(17)?,
    })
}

/// A statement that gives what [`read`] reads.
macro_rules! select {
    ($from:literal) => {
        concat!(
            "SELECT s.id, u.id, s.password_mark, s.records, s.ended, s.created_at, s.last_seen_at, s.expires_at,
                    u.username, u.password, u.is_active, u.created_at, u.last_login_at, e.email,
                    s.ip, s.user_agent,
                    e.verified, s.client
             FROM ",
            $from
        )
    };
}

/// The session of a token, for clients of one kind. One statement: it is asked at every request.
///
/// # Errors
/// Any of [`StorageError`]; so for all below.
pub async fn find(
    conn: &mut Conn,
    token_hash: &Digest,
    client: &str,
) -> Result<Option<Session>, StorageError> {
    const SQL: &str = select!(
        "sessions s LEFT JOIN users u ON u.id = s.user_id
             LEFT JOIN emails e ON e.user_id = s.user_id AND e.is_primary = 1
             WHERE s.token_hash = $1 AND s.client = $2"
    );
    conn.maybe(SQL, vals![token_hash, client]).await?.as_ref().map(read).transpose()
}

/// The session that access and refresh tokens name by `sid`.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn find_by_sid(conn: &mut Conn, sid: &str) -> Result<Option<Session>, StorageError> {
    const SQL: &str = select!(
        "tokens t JOIN sessions s ON s.id = t.session_id LEFT JOIN users u ON u.id = s.user_id
             LEFT JOIN emails e ON e.user_id = s.user_id AND e.is_primary = 1
             WHERE t.sid = $1"
    );
    conn.maybe(SQL, vals![sid]).await?.as_ref().map(read).transpose()
}

/// Opens a session and gives its id.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn insert(conn: &mut Conn, new: &Opening<'_>) -> Result<i64, StorageError> {
    let row = conn
        .maybe(
            "INSERT INTO sessions (token_hash, client, user_id, password_mark, records, ip, user_agent,
                                   created_at, last_seen_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9) RETURNING id",
            vals![
                &new.token_hash,
                new.client,
                new.user_id,
                new.password_mark,
                new.records,
                new.ip,
                new.user_agent,
                new.now,
                new.expires_at
            ],
        )
        .await?;
    row.map_or_else(|| Err(StorageError::Broken("sessions: no id".into())), |row| row.int(0))
}

/// Turns an anonymous session into one of a user, under a new token; `false` if it is gone meanwhile.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn promote(conn: &mut Conn, id: i64, to: &Opening<'_>) -> Result<bool, StorageError> {
    let touched = conn
        .execute(
            "UPDATE sessions SET token_hash = $2, user_id = $3, password_mark = $4, records = $5, ip = $6,
                                 user_agent = $7, created_at = $8, last_seen_at = $8, expires_at = $9
             WHERE id = $1 AND user_id IS NULL AND ended = 0",
            vals![
                id,
                &to.token_hash,
                to.user_id,
                to.password_mark,
                to.records,
                to.ip,
                to.user_agent,
                to.now,
                to.expires_at
            ],
        )
        .await?;
    Ok(touched == 1)
}

/// Replaces the authentication records of a session.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn set_records(conn: &mut Conn, id: i64, records: &str) -> Result<(), StorageError> {
    conn.execute("UPDATE sessions SET records = $2 WHERE id = $1", vals![id, records]).await.map(drop)
}

/// Ties all sessions of a user to the same password, hashed anew.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn remark(conn: &mut Conn, user_id: i64, old: &[u8], new: &[u8]) -> Result<(), StorageError> {
    conn.execute(
        "UPDATE sessions SET password_mark = $3 WHERE user_id = $1 AND password_mark = $2",
        vals![user_id, old, new],
    )
    .await
    .map(drop)
}

/// Keeps other changes to what hangs on a session waiting until the transaction ends; `false` if it is gone.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn lock(conn: &mut Conn, id: i64) -> Result<bool, StorageError> {
    // An update that changes nothing takes the row's lock in both databases; there is no other common word for it.
    Ok(conn.execute("UPDATE sessions SET ended = ended WHERE id = $1 AND ended = 0", vals![id]).await? == 1)
}

/// Where and when the holder of a session was seen.
#[derive(Debug)]
pub struct Seen<'a> {
    /// Where they are.
    pub ip: &'a str,
    /// What they use.
    pub user_agent: &'a str,
    /// The present moment.
    pub now: Millis,
    /// When the session ends by itself.
    pub expires_at: Millis,
}

/// Notes that the holder was seen, and moves the moment at which the session ends.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn touch(conn: &mut Conn, id: i64, seen: &Seen<'_>) -> Result<(), StorageError> {
    conn.execute(
        "UPDATE sessions SET last_seen_at = $2, expires_at = $3, ip = $4, user_agent = $5 WHERE id = $1",
        vals![id, seen.now, seen.expires_at, seen.ip, seen.user_agent],
    )
    .await
    .map(drop)
}

/// Ends a session at once.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn delete(conn: &mut Conn, id: i64) -> Result<(), StorageError> {
    conn.execute("DELETE FROM sessions WHERE id = $1", vals![id]).await.map(drop)
}

/// Ends the sessions of a user, but for `except`. Their holders are told once, then they are gone.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn end_of_user(conn: &mut Conn, user_id: i64, except: Option<i64>) -> Result<(), StorageError> {
    conn.execute(
        "UPDATE sessions SET ended = 1, password_mark = NULL, records = '[]' WHERE user_id = $1 AND id <> $2",
        vals![user_id, except.unwrap_or(0)],
    )
    .await
    .map(drop)
}

/// A session as its user sees it in the list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The row.
    pub id: i64,
    /// Keyed hash of the password that it was opened under.
    pub password_mark: Option<Vec<u8>>,
    /// Where its holder was.
    pub ip: String,
    /// What its holder used.
    pub user_agent: String,
    /// When it was opened.
    pub created_at: Millis,
    /// When its holder was last seen.
    pub last_seen_at: Millis,
}

/// The sessions of a user that have neither ended nor expired, oldest first.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn of_user(conn: &mut Conn, user_id: i64, now: Millis) -> Result<Vec<Listed>, StorageError> {
    let rows = conn
        .all(
            "SELECT id, password_mark, ip, user_agent, created_at, last_seen_at FROM sessions
             WHERE user_id = $1 AND ended = 0 AND expires_at > $2 ORDER BY id",
            vals![user_id, now],
        )
        .await?;
    let read = |row: &Row| {
        Ok(Listed {
            id: row.int(0)?,
            password_mark: row.opt_bytes(1)?,
            ip: row.text(2)?,
            user_agent: row.text(3)?,
            created_at: row.int(4)?,
            last_seen_at: row.int(5)?,
        })
    };
    rows.iter().map(read).collect()
}

/// Which sessions of users to look for.
#[derive(Debug, Default, Clone)]
pub struct SessionFilter<'a> {
    /// Ids above this one.
    pub after: i64,
    /// Of this user.
    pub user_id: Option<i64>,
    /// Whose holder was last seen there.
    pub ip: Option<&'a str>,
    /// The present moment.
    pub now: Millis,
    /// So many at most.
    pub limit: i64,
}

/// Sessions of users that have neither ended nor expired, in the order of their ids.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn search(conn: &mut Conn, filter: &SessionFilter<'_>) -> Result<Vec<Session>, StorageError> {
    const OF_ALL: &str = select!(
        "sessions s JOIN users u ON u.id = s.user_id
             LEFT JOIN emails e ON e.user_id = s.user_id AND e.is_primary = 1
             WHERE s.id > $1 AND s.ended = 0 AND s.expires_at > $2 AND ($3 IS NULL OR s.ip = $3)
             ORDER BY s.id LIMIT $4"
    );
    const OF_USER: &str = select!(
        "sessions s JOIN users u ON u.id = s.user_id
             LEFT JOIN emails e ON e.user_id = s.user_id AND e.is_primary = 1
             WHERE s.id > $1 AND s.ended = 0 AND s.expires_at > $2 AND ($3 IS NULL OR s.ip = $3) AND s.user_id = $5
             ORDER BY s.id LIMIT $4"
    );
    let mut values = vals![filter.after, filter.now, filter.ip, filter.limit];
    let rows = match filter.user_id {
        None => conn.all(OF_ALL, values).await?,
        Some(user_id) => {
            values.extend(vals![user_id]);
            conn.all(OF_USER, values).await?
        }
    };
    rows.iter().map(read).collect()
}

/// Whose session this is; `None` if it is nobody's, has ended, or is not there.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn owner(conn: &mut Conn, id: i64) -> Result<Option<i64>, StorageError> {
    let row = conn.maybe("SELECT user_id FROM sessions WHERE id = $1 AND ended = 0", vals![id]).await?;
    row.map_or(Ok(None), |row| row.opt_int(0))
}

/// Removes up to `limit` sessions that have expired, and gives their number.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn purge(conn: &mut Conn, now: Millis, limit: i64) -> Result<u64, StorageError> {
    conn.execute(
        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at <= $1 LIMIT $2)",
        vals![now, limit],
    )
    .await
}

//! What happened to accounts: written in the transaction of the change, read by operators.

use super::{Conn, Row, StorageError};
use crate::security::Millis;
use crate::vals;

/// Something that happened, to be written down.
#[derive(Debug, Clone, Copy)]
pub struct NewEvent<'a> {
    /// When.
    pub at: Millis,
    /// What, by its name.
    pub kind: &'a str,
    /// To whom, if it is known.
    pub user_id: Option<i64>,
    /// Who did it: `user` or `operator`.
    pub actor: &'a str,
    /// `app` or `browser`, if a request did it.
    pub client: Option<&'a str>,
    /// The address of the request.
    pub ip: Option<&'a str>,
    /// What the client of the request calls itself.
    pub user_agent: Option<&'a str>,
    /// What there is to say beyond that. Never a secret.
    pub detail: &'a str,
}

/// An event that was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number. Events of one transaction after another have higher ones; of transactions at once, one with a lower
    /// number may be seen later than one with a higher.
    pub id: i64,
    /// When.
    pub at: Millis,
    /// What, by its name.
    pub kind: String,
    /// To whom, if it is known.
    pub user_id: Option<i64>,
    /// Who did it.
    pub actor: String,
    /// `app` or `browser`, if a request did it.
    pub client: Option<String>,
    /// The address of the request.
    pub ip: Option<String>,
    /// What the client of the request calls itself.
    pub user_agent: Option<String>,
    /// What there is to say beyond that.
    pub detail: String,
}

/// Which events to list. Those of the latest numbers are listed.
#[derive(Debug, Clone, Copy)]
pub struct Filter<'a> {
    /// Of this user.
    pub user_id: Option<i64>,
    /// Of this kind.
    pub kind: Option<&'a str>,
    /// From this moment on.
    pub since: Millis,
    /// With lower numbers than this.
    pub before: i64,
    /// So many at most.
    pub limit: i64,
}

/// Writes an event; gives its number.
///
/// # Errors
/// Any of [`StorageError`]; so for all below.
pub async fn insert(tx: &mut Conn, new: &NewEvent<'_>) -> Result<i64, StorageError> {
    const SQL: &str = "INSERT INTO events (at, kind, user_id, actor, client, ip, user_agent, detail) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id";
    let values =
        vals![new.at, new.kind, new.user_id, new.actor, new.client, new.ip, new.user_agent, new.detail];
    let row = tx.maybe(SQL, values).await?;
    row.ok_or_else(|| StorageError::Broken("no number for an event".into()))?.int(0)
}

/// The events that `filter` lets through, latest number first.
///
/// # Errors
/// [`StorageError`].
pub async fn list(conn: &mut Conn, filter: &Filter<'_>) -> Result<Vec<Event>, StorageError> {
    const ALL: &str = "SELECT id, at, kind, user_id, actor, client, ip, user_agent, detail FROM events \
        WHERE id < $1 AND at >= $2 AND (CAST($3 AS TEXT) IS NULL OR kind = $3) ORDER BY id DESC LIMIT $4";
    const OF_USER: &str = "SELECT id, at, kind, user_id, actor, client, ip, user_agent, detail FROM events \
        WHERE id < $1 AND at >= $2 AND (CAST($3 AS TEXT) IS NULL OR kind = $3) AND user_id = $5 \
        ORDER BY id DESC LIMIT $4";
    let mut values = vals![filter.before, filter.since, filter.kind, filter.limit];
    let sql = match filter.user_id {
        None => ALL,
        Some(user) => {
            values.push(user.into());
            OF_USER
        }
    };
    conn.all(sql, values).await?.iter().map(event).collect()
}

/// Events with numbers above `id`, in their order.
///
/// # Errors
/// [`StorageError`].
pub async fn after(conn: &mut Conn, id: i64, limit: i64) -> Result<Vec<Event>, StorageError> {
    const SQL: &str = "SELECT id, at, kind, user_id, actor, client, ip, user_agent, detail FROM events \
        WHERE id > $1 ORDER BY id LIMIT $2";
    conn.all(SQL, vals![id, limit]).await?.iter().map(event).collect()
}

/// Events later than the one of this time and number, in the order of time and number.
///
/// # Errors
/// [`StorageError`].
pub async fn since(conn: &mut Conn, at: Millis, id: i64, limit: i64) -> Result<Vec<Event>, StorageError> {
    const SQL: &str = "SELECT id, at, kind, user_id, actor, client, ip, user_agent, detail FROM events \
        WHERE (at, id) > ($1, $2) ORDER BY at, id LIMIT $3";
    conn.all(SQL, vals![at, id, limit]).await?.iter().map(event).collect()
}

/// Removes up to `limit` events from before `before`; gives how many there were.
///
/// # Errors
/// [`StorageError`].
pub async fn purge(tx: &mut Conn, before: Millis, limit: i64) -> Result<u64, StorageError> {
    const SQL: &str =
        "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at < $1 ORDER BY at, id LIMIT $2)";
    tx.execute(SQL, vals![before, limit]).await
}

/// Forgets from where and with which programs the events of a user were caused, and what was said beyond that.
///
/// # Errors
/// [`StorageError`].
pub async fn forget_whence(tx: &mut Conn, user_id: i64) -> Result<(), StorageError> {
    const SQL: &str = "UPDATE events SET ip = NULL, user_agent = NULL, detail = '' WHERE user_id = $1";
    tx.execute(SQL, vals![user_id]).await.map(drop)
}

fn event(row: &Row) -> Result<Event, StorageError> {
    Ok(Event {
        id: row.int(0)?,
        at: row.int(1)?,
        kind: row.text(2)?,
        user_id: row.opt_int(3)?,
        actor: row.text(4)?,
        client: row.opt_text(5)?,
        ip: row.opt_text(6)?,
        user_agent: row.opt_text(7)?,
        detail: row.text(8)?,
    })
}

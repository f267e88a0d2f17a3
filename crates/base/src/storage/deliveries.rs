//! Events waiting to be posted to services of the operator, shared by all instances. Who takes one holds it by a lease, as
//! in the outbox of messages. What is given up stays as a dead letter.

use super::{Conn, Row, StorageError};
use crate::security::Millis;
use crate::vals;

/// A delivery to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewDelivery<'a> {
    /// The name of the service.
    pub webhook: &'a str,
    /// What the receiver tells repetitions by.
    pub message_id: &'a str,
    /// The name of the event.
    pub kind: &'a str,
    /// What is posted.
    pub body: &'a str,
    /// When.
    pub now: Millis,
}

/// A delivery under lease.
#[derive(Debug, Clone)]
pub struct Leased {
    /// Its number.
    pub id: i64,
    /// What the receiver tells repetitions by.
    pub message_id: String,
    /// What is posted.
    pub body: String,
    /// How often it was tried before.
    pub attempts: i64,
    /// When the lease ends. Whoever settles the delivery names it, so that a late holder settles nothing.
    pub lease: Millis,
}

/// A delivery that was given up.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DeadLetter {
    /// Its number.
    pub id: i64,
    /// The name of the service.
    pub webhook: String,
    /// What the receiver tells repetitions by.
    pub message_id: String,
    /// The name of the event.
    #[serde(rename = "type")]
    pub kind: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When the event happened, in milliseconds since 1970.
    pub created_at: Millis,
    /// Why it was given up.
    pub failure: String,
}

/// How many deliveries a service has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// To be made.
    pub waiting: i64,
    /// Given up.
    pub dead: i64,
}

/// Writes a delivery that is due at once.
///
/// # Errors
/// Any of [`StorageError`]; so for all below.
pub async fn push(tx: &mut Conn, new: &NewDelivery<'_>) -> Result<(), StorageError> {
    const SQL: &str = "INSERT INTO webhook_deliveries (webhook, message_id, kind, body, created_at, due_at) \
        VALUES ($1, $2, $3, $4, $5, $5)";
    tx.execute(SQL, vals![new.webhook, new.message_id, new.kind, new.body, new.now]).await.map(drop)
}

/// Takes up to `limit` deliveries to a service that are due at `now`, and holds them until `lease`.
///
/// # Errors
/// [`StorageError`].
pub async fn take(
    tx: &mut Conn,
    webhook: &str,
    now: Millis,
    lease: Millis,
    limit: i64,
) -> Result<Vec<Leased>, StorageError> {
    // The outer condition is not idle: PostgreSQL checks it again on a row that another instance has just taken.
    const SQL: &str = "UPDATE webhook_deliveries SET due_at = $3 WHERE due_at <= $2 AND id IN \
        (SELECT id FROM webhook_deliveries WHERE webhook = $1 AND due_at <= $2 ORDER BY due_at, id LIMIT $4) \
        RETURNING id, message_id, body, attempts";
    let leased = |row: Row| {
        Ok(Leased {
            id: row.int(0)?,
            message_id: row.text(1)?,
            body: row.text(2)?,
            attempts: row.int(3)?,
            lease,
        })
    };
    let rows = tx.all(SQL, vals![webhook, now, lease, limit]).await?;
    rows.into_iter().map(leased).collect()
}

/// Removes a delivery that was made.
///
/// # Errors
/// [`StorageError`].
pub async fn remove(tx: &mut Conn, taken: &Leased) -> Result<(), StorageError> {
    const SQL: &str = "DELETE FROM webhook_deliveries WHERE id = $1 AND due_at = $2";
    tx.execute(SQL, vals![taken.id, taken.lease]).await.map(drop)
}

/// Ends the lease after a failed attempt: the delivery is due again at `due_at`, or given up if there is none.
///
/// # Errors
/// [`StorageError`].
pub async fn fail(
    tx: &mut Conn,
    taken: &Leased,
    due_at: Option<Millis>,
    failure: &str,
) -> Result<(), StorageError> {
    const SQL: &str = "UPDATE webhook_deliveries SET due_at = $3, attempts = attempts + 1, failure = $4 \
        WHERE id = $1 AND due_at = $2";
    tx.execute(SQL, vals![taken.id, taken.lease, due_at, failure]).await.map(drop)
}

/// When the next delivery to a service is due, if there is one.
///
/// # Errors
/// [`StorageError`].
pub async fn next_due(conn: &mut Conn, webhook: &str) -> Result<Option<Millis>, StorageError> {
    const SQL: &str = "SELECT min(due_at) FROM webhook_deliveries WHERE webhook = $1";
    conn.maybe(SQL, vals![webhook]).await?.map_or(Ok(None), |row| row.opt_int(0))
}

/// Services with deliveries that have been due since `before`, or longer.
///
/// # Errors
/// [`StorageError`].
pub async fn overdue(conn: &mut Conn, before: Millis) -> Result<Vec<String>, StorageError> {
    const SQL: &str = "SELECT DISTINCT webhook FROM webhook_deliveries WHERE due_at <= $1";
    conn.all(SQL, vals![before]).await?.iter().map(|row| row.text(0)).collect()
}

/// Gives up up to `limit` deliveries to a service that have been due since `before`, or longer; gives how many.
///
/// # Errors
/// [`StorageError`].
pub async fn bury(
    tx: &mut Conn,
    webhook: &str,
    before: Millis,
    failure: &str,
    limit: i64,
) -> Result<u64, StorageError> {
    const SQL: &str = "UPDATE webhook_deliveries SET due_at = NULL, failure = $3 WHERE due_at <= $2 AND id IN \
        (SELECT id FROM webhook_deliveries WHERE webhook = $1 AND due_at <= $2 LIMIT $4)";
    tx.execute(SQL, vals![webhook, before, failure, limit]).await
}

/// How many deliveries a service has.
///
/// # Errors
/// [`StorageError`].
pub async fn counts(conn: &mut Conn, webhook: &str) -> Result<Counts, StorageError> {
    const SQL: &str =
        "SELECT count(due_at), count(*) - count(due_at) FROM webhook_deliveries WHERE webhook = $1";
    let row = conn.maybe(SQL, vals![webhook]).await?;
    row.map_or(Ok(Counts::default()), |row| Ok(Counts { waiting: row.int(0)?, dead: row.int(1)? }))
}

/// Dead letters with numbers above `after`, in their order.
///
/// # Errors
/// [`StorageError`].
pub async fn dead(conn: &mut Conn, after: i64, limit: i64) -> Result<Vec<DeadLetter>, StorageError> {
    const SQL: &str = "SELECT id, webhook, message_id, kind, attempts, created_at, failure \
        FROM webhook_deliveries WHERE due_at IS NULL AND id > $1 ORDER BY id LIMIT $2";
    let letter = |row: &Row| {
        Ok(DeadLetter {
            id: row.int(0)?,
            webhook: row.text(1)?,
            message_id: row.text(2)?,
            kind: row.text(3)?,
            attempts: row.int(4)?,
            created_at: row.int(5)?,
            failure: row.opt_text(6)?.unwrap_or_default(),
        })
    };
    conn.all(SQL, vals![after, limit]).await?.iter().map(letter).collect()
}

/// Makes a dead letter due again, as if it had not been tried; with no number all of them. Gives how many.
///
/// # Errors
/// [`StorageError`].
pub async fn revive(tx: &mut Conn, id: Option<i64>, now: Millis) -> Result<u64, StorageError> {
    const SQL: &str = "UPDATE webhook_deliveries SET due_at = $2, attempts = 0, failure = NULL \
        WHERE due_at IS NULL AND (CAST($1 AS BIGINT) IS NULL OR id = $1)";
    tx.execute(SQL, vals![id, now]).await
}

/// Removes a dead letter; with no number all of them. Gives how many.
///
/// # Errors
/// [`StorageError`].
pub async fn discard(tx: &mut Conn, id: Option<i64>) -> Result<u64, StorageError> {
    const SQL: &str = "DELETE FROM webhook_deliveries \
        WHERE due_at IS NULL AND (CAST($1 AS BIGINT) IS NULL OR id = $1)";
    tx.execute(SQL, vals![id]).await
}

/// Removes up to `limit` dead letters of events from before `before`; gives how many.
///
/// # Errors
/// [`StorageError`].
pub async fn purge(tx: &mut Conn, before: Millis, limit: i64) -> Result<u64, StorageError> {
    const SQL: &str = "DELETE FROM webhook_deliveries WHERE id IN \
        (SELECT id FROM webhook_deliveries WHERE due_at IS NULL AND created_at < $1 LIMIT $2)";
    tx.execute(SQL, vals![before, limit]).await
}

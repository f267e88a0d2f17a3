//! Accounts from elsewhere, many at a time. Who calls has made sure that the rows fit together.

use super::social::SocialToken;
use super::{Conn, Row, StorageError, Val};
use crate::security::Millis;
use crate::vals;

/// Rows in one statement: PostgreSQL takes 65535 values, SQLite 32766.
const ROWS: usize = 1000;

/// Columns by which accounts must not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `users.id`.
    UserId,
    /// `users.username_key`.
    Username,
    /// `authenticators.credential_id`.
    Credential,
}

/// Tables whose ids are known before the rows are inserted, as other rows refer to them or are sealed for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// `users`.
    Users,
    /// `social_accounts`.
    SocialAccounts,
}

/// A row for `users`.
#[derive(Debug)]
pub struct NewUser {
    /// Reserved, or free and reserved along.
    pub id: i64,
    /// As its owner wrote it.
    pub username: Option<String>,
    /// The form in which names are compared.
    pub username_key: Option<String>,
    /// A hash.
    pub password: Option<String>,
    /// Whether they can log in.
    pub is_active: bool,
    /// When the account was made.
    pub created_at: Millis,
    /// When its owner last entered.
    pub last_login_at: Option<Millis>,
}

/// A row for `emails`.
#[derive(Debug)]
pub struct NewEmail {
    /// Whose it is.
    pub user_id: i64,
    /// Canonical.
    pub email: String,
    /// Proved.
    pub verified: bool,
    /// The one that the user is known by.
    pub primary: bool,
    /// Held to the exclusion of all others.
    pub claim: bool,
}

/// A row for `phones`.
#[derive(Debug)]
pub struct NewPhone {
    /// Whose it is.
    pub user_id: i64,
    /// In E.164.
    pub phone: String,
    /// Proved.
    pub verified: bool,
    /// Held to the exclusion of all others.
    pub claim: bool,
}

/// A row for `social_accounts`.
#[derive(Debug)]
pub struct NewSocialAccount {
    /// Reserved.
    pub id: i64,
    /// Whose it is.
    pub user_id: i64,
    /// The app of the configuration.
    pub provider: String,
    /// The provider's own name for the person.
    pub uid: String,
    /// JSON.
    pub extra_data: String,
    /// When it was connected.
    pub created_at: Millis,
    /// When it last logged in.
    pub last_login_at: Millis,
}

/// A row for `authenticators`.
#[derive(Debug)]
pub struct NewAuthenticator {
    /// Whose it is.
    pub user_id: i64,
    /// The name of its kind.
    pub kind: &'static str,
    /// Sealed.
    pub secret: Vec<u8>,
    /// The newest time step whose code was taken.
    pub counter: i64,
    /// When it was set up.
    pub created_at: Millis,
    /// When it was last used.
    pub last_used_at: Option<Millis>,
    /// What its owner calls it, if it is a key.
    pub name: Option<String>,
    /// Its id, if it is a key.
    pub credential_id: Option<Vec<u8>>,
}

/// Which of these accounts of a source were taken in before, by their keys there. Some may have been deleted since.
///
/// # Errors
/// Any of [`StorageError`]; so for all below.
pub async fn known(
    conn: &mut Conn,
    source: &str,
    source_ids: Vec<String>,
) -> Result<Vec<String>, StorageError> {
    let mut found = Vec::new();
    for some in source_ids.chunks(ROWS) {
        let sql = format!(
            "SELECT source_id FROM imports WHERE source = $1 AND source_id IN ({})",
            placeholders(1, some.len())
        );
        let values = std::iter::once(source.into()).chain(some.iter().map(|id| id.as_str().into())).collect();
        for row in conn.all_built(sql, values).await? {
            found.push(row.text(0)?);
        }
    }
    Ok(found)
}

/// Which of these values of a column there are.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn taken(conn: &mut Conn, key: Key, values: Vec<Val>) -> Result<Vec<Val>, StorageError> {
    let (table, column) = match key {
        Key::UserId => ("users", "id"),
        Key::Username => ("users", "username_key"),
        Key::Credential => ("authenticators", "credential_id"),
    };
    let read = |row: &Row| match key {
        Key::UserId => row.int(0).map(Val::from),
        Key::Username => row.text(0).map(Val::from),
        Key::Credential => row.bytes(0).map(Val::from),
    };
    let mut found = Vec::new();
    for some in values.chunks(ROWS) {
        let sql = format!("SELECT {column} FROM {table} WHERE {column} IN ({})", placeholders(0, some.len()));
        for row in conn.all_built(sql, some.to_vec()).await? {
            found.push(read(&row)?);
        }
    }
    Ok(found)
}

/// Which of these addresses are claimed, and whether by somebody who has proved them.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn claimed_emails(
    conn: &mut Conn,
    emails: Vec<String>,
) -> Result<Vec<(String, bool)>, StorageError> {
    claimed(conn, "emails", emails).await
}

/// The same of phone numbers.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn claimed_phones(
    conn: &mut Conn,
    phones: Vec<String>,
) -> Result<Vec<(String, bool)>, StorageError> {
    claimed(conn, "phones", phones).await
}

async fn claimed(
    conn: &mut Conn,
    table: &'static str,
    keys: Vec<String>,
) -> Result<Vec<(String, bool)>, StorageError> {
    let mut found = Vec::new();
    for some in keys.chunks(ROWS) {
        let sql =
            format!("SELECT claim, verified FROM {table} WHERE claim IN ({})", placeholders(0, some.len()));
        for row in conn.all_built(sql, texts(some)).await? {
            found.push((row.text(0)?, row.flag(1)?));
        }
    }
    Ok(found)
}

/// Takes the claim to addresses from accounts that never proved them.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn release_emails(conn: &mut Conn, emails: &[String]) -> Result<(), StorageError> {
    release(conn, "emails", emails).await
}

/// The same for phone numbers.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn release_phones(conn: &mut Conn, phones: &[String]) -> Result<(), StorageError> {
    release(conn, "phones", phones).await
}

async fn release(conn: &mut Conn, table: &'static str, keys: &[String]) -> Result<(), StorageError> {
    for some in keys.chunks(ROWS) {
        let sql = format!(
            "UPDATE {table} SET claim = NULL WHERE verified = 0 AND claim IN ({})",
            placeholders(0, some.len())
        );
        conn.execute_built(sql, texts(some)).await?;
    }
    Ok(())
}

/// Which of these accounts at third parties, by provider and uid, are connected to somebody.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn connected(
    conn: &mut Conn,
    accounts: Vec<(String, String)>,
) -> Result<Vec<(String, String)>, StorageError> {
    let mut found = Vec::new();
    for some in accounts.chunks(ROWS) {
        let sql = format!(
            "SELECT provider, uid FROM social_accounts WHERE (provider, uid) IN (VALUES {})",
            rows(2, some.len())
        );
        let values = some.iter().flat_map(|(provider, uid)| vals![provider.as_str(), uid.as_str()]);
        for row in conn.all_built(sql, values.collect()).await? {
            found.push((row.text(0)?, row.text(1)?));
        }
    }
    Ok(found)
}

/// Ids that nobody has or will be given, all above `above`; neither will those up to `above`.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn reserve(
    conn: &mut Conn,
    table: Table,
    above: i64,
    count: usize,
) -> Result<Vec<i64>, StorageError> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    if conn.is_postgres() {
        let (raise, next) = match table {
            Table::Users => (
                "SELECT setval('users_id_seq', $1) FROM users_id_seq
                 WHERE last_value < $1 OR (last_value = $1 AND NOT is_called)",
                "SELECT nextval('users_id_seq') FROM generate_series(1, $1)",
            ),
            Table::SocialAccounts => (
                "SELECT setval('social_accounts_id_seq', $1) FROM social_accounts_id_seq
                 WHERE last_value < $1 OR (last_value = $1 AND NOT is_called)",
                "SELECT nextval('social_accounts_id_seq') FROM generate_series(1, $1)",
            ),
        };
        if above > 0 {
            conn.all(raise, vals![above]).await?;
        }
        let rows = conn.all(next, vals![count]).await?;
        return rows.iter().map(|row| row.int(0)).collect();
    }
    // The rows' own ids move SQLite's counter.
    let name = match table {
        Table::Users => "users",
        Table::SocialAccounts => "social_accounts",
    };
    let row = conn.maybe("SELECT seq FROM sqlite_sequence WHERE name = $1", vals![name]).await?;
    let last = row.map_or(Ok(0), |row| row.int(0))?.max(above);
    Ok((1..=count).map(|step| last.saturating_add(step)).collect())
}

/// Adds users.
///
/// # Errors
/// [`StorageError::Taken`] if one of them meets another; so for all below.
pub async fn insert_users(conn: &mut Conn, users: Vec<NewUser>) -> Result<(), StorageError> {
    let values = users.into_iter().map(|user| {
        vals![
            user.id,
            user.username,
            user.username_key,
            user.password,
            user.is_active,
            user.created_at,
            user.last_login_at
        ]
    });
    let head = "users (id, username, username_key, password, is_active, created_at, last_login_at)";
    insert(conn, head, values.collect()).await
}

/// Adds addresses.
///
/// # Errors
/// [`StorageError::Taken`].
pub async fn insert_emails(conn: &mut Conn, emails: Vec<NewEmail>) -> Result<(), StorageError> {
    let values = emails.into_iter().map(|row| {
        let claim = row.claim.then(|| row.email.clone());
        vals![row.user_id, row.email, row.verified, row.primary, claim]
    });
    insert(conn, "emails (user_id, email, verified, is_primary, claim)", values.collect()).await
}

/// Adds phone numbers.
///
/// # Errors
/// [`StorageError::Taken`].
pub async fn insert_phones(conn: &mut Conn, phones: Vec<NewPhone>) -> Result<(), StorageError> {
    let values = phones.into_iter().map(|row| {
        let claim = row.claim.then(|| row.phone.clone());
        vals![row.user_id, row.phone, row.verified, claim]
    });
    insert(conn, "phones (user_id, phone, verified, claim)", values.collect()).await
}

/// Adds what users entered at signup beyond what a login needs: an id and a JSON object each.
///
/// # Errors
/// [`StorageError::Taken`].
pub async fn insert_profiles(conn: &mut Conn, profiles: Vec<(i64, String)>) -> Result<(), StorageError> {
    let values = profiles.into_iter().map(|(user_id, fields)| vals![user_id, fields]);
    insert(conn, "profiles (user_id, fields)", values.collect()).await
}

/// Adds accounts at third parties.
///
/// # Errors
/// [`StorageError::Taken`].
pub async fn insert_social(conn: &mut Conn, accounts: Vec<NewSocialAccount>) -> Result<(), StorageError> {
    let values = accounts.into_iter().map(|row| {
        vals![row.id, row.user_id, row.provider, row.uid, row.extra_data, row.created_at, row.last_login_at]
    });
    let head = "social_accounts (id, user_id, provider, uid, extra_data, created_at, last_login_at)";
    insert(conn, head, values.collect()).await
}

/// Adds tokens of accounts at third parties.
///
/// # Errors
/// [`StorageError::Taken`].
pub async fn insert_tokens(conn: &mut Conn, tokens: Vec<SocialToken>) -> Result<(), StorageError> {
    let values = tokens
        .into_iter()
        .map(|row| vals![row.account_id, row.access, row.refresh.as_deref(), row.expires_at]);
    insert(conn, "social_tokens (account_id, access, refresh, expires_at)", values.collect()).await
}

/// Adds authenticators.
///
/// # Errors
/// [`StorageError::Taken`].
pub async fn insert_authenticators(
    conn: &mut Conn,
    authenticators: Vec<NewAuthenticator>,
) -> Result<(), StorageError> {
    let values = authenticators.into_iter().map(|row| {
        vals![
            row.user_id,
            row.kind,
            row.secret,
            row.counter,
            row.created_at,
            row.last_used_at,
            row.name,
            row.credential_id.as_deref()
        ]
    });
    let head =
        "authenticators (user_id, kind, secret, counter, created_at, last_used_at, name, credential_id)";
    insert(conn, head, values.collect()).await
}

/// Notes which account of a source became which user.
///
/// # Errors
/// [`StorageError::Taken`] if another run has taken one of them in.
pub async fn remember(conn: &mut Conn, source: &str, taken: Vec<(String, i64)>) -> Result<(), StorageError> {
    let values = taken.into_iter().map(|(source_id, user_id)| vals![source, source_id, user_id]);
    insert(conn, "imports (source, source_id, user_id)", values.collect()).await
}

async fn insert(conn: &mut Conn, head: &'static str, mut all: Vec<Vec<Val>>) -> Result<(), StorageError> {
    while !all.is_empty() {
        let some: Vec<_> = all.drain(..all.len().min(ROWS)).collect();
        let width = some.first().map_or(0, Vec::len);
        let sql = format!("INSERT INTO {head} VALUES {}", rows(width, some.len()));
        conn.execute_built(sql, some.into_iter().flatten().collect()).await?;
    }
    Ok(())
}

fn texts(keys: &[String]) -> Vec<Val> {
    keys.iter().map(|key| Val::from(key.as_str())).collect()
}

/// `$3, $4, $5`: `count` of them behind the first `after`.
fn placeholders(after: usize, count: usize) -> String {
    (after + 1..=after + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}

/// `($1, $2), ($3, $4)`: `count` rows of `width`.
fn rows(width: usize, count: usize) -> String {
    let row = |at: usize| format!("({})", placeholders(at * width, width));
    (0..count).map(row).collect::<Vec<_>>().join(", ")
}

//! The waist: one connection type over SQLite and PostgreSQL. A statement is text with `$1` placeholders and values.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions, PgRow};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection as _, Pool, Postgres, Row as _, Sqlite, Transaction};

use super::StorageError;
use super::readers::{Reader, Readers, Welcome};
use crate::trace;

/// How long a request waits for a connection before it is told that the database is not available.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long it then waits for another process to let go of the file (SQLite). Both waits together end within 5 s.
pub(super) const BUSY: Duration = Duration::from_millis(1500);
/// How long a statement may take (PostgreSQL). The server is told so, too, but may be out of reach.
const STATEMENT: Duration = Duration::from_secs(4);
const READ_ONLY: &str = "a reading connection changes nothing";

/// The database: SQLite in a file, or PostgreSQL.
#[derive(Debug, Clone)]
pub enum Db {
    /// One writer, so that a transaction that began never fails half-way, and several readers beside it.
    Sqlite {
        /// The single writing connection.
        writer: Pool<Sqlite>,
        /// Connections for statements that change nothing.
        readers: Arc<Readers<SqliteConnection>>,
        /// Whether somebody else closes them.
        shared: bool,
    },
    /// Half the connections for transactions, half for statements that change nothing.
    Postgres {
        /// Connections for transactions.
        writers: Pool<Postgres>,
        /// Connections for statements that change nothing.
        readers: Arc<Readers<PgConnection>>,
        /// Whether somebody else closes them.
        shared: bool,
    },
}

impl Db {
    /// Opens `url` (`sqlite://PATH` or `postgres://…`) with at most `connections` connections (readers for SQLite).
    /// A missing SQLite file is created, readable by its owner only.
    ///
    /// # Errors
    /// [`StorageError::Url`] for a URL of another kind, [`StorageError::Unavailable`] if it cannot be reached.
    pub async fn open(url: &str, connections: u32) -> Result<Self, StorageError> {
        let connections = connections.max(1);
        if let Some(path) = sqlite_path(url) {
            return Self::open_sqlite(path, connections).await;
        }
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(StorageError::Url("begins with neither sqlite:// nor postgres://".into()));
        }
        let options = PgConnectOptions::from_str(url)
            .map_err(|error| StorageError::Url(error.to_string()))?
            .options([
                ("statement_timeout", "4000"),
                ("lock_timeout", "4000"),
                // Statements count on it: a row that another transaction has changed is looked at again.
                ("default_transaction_isolation", "read committed"),
            ])
            .disable_statement_logging();
        let half = (connections / 2).max(1);
        let readers = Readers::new(options.clone(), half as usize, PATIENCE, takes_writes);
        let writers = PgPoolOptions::new()
            .max_connections(half)
            .acquire_timeout(PATIENCE)
            .after_connect(|conn, _| takes_writes(conn))
            .connect_with(options)
            .await;
        match writers {
            Ok(writers) => Ok(Self::Postgres { writers, readers, shared: false }),
            // The pool says only that it has tried for a while.
            Err(error) => Err(readers.take().await.err().unwrap_or_else(|| error.into())),
        }
    }

    async fn open_sqlite(path: &Path, connections: u32) -> Result<Self, StorageError> {
        create_private(path)
            .map_err(|error| StorageError::Unavailable(format!("{}: {error}", path.display())))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: an answered write is on the disk, also when the machine loses power.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            .foreign_keys(true)
            .disable_statement_logging();
        // On a full disk SQLite ends a transaction by itself, and sqlx goes on counting one that is not there: such a
        // connection would begin none ever again.
        let usable = |conn: &mut SqliteConnection| !conn.is_in_transaction();
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .before_acquire(move |conn, _| Box::pin(std::future::ready(Ok(usable(conn)))))
            .connect_with(options.clone())
            .await?;
        // Each reader is a thread: more than a few of them only get in each other's way.
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let readers = (connections as usize).min((2 * cores).max(4));
        let sound = |_: &mut SqliteConnection| Box::pin(std::future::ready(Ok(()))) as Welcome<'_>;
        let readers = Readers::new(options.pragma("query_only", "ON"), readers, PATIENCE, sound);
        Ok(Self::Sqlite { writer, readers, shared: false })
    }

    /// A SQLite database by a pool that somebody else has opened and will close.
    #[must_use]
    pub fn of_sqlite(pool: Pool<Sqlite>) -> Self {
        Self::Sqlite { readers: Readers::of_pool(pool.clone(), PATIENCE), writer: pool, shared: true }
    }

    /// The same for PostgreSQL.
    #[must_use]
    pub fn of_postgres(pool: Pool<Postgres>) -> Self {
        Self::Postgres { readers: Readers::of_pool(pool.clone(), PATIENCE), writers: pool, shared: true }
    }

    /// A connection for statements that change nothing.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] if none is free in time.
    pub async fn read(&self) -> Result<Conn, StorageError> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Conn::SqliteRead(readers.take().await?),
            Self::Postgres { readers, .. } => Conn::PostgresRead(readers.take().await?),
        })
    }

    /// A write transaction. Dropped without [`Conn::commit`], it never happened.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] if it cannot begin in time.
    pub async fn write(&self) -> Result<Conn, StorageError> {
        // With the wait for the turn to write.
        let _span = trace::statement("BEGIN", matches!(self, Self::Postgres { .. }));
        Ok(match self {
            Self::Sqlite { writer, .. } => Conn::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres { writers, .. } => Conn::Postgres(in_time(writers.begin()).await?),
        })
    }

    /// A connection that sees the database as it is now, however long it is kept, and changes nothing. Meanwhile this
    /// process has one connection less to write with, on SQLite none.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] if it cannot begin in time.
    pub async fn snapshot(&self) -> Result<Conn, StorageError> {
        let mut conn = match self {
            Self::Sqlite { writer, .. } => Conn::Sqlite(writer.begin().await?),
            Self::Postgres { writers, .. } => Conn::Postgres(
                in_time(writers.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")).await?,
            ),
        };
        // The first reading decides what is seen.
        conn.all("SELECT 1 FROM users LIMIT 1", vec![]).await?;
        Ok(conn)
    }

    /// Whether the database answers a statement.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] if it does not.
    pub async fn ping(&self) -> Result<(), StorageError> {
        self.read().await?.all("SELECT 1", vec![]).await.map(drop)
    }

    /// Brings the schema up to this binary's version. Safe to call from several instances at once.
    ///
    /// # Errors
    /// [`StorageError::Newer`] if the database was made by a newer binary.
    pub async fn migrate(&self) -> Result<(), StorageError> {
        super::migrate::run(self).await
    }

    /// Closes the connections after their statements have ended; a pool of somebody else's stays open.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers, shared } => {
                readers.close().await;
                if !shared {
                    writer.close().await;
                }
            }
            Self::Postgres { writers, readers, shared } => {
                readers.close().await;
                if !shared {
                    writers.close().await;
                }
            }
        }
    }
}

/// The file that `url` names, if it is one of SQLite.
#[must_use]
pub fn sqlite_path(url: &str) -> Option<&Path> {
    url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).map(Path::new)
}

/// A value of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Val {
    /// BIGINT, or its NULL.
    Int(Option<i64>),
    /// TEXT, or its NULL.
    Text(Option<String>),
    /// Bytes, or their NULL.
    Bytes(Option<Vec<u8>>),
}

impl From<i64> for Val {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}
impl From<Option<i64>> for Val {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}
impl From<bool> for Val {
    fn from(value: bool) -> Self {
        Self::Int(Some(i64::from(value)))
    }
}
impl From<&str> for Val {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}
impl From<String> for Val {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}
impl From<Option<&str>> for Val {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(str::to_owned))
    }
}
impl From<Option<String>> for Val {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}
impl From<&[u8]> for Val {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(Some(value.to_vec()))
    }
}
impl From<&[u8; 32]> for Val {
    fn from(value: &[u8; 32]) -> Self {
        Self::Bytes(Some(value.to_vec()))
    }
}
impl From<Vec<u8>> for Val {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(Some(value))
    }
}
impl From<Option<&[u8]>> for Val {
    fn from(value: Option<&[u8]>) -> Self {
        Self::Bytes(value.map(<[u8]>::to_vec))
    }
}

/// The values of a statement, in order: `vals![id, "text", now]`.
#[macro_export]
macro_rules! vals {
    ($($value:expr),* $(,)?) => { vec![$($crate::storage::Val::from($value)),*] };
}

/// A connection, reading or inside a write transaction.
#[derive(Debug)]
pub enum Conn {
    /// SQLite, inside a transaction.
    Sqlite(Transaction<'static, Sqlite>),
    /// SQLite, reading.
    SqliteRead(Reader<SqliteConnection>),
    /// PostgreSQL, inside a transaction.
    Postgres(Transaction<'static, Postgres>),
    /// PostgreSQL, reading.
    PostgresRead(Reader<PgConnection>),
}

macro_rules! bound {
    ($sql:expr, $values:expr) => {
        $values.into_iter().fold(sqlx::query($sql), |query, value| match value {
            Val::Int(value) => query.bind(value),
            Val::Text(value) => query.bind(value),
            Val::Bytes(value) => query.bind(value),
        })
    };
}

/// Of a statement whose length depends on its values: there are many, so that none is kept prepared.
macro_rules! built {
    ($sql:expr, $values:expr) => {
        bound!(sqlx::AssertSqlSafe($sql), $values).persistent(false)
    };
}

impl Conn {
    /// All rows of a statement.
    ///
    /// # Errors
    /// Any of [`StorageError`].
    pub async fn all(&mut self, sql: &'static str, values: Vec<Val>) -> Result<Vec<Row>, StorageError> {
        let _span = trace::statement(sql, self.is_postgres());
        Ok(match self {
            Self::Sqlite(tx) => wrap(bound!(sql, values).fetch_all(&mut **tx).await?, Row::Sqlite),
            Self::SqliteRead(reader) => {
                let rows =
                    bound!(sql, values).fetch_all(reader.lend().await?).await.map_err(StorageError::from);
                reader.judge(&rows);
                wrap(rows?, Row::Sqlite)
            }
            Self::Postgres(tx) => {
                wrap(in_time(bound!(sql, values).fetch_all(&mut **tx)).await?, Row::Postgres)
            }
            Self::PostgresRead(reader) => {
                let mut rows = in_time(bound!(sql, values.clone()).fetch_all(reader.lend().await?)).await;
                if reader.judge(&rows) {
                    rows = in_time(bound!(sql, values).fetch_all(reader.lend().await?)).await;
                    reader.judge(&rows);
                }
                wrap(rows?, Row::Postgres)
            }
        })
    }

    /// The row of a statement that gives at most one.
    ///
    /// # Errors
    /// Any of [`StorageError`].
    pub async fn maybe(&mut self, sql: &'static str, values: Vec<Val>) -> Result<Option<Row>, StorageError> {
        Ok(self.all(sql, values).await?.into_iter().next())
    }

    /// Runs a statement and gives the number of rows it touched.
    ///
    /// # Errors
    /// Any of [`StorageError`].
    pub async fn execute(&mut self, sql: &'static str, values: Vec<Val>) -> Result<u64, StorageError> {
        let _span = trace::statement(sql, self.is_postgres());
        Ok(match self {
            Self::Sqlite(tx) => bound!(sql, values).execute(&mut **tx).await?.rows_affected(),
            Self::Postgres(tx) => in_time(bound!(sql, values).execute(&mut **tx)).await?.rows_affected(),
            Self::SqliteRead(_) | Self::PostgresRead(_) => {
                return Err(StorageError::Refused(READ_ONLY.into()));
            }
        })
    }

    /// All rows of a statement that was put together here, of constants and placeholders.
    pub(super) async fn all_built(
        &mut self,
        sql: String,
        values: Vec<Val>,
    ) -> Result<Vec<Row>, StorageError> {
        Ok(match self {
            Self::Sqlite(tx) => wrap(built!(sql, values).fetch_all(&mut **tx).await?, Row::Sqlite),
            Self::Postgres(tx) => {
                wrap(in_time(built!(sql, values).fetch_all(&mut **tx)).await?, Row::Postgres)
            }
            Self::SqliteRead(_) | Self::PostgresRead(_) => {
                return Err(StorageError::Refused("not on a reading connection".into()));
            }
        })
    }

    /// Runs such a statement.
    pub(super) async fn execute_built(&mut self, sql: String, values: Vec<Val>) -> Result<(), StorageError> {
        match self {
            Self::Sqlite(tx) => built!(sql, values).execute(&mut **tx).await.map(drop)?,
            Self::Postgres(tx) => in_time(built!(sql, values).execute(&mut **tx)).await.map(drop)?,
            Self::SqliteRead(_) | Self::PostgresRead(_) => {
                return Err(StorageError::Refused(READ_ONLY.into()));
            }
        }
        Ok(())
    }

    /// Runs a script of several statements without values.
    pub(super) async fn script(&mut self, sql: String) -> Result<(), StorageError> {
        let script = sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
        match self {
            Self::Sqlite(tx) => script.execute(&mut **tx).await.map(drop)?,
            Self::Postgres(tx) => script.execute(&mut **tx).await.map(drop)?,
            Self::SqliteRead(_) | Self::PostgresRead(_) => {
                return Err(StorageError::Refused(READ_ONLY.into()));
            }
        }
        Ok(())
    }

    /// Makes the transaction durable. Nothing to do for a reading connection.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] if the database is gone: then nothing was changed.
    pub async fn commit(self) -> Result<(), StorageError> {
        let _span = trace::statement("COMMIT", self.is_postgres());
        match self {
            Self::Sqlite(tx) => Ok(tx.commit().await?),
            Self::Postgres(tx) => in_time(tx.commit()).await,
            Self::SqliteRead(_) | Self::PostgresRead(_) => Ok(()),
        }
    }

    pub(super) fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_) | Self::PostgresRead(_))
    }
}

/// After a failover a name may lead to the former primary for a while: it takes no writes, and what it reads is old.
fn takes_writes(conn: &mut PgConnection) -> Welcome<'_> {
    Box::pin(async move {
        let read_only: String = sqlx::query_scalar("SHOW transaction_read_only").fetch_one(conn).await?;
        match read_only.as_str() {
            "off" => Ok(()),
            _ => Err(sqlx::Error::Protocol("it takes no writes: is it a standby?".into())),
        }
    })
}

/// Gives up on a server that does not answer. In a box, as a statement under way is large.
fn in_time<'a, T>(
    answer: impl Future<Output = Result<T, sqlx::Error>> + Send + 'a,
) -> Pin<Box<dyn Future<Output = Result<T, StorageError>> + Send + 'a>> {
    Box::pin(async move {
        match tokio::time::timeout(STATEMENT, answer).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(StorageError::Unavailable("no answer in time".into())),
        }
    })
}

fn wrap<R>(rows: Vec<R>, kind: fn(R) -> Row) -> Vec<Row> {
    rows.into_iter().map(kind).collect()
}

/// A row of an answer; columns are counted from 0.
#[derive(Debug)]
pub enum Row {
    /// From SQLite.
    Sqlite(SqliteRow),
    /// From PostgreSQL.
    Postgres(PgRow),
}

macro_rules! column {
    ($self:expr, $at:expr) => {
        match $self {
            Row::Sqlite(row) => row.try_get($at),
            Row::Postgres(row) => row.try_get($at),
        }
        .map_err(|error| StorageError::Broken(error.to_string()))
    };
}

impl Row {
    /// A BIGINT.
    ///
    /// # Errors
    /// [`StorageError::Broken`] if the column holds something else; so for all below.
    pub fn int(&self, at: usize) -> Result<i64, StorageError> {
        column!(self, at)
    }

    /// A BIGINT or NULL.
    ///
    /// # Errors
    /// [`StorageError::Broken`].
    pub fn opt_int(&self, at: usize) -> Result<Option<i64>, StorageError> {
        column!(self, at)
    }

    /// A BIGINT that is 0 or 1.
    ///
    /// # Errors
    /// [`StorageError::Broken`].
    pub fn flag(&self, at: usize) -> Result<bool, StorageError> {
        Ok(self.int(at)? != 0)
    }

    /// A TEXT.
    ///
    /// # Errors
    /// [`StorageError::Broken`].
    pub fn text(&self, at: usize) -> Result<String, StorageError> {
        column!(self, at)
    }

    /// A TEXT or NULL.
    ///
    /// # Errors
    /// [`StorageError::Broken`].
    pub fn opt_text(&self, at: usize) -> Result<Option<String>, StorageError> {
        column!(self, at)
    }

    /// Bytes.
    ///
    /// # Errors
    /// [`StorageError::Broken`].
    pub fn bytes(&self, at: usize) -> Result<Vec<u8>, StorageError> {
        column!(self, at)
    }

    /// Bytes or NULL.
    ///
    /// # Errors
    /// [`StorageError::Broken`].
    pub fn opt_bytes(&self, at: usize) -> Result<Option<Vec<u8>>, StorageError> {
        column!(self, at)
    }
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::error::ErrorKind;
        match &error {
            sqlx::Error::Database(inner) => match inner.kind() {
                ErrorKind::UniqueViolation => Self::Taken,
                ErrorKind::ForeignKeyViolation => Self::Orphan,
                ErrorKind::NotNullViolation | ErrorKind::CheckViolation => {
                    Self::Refused(inner.message().to_owned())
                }
                // SQLite: busy, locked, out of memory, I/O error, corrupt, full, cannot open. PostgreSQL: connection,
                // resources, operator's intervention, system, timeouts, serialization and deadlock.
                _ if inner.code().is_some_and(|code| passes(&code)) => {
                    Self::Unavailable(inner.message().to_owned())
                }
                _ => Self::Refused(inner.message().to_owned()),
            },
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Broken(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

/// Whether an error with this code is of the moment rather than of the statement.
fn passes(code: &str) -> bool {
    match code.parse::<u32>() {
        // SQLite's extended codes hold the primary one in their lowest byte; PostgreSQL's have five characters.
        Ok(number) if code.len() != 5 => matches!(number & 0xff, 5 | 6 | 7 | 8 | 10 | 11 | 13 | 14),
        // Behind a pooler, the server may have become a standby.
        _ => ["08", "25006", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class)),
    }
}

/// Creates the file (and its folder) readable by its owner only, if it is not there yet.
fn create_private(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| *folder != PathBuf::new()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

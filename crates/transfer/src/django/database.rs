//! The database of a Django project, read and never written: SQLite or PostgreSQL, in one transaction that sees one
//! moment of it. Every column is read as text, so that one statement serves both.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Row as _};

use crate::source::ReadError;

/// How long a server may take to let us in.
const PATIENCE: Duration = Duration::from_secs(15);

/// A row, column by column.
pub(super) type Row = Vec<Option<String>>;

/// A connection to a database that is not ours.
#[derive(Debug)]
pub(super) enum Foreign {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// A table that is there.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: String,
    columns: Vec<Column>,
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    kind: String,
    is_key: bool,
}

/// The part of a table that belongs to a batch of users: those after one key (none: from the first) up to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span<'a> {
    pub(super) after: Option<&'a str>,
    pub(super) last: &'a str,
}

impl Foreign {
    /// Opens a URL, or the path of a SQLite file. What it holds at this moment is what will be read.
    pub(super) async fn open(url: &str) -> Result<Self, ReadError> {
        let (mut opened, begin) = if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            // The URL may hold a password: it is in no message.
            let options = PgConnectOptions::from_str(url).map_err(failed)?.disable_statement_logging();
            let connected = tokio::time::timeout(PATIENCE, options.connect());
            let conn =
                connected.await.map_err(|_| error("it does not answer".to_owned()))?.map_err(failed)?;
            (
                Self::Postgres(conn),
                "SET TIME ZONE 'UTC'; BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            )
        } else {
            let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(url);
            if path.contains("://") {
                return Err(error("only sqlite:// and postgres:// can be read".to_owned()));
            }
            if !Path::new(path).is_file() {
                return Err(error(format!("there is no file {path}")));
            }
            let options = SqliteConnectOptions::new().filename(path).read_only(true);
            let conn = options.disable_statement_logging().connect().await.map_err(failed)?;
            (Self::Sqlite(conn), "BEGIN")
        };
        match &mut opened {
            Self::Sqlite(conn) => sqlx::raw_sql(begin).execute(conn).await.map(drop),
            Self::Postgres(conn) => sqlx::raw_sql(begin).execute(conn).await.map(drop),
        }
        .map_err(failed)?;
        Ok(opened)
    }

    /// The table of this name; `None` if there is none.
    pub(super) async fn table(&mut self, name: &str) -> Result<Option<Table>, ReadError> {
        let (sql, name_there) = match self {
            Self::Sqlite(_) => {
                ("SELECT name, lower(type), CAST(pk AS TEXT) FROM pragma_table_info($1)", name.to_owned())
            }
            Self::Postgres(_) => (
                "SELECT CAST(a.attname AS TEXT), format_type(a.atttypid, NULL), CAST(EXISTS (SELECT 1 FROM pg_index i \
                 WHERE i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY(i.indkey)) AS TEXT) \
                 FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped \
                 ORDER BY a.attnum",
                quoted(name),
            ),
        };
        let rows = self.rows(sql.to_owned(), &[&name_there]).await?;
        let columns: Vec<Column> = rows.into_iter().filter_map(Column::read).collect();
        Ok((!columns.is_empty()).then(|| Table { name: name.to_owned(), columns }))
    }

    /// How many rows a table has.
    pub(super) async fn count(&mut self, table: &Table) -> Result<u64, ReadError> {
        let sql = format!("SELECT CAST(COUNT(*) AS TEXT) FROM {}", quoted(&table.name));
        let rows = self.rows(sql, &[]).await?;
        Ok(rows.into_iter().flatten().flatten().next().and_then(|count| count.parse().ok()).unwrap_or(0))
    }

    /// The next rows of a table by its key.
    pub(super) async fn page(
        &mut self,
        table: &Table,
        columns: &[&str],
        key: &str,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<Row>, ReadError> {
        let (list, from) = (list("", columns), quoted(&table.name));
        // With its table: the bare name would be that of the text in the answer, and "10" comes before "9".
        let by = format!("{from}.{}", quoted(key));
        let beyond = match after {
            Some(_) => format!("WHERE {by} > {}", self.value(1, table.kind(key))),
            None => String::new(),
        };
        let sql = format!("SELECT {list} FROM {from} {beyond} ORDER BY {by} LIMIT {most}");
        self.rows(sql, after.as_slice()).await
    }

    /// What a table holds of the users in a span: `user_id`, then `columns`; those of one user in the order they came.
    pub(super) async fn of_users(
        &mut self,
        table: &Table,
        columns: &[&str],
        span: Span<'_>,
    ) -> Result<Vec<Row>, ReadError> {
        let from = quoted(&table.name);
        let all: Vec<&str> = std::iter::once("user_id").chain(columns.iter().copied()).collect();
        let within = self.within("user_id", table, span);
        let sql = format!("SELECT {} FROM {from} WHERE {within} ORDER BY {from}.id", list("", &all));
        self.rows(sql, &span.values()).await
    }

    /// What `table` holds of the accounts (rows of `accounts`) of the users in a span, newest first: `account_id`, then
    /// `columns`.
    pub(super) async fn of_accounts(
        &mut self,
        table: &Table,
        columns: &[&str],
        accounts: &Table,
        span: Span<'_>,
    ) -> Result<Vec<Row>, ReadError> {
        let all: Vec<&str> = std::iter::once("account_id").chain(columns.iter().copied()).collect();
        let (from, through) = (quoted(&table.name), quoted(&accounts.name));
        let within = self.within("a.user_id", accounts, span);
        let sql = format!(
            "SELECT {} FROM {from} t JOIN {through} a ON a.id = t.account_id WHERE {within} ORDER BY t.id DESC",
            list("t.", &all)
        );
        self.rows(sql, &span.values()).await
    }

    fn within(&self, column: &str, table: &Table, span: Span<'_>) -> String {
        let kind = table.kind("user_id");
        let upto = format!("{column} <= {}", self.value(1, kind));
        match span.after {
            Some(_) => format!("{upto} AND {column} > {}", self.value(2, kind)),
            None => upto,
        }
    }

    /// A text that is bound, as a value of the type that the column it is compared with has. SQLite does so by itself.
    fn value(&self, number: usize, kind: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("${number}"),
            Self::Postgres(_) => format!("CAST(${number} AS {kind})"),
        }
    }

    async fn rows(&mut self, sql: String, values: &[&str]) -> Result<Vec<Row>, ReadError> {
        // Names of tables and columns are quoted, and known to be there; everything else is bound.
        let sql = AssertSqlSafe(sql);
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        match self {
            Self::Sqlite(conn) => {
                let query = values.into_iter().fold(sqlx::query(sql), |query, value| query.bind(value));
                let rows = query.fetch_all(conn).await.map_err(failed)?;
                rows.iter().map(texts_of_sqlite).collect::<Result<_, _>>().map_err(failed)
            }
            Self::Postgres(conn) => {
                let query = values.into_iter().fold(sqlx::query(sql), |query, value| query.bind(value));
                let rows = query.fetch_all(conn).await.map_err(failed)?;
                rows.iter().map(texts_of_postgres).collect::<Result<_, _>>().map_err(failed)
            }
        }
    }
}

impl Table {
    /// Whether it has a column.
    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|there| there.name == column)
    }

    /// The column that is its primary key, if it is one alone.
    pub(super) fn key(&self) -> Option<&str> {
        let mut keys = self.columns.iter().filter(|column| column.is_key);
        keys.next().filter(|_| keys.next().is_none()).map(|column| column.name.as_str())
    }

    /// Its columns, for people.
    pub(super) fn columns(&self) -> String {
        self.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn kind(&self, column: &str) -> &str {
        self.columns.iter().find(|there| there.name == column).map_or("text", |there| there.kind.as_str())
    }
}

impl Column {
    fn read(row: Row) -> Option<Self> {
        let [name, kind, key] = <[Option<String>; 3]>::try_from(row).ok()?;
        let is_key = key.is_some_and(|key| !matches!(key.as_str(), "0" | "false"));
        Some(Self { name: name?, kind: kind?, is_key })
    }
}

impl<'a> Span<'a> {
    fn values(self) -> Vec<&'a str> {
        std::iter::once(self.last).chain(self.after).collect()
    }
}

fn list(table: &str, columns: &[&str]) -> String {
    let texts: Vec<String> =
        columns.iter().map(|column| format!("CAST({table}{} AS TEXT)", quoted(column))).collect();
    texts.join(", ")
}

/// A name as SQL writes it, whatever is in it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn texts_of_sqlite(row: &SqliteRow) -> Result<Row, sqlx::Error> {
    (0..row.len()).map(|at| row.try_get(at)).collect()
}

fn texts_of_postgres(row: &PgRow) -> Result<Row, sqlx::Error> {
    (0..row.len()).map(|at| row.try_get(at)).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(why: sqlx::Error) -> ReadError {
    error(why.to_string())
}

fn error(reason: String) -> ReadError {
    ReadError { place: "the Django database".to_owned(), reason }
}

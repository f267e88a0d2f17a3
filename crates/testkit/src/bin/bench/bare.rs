//! The bare server: the product's framework and connection settings around answers recorded from the product, with
//! or without one primary-key SELECT. It runs as a process of its own, as the product does.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, DATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use tokio::net::TcpListener;
use vestibule_base::config::Database;

use crate::Error;
use crate::load::Answer;

/// What a bare server is told on its standard input, as JSON. It ends when its input does.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) listen: SocketAddr,
    /// Where the SELECT goes, if there is one.
    pub(crate) database: Option<String>,
    pub(crate) answers: Vec<Recorded>,
}

/// An answer of the product to a GET.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Recorded {
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Recorded {
    /// Leaves out the headers that hyper writes by itself.
    pub(crate) fn new(path: &str, answer: &Answer) -> Self {
        let written = |name: &HeaderName| [DATE, CONTENT_LENGTH, CONNECTION].contains(name);
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = answer.headers.iter().filter(|(name, _)| !written(name));
        Self {
            path: path.to_owned(),
            headers: headers.map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: String::from_utf8_lossy(&answer.body).into_owned(),
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// Rows of the table that the SELECT reads; requests take them in turn.
const ROWS: i64 = 1000;

pub(crate) async fn serve(order: Order) -> Result<(), Error> {
    let table = match &order.database {
        Some(url) => Some(Table::open(url).await?),
        None => None,
    };
    let mut router = Router::new();
    for recorded in &order.answers {
        let route = get(answer).with_state(Arc::new(Bare::new(recorded, table.clone())));
        router = router.route(&recorded.path, route);
    }
    let listener = TcpListener::bind(order.listen).await?;
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(75))
        .max_buf_size(32 * 1024)
        .pipeline_flush(true);
    let builder = Arc::new(builder);
    loop {
        let (stream, _) = listener.accept().await?;
        let (builder, service) = (Arc::clone(&builder), TowerToHyperService::new(router.clone()));
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// What answers one path.
struct Bare {
    headers: HeaderMap,
    body: Bytes,
    table: Option<Arc<Table>>,
}

impl Bare {
    fn new(recorded: &Recorded, table: Option<Arc<Table>>) -> Self {
        let header = |(name, value): &(String, String)| {
            Some((name.parse::<HeaderName>().ok()?, value.parse::<HeaderValue>().ok()?))
        };
        let headers = recorded.headers.iter().filter_map(header).collect();
        Self { headers, body: Bytes::from(recorded.body.clone()), table }
    }
}

async fn answer(State(bare): State<Arc<Bare>>) -> Response {
    if let Some(table) = &bare.table
        && let Err(error) = table.select().await
    {
        return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
    }
    let mut response = Response::new(Body::from(bare.body.clone()));
    *response.headers_mut() = bare.headers.clone();
    response
}

/// The table that the SELECT reads, through sqlx's pool as anybody would use it.
struct Table {
    pool: Plain,
    next: AtomicI64,
}

enum Plain {
    Sqlite(sqlx::SqlitePool),
    Postgres(sqlx::PgPool),
}

impl Table {
    async fn open(url: &str) -> Result<Arc<Self>, Error> {
        let (connections, body) = (Database::default().max_connections, "x".repeat(200));
        let fill = "INSERT INTO bare (id, body) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let pool = if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url)?.journal_mode(SqliteJournalMode::Wal);
            let options = options.create_if_missing(true).disable_statement_logging();
            let pool = SqlitePoolOptions::new().max_connections(connections).connect_with(options).await?;
            // The one spelling that makes it the key of the table itself.
            let create = "CREATE TABLE IF NOT EXISTS bare (id INTEGER PRIMARY KEY, body TEXT NOT NULL)";
            sqlx::query(create).execute(&pool).await?;
            let mut tx = pool.begin().await?;
            for id in 0..ROWS {
                sqlx::query(fill).bind(id).bind(&body).execute(&mut *tx).await?;
            }
            tx.commit().await?;
            Plain::Sqlite(pool)
        } else {
            let options = PgConnectOptions::from_str(url)?.disable_statement_logging();
            let pool = PgPoolOptions::new().max_connections(connections).connect_with(options).await?;
            let create = "CREATE TABLE IF NOT EXISTS bare (id BIGINT PRIMARY KEY, body TEXT NOT NULL)";
            sqlx::query(create).execute(&pool).await?;
            let mut tx = pool.begin().await?;
            for id in 0..ROWS {
                sqlx::query(fill).bind(id).bind(&body).execute(&mut *tx).await?;
            }
            tx.commit().await?;
            Plain::Postgres(pool)
        };
        Ok(Arc::new(Self { pool, next: AtomicI64::new(0) }))
    }

    async fn select(&self) -> Result<String, sqlx::Error> {
        let id = self.next.fetch_add(1, Ordering::Relaxed) % ROWS;
        let sql = "SELECT body FROM bare WHERE id = $1";
        match &self.pool {
            Plain::Sqlite(pool) => sqlx::query_scalar(sql).bind(id).fetch_one(pool).await,
            Plain::Postgres(pool) => sqlx::query_scalar(sql).bind(id).fetch_one(pool).await,
        }
    }
}

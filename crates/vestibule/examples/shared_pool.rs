//! An application with a database of its own: Vestibule uses the same pool, and the application's tables refer to users.
//!
//! ```text
//! cargo run --package vestibule --example shared_pool
//!
//! api=http://localhost:3000/_allauth/app/v1
//! curl $api/auth/signup --json '{"email": "ada@example.org", "password": "correct horse battery"}'
//! curl localhost:3000/notes -H "X-Session-Token: …" --data-raw 'buy milk'
//! curl localhost:3000/notes -H "X-Session-Token: …"
//! ```

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::routing::get;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use tokio::net::TcpListener;
use tokio::sync::watch;
use vestibule::{Config, CurrentUser, RecentlyAuthenticated, Vestibule};

pub(crate) const SETTINGS: &str = r#"
    server.public_url = "http://localhost:3000"
    server.secret_key = "at least thirty-two random characters of your own"
    account.email_verification = "none"
"#;

/// What the application's handlers need. Extractors find Vestibule in it by [`FromRef`].
#[derive(Clone)]
struct Application {
    pool: SqlitePool,
    vestibule: Vestibule,
}

impl FromRef<Application> for Vestibule {
    fn from_ref(application: &Application) -> Self {
        application.vestibule.clone()
    }
}

/// Puts both together on one pool.
pub(crate) async fn application(
    config: Config,
    pool: SqlitePool,
) -> Result<(Router, Vestibule), Box<dyn std::error::Error>> {
    let vestibule = Vestibule::builder(config).sqlite(pool.clone()).build().await?;
    // After Vestibule's own tables are there. A deleted user takes their notes along.
    sqlx::query(
        "CREATE TABLE IF NOT EXISTS notes (
             id INTEGER PRIMARY KEY,
             owner BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
             text TEXT NOT NULL
         )",
    )
    .execute(&pool)
    .await?;
    let application = Application { pool, vestibule: vestibule.clone() };
    let router = Router::new()
        .route("/notes", get(list).post(add).delete(clear))
        .with_state(application)
        .merge(vestibule.router());
    Ok((router, vestibule))
}

async fn list(State(application): State<Application>, user: CurrentUser) -> Result<String, StatusCode> {
    let notes: Vec<String> = sqlx::query_scalar("SELECT text FROM notes WHERE owner = $1 ORDER BY id")
        .bind(user.id)
        .fetch_all(&application.pool)
        .await
        .map_err(unavailable)?;
    Ok(notes.join("\n"))
}

async fn add(
    State(application): State<Application>,
    user: CurrentUser,
    text: String,
) -> Result<StatusCode, StatusCode> {
    sqlx::query("INSERT INTO notes (owner, text) VALUES ($1, $2)")
        .bind(user.id)
        .bind(text)
        .execute(&application.pool)
        .await
        .map_err(unavailable)?;
    Ok(StatusCode::CREATED)
}

/// A session that was left open on somebody's desk must not be enough for this.
async fn clear(
    State(application): State<Application>,
    RecentlyAuthenticated(user): RecentlyAuthenticated,
) -> Result<StatusCode, StatusCode> {
    sqlx::query("DELETE FROM notes WHERE owner = $1")
        .bind(user.id)
        .execute(&application.pool)
        .await
        .map_err(unavailable)?;
    Ok(StatusCode::NO_CONTENT)
}

fn unavailable(_: sqlx::Error) -> StatusCode {
    StatusCode::SERVICE_UNAVAILABLE
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = SqliteConnectOptions::new()
        .filename("shared.sqlite3")
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePoolOptions::new().max_connections(8).connect_with(options).await?;
    let (router, vestibule) = application(Config::from_toml(SETTINGS)?, pool).await?;
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(async move { vestibule.background(stopped).await });
    let listener = TcpListener::bind("localhost:3000").await?;
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

//! The least: an application with accounts, and a route that knows who is calling.
//!
//! ```text
//! cargo run --package vestibule --example minimal
//!
//! api=http://localhost:3000/_allauth/app/v1
//! curl $api/auth/signup --json '{"email": "ada@example.org", "password": "correct horse battery"}'
//! curl localhost:3000/hello -H "X-Session-Token: …what meta.session_token said…"
//! ```

use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use vestibule::{Config, CurrentUser, Vestibule};

pub(crate) const SETTINGS: &str = r#"
    server.public_url = "http://localhost:3000"
    server.secret_key = "at least thirty-two random characters of your own"
    database.url = "sqlite://minimal.sqlite3"
    # Else nobody gets in before they have followed a link in a mail.
    account.email_verification = "none"
"#;

pub(crate) fn application(vestibule: &Vestibule) -> Router {
    Router::new().route("/hello", get(hello)).with_state(vestibule.clone()).merge(vestibule.router())
}

/// Nobody gets here without being logged in.
async fn hello(user: CurrentUser) -> String {
    format!("Hello, {}!\n", user.email.unwrap_or_default())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let vestibule = Vestibule::builder(Config::from_toml(SETTINGS)?).build().await?;
    // Sends mails and clears away what has expired, until the sender says stop or is gone.
    let (_stop, stopped) = watch::channel(false);
    let background = vestibule.clone();
    tokio::spawn(async move { background.background(stopped).await });
    // Limits count by the client's address.
    let application = application(&vestibule).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(TcpListener::bind("localhost:3000").await?, application).await?;
    Ok(())
}

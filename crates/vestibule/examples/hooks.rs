//! An application with rules of its own: who may sign up, who may log in, and what its clients are told of a user.
//!
//! ```text
//! cargo run --package vestibule --example hooks
//!
//! api=http://localhost:3000/_allauth/app/v1
//! curl $api/auth/signup --json '{"email": "eve@example.com", "password": "correct horse battery"}'
//! curl $api/auth/signup --json '{"email": "ada@example.org", "password": "correct horse battery"}'
//! ```
//!
//! The first is refused, and the second is told that she is a member.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use vestibule::hooks::{HookFuture, Hooks, LoginAttempt, Problem, SignupAttempt, UserView, Verdict};
use vestibule::{Config, RecentlyAuthenticated, Vestibule};

pub(crate) const SETTINGS: &str = r#"
    server.public_url = "http://localhost:3000"
    server.secret_key = "at least thirty-two random characters of your own"
    database.url = "sqlite://hooks.sqlite3"
    account.email_verification = "none"
"#;

/// The rules: members have an address at example.org, and may take a break.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members {
    away: Arc<Mutex<BTreeSet<i64>>>,
}

impl Members {
    fn are_away(&self, id: i64) -> bool {
        self.away.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }
}

impl Hooks for Members {
    fn before_signup<'a>(&'a self, attempt: &'a SignupAttempt) -> HookFuture<'a, Verdict> {
        Box::pin(async move {
            let invited = attempt.email.as_ref().is_some_and(|email| email.ends_with("@example.org"));
            let problem = Problem::given("not_invited", "Please sign up with your address at example.org.");
            Ok(if invited { Verdict::Allow } else { Verdict::Refuse(vec![problem.on("email")]) })
        })
    }

    fn before_login<'a>(&'a self, attempt: &'a LoginAttempt) -> HookFuture<'a, Verdict> {
        Box::pin(async move {
            // Without a problem to tell of: 403.
            Ok(if self.are_away(attempt.user.id) { Verdict::Refuse(Vec::new()) } else { Verdict::Allow })
        })
    }

    fn user_fields<'a>(&'a self, _: &'a UserView) -> HookFuture<'a, Map<String, Value>> {
        Box::pin(async move { Ok(Map::from_iter([("role".to_owned(), json!("member"))])) })
    }
}

pub(crate) fn application(vestibule: &Vestibule, members: Members) -> Router {
    Router::new()
        .route("/break", post(take_a_break))
        .with_state(Application { vestibule: vestibule.clone(), members })
        .merge(vestibule.router())
}

#[derive(Clone)]
struct Application {
    vestibule: Vestibule,
    members: Members,
}

impl axum::extract::FromRef<Application> for Vestibule {
    fn from_ref(application: &Application) -> Self {
        application.vestibule.clone()
    }
}

async fn take_a_break(
    State(application): State<Application>,
    RecentlyAuthenticated(user): RecentlyAuthenticated,
) -> StatusCode {
    application.members.away.lock().unwrap_or_else(PoisonError::into_inner).insert(user.id);
    StatusCode::NO_CONTENT
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let members = Members::default();
    let builder = Vestibule::builder(Config::from_toml(SETTINGS)?).hooks(members.clone());
    let vestibule = builder.build().await?;
    let (_stop, stopped) = watch::channel(false);
    let background = vestibule.clone();
    tokio::spawn(async move { background.background(stopped).await });
    let application = application(&vestibule, members).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(TcpListener::bind("localhost:3000").await?, application).await?;
    Ok(())
}

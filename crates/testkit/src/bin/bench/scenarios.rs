//! What is measured, on one database.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use clap::ValueEnum;
use http_body_util::Full;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};
use vestibule_testkit::database::{Backend, TestDatabase};

use crate::Error;
use crate::bare::Recorded;
use crate::load::{Load, Make, once, request};
use crate::report::{Line, Target};
use crate::rounds::{Subject, Timing, compare};
use crate::server::{Product, Server, start_bare};
use crate::{sizes, tokens};

const CONFIG: &str = "/_allauth/app/v1/config";
pub(crate) const SESSION: &str = "/_allauth/app/v1/auth/session";
pub(crate) const LOGIN: &str = "/_allauth/app/v1/auth/login";
pub(crate) const SIGNUP: &str = "/_allauth/app/v1/auth/signup";
pub(crate) const TOKEN: HeaderName = HeaderName::from_static("x-session-token");
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// `GET config` beside the bare server.
    Config,
    /// Authenticated `GET auth/session` beside the bare server and the one with a SELECT.
    Session,
    /// Correct logins beside the password hash alone.
    Login,
    /// Wrong logins beside the password hash alone.
    WrongLogin,
    /// Signups beside the password hash alone.
    Signup,
    /// `auth/session` in quiet and while logins storm.
    Storm,
    /// Requests with an access token, asking by `forward-auth`, and refreshing tokens, beside the bare server.
    Tokens,
    /// From the start of the process to its first answer, on an existing database.
    Start,
    /// Resident memory, idle.
    Memory,
    /// `auth/session` and correct logins with 1,000, 100,000 and 1,000,000 users: fills six databases, some GB and minutes.
    Sizes,
}

/// How to measure.
pub(crate) struct Plan {
    pub(crate) timing: Timing,
    pub(crate) connections: usize,
    pub(crate) binary: std::path::PathBuf,
    pub(crate) scenarios: Vec<Scenario>,
}

/// Starts all servers on new databases of this kind and runs the plan's scenarios.
pub(crate) async fn run(plan: &Plan, backend: Backend) -> Result<Vec<Line>, Error> {
    let database = TestDatabase::durable(backend).await;
    let folder = tempfile::Builder::new().prefix("vestibule-bench-").tempdir()?;
    let product = Product {
        binary: plan.binary.clone(),
        folder: folder.path().to_owned(),
        database: database.url.clone(),
        settings: String::new(),
    };
    let server = product.start(CONFIG).await?;
    let accounts = Arc::new(sign_up(&server, plan.connections).await?);
    let bench = Bench { plan, backend, product, server, accounts };
    let mut lines = Vec::new();
    for scenario in &plan.scenarios {
        writeln!(std::io::stderr(), "measuring {scenario:?} on {backend:?}")?;
        lines.extend(match scenario {
            Scenario::Config => bench.config().await?,
            Scenario::Session => bench.session().await?,
            Scenario::Login => bench.login("correct login", LOGIN, true).await?,
            Scenario::WrongLogin => bench.login("wrong login", LOGIN, false).await?,
            Scenario::Signup => bench.login("signup", SIGNUP, true).await?,
            Scenario::Storm => bench.storm().await?,
            Scenario::Tokens => tokens::run(plan, backend, &bench.product).await?,
            Scenario::Start => bench.start().await?,
            Scenario::Memory => bench.memory().await?,
            Scenario::Sizes => Box::pin(sizes::run(plan, backend)).await?,
        });
    }
    Ok(lines)
}

/// An account, and a session of it.
struct Account {
    email: String,
    token: HeaderValue,
}

struct Bench<'a> {
    plan: &'a Plan,
    backend: Backend,
    product: Product,
    server: Server,
    /// One for each connection.
    accounts: Arc<Vec<Account>>,
}

impl Bench<'_> {
    async fn config(&self) -> Result<Vec<Line>, Error> {
        let make: Make = Arc::new(|_| request(Method::GET, CONFIG, None));
        let bare = start_bare(vec![self.record(&make, CONFIG).await?], None).await?;
        let subjects = [&self.server, &bare]
            .map(|server| Subject::Server(server, self.load(server, &make, StatusCode::OK)));
        let [product, bare] = compare(self.plan.timing, subjects).await?;
        let name = self.name("config");
        Ok(vec![
            Line::measured(&name, "bare", &bare),
            Line::measured(&name, "Vestibule", &product).judged(
                product.rate_by(&bare),
                " of bare",
                Some(Target::AtLeast(0.9)),
            ),
        ])
    }

    async fn session(&self) -> Result<Vec<Line>, Error> {
        let make = self.sessions();
        let recorded = self.record(&make, SESSION).await?;
        let database = TestDatabase::durable(self.backend).await;
        let bare = start_bare(vec![recorded.clone()], None).await?;
        let select = start_bare(vec![recorded], Some(database.url.clone())).await?;
        let subjects = [&self.server, &bare, &select]
            .map(|server| Subject::Server(server, self.load(server, &make, StatusCode::OK)));
        let [product, bare, select] = compare(self.plan.timing, subjects).await?;
        let name = self.name("auth/session");
        Ok(vec![
            Line::measured(&name, "bare", &bare),
            Line::measured(&name, "bare + SELECT", &select).judged(select.rate_by(&bare), " of bare", None),
            Line::measured(&name, "Vestibule", &product).judged(
                product.rate_by(&select),
                " of SELECT",
                Some(Target::AtLeast(0.8)),
            ),
        ])
    }

    /// Anything that spends a password hash. Only a correct login has a target.
    async fn login(&self, name: &str, path: &'static str, correct: bool) -> Result<Vec<Line>, Error> {
        let make = if path == SIGNUP { signups() } else { self.logins(correct) };
        let status = if correct { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        let load = self.load(&self.server, &make, status);
        let subjects = [Subject::Server(&self.server, load), Subject::Hash];
        let [product, hash] = compare(self.plan.timing, subjects).await?;
        let name = self.name(name);
        let target = (path == LOGIN && correct).then_some(Target::AtMost(1.1));
        Ok(vec![
            Line::measured(&name, "hash alone", &hash),
            Line::measured(&name, "Vestibule", &product).judged(hash.rate_by(&product), " hashes", target),
        ])
    }

    async fn storm(&self) -> Result<Vec<Line>, Error> {
        let load = self.load(&self.server, &self.sessions(), StatusCode::OK);
        let logins = self.load(&self.server, &self.logins(true), StatusCode::OK);
        let subjects =
            [Subject::Server(&self.server, load.clone()), Subject::Stormed(&self.server, load, logins)];
        let [quiet, stormed] = compare(self.plan.timing, subjects).await?;
        let name = self.name("auth/session");
        let ratio = stormed.sample.percentile(0.99) / quiet.sample.percentile(0.99);
        Ok(vec![
            Line::measured(&name, "in quiet", &quiet),
            Line::measured(&name, "in a login storm", &stormed).judged(
                ratio,
                " of quiet p99",
                Some(Target::AtMost(3.0)),
            ),
        ])
    }

    /// The median of several starts beside the running server, which shares the database.
    async fn start(&self) -> Result<Vec<Line>, Error> {
        let mut times = Vec::new();
        for _ in 0..11 {
            times.push(self.product.start(CONFIG).await?.first_answer);
        }
        times.sort_unstable();
        let median = times[times.len() / 2].as_secs_f64() * 1000.0;
        Ok(vec![Line::plain(&self.name("start"), "first answer").judged(
            median,
            " ms",
            Some(Target::AtMost(50.0)),
        )])
    }

    async fn memory(&self) -> Result<Vec<Line>, Error> {
        let fresh = self.product.start(CONFIG).await?;
        once(fresh.address, (self.sessions())(0)).await?.must_be(StatusCode::OK)?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let name = self.name("memory");
        let line = |subject, server: &Server, target| {
            let resident = server.resident_mb().unwrap_or(f64::NAN);
            Line::plain(&name, subject).judged(resident, " MB", target)
        };
        Ok(vec![
            line("idle, started", &fresh, Some(Target::AtMost(25.0))),
            line("idle, after load", &self.server, None),
        ])
    }

    fn name(&self, scenario: &str) -> String {
        format!("{scenario}, {:?}", self.backend)
    }

    fn load(&self, server: &Server, make: &Make, status: StatusCode) -> Load {
        let (address, connections, make) = (server.address, self.plan.connections, Arc::clone(make));
        Load { address, connections, make, status, learn: None }
    }

    /// The product's answer, for the bare servers to repeat.
    async fn record(&self, make: &Make, path: &str) -> Result<Recorded, Error> {
        let answer = once(self.server.address, make(0)).await?;
        answer.must_be(StatusCode::OK)?;
        Ok(Recorded::new(path, &answer))
    }

    fn sessions(&self) -> Make {
        let accounts = Arc::clone(&self.accounts);
        Arc::new(move |connection| {
            let mut request = request(Method::GET, SESSION, None);
            request.headers_mut().insert(TOKEN, accounts[connection].token.clone());
            request
        })
    }

    fn logins(&self, correct: bool) -> Make {
        let accounts = Arc::clone(&self.accounts);
        let password = if correct { PASSWORD } else { "correct horse battery stable" };
        Arc::new(move |connection| post(LOGIN, &accounts[connection].email, password))
    }
}

/// Signups with an address of their own each, also across scenarios.
fn signups() -> Make {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    Arc::new(|_| {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        post(SIGNUP, &format!("new{number}@example.org"), PASSWORD)
    })
}

pub(crate) fn post(path: &str, email: &str, password: &str) -> Request<Full<Bytes>> {
    request(Method::POST, path, Some(json!({ "email": email, "password": password }).to_string()))
}

/// Makes this many accounts and opens a session of each.
async fn sign_up(server: &Server, accounts: usize) -> Result<Vec<Account>, Error> {
    let mut made = Vec::new();
    for number in 0..accounts {
        let email = format!("user{number}@example.org");
        let answer = once(server.address, post(SIGNUP, &email, PASSWORD)).await?;
        answer.must_be(StatusCode::OK)?;
        let token = serde_json::from_slice::<Value>(&answer.body)
            .ok()
            .and_then(|json| HeaderValue::from_str(json["meta"]["session_token"].as_str()?).ok())
            .ok_or_else(|| Error::Start("a signup without meta.session_token".to_owned()))?;
        made.push(Account { email, token });
    }
    Ok(made)
}

//! Access and refresh tokens, and what is asked by whoever stands behind the product.

use std::sync::{Arc, Mutex};

use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use vestibule_testkit::database::{Backend, TestDatabase};

use crate::Error;
use crate::bare::Recorded;
use crate::load::{Answer, Learn, Load, Make, once, request};
use crate::report::{Line, Target};
use crate::rounds::{Subject, compare};
use crate::scenarios::{PASSWORD, Plan, SESSION, SIGNUP, post};
use crate::server::{Product, Server, start_bare};

const FORWARD_AUTH: &str = "/_allauth/forward-auth";
const REFRESH: &str = "/_allauth/app/v1/tokens/refresh";
const SESSION_TOKEN: HeaderName = HeaderName::from_static("x-session-token");
/// RS256, the default.
const KEY: &str = include_str!("../../../../vestibule/tests/keys/rsa.pem");

/// What an application holds.
struct Held {
    session: HeaderValue,
    access: HeaderValue,
    /// The latest.
    refresh: Mutex<String>,
}

/// Starts the product anew, with tokens, and measures each use of them.
pub(crate) async fn run(plan: &Plan, backend: Backend, product: &Product) -> Result<Vec<Line>, Error> {
    let settings = format!(
        "[headless]\ntoken_strategy = \"jwt\"\njwt_access_token_expires_in = 3600\njwt_private_key = \"\"\"\n{KEY}\"\"\"\n"
    );
    let product = Product { settings, ..product.clone() };
    let server = product.start("/healthz").await?;
    let held = Arc::new(sign_up(&server, plan.connections).await?);
    let mut lines = Vec::new();

    let apps = Arc::clone(&held);
    let bearer: Make = Arc::new(move |connection| {
        let mut request = request(Method::GET, SESSION, None);
        request.headers_mut().insert(AUTHORIZATION, apps[connection].access.clone());
        request
    });
    lines.extend(beside_bare(plan, &server, backend, "bearer", SESSION, bearer).await?);

    let apps = Arc::clone(&held);
    let asked: Make = Arc::new(move |connection| {
        let mut request = request(Method::GET, FORWARD_AUTH, None);
        request.headers_mut().insert(SESSION_TOKEN, apps[connection].session.clone());
        request
    });
    lines.extend(beside_bare(plan, &server, backend, "forward-auth", FORWARD_AUTH, asked).await?);

    lines.extend(refreshes(plan, &server, &format!("token refresh, {backend:?}"), &held).await?);
    Ok(lines)
}

/// A GET, beside bare servers that give the same answer.
async fn beside_bare(
    plan: &Plan,
    server: &Server,
    backend: Backend,
    name: &str,
    path: &str,
    make: Make,
) -> Result<Vec<Line>, Error> {
    let answer = once(server.address, make(0)).await?;
    answer.must_be(StatusCode::OK)?;
    let recorded = Recorded::new(path, &answer);
    let database = TestDatabase::durable(backend).await;
    let bare = start_bare(vec![recorded.clone()], None).await?;
    let select = start_bare(vec![recorded], Some(database.url.clone())).await?;
    let subjects = [server, &bare, &select]
        .map(|server| Subject::Server(server, load(plan, server, Arc::clone(&make), None)));
    let [product, bare, select] = compare(plan.timing, subjects).await?;
    let name = &format!("{name}, {backend:?}");
    let target = (backend == Backend::Sqlite).then_some(Target::AtLeast(0.7));
    Ok(vec![
        Line::measured(name, "bare", &bare).judged(product.rate_by(&bare).recip(), " of Vestibule", None),
        Line::measured(name, "bare + SELECT", &select).judged(select.rate_by(&bare), " of bare", None),
        Line::measured(name, "Vestibule", &product).judged(product.rate_by(&select), " of SELECT", target),
    ])
}

/// Each connection exchanges its token, again and again. Two signatures and a transaction each.
async fn refreshes(
    plan: &Plan,
    server: &Server,
    name: &str,
    held: &Arc<Vec<Held>>,
) -> Result<Vec<Line>, Error> {
    let apps = Arc::clone(held);
    let make: Make = Arc::new(move |connection| {
        let token = apps[connection].refresh.lock().map(|token| token.clone()).unwrap_or_default();
        request(Method::POST, REFRESH, Some(json!({ "refresh_token": token }).to_string()))
    });
    let apps = Arc::clone(held);
    let learn: Learn = Arc::new(move |connection, answer: &Answer| {
        let next = member(answer, "/data/refresh_token");
        if let (Some(next), Ok(mut token)) = (next, apps[connection].refresh.lock()) {
            *token = next;
        }
    });
    let subjects = [Subject::Server(server, load(plan, server, make, Some(learn)))];
    let [product] = compare(plan.timing, subjects).await?;
    Ok(vec![Line::measured(name, "Vestibule", &product)])
}

fn load(plan: &Plan, server: &Server, make: Make, learn: Option<Learn>) -> Load {
    Load { address: server.address, connections: plan.connections, make, status: StatusCode::OK, learn }
}

async fn sign_up(server: &Server, accounts: usize) -> Result<Vec<Held>, Error> {
    let mut made = Vec::new();
    for number in 0..accounts {
        let answer =
            once(server.address, post(SIGNUP, &format!("app{number}@example.org"), PASSWORD)).await?;
        answer.must_be(StatusCode::OK)?;
        let missing = || Error::Start("a signup without tokens".to_owned());
        let text = |pointer| member(&answer, pointer).ok_or_else(missing);
        let header = |text: String| HeaderValue::from_str(&text).map_err(|_| missing());
        made.push(Held {
            session: header(text("/meta/session_token")?)?,
            access: header(format!("Bearer {}", text("/meta/access_token")?))?,
            refresh: Mutex::new(text("/meta/refresh_token")?),
        });
    }
    Ok(made)
}

fn member(answer: &Answer, pointer: &str) -> Option<String> {
    let json: Value = serde_json::from_slice(&answer.body).ok()?;
    json.pointer(pointer)?.as_str().map(str::to_owned)
}

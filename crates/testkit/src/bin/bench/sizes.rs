//! What a request costs on databases of several sizes: whatever grows with the number of users shows here.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hyper::header::HeaderValue;
use hyper::{Method, StatusCode};
use sha2::{Digest, Sha256};
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
use vestibule_base::security::{Keyring, Purpose, Token};
use vestibule_base::storage::{Db, Val};
use vestibule_base::vals;
use vestibule_testkit::database::{Backend, TestDatabase};

use crate::Error;
use crate::load::{Load, Make, once, request};
use crate::report::{Line, Target};
use crate::rounds::{Subject, compare};
use crate::scenarios::{LOGIN, PASSWORD, Plan, SESSION, SIGNUP, TOKEN, post};
use crate::server::{Product, SECRET_KEY, Server};

/// Users, and a session of each.
const SIZES: [(usize, &str); 3] = [(1_000, "1,000"), (100_000, "100,000"), (1_000_000, "1,000,000")];
/// How much slower the median may be at the largest size than at the smallest.
const GROWTH: f64 = 1.3;
/// Rows that one transaction writes: none may take long.
const BATCH: usize = 1_000;

/// A server, and how many users its database holds.
struct Sized {
    users: usize,
    name: &'static str,
    server: Server,
    _database: TestDatabase,
    _folder: tempfile::TempDir,
}

/// Fills a database of each size, and has the servers on them take turns.
pub(crate) async fn run(plan: &Plan, backend: Backend) -> Result<Vec<Line>, Error> {
    let [small, middle, large] = SIZES.map(|(users, name)| filled(plan, backend, users, name));
    let sized = [small.await?, middle.await?, large.await?];
    let mut lines = compared(plan, backend, &sized, "auth/session", sessions).await?;
    lines.extend(compared(plan, backend, &sized, "correct login", logins).await?);
    Ok(lines)
}

async fn compared(
    plan: &Plan,
    backend: Backend,
    sized: &[Sized; 3],
    what: &str,
    make: fn(usize) -> Make,
) -> Result<Vec<Line>, Error> {
    let subjects = sized.each_ref().map(|sized| {
        let Sized { users, server, .. } = sized;
        let (address, connections) = (server.address, plan.connections);
        let load = Load { address, connections, make: make(*users), status: StatusCode::OK, learn: None };
        Subject::Server(server, load)
    });
    let measured = compare(plan.timing, subjects).await?;
    let name = format!("{what} by users, {backend:?}");
    let median = |at: usize| measured[at].sample.percentile(0.5);
    let line = |at: usize, target| {
        Line::measured(&name, sized[at].name, &measured[at]).judged(
            median(at) / median(0),
            " of 1,000's p50",
            target,
        )
    };
    Ok(vec![line(0, None), line(1, None), line(2, Some(Target::AtMost(GROWTH)))])
}

async fn filled(plan: &Plan, backend: Backend, users: usize, name: &'static str) -> Result<Sized, Error> {
    writeln!(std::io::stderr(), "filling {backend:?} with {name} users")?;
    let database = TestDatabase::durable(backend).await;
    let folder = tempfile::Builder::new().prefix("vestibule-bench-").tempdir()?;
    let product = Product {
        binary: plan.binary.clone(),
        folder: folder.path().to_owned(),
        database: database.url.clone(),
        settings: String::new(),
    };
    let server = product.start("/healthz").await?;
    // The first user is made by the product itself; the others are given the same password.
    once(server.address, post(SIGNUP, &email(1), PASSWORD)).await?.must_be(StatusCode::OK)?;
    let db = Db::open(&database.url, 2).await?;
    fill(&db, backend, users).await?;
    db.close().await;
    settle(backend, &database.url).await?;
    Ok(Sized { users, name, server, _database: database, _folder: folder })
}

async fn fill(db: &Db, backend: Backend, users: usize) -> Result<(), Error> {
    let row = db.read().await?.maybe("SELECT password FROM users WHERE id = 1", vec![]).await?;
    let password = row.ok_or_else(|| Error::Start("no user 1 after a signup".to_owned()))?.text(0)?;
    let numbers = match backend {
        Backend::Sqlite => {
            "(WITH RECURSIVE n (i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM n WHERE i < $2) SELECT i FROM n)"
        }
        Backend::Postgres => "(SELECT generate_series($1::bigint, $2::bigint) AS i)",
    };
    let accounts = [
        format!(
            "INSERT INTO users (username, username_key, password, created_at)
             SELECT 'user' || i, 'user' || i, (SELECT password FROM users WHERE id = 1), 1700000000000 FROM {numbers} AS n ORDER BY i"
        ),
        format!(
            "INSERT INTO emails (user_id, email, verified, is_primary, claim)
             SELECT i, 'user' || i || '@example.org', 1, 1, 'user' || i || '@example.org' FROM {numbers} AS n ORDER BY i"
        ),
    ]
    .map(leaked);
    let one_of_each = leaked(sessions_of(1));
    let batch_of_each = leaked(sessions_of(BATCH));
    let keyring = Keyring::new(SECRET_KEY, &[]);
    for from in (1..=users).step_by(BATCH) {
        let to = (from + BATCH - 1).min(users);
        let mut tx = db.write().await?;
        for statement in accounts {
            // The first user is there already.
            tx.execute(statement, vals![number(from.max(2)), number(to)]).await?;
        }
        let owners: Vec<usize> = (from..=to).collect();
        if owners.len() == BATCH {
            let values = owners.iter().flat_map(|user| session(&keyring, *user, &password));
            tx.execute(batch_of_each, values.collect()).await?;
        } else {
            for user in owners {
                tx.execute(one_of_each, session(&keyring, user, &password).to_vec()).await?;
            }
        }
        tx.commit().await?;
    }
    Ok(())
}

/// What databases do by and by after so many writes, done before anything is measured.
async fn settle(backend: Backend, url: &str) -> Result<(), Error> {
    match backend {
        Backend::Sqlite => {
            let mut conn = SqliteConnection::connect(url).await?;
            conn.execute("ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)").await?;
            conn.close().await?;
        }
        Backend::Postgres => {
            let mut conn = PgConnection::connect(url).await?;
            conn.execute("VACUUM (ANALYZE)").await?;
            conn.execute("CHECKPOINT").await?;
            conn.close().await?;
        }
    }
    Ok(())
}

fn sessions_of(rows: usize) -> String {
    let row = |at: usize| {
        let first = at * 3 + 1;
        format!(
            "(${first}, 'app', ${}, ${}, '[]', '127.0.0.1', 'bench', 1700000000000, 4000000000000, 4000000000000)",
            first + 1,
            first + 2
        )
    };
    format!(
        "INSERT INTO sessions (token_hash, client, user_id, password_mark, records, ip, user_agent, created_at, last_seen_at, expires_at)
         VALUES {}",
        (0..rows).map(row).collect::<Vec<_>>().join(", ")
    )
}

/// Statements are texts of the program; these few are put together once in its life.
fn leaked(statement: String) -> &'static str {
    Box::leak(statement.into_boxed_str())
}

/// A session that the product takes for its own: `core::session` ties it to the user's password like this.
fn session(keyring: &Keyring, user: usize, password: &str) -> [Val; 3] {
    let mark = keyring.mac(Purpose::SessionPassword, format!("{user}:{password}").as_bytes());
    let digest = Token::parse(&token(user)).map(|token| token.digest()).unwrap_or_default();
    [Val::from(digest.as_slice()), Val::from(number(user)), Val::from(mark.as_slice())]
}

fn sessions(users: usize) -> Make {
    let next = anybody(users);
    Arc::new(move |_| {
        let mut request = request(Method::GET, SESSION, None);
        // Base64 is fit for a header.
        if let Ok(token) = HeaderValue::from_str(&token(next())) {
            request.headers_mut().insert(TOKEN, token);
        }
        request
    })
}

fn logins(users: usize) -> Make {
    let next = anybody(users);
    Arc::new(move |_| post(LOGIN, &email(next()), PASSWORD))
}

/// One user after the other, from all over the table.
fn anybody(users: usize) -> impl Fn() -> usize + Send + Sync {
    // A prime that divides none of the sizes: it meets every user once before it meets one again.
    const STEP: usize = 611_953;
    let turn = AtomicUsize::new(0);
    move || turn.fetch_add(1, Ordering::Relaxed).wrapping_mul(STEP) % users + 1
}

fn token(user: usize) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(user.to_be_bytes()))
}

fn email(user: usize) -> String {
    format!("user{user}@example.org")
}

fn number(user: usize) -> i64 {
    i64::try_from(user).unwrap_or(i64::MAX)
}

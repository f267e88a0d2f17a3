//! What an application gets that mounts the router: extractors for its own routes, and its own pool of connections.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use axum::http::Method;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use vestibule::{Config, CurrentUser, RecentlyAuthenticated, Vestibule};
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::{Client, Door};
use vestibule_testkit::database::{Backend, TestDatabase, on_both};

/// The examples are what people copy: what their handlers do is tried here, and that they run by hand.
#[path = "../../examples/hooks.rs"]
#[expect(dead_code, reason = "its main serves")]
mod hooks;
#[path = "../../examples/minimal.rs"]
#[expect(dead_code, reason = "its main serves")]
mod minimal;
#[path = "../../examples/shared_pool.rs"]
#[expect(dead_code, reason = "its main serves")]
mod shared_pool;

const PASSWORD: &str = "correct horse battery staple";
const OPEN: &str = "
    account = { email_verification = 'none', rate_limits = false }
    csrf.trusted_origins = ['https://www.example.org']
";
const JWT: &str = "headless = { token_strategy = 'jwt', jwt_algorithm = 'HS256' }";

async fn show(user: CurrentUser) -> Json<Value> {
    Json(
        json!({ "id": user.id, "email": user.email, "verified": user.email_verified, "methods": user.methods }),
    )
}

async fn greet(user: Option<CurrentUser>) -> Json<Value> {
    Json(json!({ "id": user.map(|user| user.id) }))
}

async fn wipe(RecentlyAuthenticated(user): RecentlyAuthenticated) -> Json<Value> {
    Json(json!({ "wiped": user.id }))
}

/// The application's state holds more than Vestibule.
#[derive(Clone)]
struct State {
    vestibule: Vestibule,
}

impl axum::extract::FromRef<State> for Vestibule {
    fn from_ref(state: &State) -> Self {
        state.vestibule.clone()
    }
}

fn application(vestibule: &Vestibule) -> Router {
    Router::new()
        .route("/notes", get(show).post(show).delete(show))
        .route("/hello", get(greet))
        .route("/wipe", post(wipe))
        .with_state(State { vestibule: vestibule.clone() })
        .merge(vestibule.router())
}

async fn start(backend: Backend, settings: &str) -> TestApp {
    let mut app = TestApp::start(backend, settings).await;
    app.door.router = application(&app.vestibule);
    app.door.observer = None;
    app
}

async fn sign_up(client: &mut Client, name: &str) -> i64 {
    let new = json!({ "email": format!("{name}@example.org"), "password": PASSWORD });
    let reply = client.post("auth/signup", new).await.expect(200);
    reply.data()["user"]["id"].as_i64().unwrap()
}

#[test]
fn routes_of_the_application_learn_who_is_calling() {
    on_both(async |backend| {
        let app = start(backend, OPEN).await;
        for (mut client, name) in [(app.app(), "ada"), (app.browser(), "bob")] {
            client.get("/notes").await.expect(401);
            assert_eq!(client.get("/hello").await.expect(200).json, json!({ "id": null }));
            let id = sign_up(&mut client, name).await;
            let reply = client.get("/notes").await.expect(200);
            let email = format!("{name}@example.org");
            assert_eq!(reply.json, json!({ "id": id, "email": email, "verified": false, "methods": [] }));
            assert_eq!(client.get("/hello").await.json, json!({ "id": id }));
            client.post("/notes", json!({})).await.expect(200);
            client.delete("auth/session", Value::Null).await.expect(401);
            client.get("/notes").await.expect(401);
        }
    });
}

#[test]
fn who_is_refused_is_told_how_to_get_in() {
    on_both(async |backend| {
        let app = start(backend, OPEN).await;
        let mut client = app.app();
        let reply = client.get("/notes").await.expect(401);
        assert!(reply.flow("login").is_some(), "{}", reply.json);
        assert_eq!(reply.json["meta"]["is_authenticated"], false);
        client.set_token(Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
        client.get("/notes").await.expect(401);
        client.get("/hello").await.expect(200);
    });
}

#[test]
fn access_tokens_stand_for_their_user() {
    on_both(async |backend| {
        let app = start(backend, &format!("{OPEN}\n{JWT}")).await;
        let mut client = app.app();
        let new = json!({ "email": "ada@example.org", "password": PASSWORD });
        let reply = client.post("auth/signup", new).await.expect(200);
        let access = format!("Bearer {}", reply.json["meta"]["access_token"].as_str().unwrap());
        let mut other = app.app();
        let reply = other.call(Method::GET, "/notes").header("authorization", &access).send().await;
        assert_eq!(reply.expect(200).json["email"], "ada@example.org");
        let forged = access.replace('.', ".x");
        other.call(Method::GET, "/notes").header("authorization", &forged).send().await.expect(401);
    });
}

#[test]
fn l1_a_login_that_waits_for_its_second_step_is_nobodys() {
    on_both(async |backend| {
        let app = start(backend, "account = { email_verification = 'mandatory', rate_limits = false }").await;
        for mut client in [app.app(), app.browser()] {
            let new = json!({ "email": "ada@example.org", "password": PASSWORD });
            client.post("auth/signup", new).await.expect(401);
            client.get("/notes").await.expect(401);
            assert_eq!(client.get("/hello").await.expect(200).json["id"], Value::Null);
        }
    });
}

#[test]
fn s4_a_page_elsewhere_changes_nothing_by_a_browsers_cookie() {
    on_both(async |backend| {
        let app = start(backend, OPEN).await;
        let mut client = app.browser();
        sign_up(&mut client, "ada").await;
        for method in [Method::POST, Method::DELETE] {
            let foreign = client.call(method.clone(), "/notes").header("origin", "https://evil.example");
            foreign.send().await.expect(403);
            client.call(method.clone(), "/notes").header("origin", "null").send().await.expect(403);
            client.call(method.clone(), "/notes").without_csrf().send().await.expect(403);
            client.call(method.clone(), "/notes").header("x-csrftoken", "x").send().await.expect(403);
            let listed = client.call(method, "/notes").header("origin", "https://www.example.org");
            listed.send().await.expect(200);
        }
        // An app's token does not travel by itself.
        let mut client = app.app();
        sign_up(&mut client, "bob").await;
        client.call(Method::POST, "/notes").header("origin", "https://evil.example").send().await.expect(200);
    });
}

#[test]
fn l4_a_recent_proof_is_needed_where_the_application_says_so() {
    on_both(async |backend| {
        let app = start(backend, OPEN).await;
        for (mut client, name) in [(app.app(), "ada"), (app.browser(), "bob")] {
            client.post("/wipe", json!({})).await.expect(401);
            let id = sign_up(&mut client, name).await;
            let reply = client.post("/wipe", json!({})).await.expect(401);
            assert_eq!(reply.json["meta"]["is_authenticated"], true);
            assert!(reply.flow("reauthenticate").is_some(), "{}", reply.json);
            client.post("auth/reauthenticate", json!({ "password": PASSWORD })).await.expect(200);
            assert_eq!(client.post("/wipe", json!({})).await.expect(200).json, json!({ "wiped": id }));
            app.pass(301);
            client.post("/wipe", json!({})).await.expect(401);
        }
    });
}

#[test]
fn p7_whoever_is_shut_out_is_so_at_once() {
    on_both(async |backend| {
        let app = start(backend, OPEN).await;
        let mut client = app.app();
        let id = sign_up(&mut client, "ada").await;
        client.get("/notes").await.expect(200);
        app.vestibule.users().deactivate(id).await.unwrap();
        client.get("/notes").await.expect(401);
    });
}

/// The application's own pool, of no more than two connections: what held one and waited for another would hang.
#[test]
fn the_pool_of_the_application_serves_both() {
    on_both(async |backend| {
        let database = TestDatabase::empty(backend).await;
        let config = "server.secret_key = 'the secret key of tests, known to all the world'
             account = { email_verification = 'none' }
             passwords.argon2 = { memory_kib = 64, iterations = 1, parallelism = 1 }";
        let builder = Vestibule::builder(Config::from_toml(config).unwrap());
        // The same on pools of two types.
        macro_rules! share {
            ($pool:ident, $builder:expr) => {{
                let vestibule = $builder.build().await.unwrap();
                let own =
                    "CREATE TABLE notes (owner BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE)";
                sqlx::query(own).execute(&$pool).await.unwrap();
                let id = use_it(&vestibule).await;
                sqlx::query("INSERT INTO notes (owner) VALUES ($1)").bind(id).execute(&$pool).await.unwrap();
                vestibule.users().delete(id).await.unwrap();
                vestibule.close().await;
                let left = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM notes").fetch_one(&$pool).await;
                assert_eq!(left.unwrap(), 0, "a note outlives its owner");
            }};
        }
        match backend {
            Backend::Sqlite => {
                let options: SqliteConnectOptions = database.url.parse().unwrap();
                let options = options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
                let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await.unwrap();
                share!(pool, builder.sqlite(pool.clone()));
            }
            Backend::Postgres => {
                let pool = PgPoolOptions::new().max_connections(2).connect(&database.url).await.unwrap();
                share!(pool, builder.postgres(pool.clone()));
            }
        }
    });
}

#[tokio::test]
async fn a_table_of_the_application_with_the_name_of_ours_stops_the_start() {
    let database = TestDatabase::empty(Backend::Sqlite).await;
    let options: SqliteConnectOptions = database.url.parse().unwrap();
    let pool = SqlitePoolOptions::new().connect_with(options.create_if_missing(true)).await.unwrap();
    sqlx::query("CREATE TABLE users (name TEXT)").execute(&pool).await.unwrap();
    let config = Config::from_toml(shared_pool::SETTINGS).unwrap();
    let error = Vestibule::builder(config).sqlite(pool.clone()).build().await.unwrap_err().to_string();
    assert!(error.starts_with("database: ") && error.contains("table users already exists"), "{error}");
    assert!(!error.contains('\n'), "{error}");
}

/// Several clients at once on few connections; gives the id of one of them.
async fn use_it(vestibule: &Vestibule) -> i64 {
    let door = Door {
        router: application(vestibule),
        public_url: "http://localhost:8000".to_owned(),
        prefix: "/_allauth".to_owned(),
        observer: None,
    };
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..6 {
        let mut client = Client::app(door.clone());
        clients.spawn(async move {
            let id = sign_up(&mut client, &format!("user{number}")).await;
            for _ in 0..5 {
                client.get("/notes").await.expect(200);
            }
            id
        });
    }
    clients.join_all().await.pop().unwrap_or_else(|| panic!("nobody signed up"))
}

#[tokio::test]
async fn the_minimal_example_greets_its_user() {
    let database = TestDatabase::empty(Backend::Sqlite).await;
    let settings = minimal::SETTINGS.replace("sqlite://minimal.sqlite3", &database.url);
    let vestibule = Vestibule::builder(Config::from_toml(&settings).unwrap()).build().await.unwrap();
    let mut client = Client::app(at_3000(minimal::application(&vestibule)));
    client.get("/hello").await.expect(401);
    sign_up(&mut client, "ada").await;
    assert_eq!(&client.get("/hello").await.expect(200).body[..], b"Hello, ada@example.org!\n");
}

#[tokio::test]
async fn the_example_with_hooks_has_rules_of_its_own() {
    let database = TestDatabase::empty(Backend::Sqlite).await;
    let settings = hooks::SETTINGS.replace("sqlite://hooks.sqlite3", &database.url);
    let members = hooks::Members::default();
    let builder = Vestibule::builder(Config::from_toml(&settings).unwrap()).hooks(members.clone());
    let vestibule = builder.build().await.unwrap();
    let mut client = Client::app(at_3000(hooks::application(&vestibule, members)));
    let eve = json!({ "email": "eve@example.com", "password": PASSWORD });
    let reply = client.post("auth/signup", eve).await.expect(400);
    assert_eq!(reply.errors(), [("email", "not_invited")]);
    sign_up(&mut client, "ada").await;
    assert_eq!(client.get("auth/session").await.expect(200).data()["user"]["role"], "member");
    let ada = json!({ "email": "ada@example.org", "password": PASSWORD });
    client.post("/break", json!({})).await.expect(401);
    client.post("auth/reauthenticate", json!({ "password": PASSWORD })).await.expect(200);
    client.post("/break", json!({})).await.expect(204);
    client.delete("auth/session", Value::Null).await.expect(401);
    // A token that is no more is answered with 410, whatever it is shown for.
    client.set_token(None);
    client.post("auth/login", ada).await.expect(403);
}

#[tokio::test]
async fn the_example_with_a_pool_of_its_own_keeps_notes() {
    let database = TestDatabase::empty(Backend::Sqlite).await;
    let options: SqliteConnectOptions = database.url.parse().unwrap();
    let options = options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await.unwrap();
    let config = Config::from_toml(shared_pool::SETTINGS).unwrap();
    let (router, _vestibule) = shared_pool::application(config, pool).await.unwrap();
    let (mut ada, mut bob) = (Client::app(at_3000(router.clone())), Client::app(at_3000(router)));
    ada.call(Method::POST, "/notes").raw("text/plain", "buy milk").send().await.expect(401);
    sign_up(&mut ada, "ada").await;
    sign_up(&mut bob, "bob").await;
    for note in ["buy milk", "call bob"] {
        ada.call(Method::POST, "/notes").raw("text/plain", note).send().await.expect(201);
    }
    assert_eq!(&ada.get("/notes").await.expect(200).body[..], b"buy milk\ncall bob");
    assert!(bob.get("/notes").await.expect(200).body.is_empty());
    ada.delete("/notes", Value::Null).await.expect(401);
    ada.post("auth/reauthenticate", json!({ "password": PASSWORD })).await.expect(200);
    ada.delete("/notes", Value::Null).await.expect(204);
    assert!(ada.get("/notes").await.expect(200).body.is_empty());
}

fn at_3000(router: Router) -> Door {
    let (public_url, prefix) = ("http://localhost:3000".to_owned(), "/_allauth".to_owned());
    Door { router, public_url, prefix, observer: None }
}

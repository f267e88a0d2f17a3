//! What is kept secret and what is kept safe: at rest, in the log, over restarts, and when the clock is wrong.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::sync::Arc;

use axum::http::Method;
use serde_json::{Value, json};
use vestibule::{Config, Vestibule};
use vestibule_base::security::TestClock;
use vestibule_base::security::clock::SECOND;
use vestibule_base::storage::{Conn, Db, outbox};
use vestibule_base::vals;
use vestibule_testkit::app::{START, TestApp};
use vestibule_testkit::client::{Client, Door, Reply};
use vestibule_testkit::database::{Backend, TestDatabase, on_both};
use vestibule_testkit::mailbox;

use crate::log::Ear;
use crate::postbox::Postbox;

pub(crate) const PASSWORD: &str = "correct horse battery staple";
const KEY: &str = "the secret key of this test, long enough for it";
const DAY: i64 = 86_400 * SECOND;

/// All that the database holds but what the development mailbox shows, row by row.
pub(crate) async fn dump(db: &Db) -> String {
    let mut conn = db.read().await.unwrap();
    let postgres = matches!(conn, Conn::PostgresRead(_));
    let tables = if postgres {
        "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    } else {
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY 1"
    };
    let mut out = String::new();
    for table in texts(&mut conn, tables).await {
        if table == "mailbox" {
            continue;
        }
        let sql = if postgres {
            format!("SELECT t::text FROM {table} t ORDER BY 1")
        } else {
            let columns =
                texts(&mut conn, leak(format!("SELECT name FROM pragma_table_info('{table}')"))).await;
            let quoted: Vec<_> = columns.iter().map(|column| format!("quote({column})")).collect();
            format!("SELECT {} FROM {table} ORDER BY 1", quoted.join(" || ',' || "))
        };
        out += &format!("{table}\n{}\n", texts(&mut conn, leak(sql)).await.join("\n"));
    }
    out
}

async fn texts(conn: &mut Conn, sql: &'static str) -> Vec<String> {
    let rows = conn.all(sql, vec![]).await.unwrap();
    rows.iter().map(|row| row.text(0).unwrap()).collect()
}

/// Statements are written down in the product; a test that looks at everything makes some.
pub(crate) fn leak(sql: String) -> &'static str {
    sql.leak()
}

/// A server on a database that outlives it.
pub(crate) struct House {
    pub(crate) vestibule: Vestibule,
    door: Door,
}

impl House {
    pub(crate) async fn open(url: &str, clock: &Arc<TestClock>, settings: &str) -> Self {
        let key = if settings.contains("server.secret_key") {
            String::new()
        } else {
            format!("server.secret_key = '{KEY}'")
        };
        let common = "passwords.argon2 = { memory_kib = 64, iterations = 1, parallelism = 1 }\n\
            headless.frontend_urls.account_confirm_email = 'http://localhost:8000/verify-email/{key}'\n\
            headless.frontend_urls.account_reset_password_from_key = 'http://localhost:8000/reset/{key}'\n";
        let config = Config::from_toml(&format!("{common}{key}\ndatabase.url = {url:?}\n{settings}"));
        let builder = Vestibule::builder(config.unwrap()).clock(clock.clone());
        let vestibule = builder.build().await.unwrap();
        let (public_url, prefix) = ("http://localhost:8000".to_owned(), "/_allauth".to_owned());
        let door = Door { router: vestibule.router(), public_url, prefix, observer: None };
        Self { vestibule, door }
    }

    pub(crate) fn app(&self) -> Client {
        Client::app(self.door.clone())
    }

    pub(crate) fn db(&self) -> &Db {
        self.vestibule.db()
    }

    async fn deliver(&self) {
        self.vestibule.deliver_now().await.unwrap();
    }
}

pub(crate) async fn sign_up(client: &mut Client, email: &str) -> Reply {
    client.post("auth/signup", json!({ "email": email, "password": PASSWORD })).await
}

pub(crate) async fn log_in(client: &mut Client, email: &str, password: &str) -> Reply {
    client.post("auth/login", json!({ "email": email, "password": password })).await
}

#[test]
fn x1_another_secret_key_logs_nobody_out() {
    let codes = "account.email_verification_by_code_enabled = true\naccount.rate_limits = false";
    on_both(async |backend| {
        let database = TestDatabase::create(backend).await;
        let clock = Arc::new(TestClock::at(START));
        let house = House::open(&database.url, &clock, codes).await;
        let (mut member, mut waiting, mut unsent) = (house.app(), house.app(), house.app());
        sign_up(&mut member, "ada@example.org").await.expect(401);
        sign_up(&mut waiting, "bob@example.org").await.expect(401);
        house.deliver().await;
        let code = mailbox::code_for(house.db(), "ada@example.org").await;
        member.post("auth/email/verify", json!({ "key": code })).await.expect(200);
        let code = mailbox::code_for(house.db(), "bob@example.org").await;
        sign_up(&mut unsent, "eve@example.org").await.expect(401);
        house.vestibule.close().await;

        let new = "server.secret_key = 'another secret key, as long as the first one'\n";
        let fallback = format!("{new}server.secret_key_fallbacks = ['{KEY}']\n{codes}");
        let house = House::open(&database.url, &clock, &fallback).await;
        let at = |client: &Client| {
            let mut moved = house.app();
            moved.set_token(client.token());
            moved
        };
        let (mut member, mut waiting, mut unsent) = (at(&member), at(&waiting), at(&unsent));
        member.get("auth/session").await.expect(200);
        waiting.post("auth/email/verify", json!({ "key": code })).await.expect(200);
        house.deliver().await;
        let code = mailbox::code_for(house.db(), "eve@example.org").await;
        unsent.post("auth/email/verify", json!({ "key": code })).await.expect(200);
        house.vestibule.close().await;

        // What was written meanwhile needs the former key no more; what is older does.
        let house = House::open(&database.url, &clock, &format!("{new}{codes}")).await;
        for (client, status) in [(&waiting, 200), (&unsent, 200), (&member, 401)] {
            let mut moved = house.app();
            moved.set_token(client.token());
            moved.get("auth/session").await.expect(status);
        }
        log_in(&mut house.app(), "ada@example.org", PASSWORD).await.expect(200);
    });
}

/// Goes through every flow once and gives each secret that was in play.
async fn every_flow(
    house: &House,
    postbox: &mut Postbox,
    codes: bool,
    dumps: &mut Vec<String>,
) -> Vec<String> {
    let mut secrets = vec![PASSWORD.to_owned(), KEY.to_owned()];
    let mut client = house.app().from_ip([198, 51, 100, 77].into());
    let email = "ada@example.org";
    let mut secret = async |postbox: &mut Postbox| {
        // Once while it waits in the outbox, once when it has left.
        dumps.push(dump(house.db()).await);
        house.deliver().await;
        dumps.push(dump(house.db()).await);
        let mail = postbox.next().await;
        match mail.links().into_iter().find_map(|link| Some(link.rsplit_once('/')?.1.to_owned())) {
            Some(key) if !codes => key,
            _ => mail.text.split_whitespace().find(|word| is_code(word)).unwrap().to_owned(),
        }
    };
    let mut keep = |client: &Client| secrets.extend(client.token().map(str::to_owned));
    sign_up(&mut client, email).await.expect(401);
    keep(&client);
    let key = secret(postbox).await;
    client.post("auth/email/verify", json!({ "key": "WRNG-CDXY" })).await;
    client.post("auth/email/verify", json!({ "key": key })).await;
    let mut keys = vec![key];
    log_in(&mut client, email, "the wrong passphrase").await;
    if client.get("auth/session").await.status != 200 {
        log_in(&mut client, email, PASSWORD).await.expect(200);
    }
    keep(&client);
    client.post("auth/reauthenticate", json!({ "password": PASSWORD })).await.expect(200);
    let change = json!({ "current_password": PASSWORD, "new_password": "the second passphrase" });
    client.post("account/password/change", change).await.expect(200);
    keep(&client);
    client.post("account/email", json!({ "email": "ada@example.com" })).await.expect(200);
    keys.push(secret(postbox).await);
    client.delete("auth/session", Value::Null).await.expect(401);

    let mut client = house.app().from_ip([198, 51, 100, 77].into());
    client.post("auth/password/request", json!({ "email": email })).await;
    keep(&client);
    let key = secret(postbox).await;
    let reset = json!({ "key": key, "password": "the third passphrase" });
    client.post("auth/password/reset", reset).await.expect(401);
    keys.push(key);
    let mut client = house.app().from_ip([198, 51, 100, 77].into());
    client.post("auth/code/request", json!({ "email": email })).await.expect(401);
    keep(&client);
    house.deliver().await;
    let mail = postbox.next().await;
    let code = mail.text.split_whitespace().find(|word| is_code(word)).unwrap().to_owned();
    client.post("auth/code/confirm", json!({ "code": code })).await.expect(200);
    keys.push(code);
    keep(&client);

    let mut browser = Client::browser(house.door.clone()).from_ip([198, 51, 100, 77].into());
    log_in(&mut browser, email, "the third passphrase").await.expect(200);
    let cookies = ["sessionid", "csrftoken"].map(|name| browser.cookie(name).unwrap().to_owned());
    browser
        .call(Method::POST, "auth/login")
        .header("origin", "https://evil.example")
        .send()
        .await
        .expect(403);
    browser.get("/_allauth/forward-auth").await.expect(200);
    for (backend, status) in [(BACKEND, 200), ("wrong-secret-of-a-backend", 401)] {
        let form = format!("token={}&client_id=shop&client_secret={backend}", client.token().unwrap());
        let call = client.call(Method::POST, "/_allauth/introspect");
        call.raw("application/x-www-form-urlencoded", form).send().await.expect(status);
        secrets.push(backend.to_owned());
    }
    dumps.push(dump(house.db()).await);
    secrets.extend(cookies.into_iter().chain(keys));
    secrets
        .extend(["the wrong passphrase", "the second passphrase", "the third passphrase"].map(str::to_owned));
    secrets
}

fn is_code(word: &str) -> bool {
    word.len() == 9
        && word.as_bytes()[4] == b'-'
        && word.replace('-', "").bytes().all(|b| b.is_ascii_uppercase())
}

const BACKEND: &str = "secret-of-a-backend-in-these-tests";
const EVERYTHING: &str = "account.rate_limits = false\naccount.login_by_code_enabled = true\n\
    headless.introspection_clients = [{ client_id = 'shop', client_secret = 'secret-of-a-backend-in-these-tests' }]\n";

fn by_code(codes: bool) -> String {
    format!(
        "{EVERYTHING}account.email_verification_by_code_enabled = {codes}\n\
         account.password_reset_by_code_enabled = {codes}\n"
    )
}

#[test]
fn x1_nothing_at_rest_can_be_read() {
    on_both(async |backend| {
        for codes in [false, true] {
            let database = TestDatabase::create(backend).await;
            let clock = Arc::new(TestClock::at(START));
            let mut postbox = Postbox::open().await;
            let settings = format!("{}{}", by_code(codes), postbox.settings());
            let house = House::open(&database.url, &clock, &settings).await;
            let mut dumps = Vec::new();
            let secrets = every_flow(&house, &mut postbox, codes, &mut dumps).await;
            assert!(secrets.len() >= 12 && dumps.len() >= 7, "{} secrets", secrets.len());
            assert!(
                dumps.iter().any(|dump| dump.contains("ada@example.org")),
                "the dump shows what there is"
            );
            let mut places: Vec<String> = dumps.into_iter().map(|dump| dump.to_ascii_lowercase()).collect();
            places.extend(places.iter().map(|dump| hex(dump.as_bytes())).collect::<Vec<_>>());
            if let Some(path) = database.url.strip_prefix("sqlite://") {
                for file in [path.to_owned(), format!("{path}-wal")] {
                    places.push(hex(&std::fs::read(file).unwrap()));
                }
                assert!(places.iter().any(|place| place.contains(&hex(b"ada@example.org"))));
            }
            for secret in &secrets {
                for form in forms(secret) {
                    let form = hex(&form);
                    assert!(!places.iter().any(|place| place.contains(&form)), "{secret} can be read");
                }
            }
        }
    });
}

/// Bytes as text, so that text and bytes are found alike.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The ways in which a secret may be written.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let bare = secret.replace('-', "");
    let texts = [secret, &bare, &secret.to_ascii_lowercase(), &bare.to_ascii_lowercase()];
    let mut forms: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    let token = secret.rsplit('-').next().filter(|token| token.len() == 43).unwrap_or(secret);
    let raw = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, token).ok();
    forms.extend(raw.filter(|raw| raw.len() == 32));
    forms
}

#[test]
fn x3_the_log_holds_no_secret_and_every_security_event() {
    on_both(async |backend| {
        let mut log = Ear::open();
        for codes in [false, true] {
            let database = TestDatabase::create(backend).await;
            let clock = Arc::new(TestClock::at(START));
            let mut postbox = Postbox::open().await;
            let settings = format!("{}{}", by_code(codes), postbox.settings());
            let house = House::open(&database.url, &clock, &settings).await;
            let secrets = every_flow(&house, &mut postbox, codes, &mut Vec::new()).await;
            let lines = log.lines();
            for line in &lines {
                for secret in &secrets {
                    assert!(!line.contains(secret.as_str()), "{secret} in {line}");
                }
            }
            let ours: Vec<&str> =
                lines.iter().map(String::as_str).filter(|line| line.contains("ip=198.51.100.77")).collect();
            for event in [
                "signed_up",
                "email_verified",
                "logged_in",
                "login_failed",
                "reauthenticated",
                "password_changed",
                "email_added",
                "logged_out",
                "password_reset_requested",
                "password_reset",
            ] {
                let named = format!("event=\"{event}\"");
                let line = ours.iter().find(|line| line.contains(&named) && line.contains("user="));
                assert!(line.is_some(), "{event} with its user and address, in\n{}", ours.join("\n"));
            }
            if codes {
                assert!(ours.iter().any(|line| line.contains("event=\"code_rejected\"")));
            }
            assert!(ours.iter().any(|line| line.contains("event=\"introspection_refused\"")));
            assert!(lines.iter().any(|line| line.contains("CSRF check failed")));
        }
        let app = TestApp::start(backend, "account.rate_limits = { login = '1/m/ip' }").await;
        let mut client = app.app().from_ip([198, 51, 100, 78].into());
        for status in [400, 429] {
            log_in(&mut client, "ada@example.org", PASSWORD).await.expect(status);
        }
        let lines = log.lines();
        let hit = lines.iter().find(|line| line.contains("limit_hit") && line.contains("198.51.100.78"));
        assert!(hit.is_some_and(|line| line.contains("login")));
    });
}

/// Lets every insertion of a user fail, not as it is made but when its transaction ends.
const FAIL_AT_COMMIT: [&str; 2] = [
    "CREATE TABLE late (owner BIGINT REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED);
     CREATE TRIGGER late AFTER INSERT ON users BEGIN INSERT INTO late VALUES (-1); END;",
    "CREATE TABLE late (owner BIGINT REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED);
     CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN INSERT INTO late VALUES (-1); RETURN NEW; END';
     CREATE TRIGGER late AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION late();",
];

#[test]
fn x4_what_could_not_be_committed_is_not_acknowledged() {
    on_both(async |backend| {
        let database = TestDatabase::create(backend).await;
        let clock = Arc::new(TestClock::at(START));
        let house = House::open(&database.url, &clock, "account.email_verification = 'none'").await;
        database.run(FAIL_AT_COMMIT[usize::from(backend == Backend::Postgres)]).await;
        let mut client = house.app();
        let reply = sign_up(&mut client, "ada@example.org").await;
        // A reference to nobody reads like an account that has just gone: whatever it says, it is no yes.
        assert!(reply.status >= 400 && reply.status != 401, "{reply}");
        assert_eq!(client.token(), None);
        let mut conn = house.db().read().await.unwrap();
        for table in
            ["SELECT count(*) FROM users", "SELECT count(*) FROM events", "SELECT count(*) FROM outbox"]
        {
            let rows = conn.all(table, vals![]).await.unwrap();
            assert_eq!(rows[0].int(0).unwrap(), 0, "{table}");
        }
    });
}

#[test]
fn x4_mail_of_a_committed_flow_is_sent_after_a_restart() {
    on_both(async |backend| {
        let database = TestDatabase::create(backend).await;
        let clock = Arc::new(TestClock::at(START));
        let house = House::open(&database.url, &clock, "").await;
        for name in ["ada", "bob"] {
            sign_up(&mut house.app(), &format!("{name}@example.org")).await.expect(401);
        }
        // One message is in hand when the server dies.
        let mut tx = house.db().write().await.unwrap();
        let taken = outbox::take(&mut tx, "mail", START, START + 10 * SECOND, 1).await.unwrap();
        assert_eq!(taken.len(), 1);
        tx.commit().await.unwrap();
        house.vestibule.close().await;
        drop(house);

        let house = House::open(&database.url, &clock, "").await;
        house.deliver().await;
        assert!(
            mailbox::messages_for(house.db(), "ada@example.org").await.is_empty(),
            "still in another's hands"
        );
        assert_eq!(mailbox::messages_for(house.db(), "bob@example.org").await.len(), 1);
        clock.advance(10 * SECOND);
        house.deliver().await;
        house.deliver().await;
        for name in ["ada", "bob"] {
            let email = format!("{name}@example.org");
            assert_eq!(mailbox::messages_for(house.db(), &email).await.len(), 1, "once");
            let key = mailbox::link_key_for(house.db(), &email).await;
            assert_ne!(house.app().post("auth/email/verify", json!({ "key": key })).await.status, 400);
        }
    });
}

#[test]
fn x6_no_used_thing_comes_back_when_the_clock_jumps() {
    on_both(async |backend| {
        for jump in [-DAY, DAY] {
            let app = TestApp::start(backend, EVERYTHING).await;
            let mut client = app.app();
            sign_up(&mut client, "ada@example.org").await.expect(401);
            let key = app.link_key_for("ada@example.org").await;
            client.post("auth/email/verify", json!({ "key": key })).await;
            let reset = {
                client.post("auth/password/request", json!({ "email": "ada@example.org" })).await;
                app.link_key_for("ada@example.org").await
            };
            let new = json!({ "key": reset, "password": PASSWORD });
            app.app().post("auth/password/reset", new.clone()).await.expect(401);
            let mut by_code = app.app();
            by_code.post("auth/code/request", json!({ "email": "ada@example.org" })).await.expect(401);
            let code = app.code_for("ada@example.org").await;
            let waiting = by_code.clone();
            by_code.post("auth/code/confirm", json!({ "code": code })).await.expect(200);
            let mut gone = app.app();
            log_in(&mut gone, "ada@example.org", PASSWORD).await.expect(200);
            let old = gone.clone();
            gone.delete("auth/session", Value::Null).await.expect(401);

            app.clock.advance(jump);
            app.app().post("auth/email/verify", json!({ "key": key })).await.expect(400);
            app.app().post("auth/password/reset", new).await.expect(400);
            waiting.clone().post("auth/code/confirm", json!({ "code": code })).await.expect(410);
            let mut old = old;
            old.get("auth/session").await.expect(410);
            by_code.get("auth/session").await.expect(200);
            let mut again = app.app();
            log_in(&mut again, "ada@example.org", PASSWORD).await.expect(200);
            again.post("auth/code/request", json!({ "email": "ada@example.org" })).await;
            app.clock.advance(-jump);
            again.get("auth/session").await.expect(200);
            log_in(&mut app.app(), "ada@example.org", PASSWORD).await.expect(200);
        }
    });
}

#[test]
fn x6_what_expired_while_the_clock_was_wrong_was_told_so_for_good() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &format!("{EVERYTHING}session.cookie_age = 3600")).await;
        let (mut member, mut waiting) = (app.app(), app.app());
        sign_up(&mut member, "ada@example.org").await.expect(401);
        waiting.post("auth/code/request", json!({ "email": "ada@example.org" })).await.expect(401);
        let code = app.code_for("ada@example.org").await;
        app.pass(900);
        waiting.post("auth/code/confirm", json!({ "code": code })).await.expect(409);
        app.pass(-900);
        waiting.post("auth/code/confirm", json!({ "code": code })).await.expect(409);
        app.clock.advance(DAY);
        member.get("auth/session").await.expect(401);
        app.clock.advance(-DAY);
        member.get("auth/session").await.expect(410);
    });
}

#[test]
fn x6_a_clock_set_back_locks_nobody_out() {
    on_both(async |backend| {
        let app = TestApp::start(backend, "account.email_verification = 'none'").await;
        sign_up(&mut app.app(), "ada@example.org").await.expect(200);
        let exhaust = async || {
            for _ in 0..5 {
                log_in(&mut app.app(), "ada@example.org", "the wrong passphrase").await.expect(400);
            }
            log_in(&mut app.app(), "ada@example.org", PASSWORD).await.expect(400);
        };
        exhaust().await;
        // Instances' clocks differ; that is no way around a limit.
        app.pass(-60);
        log_in(&mut app.app(), "ada@example.org", PASSWORD).await.expect(400);
        app.pass(60 + 300);
        log_in(&mut app.app(), "ada@example.org", PASSWORD).await.expect(200);
        exhaust().await;
        app.clock.advance(-DAY);
        log_in(&mut app.app(), "ada@example.org", PASSWORD).await.expect(200);
        // Nor does a message that was sent while the clock was ahead keep others back.
        app.clock.advance(10 * DAY);
        app.app().post("auth/password/request", json!({ "email": "ada@example.org" })).await.expect(200);
        app.clock.advance(-10 * DAY);
        for _ in 0..5 {
            app.app().post("auth/password/request", json!({ "email": "ada@example.org" })).await.expect(200);
        }
        app.app().post("auth/password/request", json!({ "email": "ada@example.org" })).await.expect(429);
        for years in [-60 * 365, 300 * 365] {
            app.clock.advance(years * DAY);
            let mut client = app.app();
            for path in ["auth/session", "account/email", "config"] {
                assert!(client.get(path).await.status < 500);
            }
            log_in(&mut client, "ada@example.org", PASSWORD).await.expect(200);
        }
    });
}

#[test]
fn x7_a_backup_made_while_serving_is_consistent() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = TestDatabase::create(Backend::Sqlite).await;
        let copy = format!("{}.backup", folder.url);
        let clock = Arc::new(TestClock::at(START));
        let settings = "account.rate_limits = false\naccount.email_verification = 'none'";
        let house = House::open(&folder.url, &clock, settings).await;
        for n in 0..5 {
            sign_up(&mut house.app(), &format!("early{n}@example.org")).await.expect(200);
        }
        let serving = async {
            for n in 0..20 {
                sign_up(&mut house.app(), &format!("late{n}@example.org")).await.expect(200);
            }
        };
        let backing_up = async {
            tokio::task::yield_now().await;
            let mut conn = house.db().read().await.unwrap();
            let path = copy.strip_prefix("sqlite://").unwrap();
            conn.all("PRAGMA query_only = OFF", vec![]).await.unwrap();
            conn.all("VACUUM INTO $1", vals![path]).await.unwrap();
        };
        tokio::join!(serving, backing_up);

        let restored = House::open(&copy, &clock, settings).await;
        let mut conn = restored.db().read().await.unwrap();
        assert_eq!(texts(&mut conn, "PRAGMA integrity_check").await, ["ok"]);
        assert!(conn.all("PRAGMA foreign_key_check", vec![]).await.unwrap().is_empty());
        drop(conn);
        for n in 0..5 {
            log_in(&mut restored.app(), &format!("early{n}@example.org"), PASSWORD).await.expect(200);
        }
        let there = async |n: i32| {
            let email = format!("late{n}@example.org");
            log_in(&mut restored.app(), &email, PASSWORD).await.status == 200
        };
        let mut found = Vec::new();
        for n in 0..20 {
            found.push(there(n).await);
        }
        assert!(found.is_sorted_by(|earlier, later| earlier >= later), "a moment, not a mixture: {found:?}");
    });
}

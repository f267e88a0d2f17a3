//! While the database, the mail server or a part of them is away: refused soon, never let through, and well again
//! without a restart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use vestibule_base::security::TestClock;
use vestibule_base::storage::{Db, outbox};
use vestibule_testkit::app::{START, TestApp};
use vestibule_testkit::client::Client;
use vestibule_testkit::cluster::{Cluster, Durability};
use vestibule_testkit::database::{Backend, TestDatabase, on_both};

use crate::edge::unobserved;
use crate::failure::{House, PASSWORD, leak, log_in, sign_up};
use crate::wire::Wire;

/// What X5 promises.
const SOON: Duration = Duration::from_secs(5);

/// Asks for everything that a client may want and holds the answers against X5.
async fn is_refused_soon(house: &House, member: &Client, password: &str) {
    let asked = Instant::now();
    let mut clients: Vec<Client> = (0..7).map(|_| house.app()).collect();
    let [login, wrong, signup, reset, session, email, ready] = clients.as_mut_slice() else { unreachable!() };
    for client in [&mut *session, &mut *email] {
        client.set_token(member.token());
    }
    let answers = tokio::join!(
        log_in(login, "ada@example.org", password),
        log_in(wrong, "ada@example.org", "the wrong passphrase"),
        sign_up(signup, "new@example.org"),
        reset.post("auth/password/request", json!({ "email": "ada@example.org" })),
        session.get("auth/session"),
        email.get("account/email"),
        ready.get("/readyz"),
    );
    let took = asked.elapsed();
    for reply in [answers.0, answers.1, answers.2, answers.3, answers.4, answers.5] {
        assert_eq!(reply.status, 503, "{reply}");
        assert_eq!(reply.json, json!({ "status": 503 }), "says nothing of the reason");
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    answers.6.expect(503);
    assert!(took < SOON, "{took:?}");
    house.app().get("config").await.expect(200);
    house.app().get("/healthz").await.expect(200);
}

#[test]
fn x5_while_postgresql_is_away_everything_is_refused_soon_and_then_works_again() {
    if !Backend::all().contains(&Backend::Postgres) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let cluster = Cluster::start(Durability::Fast).unwrap();
        let direct = cluster.create("test").await.unwrap();
        let mut wire = Wire::to(&direct).await;
        let clock = Arc::new(TestClock::at(START));
        let settings = "account.rate_limits = false\naccount.email_verification = 'none'";
        let house = House::open(&wire.url, &clock, settings).await;
        let mut member = house.app();
        sign_up(&mut member, "ada@example.org").await.expect(200);

        // It refuses connections, as one that is not running; then it works again.
        wire.cut().await;
        is_refused_soon(&house, &member, PASSWORD).await;
        wire.mend().await;
        log_in(&mut house.app(), "ada@example.org", PASSWORD).await.expect(200);
        member.get("auth/session").await.expect(200);
        house.app().get("/readyz").await.expect(200);

        // It says nothing at all, as behind a cable that was pulled.
        wire.silence();
        is_refused_soon(&house, &member, PASSWORD).await;
        wire.cut().await;
        wire.mend().await;
        log_in(&mut house.app(), "ada@example.org", PASSWORD).await.expect(200);

        // It falls silent in the middle of a statement.
        let db = Db::open(&direct, 1).await.unwrap();
        let mut tx = db.write().await.unwrap();
        tx.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE", vec![]).await.unwrap();
        let (mut login, asked) = (house.app(), Instant::now());
        let (reply, ()) = tokio::join!(log_in(&mut login, "ada@example.org", PASSWORD), async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            wire.silence();
        });
        reply.expect(503);
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
        drop(tx);
        wire.cut().await;
        wire.mend().await;
        log_in(&mut house.app(), "ada@example.org", PASSWORD).await.expect(200);
        log_in(&mut house.app(), "new@example.org", PASSWORD).await.expect(400);
        house.vestibule.close().await;
        db.close().await;
    });
}

#[test]
fn x5_while_another_holds_the_database_writing_is_refused_soon_and_reading_goes_on() {
    on_both(async |backend| {
        let database = TestDatabase::create(backend).await;
        let clock = Arc::new(TestClock::at(START));
        let settings = "account.rate_limits = false\naccount.email_verification = 'none'";
        let house = House::open(&database.url, &clock, settings).await;
        let mut member = house.app();
        sign_up(&mut member, "ada@example.org").await.expect(200);
        let other = Db::open(&database.url, 1).await.unwrap();
        let mut tx = other.write().await.unwrap();
        if backend == Backend::Postgres {
            for table in ["sessions", "users", "limits", "outbox"] {
                tx.execute(leak(format!("LOCK TABLE {table} IN EXCLUSIVE MODE")), vec![]).await.unwrap();
            }
        }
        let asked = Instant::now();
        let (mut first, mut second, mut third) = (house.app(), house.app(), house.app());
        let late = async {
            // Comes when another has waited for long.
            tokio::time::sleep(Duration::from_millis(700)).await;
            let asked = Instant::now();
            (log_in(&mut third, "ada@example.org", PASSWORD).await, asked.elapsed())
        };
        let read = async {
            let reply = member.get("auth/session").await;
            (reply, asked.elapsed())
        };
        let (one, two, (three, took), (reply, reading)) = tokio::join!(
            log_in(&mut first, "ada@example.org", PASSWORD),
            sign_up(&mut second, "bob@example.org"),
            late,
            read,
        );
        for reply in [one, two, three] {
            reply.expect(503);
        }
        assert!(took < SOON && asked.elapsed() < SOON + Duration::from_millis(700), "{took:?}");
        reply.expect(200);
        assert!(reading < Duration::from_secs(1), "reading waits for nobody: {reading:?}");
        drop(tx);
        log_in(&mut house.app(), "ada@example.org", PASSWORD).await.expect(200);
        log_in(&mut house.app(), "bob@example.org", PASSWORD).await.expect(400);
        sign_up(&mut house.app(), "bob@example.org").await.expect(200);
        other.close().await;
    });
}

#[test]
fn x5_what_cannot_be_counted_or_looked_up_lets_nobody_in() {
    on_both(async |backend| {
        for table in ["limits", "emails", "sessions"] {
            let app = TestApp::start(backend, "account.email_verification = 'none'").await;
            let mut member = Client::app(unobserved(&app));
            sign_up(&mut member, "ada@example.org").await.expect(200);
            let mut tx = app.db.write().await.unwrap();
            tx.execute(leak(format!("ALTER TABLE {table} RENAME TO elsewhere")), vec![]).await.unwrap();
            tx.commit().await.unwrap();
            for client in [Client::app(unobserved(&app)), Client::browser(unobserved(&app))] {
                let mut client = client;
                let reply = log_in(&mut client, "ada@example.org", PASSWORD).await;
                assert!(reply.status >= 500 && client.token().is_none(), "without {table}: {reply}");
                assert_eq!(reply.set_cookies().filter(|cookie| cookie.starts_with("sessionid")).count(), 0);
            }
            let reply = member.post("auth/reauthenticate", json!({ "password": PASSWORD })).await;
            assert!(reply.status >= 500, "without {table}: {reply}");
        }
    });
}

#[test]
fn x5_a_dead_mail_server_holds_nobody_up() {
    on_both(async |backend| {
        // It accepts, and never says a word.
        let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = dead.local_addr().unwrap().port();
        let database = TestDatabase::create(backend).await;
        let clock = Arc::new(TestClock::at(START));
        let settings = format!(
            "account.rate_limits = false\nemail = {{ host = '127.0.0.1', port = {port}, tls = 'none' }}"
        );
        let house = House::open(&database.url, &clock, &settings).await;
        let (stop, stopping) = tokio::sync::watch::channel(false);
        let background = tokio::spawn({
            let vestibule = house.vestibule.clone();
            async move { vestibule.background(stopping).await }
        });
        for n in 0..10 {
            let asked = Instant::now();
            sign_up(&mut house.app(), &format!("ada{n}@example.org")).await.expect(401);
            assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        }
        house.app().get("/readyz").await.expect(200);
        assert_eq!(
            outbox::count(&mut house.db().read().await.unwrap()).await.unwrap(),
            10,
            "nothing is lost"
        );
        drop(stop);
        background.abort();
    });
}

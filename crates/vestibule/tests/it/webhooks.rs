//! Services that are told of events: signatures, repetitions, dead letters, and that none waits for another (X3, X4, X5).

#![expect(clippy::expect_used, clippy::panic, reason = "a panic is how a test says that it failed")]

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::watch;
use vestibule::{Config, EventQuery};
use vestibule_base::outbound::{Answer, Outbound, OutboundError, Played, Stage};
use vestibule_base::storage::deliveries;
use vestibule_testkit::app::{START, TestApp};
use vestibule_testkit::database::{Backend, on_both};

use super::codes::{OTHER, PASSWORD, account, entered, login};
use super::mfa::ADA;

const KEY: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEXT_KEY: &str = "bmV4dCBrZXkgb2YgYSB0ZXN0LCBsb25nIGVub3VnaA==";
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
/// Seconds between attempts, as Standard Webhooks has them.
const WAITS: [i64; 9] =
    [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];

/// Services by host: what they answer, and what they were told. Nothing leaves the process.
#[derive(Debug, Clone, Default)]
struct Services(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// 200 where nothing is said; 0: no answer at all.
    answers: BTreeMap<&'static str, u16>,
    told: Vec<Played>,
}

impl Services {
    async fn server(backend: Backend, more: &str) -> (Self, TestApp) {
        let services = Self::default();
        let outbound = Outbound::new().expect("a client").staged(Arc::new(services.clone()));
        let settings = format!("account.rate_limits = false\n{more}");
        (services, TestApp::start_calling(backend, &settings, outbound).await)
    }

    fn answer(&self, host: &'static str, status: u16) {
        self.state(|state| state.answers.insert(host, status));
    }

    /// What a service was told since this was last asked.
    fn told(&self, host: &str) -> Vec<Played> {
        self.state(|state| {
            let told = std::mem::take(&mut state.told).into_iter();
            let (own, others) = told.partition(|post| post.url.host_str() == Some(host));
            state.told = others;
            own
        })
    }

    fn state<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Stage for Services {
    fn answer(&self, post: Played) -> Pin<Box<dyn Future<Output = Result<Answer, OutboundError>> + Send>> {
        let status = self.state(|state| {
            let host = post.url.host_str().unwrap_or_default().to_owned();
            state.told.push(post);
            state.answers.get(host.as_str()).copied().unwrap_or(204)
        });
        Box::pin(async move {
            if status == 0 {
                std::future::pending::<()>().await;
            }
            Ok(Answer { status, media_type: String::new(), text: String::new() })
        })
    }
}

fn webhook(name: &str, more: &str) -> String {
    format!(
        "[[events.webhooks]]\nname = '{name}'\nurl = 'https://{name}.example/in'\nsecrets = ['whsec_{KEY}']\n{more}\n"
    )
}

fn header<'a>(post: &'a Played, name: &str) -> &'a str {
    let found = post.headers.iter().find(|(own, _)| own == name);
    found.map_or_else(|| panic!("no {name}"), |(_, value)| value)
}

/// The check of a receiver, from the specification alone.
fn is_signed(post: &Played, key: &str) -> bool {
    let (id, time) = (header(post, "webhook-id"), header(post, "webhook-timestamp"));
    let mut mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(key).expect("base64")).expect("a key");
    for part in [id, ".", time, ".", &post.body] {
        mac.update(part.as_bytes());
    }
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    header(post, "webhook-signature").split(' ').any(|signature| signature == expected)
}

fn kinds(posts: &[Played]) -> Vec<String> {
    let kind = |post: &Played| {
        let body: Value = serde_json::from_str(&post.body).expect("JSON");
        body["type"].as_str().expect("a type").to_owned()
    };
    posts.iter().map(kind).collect()
}

async fn sweep(app: &TestApp) {
    let (_stop, stopped) = watch::channel(true);
    app.vestibule.background(stopped).await;
}

#[test]
fn x3_an_event_is_posted_signed_and_as_the_log_has_it() {
    on_both(async |backend| {
        let keys = format!("secrets = ['whsec_{KEY}', 'whsec_{NEXT_KEY}']");
        let settings = webhook("audit", "").replace(&format!("secrets = ['whsec_{KEY}']"), &keys);
        let (services, app) = Services::server(backend, &settings).await;
        account(&app, ADA).await;
        app.pass(3);
        let _member = entered(&app, ADA).await;
        app.pass(4);
        app.deliver().await;
        let mut told = services.told("audit.example");
        // They are posted side by side.
        told.sort_by_key(|post| kinds(std::slice::from_ref(post)) == ["logged_in"]);
        assert_eq!(kinds(&told), ["signed_up", "logged_in"]);
        let post = &told[1];
        assert!(is_signed(post, KEY) && is_signed(post, NEXT_KEY), "both keys sign while one takes over");
        assert!(!is_signed(&Played { body: post.body.replace("logged", "locked"), ..post.clone() }, KEY));
        assert_eq!((post.method.as_str(), header(post, "content-type")), ("POST", "application/json"));
        assert_eq!(header(post, "webhook-timestamp"), (START / 1000 + 7).to_string());
        let log = app.vestibule.events();
        let all = EventQuery { user_id: None, kind: None, since: None, before: None, limit: 9 };
        let listed = log.list(&all).await.expect("the log");
        let body: Value = serde_json::from_str(&post.body).expect("JSON");
        let expected =
            json!({ "type": "logged_in", "timestamp": "2030-01-01T00:00:03.000Z", "data": listed[1] });
        assert_eq!(body, expected);
        assert_ne!(header(post, "webhook-id"), header(&told[0], "webhook-id"));
        // What was taken is not posted again.
        app.pass(10 * HOUR);
        app.deliver().await;
        assert!(services.told("audit.example").is_empty());
    });
}

#[test]
fn x3_each_service_is_told_of_what_it_asked_for_and_of_nothing_that_was_undone() {
    on_both(async |backend| {
        let settings = webhook("failures", "events = ['login_failed']")
            + &webhook("all", "")
            + &webhook("none", "events = ['deleted']");
        let (services, app) = Services::server(backend, &settings).await;
        account(&app, ADA).await;
        login(&mut app.app(), ADA, OTHER).await.expect(400);
        let mut member = entered(&app, ADA).await;
        let weak = json!({ "current_password": PASSWORD, "new_password": "short" });
        member.post("account/password/change", weak).await.expect(400);
        app.deliver().await;
        assert_eq!(kinds(&services.told("failures.example")), ["login_failed"]);
        let mut all = kinds(&services.told("all.example"));
        all.sort();
        assert_eq!(all, ["logged_in", "login_failed", "signed_up"]);
        assert!(services.told("none.example").is_empty());
    });
}

#[test]
fn x3_what_is_not_taken_is_tried_for_three_days_and_is_then_a_dead_letter() {
    on_both(async |backend| {
        let (services, app) = Services::server(backend, &webhook("audit", "")).await;
        services.answer("audit.example", 500);
        account(&app, ADA).await;
        app.deliver().await;
        let [first] = <[Played; 1]>::try_from(services.told("audit.example")).expect("one post");
        for (at, wait) in WAITS.into_iter().enumerate() {
            app.pass(wait - 1);
            app.deliver().await;
            assert!(services.told("audit.example").is_empty(), "attempt {at} is early");
            app.pass(1);
            app.deliver().await;
            let [again] = <[Played; 1]>::try_from(services.told("audit.example")).expect("one post");
            assert_eq!(header(&again, "webhook-id"), header(&first, "webhook-id"));
            assert_ne!(header(&again, "webhook-timestamp"), header(&first, "webhook-timestamp"));
            assert!(again.body == first.body && is_signed(&again, KEY));
        }
        app.pass(100 * HOUR);
        app.deliver().await;
        assert!(services.told("audit.example").is_empty(), "it is given up");
        let webhooks = app.vestibule.webhooks();
        let [letter] = <[_; 1]>::try_from(webhooks.dead_letters(0, 9).await.expect("a list")).expect("one");
        assert_eq!(
            (letter.webhook.as_str(), letter.kind.as_str(), letter.attempts),
            ("audit", "signed_up", 10)
        );
        assert_eq!((letter.failure.as_str(), letter.created_at), ("answered with status 500", START));
        let listed = webhooks.list().await.expect("a list");
        assert_eq!((listed[0].counts.waiting, listed[0].counts.dead), (0, 1));

        // An operator has it made again; it is the same message.
        services.answer("audit.example", 200);
        assert_eq!(webhooks.retry(Some(letter.id + 1)).await.expect("done"), 0);
        assert_eq!(webhooks.retry(None).await.expect("done"), 1);
        app.deliver().await;
        let [again] = <[Played; 1]>::try_from(services.told("audit.example")).expect("one post");
        assert_eq!(header(&again, "webhook-id"), letter.message_id);
        assert!(webhooks.dead_letters(0, 9).await.expect("a list").is_empty());
    });
}

#[test]
fn x3_a_service_that_is_gone_gets_no_second_attempt() {
    on_both(async |backend| {
        let (services, app) = Services::server(backend, &webhook("audit", "")).await;
        services.answer("audit.example", 410);
        account(&app, ADA).await;
        app.deliver().await;
        app.pass(100 * HOUR);
        app.deliver().await;
        assert_eq!(services.told("audit.example").len(), 1);
        let webhooks = app.vestibule.webhooks();
        let letters = webhooks.dead_letters(0, 9).await.expect("a list");
        assert_eq!(letters[0].failure, "answered with status 410: it takes no more");
        assert_eq!(webhooks.discard(Some(letters[0].id)).await.expect("done"), 1);
        assert!(webhooks.dead_letters(0, 9).await.expect("a list").is_empty());
    });
}

#[test]
fn x5_a_service_that_does_not_answer_delays_neither_others_nor_mails() {
    on_both(async |backend| {
        let settings = webhook("silent", "") + &webhook("lively", "");
        let (services, app) = Services::server(backend, &settings).await;
        services.answer("silent.example", 0);
        let (stop, stopped) = watch::channel(false);
        let vestibule = app.vestibule.clone();
        let background = tokio::spawn(async move { vestibule.background(stopped).await });
        for round in 1..=3 {
            account(&app, &format!("person{round}@example.org")).await;
            app.app()
                .post("auth/password/request", json!({ "email": format!("person{round}@example.org") }))
                .await;
        }
        let mut posts = Vec::new();
        for _ in 0..200 {
            posts.extend(services.told("lively.example"));
            if posts.len() == 6 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        assert_eq!(posts.len(), 6);
        assert!(!services.told("silent.example").is_empty());
        let mut mails = 0;
        for _ in 0..200 {
            mails = vestibule_testkit::mailbox::messages_for(&app.db, "person3@example.org").await.len();
            if mails > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        assert_eq!(mails, 1);
        // Nor does it hold up the end.
        stop.send(true).expect("a worker");
        let ended = tokio::time::timeout(Duration::from_secs(10), background).await;
        ended.expect("an end in time").expect("no panic");
    });
}

#[test]
fn x4_what_an_instance_had_in_hand_when_it_died_is_posted_by_another() {
    on_both(async |backend| {
        let (services, app) = Services::server(backend, &webhook("audit", "")).await;
        account(&app, ADA).await;
        // It takes the delivery, and is never heard of again.
        let lease = START + 25_000;
        let mut tx = app.db.write().await.expect("a transaction");
        let taken = deliveries::take(&mut tx, "audit", START, lease, 8).await.expect("rows");
        tx.commit().await.expect("a commit");
        assert_eq!(taken.len(), 1);
        let other = app.second().await;
        app.pass(24);
        other.deliver().await;
        assert!(services.told("audit.example").is_empty());
        app.pass(1);
        other.deliver().await;
        let told = services.told("audit.example");
        assert_eq!((told.len(), header(&told[0], "webhook-id")), (1, taken[0].message_id.as_str()));
        // The one that died was only slow: it settles nothing any more.
        let mut tx = app.db.write().await.expect("a transaction");
        deliveries::fail(&mut tx, &taken[0], None, "late").await.expect("done");
        tx.commit().await.expect("a commit");
        assert!(app.vestibule.webhooks().dead_letters(0, 9).await.expect("a list").is_empty());
    });
}

#[test]
fn x3_instances_side_by_side_post_each_event_once() {
    on_both(async |backend| {
        let (services, app) = Services::server(backend, &webhook("audit", "")).await;
        let other = app.second().await;
        for person in 0..20 {
            account(&app, &format!("person{person}@example.org")).await;
        }
        tokio::join!(app.deliver(), other.deliver());
        let told = services.told("audit.example");
        let ids: std::collections::BTreeSet<_> = told.iter().map(|post| header(post, "webhook-id")).collect();
        assert_eq!((told.len(), ids.len()), (20, 20));
    });
}

#[test]
fn x3_what_waits_for_a_service_that_is_configured_no_more_becomes_a_dead_letter() {
    on_both(async |backend| {
        let (services, app) = Services::server(backend, &webhook("audit", "")).await;
        account(&app, ADA).await;
        let other = app.second_with("events.webhooks = []").await;
        // While instances are updated one by one, some know of a service that others do not.
        app.pass(HOUR - 600);
        sweep(&other).await;
        assert!(other.vestibule.webhooks().dead_letters(0, 9).await.expect("a list").is_empty());
        app.pass(600);
        sweep(&other).await;
        let letters = other.vestibule.webhooks().dead_letters(0, 9).await.expect("a list");
        assert_eq!(letters[0].failure, "its webhook is not configured any more");
        assert!(services.told("audit.example").is_empty());
        app.pass(91 * 24 * HOUR);
        sweep(&other).await;
        assert!(other.vestibule.webhooks().dead_letters(0, 9).await.expect("a list").is_empty());
    });
}

#[test]
fn x3_a_test_is_posted_at_once_and_says_what_is_wrong() {
    on_both(async |backend| {
        let (services, app) = Services::server(backend, &webhook("audit", "events = ['deleted']")).await;
        let webhooks = app.vestibule.webhooks();
        webhooks.test("audit").await.expect("taken");
        let told = services.told("audit.example");
        assert!(kinds(&told) == ["test"] && is_signed(&told[0], KEY));
        services.answer("audit.example", 302);
        let error = webhooks.test("audit").await.expect_err("not taken");
        assert_eq!(error.to_string(), "answered with status 302");
        assert!(webhooks.test("nobody").await.is_err());
    });
}

#[test]
fn settings_that_cannot_work_stop_the_start_and_quote_no_key() {
    let fine = webhook("audit", "events = ['logged_in']");
    let wrong = fine.replace("logged_in", "loged_in").replace(KEY, "hunter2");
    let config = Config::from_toml(&wrong).expect("settings");
    let wrong = vestibule::check_webhooks(&config).expect_err("two findings").to_string();
    let lines: Vec<_> = wrong.lines().collect();
    assert_eq!(lines.len(), 2, "{wrong}");
    assert!(
        lines[0].starts_with("events.webhooks: audit: events: there is no event \"loged_in\""),
        "{wrong}"
    );
    assert!(lines[1].starts_with("events.webhooks: audit: secrets: expected whsec_"), "{wrong}");
    assert!(!wrong.contains("hunter2"));
    let config = Config::from_toml(&fine).expect("settings");
    let printed = format!("{config:?}");
    assert!(!printed.contains("audit.example") && !printed.contains(KEY), "{printed}");
}

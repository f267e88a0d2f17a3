//! Hooks over HTTP: what is posted, how it is signed, and that nothing is done unless the answer is as agreed (L3, X5, X3).

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a panic is how a test says that it failed")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use vestibule_testkit::app::{START, TestApp};
use vestibule_testkit::database::on_both;

use super::codes::{PASSWORD, account, login};
use super::mfa::{ADA, EVE};
use super::social::is_nobody;

const KEYS: [&str; 2] = ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "c2l4IGFuZCB0d2VudHkgYnl0ZXMgb2Yga2V5"];
const CALLS: &str = "'before_signup', 'before_login', 'user', 'claims'";
const JWT: &str = "
    headless.token_strategy = 'jwt'
    headless.jwt_algorithm = 'HS256'
    headless.jwt_private_key = 'a secret of this test, long enough to sign with'
";

/// The service of the operator.
#[derive(Debug, Clone, Default)]
struct Service(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    /// The answer to each call, else one that allows all.
    answer: Option<(u16, String)>,
    delay: Duration,
    posts: Vec<(HeaderMap, String)>,
}

impl Service {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hooks", listener.local_addr().expect("an address"));
        let service = self.clone();
        let answer = move |headers: HeaderMap, body: String| {
            let service = service.clone();
            async move { service.answer(headers, body).await }
        };
        let router = Router::new().route("/hooks", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    async fn answer(&self, headers: HeaderMap, body: String) -> (StatusCode, String) {
        let question: Value = serde_json::from_str(&body).expect("JSON");
        let (answer, delay) = self.set(|script| {
            script.posts.push((headers, body));
            (script.answer.clone(), script.delay)
        });
        tokio::time::sleep(delay).await;
        let all = json!({ "action": "allow", "fields": { "team": "red" }, "claims": { "role": "admin" } });
        let (status, text) = answer.unwrap_or((200, all.to_string()));
        assert!(question["data"].is_object(), "{question}");
        (StatusCode::from_u16(status).expect("a status"), text)
    }

    fn set<T>(&self, set: impl FnOnce(&mut Script) -> T) -> T {
        set(&mut self.0.lock().expect("a script"))
    }

    fn answers(&self, status: u16, text: impl ToString) {
        self.set(|script| script.answer = Some((status, text.to_string())));
    }

    fn posts(&self) -> Vec<(HeaderMap, String)> {
        self.set(|script| std::mem::take(&mut script.posts))
    }
}

fn settings(url: &str, calls: &str) -> String {
    let [one, two] = KEYS;
    format!(
        "account = {{ email_verification = 'none', rate_limits = false }}
         hooks = {{ url = '{url}', secrets = ['whsec_{one}', 'whsec_{two}'], calls = [{calls}], timeout = 1 }}
         {JWT}"
    )
}

/// As a receiver would do it.
fn is_signed(headers: &HeaderMap, body: &str, key: &str) -> bool {
    let header = |name: &str| headers[name].to_str().expect("text").to_owned();
    let message = format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp"));
    let mac = Hmac::<sha2::Sha256>::new_from_slice(&BASE64_STANDARD.decode(key).unwrap()).unwrap();
    let signature = BASE64_STANDARD.encode(mac.chain_update(message).finalize().into_bytes());
    header("webhook-signature").split(' ').any(|one| one == format!("v1,{signature}"))
}

#[test]
fn questions_are_signed_and_hold_no_secret() {
    on_both(async |backend| {
        let service = Service::default();
        let app = TestApp::start(backend, &settings(&service.start().await, CALLS)).await;
        let mut client = app.app();
        let reply =
            client.post("auth/signup", json!({ "email": ADA, "password": PASSWORD })).await.expect(200);
        assert_eq!(reply.data()["user"]["team"], "red");
        login(&mut app.app(), ADA, PASSWORD).await.expect(200);
        let posts = service.posts();
        let hooks: Vec<Value> = posts.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect();
        let names: Vec<_> = hooks.iter().map(|hook| hook["hook"].as_str().unwrap()).collect();
        assert_eq!(names, ["before_signup", "user", "claims", "before_login", "user", "claims"]);
        for (headers, body) in &posts {
            assert!(KEYS.iter().all(|key| is_signed(headers, body, key)), "{headers:?}");
            assert!(!is_signed(headers, &format!("{body} "), KEYS[0]));
            assert_eq!(headers["webhook-timestamp"], (START / 1000).to_string());
            assert_eq!(headers["content-type"], "application/json");
            assert!(!body.contains(PASSWORD));
        }
        assert_eq!(
            posts
                .iter()
                .map(|(headers, _)| &headers["webhook-id"])
                .collect::<std::collections::HashSet<_>>()
                .len(),
            6
        );
        let data = &hooks[0]["data"];
        assert_eq!(
            (&data["email"], &data["method"], &data["client"]),
            (&json!(ADA), &json!("password"), &json!("app"))
        );
        assert_eq!((&data["ip"], &data["language"]), (&json!("127.0.0.1"), &json!("en")));
        assert_eq!(hooks[3]["data"]["user"]["email"], ADA);
        assert!(hooks[3]["data"]["user_agent"].is_string());
    });
}

#[test]
fn l3_a_refusal_is_told_as_it_was_written() {
    on_both(async |backend| {
        let service = Service::default();
        let app = TestApp::start(backend, &settings(&service.start().await, CALLS)).await;
        account(&app, ADA).await;
        let errors = json!([{ "message": "Wende dich an Eve.", "param": "email", "code": "ask_eve" }]);
        service.answers(200, json!({ "action": "refuse", "errors": errors }));
        let reply = login(&mut app.app(), ADA, PASSWORD).await.expect(400);
        assert_eq!(reply.json["errors"], errors);
        let new = json!({ "email": EVE, "password": PASSWORD });
        assert_eq!(app.app().post("auth/signup", new.clone()).await.expect(400).json["errors"], errors);
        service.answers(200, json!({ "action": "refuse" }));
        let mut client = app.app();
        login(&mut client, ADA, PASSWORD).await.expect(403);
        app.app().post("auth/signup", new).await.expect(403);
        assert!(is_nobody(&mut client).await);
    });
}

#[test]
fn x5_an_answer_that_is_not_as_agreed_lets_nobody_in() {
    on_both(async |backend| {
        let service = Service::default();
        let app = TestApp::start(backend, &settings(&service.start().await, CALLS)).await;
        account(&app, ADA).await;
        let long = json!({ "action": "refuse", "errors": [{ "message": "x".repeat(1001) }] });
        let many = json!({ "action": "refuse", "errors": vec![json!({ "message": "x" }); 21] });
        for (status, text) in [
            (500, json!({ "action": "allow" }).to_string()),
            (201, json!({ "action": "allow" }).to_string()),
            (302, json!({ "action": "allow" }).to_string()),
            (200, String::new()),
            (200, "allow".to_owned()),
            (200, json!({}).to_string()),
            (200, json!({ "action": "ALLOW" }).to_string()),
            (200, json!({ "action": true }).to_string()),
            (200, json!({ "action": "refuse", "errors": "no" }).to_string()),
            (200, long.to_string()),
            (200, many.to_string()),
            (200, json!({ "action": "allow", "more": "x".repeat(70_000) }).to_string()),
            (200, "x".repeat(2_000_000)),
        ] {
            service.answers(status, &text);
            let mut client = app.app();
            login(&mut client, ADA, PASSWORD).await.expect(503);
            assert!(is_nobody(&mut client).await);
            app.app().post("auth/signup", json!({ "email": EVE, "password": PASSWORD })).await.expect(503);
        }
        service.set(|script| (script.answer, script.delay) = (None, Duration::from_millis(1500)));
        let begun = Instant::now();
        login(&mut app.app(), ADA, PASSWORD).await.expect(503);
        assert!((900..1450).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
        assert_eq!(app.vestibule.users().list(9, None).await.expect("users").len(), 1);
        // And again as soon as it answers.
        service.set(|script| script.delay = Duration::ZERO);
        login(&mut app.app(), ADA, PASSWORD).await.expect(200);
    });
}

#[test]
fn only_what_is_listed_is_asked() {
    on_both(async |backend| {
        let service = Service::default();
        let app = TestApp::start(backend, &settings(&service.start().await, "'claims'")).await;
        account(&app, ADA).await;
        let reply = login(&mut app.app(), ADA, PASSWORD).await.expect(200);
        assert_eq!(reply.data()["user"].get("team"), None);
        let posts = service.posts();
        let [(_, body)] = posts.as_slice() else { unreachable!("{posts:?}") };
        let id = &reply.data()["user"]["id"];
        let user = json!({ "id": id, "username": "ada", "email": ADA, "fields": {} });
        let question: Value = serde_json::from_str(body).unwrap();
        assert_eq!(question, json!({ "hook": "claims", "data": { "user": user } }));
        service.answers(200, json!({ "fields": {} }));
        login(&mut app.app(), ADA, PASSWORD).await.expect(503);
    });
}

//! What applications behind Vestibule ask: who is calling (`forward-auth`), and whom a token stands for (`introspect`).

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use axum::http::Method;
use base64::Engine;
use serde_json::{Value, json};
use vestibule::Password;
use vestibule_base::vals;
use vestibule_testkit::app::{START, TestApp};
use vestibule_testkit::client::{Client, Reply};
use vestibule_testkit::database::on_both;

use crate::edge::unobserved;
use crate::failure::dump;

const PASSWORD: &str = "correct horse battery staple";
const SECRET: &str = "s3cret+of/a=backend&with%signs in it";
const ASK: &str = "/_allauth/forward-auth";
const INTROSPECT: &str = "/_allauth/introspect";
const OPEN: &str = "
    account = { email_verification = 'none', rate_limits = false, signup_fields = ['email*', 'username', 'password1*'], login_methods = ['email', 'username'] }
    csrf.trusted_origins = ['https://www.example.org', 'https://*.example.org']
    [headless]
    introspection_clients = [
        { client_id = 'other', client_secret = 'the secret of another backend, long enough' },
        { client_id = 'shop', client_secret = 's3cret+of/a=backend&with%signs in it' },
    ]
";
const JWT: &str = "
    token_strategy = 'jwt'
    jwt_algorithm = 'HS256'
    jwt_audience = 'https://api.example.org'
";
const LOGIN: &str = "forward_auth_login_url = 'https://www.example.org/login?theme=dark'\n";

/// Signs up, and gives the client with the answer.
async fn signed_up(mut client: Client, name: &str) -> (Client, Reply) {
    let new = json!({ "email": format!("{name}@example.org"), "username": name, "password": PASSWORD });
    let reply = client.post("auth/signup", new).await.expect(200);
    (client, reply)
}

/// Asks for a stranger who carries these headers.
async fn ask(app: &TestApp, headers: &[(&str, &str)]) -> Reply {
    ask_at(app, ASK, headers).await
}

async fn ask_at(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut client = app.app();
    let mut call = client.call(Method::GET, path);
    for (name, value) in headers {
        call = call.header(name, value);
    }
    let reply = call.send().await;
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.set_cookies().count(), 0, "a proxy's question sets no cookie");
    reply
}

/// The name of whom the answer speaks; of 401 that there is none.
fn caller(reply: &Reply) -> Option<&str> {
    match reply.status {
        200 => Some(reply.header("x-user-username").unwrap()),
        401 => {
            let told = reply
                .headers
                .keys()
                .find(|name| name.as_str().starts_with("x-user") || *name == "x-auth-methods");
            assert_eq!(told, None);
            None
        }
        _ => panic!("{reply}"),
    }
}

fn cookie(client: &Client) -> String {
    format!("sessionid={}", client.cookie("sessionid").unwrap())
}

fn access(reply: &Reply) -> String {
    reply.json["meta"]["access_token"].as_str().unwrap().to_owned()
}

#[test]
fn forward_auth_takes_each_kind_of_credential_and_tells_who_it_is() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &format!("{OPEN}{JWT}")).await;
        assert_eq!(caller(&ask(&app, &[]).await), None);
        let (browser, _) = signed_up(app.browser(), "bob").await;
        let (client, reply) = signed_up(app.app(), "ada").await;
        let (token, bearer) = (client.token().unwrap(), format!("Bearer {}", access(&reply)));

        let told = ask(&app, &[("x-session-token", token)]).await.expect(200);
        assert!(told.body.is_empty());
        assert_eq!(told.header("x-user-id"), Some(reply.data()["user"]["id"].to_string().as_str()));
        assert_eq!(told.header("x-user-email"), Some("ada@example.org"));
        assert_eq!(told.header("x-user-email-verified"), Some("false"));
        assert_eq!(told.header("x-user-phone"), None);
        // A signup proves nothing yet.
        assert_eq!(told.header("x-auth-methods"), None);
        let mut again = app.app();
        again.post("auth/login", json!({ "username": "ada", "password": PASSWORD })).await.expect(200);
        again.post("auth/reauthenticate", json!({ "password": PASSWORD })).await.expect(200);
        assert_eq!(again.get(ASK).await.expect(200).header("x-auth-methods"), Some("password"));

        let cookie = cookie(&browser);
        for (headers, who) in [
            (vec![("authorization", bearer.as_str())], "ada"),
            (vec![("cookie", cookie.as_str())], "bob"),
            // The first that stands for a user counts.
            (vec![("x-session-token", token), ("cookie", cookie.as_str())], "ada"),
            (vec![("authorization", bearer.as_str()), ("cookie", cookie.as_str())], "ada"),
            (vec![("x-session-token", "nonsense"), ("authorization", bearer.as_str())], "ada"),
            (
                vec![("x-session-token", ""), ("authorization", "Basic YTpi"), ("cookie", cookie.as_str())],
                "bob",
            ),
        ] {
            assert_eq!(caller(&ask(&app, &headers).await), Some(who), "{headers:?}");
        }
    });
}

#[test]
fn forward_auth_tells_what_is_proved_and_leaves_out_what_there_is_not() {
    on_both(async |backend| {
        let phones = OPEN.replace("'email*', ", "'email*', 'phone', ");
        let app = TestApp::start(backend, &phones).await;
        let mut client = app.app();
        let new = json!({ "email": "ada@example.org", "password": PASSWORD });
        let id = client.post("auth/signup", new).await.expect(200).data()["user"]["id"].as_i64().unwrap();
        let change = async |sql: &'static str| {
            let mut tx = app.db.write().await.unwrap();
            tx.execute(sql, vals![id]).await.unwrap();
            tx.commit().await.unwrap();
        };
        change("UPDATE users SET username = NULL WHERE id = $1").await;
        change("UPDATE emails SET verified = 1 WHERE user_id = $1").await;
        change("INSERT INTO phones (user_id, phone, verified) VALUES ($1, '+4312345678', 0)").await;
        let told = client.get(ASK).await.expect(200);
        assert_eq!(told.header("x-user-username"), None);
        assert_eq!(told.header("x-user-email-verified"), Some("true"));
        assert_eq!(told.header("x-user-phone"), None, "it is not proved");
        change("UPDATE phones SET verified = 1 WHERE user_id = $1").await;
        assert_eq!(client.get(ASK).await.header("x-user-phone"), Some("+4312345678"));
        change("DELETE FROM emails WHERE user_id = $1").await;
        let told = client.get(ASK).await.expect(200);
        assert_eq!((told.header("x-user-email"), told.header("x-user-email-verified")), (None, None));
    });
}

#[test]
fn e6_a_name_that_is_no_header_value_is_left_out() {
    on_both(async |backend| {
        let app = TestApp::start(backend, OPEN).await;
        let (mut client, reply) = signed_up(app.app(), "ada").await;
        let id = reply.data()["user"]["id"].as_i64().unwrap();
        for (name, told) in [
            ("x\r\nX-User-Id: 1", None),
            ("x\nSet-Cookie: a=b", None),
            ("x\u{7f}", None),
            ("x\u{85}y", None),
            ("Zo\u{eb}", Some("Zo\u{eb}")),
        ] {
            let mut tx = app.db.write().await.unwrap();
            tx.execute("UPDATE users SET username = $2 WHERE id = $1", vals![id, name]).await.unwrap();
            tx.commit().await.unwrap();
            let reply = client.get(ASK).await.expect(200);
            let header = reply.headers.get("x-user-username").map(|value| value.as_bytes());
            assert_eq!(header, told.map(str::as_bytes), "{name:?}");
            assert_eq!(reply.headers.get_all("x-user-id").iter().count(), 1);
            assert_eq!(reply.header("x-user-id"), Some(id.to_string().as_str()));
            assert_eq!(reply.set_cookies().count(), 0);
        }
    });
}

#[test]
fn s1_a_credential_of_one_kind_is_worthless_as_another() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &format!("{OPEN}{JWT}")).await;
        let (browser, _) = signed_up(app.browser(), "bob").await;
        let (client, reply) = signed_up(app.app(), "ada").await;
        let (token, access) = (client.token().unwrap(), access(&reply));
        let refresh = reply.json["meta"]["refresh_token"].as_str().unwrap();
        let stolen = browser.cookie("sessionid").unwrap();
        for (name, value) in [
            ("cookie", format!("sessionid={token}")),
            ("cookie", format!("sessionid={access}")),
            ("x-session-token", stolen.to_owned()),
            ("x-session-token", access.clone()),
            ("authorization", format!("Bearer {token}")),
            ("authorization", format!("Bearer {stolen}")),
            ("authorization", format!("Bearer {refresh}")),
            ("authorization", format!("Bearer {access}x")),
            ("authorization", format!("JWT {access}")),
            ("authorization", access.clone()),
            ("x-user-id", "1".to_owned()),
        ] {
            assert_eq!(caller(&ask(&app, &[(name, &value)]).await), None, "{name}: {value}");
        }
        // Where a kind of client is switched off, its credentials are worth nothing; nor are access tokens where none
        // are given.
        let cookie = cookie(&browser);
        let apps = app.second_with(&format!("{OPEN}{JWT}clients = ['app']")).await;
        assert_eq!(caller(&ask(&apps, &[("cookie", &cookie)]).await), None);
        let browsers = app.second_with(&format!("{OPEN}{JWT}clients = ['browser']")).await;
        let bearer = format!("Bearer {access}");
        assert_eq!(
            caller(&ask(&browsers, &[("x-session-token", token), ("authorization", &bearer)]).await),
            None
        );
        let sessions = app.second_with("headless.token_strategy = 'session'").await;
        assert_eq!(caller(&ask(&sessions, &[("authorization", &bearer)]).await), None);
        assert_eq!(caller(&ask(&sessions, &[("x-session-token", token)]).await), Some("ada"));
    });
}

#[test]
fn l1_a_pending_login_is_nobody() {
    on_both(async |backend| {
        let settings = OPEN.replace("email_verification = 'none'", "email_verification = 'mandatory'");
        let app = TestApp::start(backend, &format!("{settings}{LOGIN}")).await;
        for (name, mut client) in [("ada", app.app()), ("bob", app.browser())] {
            let new =
                json!({ "email": format!("{name}@example.org"), "username": name, "password": PASSWORD });
            client.post("auth/signup", new).await.expect(401);
            assert!(client.token().or(client.cookie("sessionid")).is_some());
            assert_eq!(caller(&client.get(ASK).await), None);
            client.get(&format!("{ASK}?redirect=login")).await.expect(302);
            if let Some(token) = client.token() {
                assert_eq!(introspect(&app, token).await, json!({ "active": false }));
            }
        }
    });
}

/// Whether it is a user's, by forward-auth and by introspection alike.
async fn stands(app: &TestApp, token: &str, access: &str) -> (bool, bool) {
    let session = caller(&ask(app, &[("x-session-token", token)]).await).is_some();
    let bearer = caller(&ask(app, &[("authorization", &format!("Bearer {access}"))]).await).is_some();
    assert_eq!(introspect(app, token).await["active"], session);
    assert_eq!(introspect(app, access).await["active"], bearer);
    (session, bearer)
}

#[test]
fn s2_what_ends_a_session_ends_what_is_told_of_it_at_once() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &format!("{OPEN}{JWT}\n[session]\ncookie_age = 1000")).await;
        for (n, how) in ["logout", "deactivated", "password", "time", "deleted"].into_iter().enumerate() {
            let (mut client, reply) = signed_up(app.app(), &format!("user{n}")).await;
            let (mut browser, id) = (app.browser(), reply.data()["user"]["id"].as_i64().unwrap());
            browser
                .post("auth/login", json!({ "username": format!("user{n}"), "password": PASSWORD }))
                .await
                .expect(200);
            let (token, access) = (client.token().unwrap().to_owned(), access(&reply));
            let cookie = cookie(&browser);
            assert_eq!(stands(&app, &token, &access).await, (true, true));
            assert!(caller(&ask(&app, &[("cookie", &cookie)]).await).is_some());
            match how {
                "logout" => {
                    client.delete("auth/session", Value::Null).await.expect(401);
                    browser.delete("auth/session", Value::Null).await.expect(401);
                }
                "deactivated" => app.vestibule.users().deactivate(id).await.unwrap(),
                "password" => {
                    let password = Password::parse("another horse battery staple").unwrap();
                    app.vestibule.users().set_password(id, password).await.unwrap();
                }
                "time" => app.pass(1000),
                _ => app.vestibule.users().delete(id).await.unwrap(),
            }
            // Introspection first: forward-auth, asked with a dead token, clears its session away.
            assert_eq!(introspect(&app, &token).await, json!({ "active": false }), "{how}");
            assert_eq!(stands(&app, &token, &access).await, (false, false), "{how}");
            assert_eq!(caller(&ask(&app, &[("cookie", &cookie)]).await), None, "{how}");
        }
    });
}

#[test]
fn asking_changes_nothing() {
    on_both(async |backend| {
        let app =
            TestApp::start(backend, &format!("{OPEN}{JWT}\n[usersessions]\ntrack_activity = true")).await;
        let (client, reply) = signed_up(app.app(), "ada").await;
        let (token, access) = (client.token().unwrap(), access(&reply));
        let before = dump(&app.db).await;
        ask(&app, &[("x-session-token", token)]).await.expect(200);
        ask(&app, &[]).await.expect(401);
        assert_eq!(dump(&app.db).await, before);
        // Later, a proxy's question is activity of the user, from where the proxy says, and a backend's is not.
        app.pass(3600);
        assert_eq!(introspect(&app, token).await["active"], true);
        assert_eq!(introspect(&app, &access).await["active"], false, "its time is over");
        assert_eq!(dump(&app.db).await, before);
        ask(&app, &[("x-session-token", token)]).await.expect(200);
        assert_ne!(dump(&app.db).await, before);
    });
}

/// Where a stranger who wanted this page is sent.
async fn sent_to(app: &TestApp, wanted: &[(&str, &str)]) -> String {
    let reply = ask_at(app, &format!("{ASK}?redirect=login"), wanted).await.expect(302);
    assert!(reply.body.is_empty());
    reply.header("location").unwrap().to_owned()
}

fn page<'a>(proto: &'a str, host: &'a str, uri: &'a str) -> [(&'static str, &'a str); 3] {
    [("x-forwarded-proto", proto), ("x-forwarded-host", host), ("x-forwarded-uri", uri)]
}

#[test]
fn e4_strangers_are_sent_to_the_login_page_and_back_to_listed_origins_only() {
    const PAGE: &str = "https://www.example.org/login?theme=dark";
    on_both(async |backend| {
        let app = TestApp::start(backend, &format!("{OPEN}{LOGIN}")).await;
        ask(&app, &[]).await.expect(401);
        assert_eq!(sent_to(&app, &[]).await, PAGE);
        for (wanted, next) in [
            (
                page("https", "www.example.org", "/a?b=c&d=%2F"),
                "https%3A%2F%2Fwww.example.org%2Fa%3Fb%3Dc%26d%3D%252F",
            ),
            (page("http", "localhost:8000", "/"), "http%3A%2F%2Flocalhost%3A8000%2F"),
        ] {
            assert_eq!(sent_to(&app, &wanted).await, format!("{PAGE}&next={next}"));
        }
        for wanted in [
            page("https", "evil.example", "/"),
            page("https", "sub.example.org", "/"),
            page("http", "www.example.org", "/"),
            page("https", "www.example.org@evil.example", "/"),
            page("https", "evil.example\\.www.example.org", "/"),
            page("https", "www.example.org", "//evil.example"),
            page("https", "www.example.org", "/\\evil.example"),
            page("https", "www.example.org", "@evil.example"),
            page("https", "www.example.org", ".evil.example"),
            page("https", "www.example.org", "https://evil.example"),
            page("javascript", "www.example.org", "/"),
        ] {
            assert_eq!(sent_to(&app, &wanted).await, PAGE, "{wanted:?}");
        }
        // Nobody comes back to what a form had sent.
        let mut posted = page("https", "www.example.org", "/pay").to_vec();
        posted.push(("x-forwarded-method", "POST"));
        assert_eq!(sent_to(&app, &posted).await, PAGE);
        // The question itself names no target.
        for query in
            ["redirect=https://evil.example", "redirect=login%00", "rd=login", "next=https://evil.example"]
        {
            ask_at(&app, &format!("{ASK}?{query}"), &[]).await.expect(401);
        }
        let query = "redirect=login&next=https://evil.example&login_url=https://evil.example";
        let reply = ask_at(&app, &format!("{ASK}?{query}"), &[]).await.expect(302);
        assert_eq!(reply.header("location"), Some(PAGE));
        // Who is somebody stays where they are.
        let (client, _) = signed_up(app.app(), "ada").await;
        ask_at(&app, &format!("{ASK}?redirect=login"), &[("x-session-token", client.token().unwrap())])
            .await
            .expect(200);
        // Without a page there is nowhere to go.
        let none = TestApp::start(backend, OPEN).await;
        ask_at(&none, &format!("{ASK}?redirect=login"), &page("https", "www.example.org", "/"))
            .await
            .expect(401);
    });
}

#[test]
fn e3_those_behind_us_may_know_us_by_any_name() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &format!("{OPEN}{LOGIN}")).await;
        let inside = [("host", "vestibule:8000")];
        ask(&app, &inside).await.expect(401);
        let mut wanted = page("https", "www.example.org", "/").to_vec();
        let before = sent_to(&app, &wanted).await;
        wanted.extend(inside);
        assert_eq!(sent_to(&app, &wanted).await, before);
        let mut client = app.app().with_header("host", "vestibule:8000");
        client.call(Method::POST, INTROSPECT).send().await.expect(400);
        let mut client = Client::app(unobserved(&app)).with_header("host", "vestibule:8000");
        client.get("/_allauth/forward-auth/").await.expect(400);
        client.get("auth/session").await.expect(400);
    });
}

#[test]
fn e1_the_address_of_a_question_is_what_trusted_proxies_say() {
    on_both(async |backend| {
        let app =
            TestApp::start(backend, &format!("{OPEN}\n[server]\ntrusted_client_ip_header = 'X-Real-IP'"))
                .await;
        ask(&app, &[]).await.expect(403);
        ask(&app, &[("x-real-ip", "198.51.100.7")]).await.expect(401);
    });
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(format!("{id}:{secret}")))
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

const FORM: &str = "application/x-www-form-urlencoded";

async fn post_form(app: &TestApp, authorization: Option<&str>, kind: &str, body: &str) -> Reply {
    let mut client = app.app();
    let mut call = client.call(Method::POST, INTROSPECT).raw(kind, body.to_owned());
    if let Some(value) = authorization {
        call = call.header("authorization", value);
    }
    let reply = call.send().await;
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    reply
}

/// What a backend that is known is told of a token.
async fn introspect(app: &TestApp, token: &str) -> Value {
    let body = format!("token={}&token_type_hint=access_token", encoded(token));
    post_form(app, Some(&basic("shop", SECRET)), FORM, &body).await.expect(200).json
}

#[test]
fn a_backend_is_told_whom_a_token_stands_for() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &format!("{OPEN}{JWT}")).await;
        let (client, reply) = signed_up(app.app(), "ada").await;
        let (token, access) = (client.token().unwrap(), access(&reply));
        let (id, now) = (reply.data()["user"]["id"].to_string(), START / 1000);
        let mut told = json!({
            "active": true, "sub": id, "username": "ada", "email": "ada@example.org", "email_verified": false,
            "token_type": "session", "iat": now, "exp": now + 1_209_600, "iss": "http://localhost:8000",
        });
        assert_eq!(introspect(&app, token).await, told);
        let of_access = introspect(&app, &access).await;
        for (name, value) in [
            ("token_type", json!("Bearer")),
            ("exp", json!(now + 300)),
            ("aud", json!("https://api.example.org")),
        ] {
            told[name] = value;
        }
        for name in ["jti", "sid"] {
            assert!(of_access[name].is_string());
            told[name] = of_access[name].clone();
        }
        assert_eq!(of_access, told);
        let (browser, _) = signed_up(app.browser(), "bob").await;
        let refresh = reply.json["meta"]["refresh_token"].as_str().unwrap();
        for other in
            ["x", refresh, browser.cookie("sessionid").unwrap(), &format!("{access}x"), &"x".repeat(10_000)]
        {
            assert_eq!(introspect(&app, other).await, json!({ "active": false }));
        }
        app.pass(300);
        assert_eq!(introspect(&app, &access).await, json!({ "active": false }));
        let browsers = app.second_with(&format!("{OPEN}clients = ['browser']")).await;
        assert_eq!(introspect(&browsers, token).await, json!({ "active": false }));
    });
}

#[test]
fn only_backends_that_prove_who_they_are_are_told() {
    on_both(async |backend| {
        let app = TestApp::start(backend, OPEN).await;
        let (client, _) = signed_up(app.app(), "ada").await;
        let form = format!("token={}", client.token().unwrap());
        let (id, secret) = ("shop", SECRET);
        // Each way in which clients send their secret.
        let posted = format!("{form}&client_id={id}&client_secret={}", encoded(secret));
        for (authorization, body) in [
            (Some(basic(id, secret)), &form),
            (Some(basic(&encoded(id), &encoded(secret))), &form),
            (Some(basic(id, secret).replace("Basic", "bASIC")), &form),
            (Some(basic(id, secret)), &format!("{form}&client_id={id}")),
            (None, &posted),
        ] {
            let told = post_form(&app, authorization.as_deref(), FORM, body).await.expect(200);
            assert_eq!(told.json["active"], true);
        }
        let other = "the secret of another backend, long enough";
        for (authorization, body) in [
            (None, form.clone()),
            (Some(basic(id, "wrong")), form.clone()),
            (Some(basic(id, "")), form.clone()),
            (Some(basic(id, other)), form.clone()),
            (Some(basic("nobody", secret)), form.clone()),
            (Some("Basic".to_owned()), form.clone()),
            (Some("Basic !!!".to_owned()), form.clone()),
            (Some(format!("Bearer {}", client.token().unwrap())), form.clone()),
            (None, format!("{form}&client_id={id}&client_secret=wrong")),
            (None, format!("{form}&client_id={id}")),
            (None, format!("{form}&client_secret={}", encoded(secret))),
        ] {
            let reply = post_form(&app, authorization.as_deref(), FORM, &body).await.expect(401);
            assert_eq!(reply.json, json!({ "error": "invalid_client" }));
            assert!(reply.header("www-authenticate").unwrap().starts_with("Basic "));
        }
        let known = basic(id, secret);
        let long = format!("token={}", "x".repeat(100_000));
        for (kind, body) in [
            ("application/json", r#"{"token":"x"}"#),
            ("", form.as_str()),
            (FORM, ""),
            (FORM, "token="),
            (FORM, "token=a&token=b"),
            (FORM, "token_type_hint=access_token"),
            (FORM, long.as_str()),
            // Twice, in two ways.
            (FORM, posted.as_str()),
        ] {
            let reply = post_form(&app, Some(&known), kind, body).await.expect(400);
            assert_eq!(reply.json, json!({ "error": "invalid_request" }), "{kind} {body:.40}");
        }
        let told =
            post_form(&app, Some(&known), "application/x-www-form-urlencoded; charset=UTF-8", &form).await;
        assert_eq!(told.expect(200).json["active"], true);
        // Without backends there is no such endpoint.
        let none = TestApp::start(backend, "").await;
        post_form(&none, Some(&known), FORM, &form).await.expect(404);
    });
}

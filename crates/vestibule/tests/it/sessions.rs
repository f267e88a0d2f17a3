//! Sessions: their tokens and how long they live; the browser's cookies; requests from other sites; and the headers of
//! every answer.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::http::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use vestibule_base::storage::Db;
use vestibule_base::vals;
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::{Client, Reply};
use vestibule_testkit::database::on_both;

use crate::contract::FACTORS;
use crate::edge::{routes, unobserved};
use crate::failure::dump;

const PASSWORD: &str = "correct horse battery staple";
/// Whoever signs up is logged in, as often as they like.
const OPEN: &str = "account = { email_verification = 'none', rate_limits = false, login_by_code_enabled = true, \
                    deletion_enabled = true, data_export_enabled = true }";

async fn signed_up(mut client: Client, email: &str) -> (Client, Reply) {
    let reply = client.post("auth/signup", json!({ "email": email, "password": PASSWORD })).await;
    let reply = reply.expect(200);
    (client, reply)
}

async fn log_in(client: &mut Client, email: &str) -> Reply {
    client.post("auth/login", json!({ "email": email, "password": PASSWORD })).await
}

/// What a client of either kind carries.
fn carried(client: &Client) -> Option<String> {
    client.token().or(client.cookie("sessionid")).map(str::to_owned)
}

async fn digests(db: &Db) -> Vec<Vec<u8>> {
    let mut conn = db.read().await.unwrap();
    let rows = conn.all("SELECT token_hash FROM sessions", vec![]).await.unwrap();
    rows.iter().map(|row| row.bytes(0).unwrap()).collect()
}

#[test]
fn s1_tokens_are_256_random_bits_of_which_only_the_digest_is_kept() {
    on_both(async |backend| {
        let app = TestApp::start(backend, OPEN).await;
        let mut seen = std::collections::BTreeSet::new();
        for (n, client) in [app.app(), app.browser(), app.app(), app.browser()].into_iter().enumerate() {
            let (client, _) = signed_up(client, &format!("ada{n}@example.org")).await;
            let token = carried(&client).unwrap();
            let raw = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, &token).unwrap();
            assert_eq!(raw.len(), 32);
            assert!(digests(&app.db).await.contains(&Sha256::digest(&token).to_vec()));
            assert!(!dump(&app.db).await.contains(&token), "the token itself is nowhere");
            assert!(seen.insert(token), "no token comes twice");
        }
    });
}

#[test]
fn s1_every_login_gives_a_new_token_and_the_old_one_is_gone() {
    on_both(async |backend| {
        let app = TestApp::start(backend, "account.rate_limits = false").await;
        for client in [app.app(), app.browser()] {
            let mut client = client;
            let email = format!("ada{}@example.org", digests(&app.db).await.len());
            let new = json!({ "email": email, "password": PASSWORD });
            client.post("auth/signup", new).await.expect(401);
            let (waiting, before) = (client.clone(), carried(&client).unwrap());
            let key = app.link_key_for(&email).await;
            client.post("auth/email/verify", json!({ "key": key })).await;
            if client.get("auth/session").await.status != 200 {
                log_in(&mut client, &email).await.expect(200);
            }
            let after = carried(&client).unwrap();
            assert_ne!(before, after);
            is_gone(waiting).await;

            // So does a change of the password.
            let old = client.clone();
            let change =
                json!({ "current_password": PASSWORD, "new_password": format!("{PASSWORD} {PASSWORD}") });
            client.post("account/password/change", change).await.expect(200);
            assert_ne!(carried(&client).unwrap(), after);
            is_gone(old).await;
            client.get("auth/session").await.expect(200);
        }
    });
}

/// An app is told that its session is gone; a browser loses its cookie.
async fn is_gone(mut client: Client) {
    let is_app = client.token().is_some();
    let reply = client.get("auth/session").await;
    assert_eq!(reply.status, if is_app { 410 } else { 401 }, "{reply}");
    assert_eq!(carried(&client), None);
}

#[test]
fn s1_a_token_that_was_never_given_is_not_adopted() {
    on_both(async |backend| {
        let app = TestApp::start(backend, OPEN).await;
        let planted = "A".repeat(43);
        for planted in [planted.as_str(), "short", "../../etc/passwd", "' OR 1=1 --"] {
            let mut victim = app.app();
            victim.set_token(Some(planted));
            let new = json!({ "email": "eve@example.org", "password": PASSWORD });
            victim.post("auth/signup", new).await.expect(410);
        }
        let mut victim = app.browser();
        victim.set_cookie("sessionid", &planted);
        let (victim, _) = signed_up(victim, "ada@example.org").await;
        assert_ne!(carried(&victim).unwrap(), planted);
        let mut attacker = app.browser();
        attacker.set_cookie("sessionid", &planted);
        attacker.get("auth/session").await.expect(401);
        assert!(!digests(&app.db).await.contains(&Sha256::digest(&planted).to_vec()));
    });
}

#[test]
fn s1_a_session_belongs_to_its_kind_of_client() {
    on_both(async |backend| {
        let app = TestApp::start(backend, OPEN).await;
        let (by_app, _) = signed_up(app.app(), "ada@example.org").await;
        let (by_browser, _) = signed_up(app.browser(), "bob@example.org").await;
        let (token, cookie) = (carried(&by_app).unwrap(), carried(&by_browser).unwrap());

        let mut browser = app.browser();
        browser.set_cookie("sessionid", &token);
        browser.get("auth/session").await.expect(401);
        let mut other = app.app();
        other.set_token(Some(&cookie));
        other.get("auth/session").await.expect(410);
        // Nor does either look where the other carries its session.
        let cookies = format!("sessionid={token}; sessionid={cookie}");
        app.app().call(Method::GET, "auth/session").header("cookie", &cookies).send().await.expect(401);
        let mut browser = app.browser();
        browser.call(Method::GET, "auth/session").header("x-session-token", &token).send().await.expect(401);
        for mut client in [by_app, by_browser] {
            client.get("auth/session").await.expect(200);
        }
    });
}

#[test]
fn s2_sessions_end_by_age_and_by_idleness() {
    on_both(async |backend| {
        let hour = format!("{OPEN}\nsession.cookie_age = 3600\n");
        let app = TestApp::start(backend, &hour).await;
        let (mut client, _) = signed_up(app.app(), "ada@example.org").await;
        let (mut browser, _) = signed_up(app.browser(), "bob@example.org").await;
        app.pass(3599);
        client.get("auth/session").await.expect(200);
        browser.get("auth/session").await.expect(200);
        app.pass(1);
        client.get("auth/session").await.expect(401);
        client.get("auth/session").await.expect(410);
        browser.get("auth/session").await.expect(401);
        assert_eq!(carried(&browser), None);

        let app = TestApp::start(backend, &format!("{hour}session.save_every_request = true")).await;
        let (mut client, _) = signed_up(app.app(), "ada@example.org").await;
        for _ in 0..4 {
            app.pass(1800);
            client.get("auth/session").await.expect(200);
        }
        app.pass(3600);
        client.get("auth/session").await.expect(401);

        let app = TestApp::start(backend, &format!("{hour}session.idle_timeout = 600")).await;
        let (mut busy, _) = signed_up(app.app(), "ada@example.org").await;
        let (mut idle, _) = signed_up(app.app(), "bob@example.org").await;
        for _ in 0..11 {
            app.pass(300);
            busy.get("auth/session").await.expect(200);
        }
        idle.get("auth/session").await.expect(401);
        app.pass(300);
        busy.get("auth/session").await.expect(401);
    });
}

#[test]
fn s2_logging_out_ends_the_session_at_the_server() {
    on_both(async |backend| {
        let app = TestApp::start(backend, OPEN).await;
        for (n, client) in [app.app(), app.browser()].into_iter().enumerate() {
            let (mut client, _) = signed_up(client, &format!("ada{n}@example.org")).await;
            let thief = client.clone();
            client.delete("auth/session", Value::Null).await.expect(401);
            is_gone(thief).await;
        }
        assert!(digests(&app.db).await.is_empty());
    });
}

#[test]
fn s2_users_list_and_end_their_own_sessions_only() {
    on_both(async |backend| {
        let app = TestApp::start(backend, OPEN).await;
        let door = unobserved(&app);
        let (mut first, _) = signed_up(Client::app(door.clone()), "ada@example.org").await;
        let mut second = Client::browser(door.clone()).from_ip([203, 0, 113, 9].into());
        log_in(&mut second, "ada@example.org").await.expect(200);
        let (mut stranger, _) = signed_up(Client::app(door.clone()), "eve@example.org").await;

        let listed = first.get("auth/sessions").await.expect(200);
        let rows = listed.data().as_array().unwrap();
        assert_eq!(rows.len(), 2);
        let current: Vec<_> = rows.iter().map(|row| row["is_current"].as_bool().unwrap()).collect();
        assert_eq!((current, &rows[1]["ip"]), (vec![true, false], &json!("203.0.113.9")));
        let ids: Vec<_> = rows.iter().map(|row| row["id"].clone()).collect();

        let theirs = stranger.get("auth/sessions").await.expect(200);
        assert_eq!(theirs.data().as_array().unwrap().len(), 1);
        let id = theirs.data()[0]["id"].clone();
        let mixed = json!([theirs.data()[0]["id"], ids[0]]);
        for ids in [json!(ids), mixed] {
            let refused = stranger.delete("auth/sessions", json!({ "sessions": ids })).await.expect(400);
            assert_eq!(refused.errors(), [("sessions", "invalid_choice")]);
        }
        for unknown in [id, json!(0), json!(-1), json!(i64::MAX)] {
            first.delete("auth/sessions", json!({ "sessions": [ids[1], unknown] })).await.expect(400);
        }
        stranger.get("auth/session").await.expect(200);
        second.get("auth/session").await.expect(200);

        first.delete("auth/sessions", json!({ "sessions": [ids[1]] })).await.expect(200);
        second.get("auth/session").await.expect(401);
        let old = first.clone();
        first.delete("auth/sessions", json!({ "sessions": [ids[0]] })).await.expect(401);
        is_gone(old).await;
        stranger.get("auth/sessions").await.expect(200);
        for mut nobody in [Client::app(door.clone()), Client::browser(door)] {
            nobody.get("auth/sessions").await.expect(401);
            nobody.delete("auth/sessions", json!({ "sessions": ids })).await.expect(401);
        }
    });
}

#[test]
fn s2_a_password_changed_by_any_path_ends_sessions() {
    on_both(async |backend| {
        let app = TestApp::start(backend, OPEN).await;
        for (n, client) in [app.app(), app.browser()].into_iter().enumerate() {
            let (mut client, reply) = signed_up(client, &format!("ada{n}@example.org")).await;
            let id = reply.data()["user"]["id"].as_i64().unwrap();
            let (_, other) = signed_up(app.app(), &format!("bob{n}@example.org")).await;
            let other = other.data()["user"]["id"].as_i64().unwrap();
            let mut tx = app.db.write().await.unwrap();
            let sql = "UPDATE users SET password = (SELECT password FROM users WHERE id = $2) WHERE id = $1";
            tx.execute(sql, vals![id, other]).await.unwrap();
            tx.commit().await.unwrap();
            client.get("auth/session").await.expect(401);
            client.get("account/email").await;

            // The operator's ways.
            log_in(&mut client, &format!("ada{n}@example.org")).await;
            let mut client = app.app();
            log_in(&mut client, &format!("bob{n}@example.org")).await.expect(200);
            app.vestibule.users().deactivate(other).await.unwrap();
            assert_ne!(client.get("account/email").await.status, 200);
            app.vestibule.users().activate(other).await.unwrap();
            let mut client = app.app();
            log_in(&mut client, &format!("bob{n}@example.org")).await.expect(200);
            let new = vestibule::Password::parse("another horse battery").unwrap();
            app.vestibule.users().set_password(other, new).await.unwrap();
            assert_ne!(client.get("account/email").await.status, 200);
        }
    });
}

/// Name, value and lower-case attributes of a cookie.
fn cookie(reply: &Reply, name: &str) -> Option<(String, Vec<String>)> {
    let line = reply.set_cookies().find(|line| line.starts_with(&format!("{name}=")))?;
    let mut parts = line.split("; ");
    let value = parts.next()?.split_once('=')?.1.to_owned();
    Some((value, parts.map(str::to_ascii_lowercase).collect()))
}

#[test]
fn s3_cookies_are_out_of_reach_for_scripts_other_sites_and_plain_http() {
    let https = "server.public_url = 'https://auth.example.org'\nemail.host = 'localhost'";
    let names = "session.cookie_name = '__Host-sessionid'\ncsrf.cookie_name = '__Host-csrftoken'";
    on_both(async |backend| {
        for (settings, secure, prefix) in
            [("", false, ""), (https, true, ""), (&format!("{https}\n{names}"), true, "__Host-")]
        {
            let app = TestApp::start(backend, &format!("{OPEN}\n{settings}")).await;
            let mut browser = app.browser();
            let config = browser.get("config").await.expect(200);
            assert_eq!(cookie(&config, &format!("{prefix}sessionid")), None, "nothing to keep yet");
            let token = browser.cookie(&format!("{prefix}csrftoken")).unwrap().to_owned();
            let call = browser.call(Method::POST, "auth/signup").without_csrf().header("x-csrftoken", &token);
            let reply = call.json(&json!({ "email": "ada@example.org", "password": PASSWORD })).send().await;
            let reply = reply.expect(200);
            for (name, http_only) in [("sessionid", true), ("csrftoken", false)] {
                let (_, attributes) = cookie(&reply, &format!("{prefix}{name}")).unwrap();
                let has = |wanted: &str| attributes.iter().any(|attribute| attribute == wanted);
                assert!(has("path=/") && has("samesite=lax"), "{attributes:?}");
                assert_eq!((has("secure"), has("httponly")), (secure, http_only), "{name}: {attributes:?}");
                assert!(!attributes.iter().any(|attribute| attribute.starts_with("domain")));
            }
            browser.get("auth/session").await.expect(200);
        }
    });
}

#[test]
fn s3_apps_neither_set_nor_read_cookies() {
    on_both(async |backend| {
        let app = TestApp::start(backend, OPEN).await;
        let (client, reply) = signed_up(Client::app(unobserved(&app)), "ada@example.org").await;
        assert_eq!(reply.set_cookies().count(), 0);
        for (method, path) in routes() {
            let mut client = client.clone();
            let reply = client.call(method.clone(), &path).header("cookie", "csrftoken=x").send().await;
            assert_eq!(reply.set_cookies().count(), 0, "{method} {path}");
        }
    });
}

fn changes(method: &Method) -> bool {
    *method != Method::GET
}

/// A body that would change something, wherever it is sent.
fn anything() -> Value {
    json!({
        "email": "new@example.org", "phone": "+31201234567", "password": PASSWORD, "primary": true,
        "current_password": PASSWORD, "new_password": "another horse battery", "sessions": [1, 2, 3],
        "key": "x", "code": "x",
    })
}

#[test]
fn s4_no_browser_changes_anything_without_token_and_origin() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &format!("{OPEN}{FACTORS}")).await;
        let (browser, _) = signed_up(Client::browser(unobserved(&app)), "ada@example.org").await;
        let token = browser.cookie("csrftoken").unwrap().to_owned();
        let own = app.door.public_url.clone();
        let before = dump(&app.db).await;
        let unsafe_routes: Vec<_> = routes().into_iter().filter(|(method, _)| changes(method)).collect();
        assert!(unsafe_routes.len() >= 20, "all routes are known: {unsafe_routes:?}");
        for (method, path) in &unsafe_routes {
            let mut forged = vec![
                ("no token", None, Some(own.clone())),
                ("a wrong token", Some("a".repeat(32)), Some(own.clone())),
                ("a wrong token in a mask", Some("a".repeat(64)), Some(own.clone())),
                ("an empty token", Some(String::new()), Some(own.clone())),
            ];
            for origin in
                ["null", "https://evil.example", "https://localhost:8000", "http://localhost:8001", ""]
            {
                forged.push(("a foreign origin", Some(token.clone()), Some(origin.to_owned())));
            }
            for (what, token, origin) in forged {
                let mut browser = browser.clone();
                let mut call = browser.call(method.clone(), path).without_csrf().json(&anything());
                if let Some(token) = &token {
                    call = call.header("x-csrftoken", token);
                }
                if let Some(origin) = &origin {
                    call = call.header("origin", origin);
                }
                let reply = call.send().await;
                assert_eq!(reply.status, 403, "{method} {path} with {what} {origin:?}: {reply}");
            }
            // A token without its cookie: a page that cannot read cookies made one up.
            let mut stranger = Client::browser(unobserved(&app));
            let call = stranger.call(method.clone(), path).without_csrf().header("x-csrftoken", &token);
            call.json(&anything()).send().await.expect(403);
        }
        assert_eq!(dump(&app.db).await, before, "nothing has changed");
        // The same requests with both pass the check: what refuses them now is something else.
        for (method, path) in &unsafe_routes {
            let mut stranger = Client::browser(unobserved(&app));
            let reply = stranger.call(method.clone(), path).json(&json!({})).send().await;
            assert_ne!(reply.status, 403, "{method} {path}");
        }
    });
}

#[test]
fn s4_the_csrf_token_changes_whenever_somebody_enters() {
    on_both(async |backend| {
        let app = TestApp::start(backend, OPEN).await;
        let mut browser = app.browser();
        browser.get("config").await;
        let planted = browser.cookie("csrftoken").unwrap().to_owned();
        let (mut browser, _) = signed_up(browser, "ada@example.org").await;
        let own = browser.cookie("csrftoken").unwrap().to_owned();
        assert_ne!(planted, own);
        let forged =
            browser.call(Method::DELETE, "auth/session").without_csrf().header("x-csrftoken", &planted);
        forged.send().await.expect(403);
        browser.delete("auth/session", Value::Null).await.expect(401);
        log_in(&mut browser, "ada@example.org").await.expect(200);
        assert_ne!(browser.cookie("csrftoken").unwrap(), own);
    });
}

#[test]
fn s4_nothing_changes_on_get() {
    on_both(async |backend| {
        for codes in [false, true] {
            let settings =
                format!("account = {{ rate_limits = false, email_verification_by_code_enabled = {codes} }}");
            let app = TestApp::start(backend, &settings).await;
            let door = unobserved(&app);
            let mut app_client = Client::app(door.clone());
            let new = json!({ "email": "ada@example.org", "password": PASSWORD });
            app_client.post("auth/signup", new).await.expect(401);
            let key = if codes {
                app.code_for("ada@example.org").await
            } else {
                app.link_key_for("ada@example.org").await
            };
            app_client.post("auth/password/request", json!({ "email": "ada@example.org" })).await.expect(200);
            let reset = app.link_key_for("ada@example.org").await;
            let before = dump(&app.db).await;
            for (_, path) in routes() {
                for method in [Method::GET, Method::HEAD] {
                    for client in [app_client.clone(), Client::browser(door.clone())] {
                        let client = client.with_header("x-password-reset-key", &reset);
                        let mut client = client.with_header("x-email-verification-key", &key);
                        let query = format!("{path}?email=ada@example.org&key={key}&password=another+horse");
                        client.call(method.clone(), &query).json(&anything()).send().await;
                    }
                }
            }
            assert_eq!(dump(&app.db).await, before);
            app_client.post("auth/email/verify", json!({ "key": key })).await;
            assert_ne!(dump(&app.db).await, before, "the key was good");
        }
    });
}

#[test]
fn s5_only_listed_origins_may_read_answers() {
    let settings = "server.cors_allowed_origins = ['https://app.example.org']\n\
                    csrf.trusted_origins = ['https://app.example.org']";
    on_both(async |backend| {
        let app = TestApp::start(backend, settings).await;
        let door = unobserved(&app);
        let mut browser = Client::browser(door.clone());
        let listed = "https://app.example.org";
        for path in ["config", "auth/session", "auth/login", "nowhere", "/nowhere", "/_dev/mail"] {
            let reply = browser.call(Method::GET, path).header("origin", listed).send().await;
            assert_eq!(reply.header("access-control-allow-origin"), Some(listed), "{path}");
            assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));
            assert!(varies(&reply), "{path}");
            for origin in [
                "null",
                "*",
                "",
                "http://app.example.org",
                "https://app.example.org.evil.example",
                "https://app.example.org:8443",
                "https://evil.example",
                "https://sub.app.example.org",
                "https://APP.example.org",
                "https://app.example.org/",
            ] {
                let reply = browser.call(Method::GET, path).header("origin", origin).send().await;
                assert_eq!(reply.header("access-control-allow-origin"), None, "{path} for {origin}");
                assert_eq!(reply.header("access-control-allow-credentials"), None);
                assert!(varies(&reply), "{path}");
            }
            assert!(varies(&browser.get(path).await), "without an origin, too");
        }
        let mut ask = async |origin: &str, method: &str| {
            let call = browser.call(Method::OPTIONS, "auth/login").header("origin", origin);
            call.header("access-control-request-method", method).send().await
        };
        let reply = ask(listed, "POST").await.expect(204);
        assert!(reply.header("access-control-allow-methods").unwrap().contains("POST"));
        let taken = reply.header("access-control-allow-headers").unwrap();
        for name in ["X-CSRFToken", "X-Session-Token", "Authorization"] {
            assert!(taken.contains(name), "{name} in {taken}");
        }
        assert_eq!(reply.header("access-control-allow-origin"), Some(listed));
        for (origin, method) in
            [("https://evil.example", "POST"), ("null", "POST"), (listed, "TRACE"), (listed, "post")]
        {
            let reply = ask(origin, method).await.expect(405);
            assert_eq!(reply.header("access-control-allow-methods"), None, "{origin} {method}");
        }

        let app = TestApp::start(backend, "").await;
        let reply = app.app().call(Method::GET, "config").header("origin", listed).send().await;
        assert!(!reply.headers.keys().any(|name| name.as_str().starts_with("access-control")));
    });
}

fn varies(reply: &Reply) -> bool {
    reply.headers.get_all("vary").iter().any(|value| value == "Origin")
}

#[test]
fn s6_every_answer_has_its_headers() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &format!("{OPEN}\nheadless.serve_specification = true")).await;
        let door = unobserved(&app);
        let (client, reply) = signed_up(Client::app(door.clone()), "ada@example.org").await;
        dressed(&reply, "signup");
        for (method, path) in routes() {
            for mut client in [client.clone(), Client::app(door.clone()), Client::browser(door.clone())] {
                for method in [&method, &Method::OPTIONS] {
                    let call = client.call(method.clone(), &path).without_csrf();
                    dressed(&call.raw("application/json", "[]").send().await, &path);
                }
            }
        }
        let mut client = client;
        for path in [
            "/",
            "/nowhere",
            "/_allauth/",
            "/healthz",
            "/readyz",
            "/_dev/mail",
            "/_dev/mail.json",
            "/_allauth/openapi.html",
            "/_allauth/openapi.json",
            "/_allauth/openapi.yaml",
        ] {
            dressed(&client.get(path).await, path);
            dressed(&client.post(path, json!({})).await, path);
        }
        for host in ["evil.example", "localhost:x", ""] {
            dressed(&client.call(Method::GET, "config").header("host", host).send().await, "a foreign host");
        }
        let mut tx = app.db.write().await.unwrap();
        tx.execute("DROP TABLE links", vec![]).await.unwrap();
        tx.commit().await.unwrap();
        let broken = client.get("auth/email/verify").await;
        let broken = if broken.status == 500 {
            broken
        } else {
            client
                .call(Method::GET, "auth/email/verify")
                .header("x-email-verification-key", &"A".repeat(43))
                .send()
                .await
        };
        dressed(&broken, "a failure of ours");
        assert_eq!(broken.body.as_ref(), br#"{"status":500}"#, "says nothing of the reason");
    });
}

fn dressed(reply: &Reply, what: &str) {
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name} of {what}: {reply}");
    }
    let policy = reply.header("content-security-policy").unwrap_or_default();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{what}: {policy}"
    );
    let inline = policy.split(';').any(|part| part.contains("script-src") && part.contains("unsafe"));
    assert!(!inline, "{what}: {policy}");
    if reply.status >= 400 {
        assert_eq!(reply.json["status"], reply.status, "an envelope for {what}");
    }
}

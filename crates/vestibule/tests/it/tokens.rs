//! Access and refresh tokens: what they say, what they open, how they are exchanged, and what ends them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use axum::http::Method;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use vestibule_base::vals;
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::{Client, Reply};
use vestibule_testkit::database::on_both;

use crate::failure::dump;
use crate::races::{at_once, post, statuses};

const PASSWORD: &str = "correct horse battery staple";
const SECRET: &str = "a secret of this test, long enough to sign with";
const OTHER_SECRET: &str = "another secret of this test, long enough as well";

/// Keys made with openssl genpkey for these tests.
const ED25519: &str = include_str!("../keys/ed25519.pem");
const P256: &str = include_str!("../keys/p256.pem");
const P384: &str = include_str!("../keys/p384.pem");
const RSA: &str = include_str!("../keys/rsa.pem");

fn settings(more: &str) -> String {
    format!(
        "account = {{ email_verification = 'none', rate_limits = false }}
         [headless]
         token_strategy = 'jwt'
         {more}"
    )
}

fn hs256(more: &str) -> String {
    settings(&format!("jwt_algorithm = 'HS256'\njwt_private_key = '{SECRET}'\n{more}"))
}

fn signed_by(algorithm: &str, pem: &str) -> String {
    settings(&format!("jwt_algorithm = '{algorithm}'\njwt_private_key = '''{pem}'''\n"))
}

/// An application with its tokens.
struct Held {
    client: Client,
    access: String,
    refresh: String,
}

impl Held {
    fn of(client: Client, reply: &Reply) -> Self {
        let text =
            |name: &str| reply.json["meta"][name].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned();
        Self { client, access: text("access_token"), refresh: text("refresh_token") }
    }

    async fn signed_up(app: &TestApp, email: &str) -> Self {
        let mut client = app.app();
        let reply = client.post("auth/signup", json!({ "email": email, "password": PASSWORD })).await;
        Self::of(client, &reply.expect(200))
    }
}

async fn refresh(app: &TestApp, token: &str) -> Reply {
    app.app().post("tokens/refresh", json!({ "refresh_token": token })).await
}

async fn refreshed(app: &TestApp, token: &str) -> (String, String) {
    let reply = refresh(app, token).await.expect(200);
    let text = |name: &str| reply.data()[name].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

/// Asks for something with nothing but an access token.
async fn bearer(app: &TestApp, method: Method, path: &str, token: &str) -> Reply {
    let value = format!("Bearer {token}");
    let mut client = app.app();
    client.call(method, path).header("authorization", &value).json(&json!({})).send().await
}

async fn session(app: &TestApp, token: &str) -> u16 {
    bearer(app, Method::GET, "auth/session", token).await.status
}

fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// A token of our own making.
fn forged(header: &Value, claims: &Value, secret: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let write = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", write(header), write(claims));
    let mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    let signature = mac.chain_update(&message).finalize().into_bytes();
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn whoever_enters_gets_a_pair_that_says_who_and_for_how_long() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &hs256("")).await;
        let held = Held::signed_up(&app, "ada@example.org").await;
        let (header, claims) = (part(&held.access, 0), part(&held.access, 1));
        assert_eq!(header, json!({ "typ": "JWT", "alg": "HS256" }));
        assert_eq!(
            (&claims["iss"], &claims["aud"]),
            (&json!("http://localhost:8000"), &json!("http://localhost:8000"))
        );
        let life = |claims: &Value| claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert_eq!((life(&claims), life(&part(&held.refresh, 1))), (300, 86_400));
        let user = bearer(&app, Method::GET, "auth/session", &held.access).await.expect(200);
        assert_eq!(claims["sub"], user.data()["user"]["id"].to_string());
        assert!(user.json["meta"].get("access_token").is_none(), "it is given once: {user}");
        // Every endpoint of applications takes it.
        for path in ["account/email", "account/authenticators", "auth/sessions", "config"] {
            bearer(&app, Method::GET, path, &held.access).await.expect(200);
        }
        let taken = json!({ "email": "ada@example.org", "password": PASSWORD });
        let value = format!("Bearer {}", held.access);
        let mut other = app.app();
        other
            .call(Method::POST, "auth/login")
            .header("authorization", &value)
            .json(&taken)
            .send()
            .await
            .expect(409);
        // A browser gets none, and may not come with one.
        let mut browser = app.browser();
        let reply = browser.post("auth/login", taken).await.expect(200);
        assert!(reply.json["meta"].get("access_token").is_none());
        let mut browser = app.browser();
        browser.call(Method::GET, "auth/session").header("authorization", &value).send().await.expect(401);
    });
}

#[test]
fn t1_what_is_no_access_token_of_ours_opens_nothing() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &hs256("")).await;
        let held = Held::signed_up(&app, "ada@example.org").await;
        let (header, claims) = (part(&held.access, 0), part(&held.access, 1));
        assert_eq!(session(&app, &forged(&header, &claims, SECRET)).await, 200, "forging works");
        let with = |name: &str, value: Value| {
            let mut claims = claims.clone();
            claims[name] = value;
            forged(&header, &claims, SECRET)
        };
        let without = |name: &str| {
            let mut claims = claims.clone();
            claims.as_object_mut().unwrap().remove(name);
            forged(&header, &claims, SECRET)
        };
        let headed = |more: Value| {
            let mut header = header.clone();
            header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            forged(&header, &claims, SECRET)
        };
        let unsigned = |alg: &str| {
            let token = forged(&json!({ "alg": alg, "typ": "JWT" }), &claims, SECRET);
            format!("{}.", token.rsplit_once('.').unwrap().0)
        };
        let mut bad = vec![
            held.refresh.clone(),
            "garbage".to_owned(),
            "a.b.c".to_owned(),
            unsigned("none"),
            unsigned("None"),
            unsigned("HS256"),
            forged(&header, &claims, OTHER_SECRET),
            forged(&header, &claims, ""),
            headed(json!({ "alg": "HS512" })),
            headed(json!({ "alg": "RS256" })),
            headed(json!({ "crit": ["exp"] })),
            headed(json!({ "jku": "https://evil.example/keys" })),
            headed(json!({ "x5u": "https://evil.example/cert" })),
            headed(json!({ "jwk": { "kty": "oct", "k": BASE64_URL_SAFE_NO_PAD.encode(OTHER_SECRET) } })),
            headed(json!({ "kid": "another" })),
            with("iss", json!("https://evil.example")),
            with("aud", json!("https://evil.example")),
            with("aud", json!(["http://localhost:8000"])),
            with("token_use", json!("refresh")),
            with("token_use", json!("id")),
            with("exp", claims["iat"].clone()),
            with("exp", json!("9999999999")),
            with("sub", json!("999999")),
            with("sub", json!(claims["sub"].as_str().unwrap().parse::<i64>().unwrap())),
            with("sid", json!("' OR 1=1 --")),
        ];
        bad.extend(["iss", "aud", "exp", "sub", "sid", "jti", "token_use"].map(without));
        for token in bad {
            let status = session(&app, &token).await;
            // A session that is not there is gone; all else counts as no token.
            assert!(matches!(status, 401 | 410), "{status} for {token}");
            refresh(&app, &token).await;
        }
        for value in [
            format!("Token {}", held.access),
            format!("Basic {}", held.access),
            held.access.clone(),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
        ] {
            let mut other = app.app();
            other.call(Method::GET, "auth/session").header("authorization", &value).send().await.expect(401);
        }
    });
}

#[test]
fn t1_a_public_key_is_no_secret_to_sign_with() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &signed_by("RS256", RSA)).await;
        let held = Held::signed_up(&app, "ada@example.org").await;
        let mut keys = app.app();
        let keys = keys.get("/.well-known/jwks.json").await.expect(200);
        let claims = part(&held.access, 1);
        let modulus = keys.json["keys"][0]["n"].as_str().unwrap();
        for secret in [modulus, &keys.json.to_string(), &keys.json["keys"][0].to_string()] {
            let mut header = part(&held.access, 0);
            header["alg"] = json!("HS256");
            assert_eq!(session(&app, &forged(&header, &claims, secret)).await, 401);
        }
    });
}

#[test]
fn t1_the_sid_reveals_no_session_token() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &hs256("")).await;
        let held = Held::signed_up(&app, "ada@example.org").await;
        let sid = part(&held.access, 1)["sid"].as_str().unwrap().to_owned();
        let token = held.client.token().unwrap().to_owned();
        assert!(!held.access.contains(&token) && sid != token);
        let mut thief = app.app();
        thief.set_token(Some(&sid));
        thief.get("auth/session").await.expect(410);
        // Nor does the database hold a token that works.
        let stored = dump(&app.db).await;
        assert!(!stored.contains(&held.refresh) && !stored.contains(&held.access));
        let jti = part(&held.refresh, 1)["jti"].as_str().unwrap().to_owned();
        assert!(!stored.contains(&jti), "a refresh token is kept as a hash");
    });
}

#[test]
fn t2_a_refresh_gives_the_next_pair_and_uses_up_the_old_one() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &hs256("")).await;
        let held = Held::signed_up(&app, "ada@example.org").await;
        let (access, second) = refreshed(&app, &held.refresh).await;
        assert_eq!(session(&app, &access).await, 200);
        app.pass(10);
        // What is remembered is in the database, not in the process.
        let app = app.second().await;
        let (_, third) = refreshed(&app, &second).await;
        assert_ne!(second, third);

        // Somebody comes with a token that was used: whoever holds the latest one is out, too.
        let refused = refresh(&app, &second).await.expect(400);
        assert_eq!(refused.json, json!({ "status": 400 }));
        refresh(&app, &third).await.expect(400);
        assert_eq!(session(&app, &access).await, 410);
        let mut client = held.client;
        client.get("auth/session").await.expect(410);
    });
}

#[test]
fn t2_an_early_token_of_the_chain_ends_it_as_well() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &hs256("jwt_refresh_token_grace = 60")).await;
        let first = Held::signed_up(&app, "ada@example.org").await.refresh;
        let (_, second) = refreshed(&app, &first).await;
        let (_, third) = refreshed(&app, &second).await;
        // Within the grace, but two steps back: no honest client loses two answers and has both.
        refresh(&app, &first).await.expect(400);
        refresh(&app, &third).await.expect(400);
    });
}

#[test]
fn t2_within_the_grace_a_retry_gets_the_same_successor() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &hs256("jwt_refresh_token_grace = 10")).await;
        let held = Held::signed_up(&app, "ada@example.org").await;
        let (_, next) = refreshed(&app, &held.refresh).await;
        app.pass(-1);
        assert_eq!(refreshed(&app, &held.refresh).await.1, next, "asked for at once, served a moment later");
        app.pass(10);
        let (access, again) = refreshed(&app, &held.refresh).await;
        assert_eq!(next, again);
        assert_eq!(session(&app, &access).await, 200);
        assert!(!dump(&app.db).await.contains(&next), "it is kept sealed");
        app.pass(1);
        refresh(&app, &held.refresh).await.expect(400);
        refresh(&app, &next).await.expect(400);
    });
}

#[test]
fn t2_no_refresh_outlives_token_or_session() {
    on_both(async |backend| {
        let app = TestApp::start(
            backend,
            &hs256("jwt_refresh_token_expires_in = 1000\n[session]\ncookie_age = 2500"),
        )
        .await;
        let held = Held::signed_up(&app, "ada@example.org").await;
        app.pass(999);
        let (_, second) = refreshed(&app, &held.refresh).await;
        app.pass(999);
        let (access, third) = refreshed(&app, &second).await;
        let claims = part(&third, 1);
        assert_eq!(
            claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
            502,
            "as long as the session"
        );
        app.pass(300);
        assert_eq!(session(&app, &access).await, 401);
        app.pass(202);
        refresh(&app, &third).await.expect(400);

        let other = Held::signed_up(&app, "bob@example.org").await;
        app.pass(1000);
        refresh(&app, &other.refresh).await.expect(400);
    });
}

#[test]
fn t2_without_rotation_the_refresh_token_stays() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &hs256("jwt_rotate_refresh_token = false")).await;
        let held = Held::signed_up(&app, "ada@example.org").await;
        for _ in 0..2 {
            let reply = refresh(&app, &held.refresh).await.expect(200);
            assert!(reply.data().get("refresh_token").is_none());
        }
        for body in [json!({}), json!({ "refresh_token": "" }), json!({ "refresh_token": null })] {
            let reply = app.app().post("tokens/refresh", body).await.expect(400);
            assert_eq!(reply.errors(), [("refresh_token", "required")]);
        }
        app.app().post("tokens/refresh", json!({ "refresh_token": ["x"] })).await.expect(400);
    });
}

#[test]
fn c3_of_many_requests_with_one_refresh_token_one_succeeds() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &hs256("")).await;
        let other = app.second().await;
        for round in 0..5 {
            let held = Held::signed_up(&app, &format!("ada{round}@example.org")).await;
            let body = json!({ "refresh_token": held.refresh });
            let from = |n: usize| if n.is_multiple_of(2) { app.app() } else { other.app() };
            let tries = (0..8).map(|n| post(&from(n), "tokens/refresh", body.clone())).collect();
            let answered = statuses(&at_once(tries).await);
            assert_eq!(answered, [(200, 1), (400, 7)].into());
        }
    });
}

#[test]
fn t3_whatever_ends_a_session_ends_its_tokens() {
    on_both(async |backend| {
        for (stateful, gone) in [(false, 410), (true, 401)] {
            let app =
                TestApp::start(backend, &hs256(&format!("jwt_stateful_validation_enabled = {stateful}")))
                    .await;
            // Logout.
            let mut ada = Held::signed_up(&app, "ada@example.org").await;
            ada.client.delete("auth/session", json!({})).await.expect(401);
            assert_eq!(session(&app, &ada.access).await, gone);
            let config = bearer(&app, Method::GET, "config", &ada.access).await.status;
            assert_eq!(config, if stateful { 200 } else { 410 });
            refresh(&app, &ada.refresh).await.expect(400);

            // The list of sessions.
            let bob = Held::signed_up(&app, "bob@example.org").await;
            let mut other = app.app();
            let again =
                other.post("auth/login", json!({ "email": "bob@example.org", "password": PASSWORD })).await;
            let mut other = Held::of(other, &again.expect(200));
            let list = other.client.get("auth/sessions").await.expect(200);
            let first =
                list.data().as_array().unwrap().iter().find(|row| row["is_current"] == false).unwrap();
            other.client.delete("auth/sessions", json!({ "sessions": [first["id"]] })).await.expect(200);
            assert_eq!(session(&app, &bob.access).await, gone);
            refresh(&app, &bob.refresh).await.expect(400);

            // A new password: whoever changes it gets a new pair, all others are out, and the old pair is worthless.
            let third = app
                .app()
                .post("auth/login", json!({ "email": "bob@example.org", "password": PASSWORD }))
                .await;
            let third = Held::of(app.app(), &third.expect(200));
            let change =
                json!({ "current_password": PASSWORD, "new_password": "another horse, another staple" });
            let value = format!("Bearer {}", other.access);
            let mut by_token = app.app();
            let reply =
                by_token.call(Method::POST, "account/password/change").header("authorization", &value);
            let reply = reply.json(&change).send().await.expect(200);
            let new = Held::of(by_token, &reply);
            for old in [&third, &other] {
                assert!(matches!(session(&app, &old.access).await, 401 | 410));
                refresh(&app, &old.refresh).await.expect(400);
            }
            assert_eq!(session(&app, &new.access).await, 200);
            refresh(&app, &new.refresh).await.expect(200);
        }
    });
}

#[test]
fn p7_a_deactivated_user_s_tokens_are_refused_at_once() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &hs256("jwt_stateful_validation_enabled = true")).await;
        let held = Held::signed_up(&app, "ada@example.org").await;
        let mut tx = app.db.write().await.unwrap();
        tx.execute("UPDATE users SET is_active = 0", vals![]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(session(&app, &held.access).await, 401);
        refresh(&app, &held.refresh).await.expect(400);
    });
}

#[test]
fn s2_a_password_changed_in_the_database_ends_the_tokens() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &hs256("")).await;
        let held = Held::signed_up(&app, "ada@example.org").await;
        let mut tx = app.db.write().await.unwrap();
        tx.execute("UPDATE users SET password = NULL", vals![]).await.unwrap();
        tx.commit().await.unwrap();
        refresh(&app, &held.refresh).await.expect(400);
        assert!(matches!(session(&app, &held.access).await, 401 | 410));
    });
}

#[test]
fn t3_every_algorithm_signs_and_the_published_keys_verify() {
    on_both(async |backend| {
        for (algorithm, pem) in [
            ("RS256", RSA),
            ("RS384", RSA),
            ("RS512", RSA),
            ("ES256", P256),
            ("ES384", P384),
            ("EdDSA", ED25519),
        ] {
            let app = TestApp::start(backend, &signed_by(algorithm, pem)).await;
            let held = Held::signed_up(&app, "ada@example.org").await;
            assert_eq!(session(&app, &held.access).await, 200);
            let published = app.app().get("/.well-known/jwks.json").await.expect(200);
            assert_eq!(published.header("cache-control"), Some("public, max-age=300"));
            let key = &published.json["keys"][0];
            assert_eq!(
                (&key["kid"], &key["use"], &key["alg"]),
                (&part(&held.access, 0)["kid"], &json!("sig"), &json!(algorithm))
            );
            for private in ["d", "p", "q", "k"] {
                assert!(key.get(private).is_none(), "{private} is private");
            }
            let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(key.clone()).unwrap();
            let verifying = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
            let mut validation = jsonwebtoken::Validation::new(algorithm.parse().unwrap());
            validation.validate_exp = false;
            validation.set_audience(&["http://localhost:8000"]);
            validation.set_issuer(&["http://localhost:8000"]);
            jsonwebtoken::decode::<Value>(&held.access, &verifying, &validation).unwrap();

            let tag = published.header("etag").unwrap().to_owned();
            let mut again = app.app();
            again
                .call(Method::GET, "/.well-known/jwks.json")
                .header("if-none-match", &tag)
                .send()
                .await
                .expect(304);
        }
        let app = TestApp::start(backend, &hs256("")).await;
        let published = app.app().get("/.well-known/jwks.json").await.expect(200);
        assert_eq!(published.json, json!({ "keys": [] }), "a shared secret is not published");
    });
}

#[test]
fn t3_a_former_key_verifies_what_it_signed() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &signed_by("RS384", RSA)).await;
        let held = Held::signed_up(&app, "ada@example.org").await;
        let changed = settings(&format!(
            "jwt_algorithm = 'EdDSA'\njwt_private_key = '''{ED25519}'''\njwt_private_key_fallbacks = ['''{RSA}''']"
        ));
        let after = app.second_with(&changed).await;
        assert_eq!(session(&after, &held.access).await, 200);
        let (access, _) = refreshed(&after, &held.refresh).await;
        let published = after.app().get("/.well-known/jwks.json").await.expect(200);
        let kids: Vec<&Value> =
            published.json["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
        assert_eq!(kids, [&part(&access, 0)["kid"], &part(&held.access, 0)["kid"]]);
        // A key that was taken off the list verifies nothing more.
        let later = app.second_with(&signed_by("EdDSA", ED25519)).await;
        assert_eq!(session(&later, &held.access).await, 401);
        assert_eq!(session(&later, &access).await, 200);
    });
}

#[test]
fn with_the_session_strategy_there_are_no_tokens() {
    on_both(async |backend| {
        let app = TestApp::start(backend, "account = { email_verification = 'none' }").await;
        let mut client = app.app();
        let new = json!({ "email": "ada@example.org", "password": PASSWORD });
        let reply = client.post("auth/signup", new).await.expect(200);
        assert!(reply.json["meta"].get("access_token").is_none());
        refresh(&app, "garbage").await.expect(400);
        assert_eq!(session(&app, "garbage").await, 401);
        app.app().get("/.well-known/jwks.json").await.expect(404);
    });
}

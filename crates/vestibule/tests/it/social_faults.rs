//! Third parties that fail, lie, or are slow (O3, O4, O6, X1, X3, X5): nobody is logged in, and nobody else is in trouble.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use vestibule_testkit::app::{START, TestApp};
use vestibule_testkit::database::on_both;
use vestibule_testkit::idp::{CLIENT, ISSUER, Idp, Instead, OTHER_ISSUER, Person, SECRET, Script, Signature};

use super::codes::{PASSWORD, account, login};
use super::failure::dump;
use super::log::Ear;
use super::races::{at_once, post, statuses};
use super::social::{
    BACK, FAILED, FREE, TOKEN, ada, arrive, bob, bring, by, connected, depart, id_token, is_nobody, travel,
    user,
};

const NOW: i64 = START / 1000;

/// Claims that make an ID token no proof.
fn lies() -> Vec<Value> {
    vec![
        json!({ "aud": "another app" }),
        json!({ "aud": ["another app", "a third"] }),
        json!({ "aud": null }),
        json!({ "aud": [CLIENT, "another app"], "azp": "another app" }),
        json!({ "iss": OTHER_ISSUER }),
        json!({ "iss": format!("{ISSUER}/") }),
        json!({ "iss": null }),
        json!({ "exp": NOW - 3600 }),
        json!({ "exp": null }),
        json!({ "exp": "tomorrow" }),
        json!({ "iat": NOW + 86_400, "exp": NOW + 90_000 }),
        json!({ "nbf": NOW + 86_400, "exp": NOW + 90_000 }),
        json!({ "sub": null }),
        json!({ "sub": "" }),
        json!({ "sub": ["ada-4711"] }),
        json!({ "sub": "s".repeat(192) }),
    ]
}

const FORGERIES: [Signature; 6] = [
    Signature::Missing,
    Signature::SymmetricByPublicKey,
    Signature::SymmetricBySecret,
    Signature::Foreign,
    Signature::Embedded,
    Signature::Altered,
];

#[test]
fn o3_an_id_token_that_is_no_proof_logs_nobody_in() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let with = |claims: Value| Script { claims, ..Script::default() };
        let nonces = [json!({ "nonce": null }), json!({ "nonce": "of another departure" })];
        let mut scripts: Vec<Script> = lies().into_iter().chain(nonces).map(with).collect();
        scripts.extend(FORGERIES.map(|signature| Script { signature, ..Script::default() }));
        for tokens in
            [json!({ "id_token": "none" }), json!({ "id_token": "a.b.c" }), json!({ "access_token": null })]
        {
            scripts.push(Script { tokens, ..Script::default() });
        }
        for profile in [json!({ "sub": "bob-4712" }), json!({ "sub": null }), json!({ "sub": ["ada-4711"] })]
        {
            scripts.push(Script { profile, ..Script::default() });
        }
        for script in scripts {
            idp.play(script.clone());
            let mut browser = server.browser();
            let told = travel(&mut browser, &idp, "idp", "login", &ada()).await;
            assert_eq!(told, FAILED, "{script:?}");
            assert!(is_nobody(&mut browser).await, "{script:?}");
        }
        assert!(server.vestibule.users().list(10, None).await.expect("users").is_empty());
        idp.play(Script::default());
        by(&server, &idp, &ada()).await;
    });
}

#[test]
fn o3_a_token_that_a_client_brings_is_checked_like_any() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let refused = async |token: &str, what: &str| {
            let mut client = server.app();
            let reply = client.post(TOKEN, id_token("idp", "login", token)).await.expect(400);
            assert_eq!(reply.errors(), [("token", "invalid_token")], "{what}");
            assert!(is_nobody(&mut client).await, "{what}");
        };
        for claims in lies() {
            refused(&idp.id_token(ISSUER, &ada(), &claims), &claims.to_string()).await;
        }
        for signature in FORGERIES {
            idp.play(Script { signature, ..Script::default() });
            refused(&idp.id_token(ISSUER, &ada(), &Value::Null), &format!("{signature:?}")).await;
        }
        idp.play(Script::default());
        for token in ["x", "a.b", "a.b.c", "e30.e30.", &"x.".repeat(40_000)] {
            refused(token, token).await;
        }
        assert!(server.vestibule.users().list(10, None).await.expect("users").is_empty());
        let both = json!({ "aud": [CLIENT, "another app"], "azp": CLIENT });
        let token = idp.id_token(ISSUER, &ada(), &both);
        server.app().post("auth/provider/token", id_token("idp", "login", &token)).await.expect(200);
    });
}

#[test]
fn o3_a_token_that_a_client_brings_counts_once() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        for claims in [json!({ "jti": "one" }), json!({ "jti": null, "iat": NOW - 1 })] {
            let body = id_token("idp", "login", &idp.id_token(ISSUER, &ada(), &claims));
            server.app().post(TOKEN, body.clone()).await.expect(200);
            // Tokens without a name that were signed in one second are the same text: they pass for two, for a moment.
            server.pass(6);
            let again = server.second().await;
            for mut client in [server.app(), again.app(), server.browser()] {
                let reply = client.post(TOKEN, body.clone()).await.expect(400);
                assert_eq!(reply.errors(), [("token", "invalid_token")], "{claims}");
                assert!(is_nobody(&mut client).await);
            }
        }
        let mut owner = by(&server, &idp, &ada()).await;
        let body = id_token("idp", "connect", &idp.id_token(ISSUER, &bob(), &json!({ "jti": "two" })));
        owner.post(TOKEN, body.clone()).await.expect(200);
        owner.post(TOKEN, body).await.expect(400);
        // The name is one of its issuer's.
        let body = id_token("other", "login", &idp.id_token(OTHER_ISSUER, &bob(), &json!({ "jti": "one" })));
        assert_ne!(server.app().post(TOKEN, body).await.status, 400);

        for process in ["login", "connect"] {
            let token = idp.id_token(ISSUER, &ada(), &json!({ "jti": format!("at once to {process}") }));
            let body = id_token("idp", process, &token);
            let mut client = server.app();
            if process == "connect" {
                bring(&mut client, &idp, "login", &ada()).await.expect(200);
            }
            let replies = at_once(vec![post(&client, TOKEN, body); 20]).await;
            let seen = statuses(&replies);
            assert_eq!((seen.get(&200), seen.get(&400)), (Some(&1), Some(&19)), "{process}: {seen:?}");
        }
    });
}

#[test]
fn x6_a_spent_token_is_not_good_again_when_the_clock_goes_back() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let token = idp.id_token(ISSUER, &ada(), &json!({ "jti": "one" }));
        let body = id_token("idp", "login", &token);
        server.app().post(TOKEN, body.clone()).await.expect(200);
        server.pass(86_400);
        // What has expired is cleared away once.
        let (_stop, stopped) = watch::channel(true);
        server.vestibule.background(stopped).await;
        server.pass(-86_400);
        server.app().post(TOKEN, body).await.expect(400);
    });
}

#[test]
fn o3_new_keys_of_the_provider_are_learned_and_old_ones_are_not_kept_for_ever() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let mut own = by(&server, &idp, &ada()).await;
        let id = user(&mut own).await;
        let old = idp.id_token(ISSUER, &ada(), &json!({ "exp": NOW + 86_400 }));
        let mut away = server.browser();
        let page = depart(&mut away, "idp", "login").await;
        idp.rotate_keys(ISSUER);
        assert_eq!(arrive(&mut away, &idp.authorize(&page, &ada())).await, BACK);
        assert_eq!(user(&mut away).await, id);
        let fetched = idp.called("/jwks");
        for _ in 0..5 {
            server.app().post(TOKEN, id_token("idp", "login", &old)).await.expect(400);
        }
        assert!(idp.called("/jwks") <= fetched + 1, "nobody makes us ask again and again");
    });
}

#[test]
fn o4_the_account_is_the_subject_s_whatever_else_changes_hands() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let id = user(&mut by(&server, &idp, &ada()).await).await;
        let renamed =
            Person::verified("ada-4711", "lovelace@example.org").claim("preferred_username", "lovelace");
        assert_eq!(user(&mut by(&server, &idp, &renamed).await).await, id);
        let heir = Person::verified("heir-1", "heir@example.org").claim("preferred_username", "ada");
        assert_ne!(user(&mut by(&server, &idp, &heir).await).await, id);
        // Neither a case, nor a blank, nor another provider makes one subject another.
        for (provider, sub, name) in
            [("idp", "Ada-4711", "one"), ("idp", "ada-4711 ", "two"), ("other", "ada-4711", "three")]
        {
            let person = Person::verified(sub, &format!("{name}@example.org"));
            let mut browser = server.browser();
            assert_eq!(
                travel(&mut browser, &idp, provider, "login", &person).await,
                BACK,
                "{provider} {sub:?}"
            );
            assert_ne!(user(&mut browser).await, id, "{provider} {sub:?}");
        }
    });
}

#[test]
fn o5_a_request_changes_nothing_of_how_a_provider_is_asked() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        // What differs from one departure to the next is random; the rest is the configuration's.
        let lasting = |page: &str| {
            let (front, query) = page.split_once('?').expect("a query");
            let random = ["state=", "nonce=", "code_challenge="];
            let kept = query.split('&').filter(|pair| !random.iter().any(|name| pair.starts_with(name)));
            format!("{front} {}", kept.collect::<Vec<_>>().join(" "))
        };
        let before = lasting(&depart(&mut server.browser(), "idp", "login").await);
        let odd = [
            ("scope", "admin"),
            ("client_id", "another app"),
            ("redirect_uri", "https://evil.example/"),
            ("authorize_url", "https://evil.example/authorize"),
            ("server_url", "https://evil.example"),
            ("auth_params", "prompt=none"),
            ("response_mode", "form_post"),
        ];
        let query = odd.map(|(name, value)| format!("{name}={value}")).join("&").replace(' ', "+");
        let mut fields = vec![("provider", "idp"), ("process", "login"), ("callback_url", "/back")];
        fields.extend(odd);
        let path = format!("auth/provider/redirect?{query}");
        let reply = server.browser().post_form(&path, &fields).await.expect(302);
        assert_eq!(lasting(reply.header("location").expect("a location")), before);
        // Nor for whoever comes next.
        assert_eq!(lasting(&depart(&mut server.browser(), "idp", "login").await), before);
    });
}

#[test]
fn o6_a_provider_that_fails_costs_its_own_users_an_error() {
    on_both(async |backend| {
        let failures = [
            Instead::Unreachable,
            Instead::TooLarge,
            Instead::Answer(500, "{}"),
            Instead::Answer(302, ""),
            Instead::Answer(200, "<html>"),
            Instead::Answer(200, "[]"),
            Instead::Answer(200, ""),
        ];
        // What the provider publishes is kept, what it says of people is not.
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        for path in ["/token", "/userinfo"] {
            for failure in failures {
                let mut browser = server.browser();
                idp.play(Script { instead: Some((path, failure)), ..Script::default() });
                let told = travel(&mut browser, &idp, "idp", "login", &ada()).await;
                assert_eq!(told, FAILED, "{path} {failure:?}");
                assert!(is_nobody(&mut browser).await);
            }
        }
        for path in ["/.well-known/openid-configuration", "/jwks"] {
            for failure in [failures[0], failures[2], failures[4], failures[5]] {
                let idp = Idp::default();
                let server = TestApp::start_with(backend, FREE, &idp).await;
                idp.play(Script { instead: Some((path, failure)), ..Script::default() });
                let mut browser = server.browser();
                let page = depart(&mut browser, "idp", "login").await;
                if path == "/jwks" {
                    let answer = idp.authorize(&page, &ada());
                    assert_eq!(arrive(&mut browser, &answer).await, FAILED, "{failure:?}");
                } else {
                    assert_eq!(page, FAILED, "{failure:?}");
                }
                assert!(is_nobody(&mut browser).await);
                let reply = bring(&mut server.app(), &idp, "login", &ada()).await;
                assert!([400, 503].contains(&reply.status), "{path} {failure:?}: {reply}");
                idp.play(Script::default());
                let mut later = server.browser();
                let told = travel(&mut later, &idp, "idp", "login", &ada()).await;
                assert_eq!(told, BACK, "{path} {failure:?}");
            }
        }
        idp.play(Script::default());
        by(&server, &idp, &ada()).await;
    });
}

#[test]
fn o6_a_provider_that_is_slow_holds_up_nobody_else() {
    on_both(async |backend| {
        let idp = Idp::default();
        let settings = format!("{FREE}database.max_connections = 2\nsocialaccount.requests_timeout = 20");
        let server = TestApp::start_with(backend, &settings, &idp).await;
        account(&server, "eve@example.org").await;
        let mut under_way = JoinSet::new();
        // One after the other, so that nobody waits for a document that all need.
        by(&server, &idp, &ada()).await;
        for number in 0..10 {
            let mut browser = server.browser();
            let page = depart(&mut browser, "idp", "login").await;
            let person = Person::verified(&format!("slow-{number}"), &format!("slow{number}@example.org"));
            let answer = idp.authorize(&page, &person);
            idp.play(Script { instead: Some(("/token", Instead::Silence)), ..Script::default() });
            under_way.spawn(async move { (arrive(&mut browser, &answer).await, user(&mut browser).await) });
        }
        while idp.called("/token") < 11 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let began = Instant::now();
        for mut client in [server.app(), server.browser()] {
            login(&mut client, "eve@example.org", PASSWORD).await.expect(200);
        }
        let mut elsewhere = server.browser();
        let person = Person::verified("77", "elsewhere@example.org");
        assert_eq!(travel(&mut elsewhere, &idp, "github", "login", &person).await, BACK);
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        idp.play(Script::default());
        for (told, _) in under_way.join_all().await {
            assert_eq!(told, BACK);
        }
    });
}

#[test]
fn o6_nobody_waits_for_a_silent_provider_longer_than_is_configured() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server =
            TestApp::start_with(backend, &format!("{FREE}socialaccount.requests_timeout = 1"), &idp).await;
        by(&server, &idp, &ada()).await;
        let mut browser = server.browser();
        let page = depart(&mut browser, "idp", "login").await;
        let answer = idp.authorize(&page, &ada());
        idp.play(Script { instead: Some(("/userinfo", Instead::Silence)), ..Script::default() });
        let began = Instant::now();
        assert_eq!(arrive(&mut browser, &answer).await, FAILED);
        assert!(is_nobody(&mut browser).await);
        server.pass(3600);
        idp.play(Script { instead: Some(("/jwks", Instead::Silence)), ..Script::default() });
        assert_eq!(bring(&mut server.app(), &idp, "login", &ada()).await.status, 503);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    });
}

/// Bytes as text, as databases show them.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn x1_x3_nothing_of_a_provider_s_secrets_is_kept_in_the_clear_or_logged() {
    on_both(async |backend| {
        let mut log = Ear::open();
        let idp = Idp::default();
        let settings = format!("{FREE}socialaccount.store_tokens = true\nsocialaccount.auto_signup = false");
        let server = TestApp::start_with(backend, &settings, &idp).await;
        let (mut places, mut secrets) = (Vec::new(), vec![SECRET.to_owned()]);

        let mut own = server.browser();
        let page = depart(&mut own, "idp", "login").await;
        let answer = idp.authorize(&page, &ada());
        secrets.extend([answer.get("code").to_owned(), answer.get("state").to_owned()]);
        places.push(dump(&server.db).await);
        assert_eq!(arrive(&mut own, &answer).await, BACK);
        places.push(dump(&server.db).await);
        own.post("auth/provider/signup", json!({ "email": "ada@example.org" })).await.expect(200);
        places.push(dump(&server.db).await);
        let mut away = server.browser();
        let page = depart(&mut away, "twitter", "login").await;
        places.push(dump(&server.db).await);
        arrive(&mut away, &idp.authorize(&page, &Person::new("8003"))).await;
        let jwt = idp.id_token(ISSUER, &ada(), &Value::Null);
        server.app().post(TOKEN, id_token("idp", "login", &jwt)).await.expect(200);
        server.app().post(TOKEN, id_token("idp", "login", &format!("{jwt}x"))).await.expect(400);
        places.push(dump(&server.db).await);
        secrets.push(jwt);
        assert!(
            places
                .iter()
                .any(|place| place.contains("social_tokens\n1,") || place.contains("social_tokens\n(1,"))
        );
        for call in idp.calls() {
            let pairs: Vec<_> = url_pairs(&call.body);
            for name in ["code_verifier", "refresh_token"] {
                secrets.extend(pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()));
            }
        }
        secrets.extend((0..40).flat_map(|number| {
            ["access", "refresh", "request", "code"]
                .map(|kind| format!("{kind}-{number:03}-of-the-identity-provider"))
        }));
        let lines = log.lines().join("\n");
        for event in ["provider_failed", "logged_in"] {
            assert!(lines.contains(event), "{event} was not heard");
        }
        for secret in &secrets {
            assert!(!lines.contains(secret.as_str()), "{secret} is logged");
            for place in &places {
                assert!(!place.contains(secret.as_str()), "{secret} is kept");
                assert!(!place.to_ascii_lowercase().contains(&hex(secret.as_bytes())), "{secret} is kept");
            }
        }
        assert_eq!(connected(&mut own).await, ["ada-4711"]);
    });
}

fn url_pairs(form: &str) -> Vec<(String, String)> {
    form.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

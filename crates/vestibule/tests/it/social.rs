//! Third parties: coming in by them, what is connected to an account, and what is kept of it.

#![expect(clippy::expect_used, clippy::panic, reason = "a panic is how a test says that it failed")]

use axum::http::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::{Client, Reply};
use vestibule_testkit::database::on_both;
use vestibule_testkit::idp::{CLIENT, ISSUER, Idp, Instead, Person, Return, Script};
use vestibule_testkit::totp::{AuthenticatorApp, PERIOD};

use super::codes::{OTHER, PASSWORD, account, entered, login};
use super::mfa::{AUTHENTICATE, TOTP, methods, prove};
use super::races::statuses;

pub(super) const FREE: &str = "account.rate_limits = false\n";
/// Where the front end wants its user back.
pub(super) const BACK: &str = "/done";
/// The same, if nothing came of it.
pub(super) const FAILED: &str = "/done?error=unknown&error_process=login";
/// Where people end up whom nobody knows.
pub(super) const LOST: &str = "http://localhost:8000/login-error?error=unknown&error_process=login";

pub(super) const REDIRECT: &str = "auth/provider/redirect";
pub(super) const TOKEN: &str = "auth/provider/token";
pub(super) const CONNECTED: &str = "account/providers";

pub(super) fn location(reply: &Reply) -> String {
    reply.header("location").unwrap_or_else(|| panic!("no location in {reply}")).to_owned()
}

/// Sends a browser away with a form; gives the page at the provider.
pub(super) async fn depart(browser: &mut Client, provider: &str, process: &str) -> String {
    let fields = [("provider", provider), ("process", process), ("callback_url", BACK)];
    location(&browser.post_form(REDIRECT, &fields).await.expect(302))
}

/// Comes back with an answer; gives the page of the front end.
pub(super) async fn arrive(browser: &mut Client, answer: &Return) -> String {
    location(&browser.get(&answer.url()).await.expect(302))
}

/// There and back.
pub(super) async fn travel(
    browser: &mut Client,
    idp: &Idp,
    provider: &str,
    process: &str,
    person: &Person,
) -> String {
    let page = depart(browser, provider, process).await;
    arrive(browser, &idp.authorize(&page, person)).await
}

/// A browser of somebody who has just logged in at a provider.
pub(super) async fn by(server: &TestApp, idp: &Idp, person: &Person) -> Client {
    let mut browser = server.browser();
    assert_eq!(travel(&mut browser, idp, "idp", "login", person).await, BACK);
    browser
}

/// Who is logged in.
pub(super) async fn user(client: &mut Client) -> i64 {
    let reply = client.get("auth/session").await.expect(200);
    reply.data()["user"]["id"].as_i64().expect("an id")
}

pub(super) async fn is_nobody(client: &mut Client) -> bool {
    [401, 410].contains(&client.get("auth/session").await.status)
}

/// What is connected to whoever is logged in.
pub(super) async fn connected(client: &mut Client) -> Vec<String> {
    let reply = client.get("account/providers").await.expect(200);
    let accounts = reply.data().as_array().expect("a list").iter();
    accounts.map(|account| account["uid"].as_str().expect("a uid").to_owned()).collect()
}

/// The body that brings an ID token of an OpenID Connect provider.
pub(super) fn id_token(provider: &str, process: &str, token: &str) -> Value {
    let token = json!({ "client_id": CLIENT, "id_token": token });
    json!({ "provider": provider, "process": process, "token": token })
}

/// Brings an ID token of the app `idp` for somebody.
pub(super) async fn bring(client: &mut Client, idp: &Idp, process: &str, person: &Person) -> Reply {
    let token = idp.id_token(ISSUER, person, &Value::Null);
    client.post("auth/provider/token", id_token("idp", process, &token)).await
}

pub(super) fn ada() -> Person {
    Person::verified("ada-4711", "ada@example.org").claim("preferred_username", "ada")
}

pub(super) fn bob() -> Person {
    Person::verified("bob-4712", "bob@example.org").claim("preferred_username", "bob")
}

#[test]
fn a_first_visit_signs_up_and_further_ones_log_in() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let mut browser = by(&server, &idp, &ada()).await;
        let reply = browser.get("auth/session").await.expect(200);
        assert_eq!(methods(&reply), [("socialaccount", "")]);
        let method = &reply.data()["methods"][0];
        assert_eq!((&method["provider"], &method["uid"]), (&json!("idp"), &json!("ada-4711")));
        assert_eq!(reply.data()["user"]["email"], "ada@example.org");
        assert_eq!(reply.data()["user"]["has_usable_password"], false);
        let listed = browser.get("account/providers").await.expect(200);
        let account = &listed.data()[0];
        assert_eq!((&account["uid"], &account["provider"]["id"]), (&json!("ada-4711"), &json!("idp")));
        assert_eq!(account["provider"]["name"], "The idp");

        let id = user(&mut browser).await;
        assert_eq!(user(&mut by(&server, &idp, &ada()).await).await, id);
        let mut app = server.app();
        bring(&mut app, &idp, "login", &ada()).await.expect(200);
        assert_eq!(user(&mut app).await, id);
        assert_ne!(user(&mut by(&server, &idp, &bob()).await).await, id);
    });
}

#[test]
fn other_protocols_lead_to_accounts_too() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        for (provider, uid) in [("github", "8001"), ("facebook", "8002"), ("twitter", "8003")] {
            let person = Person::verified(uid, &format!("{provider}@example.org"))
                .claim("preferred_username", provider)
                .claim("name", provider);
            let mut first = server.browser();
            assert_eq!(travel(&mut first, &idp, provider, "login", &person).await, BACK, "{provider}");
            let mut again = server.browser();
            assert_eq!(travel(&mut again, &idp, provider, "login", &person).await, BACK);
            if provider == "github" {
                assert_eq!(user(&mut first).await, user(&mut again).await);
                assert_eq!(connected(&mut again).await, [uid]);
            }
        }
    });
}

#[test]
fn what_providers_there_are_is_told_to_those_who_can_use_them() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let names = |reply: &Reply| {
            let providers = reply.data()["socialaccount"]["providers"].as_array().expect("a list").clone();
            providers.iter().map(|it| it["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
        };
        let config = server.browser().get("config").await.expect(200);
        assert_eq!(names(&config), ["facebook", "github", "idp", "other", "twitter"]);
        let config = server.app().get("config").await.expect(200);
        assert_eq!(names(&config), ["facebook", "idp", "other"]);
        let text = config.json.to_string();
        assert!(text.contains(CLIENT) && !text.contains("secret"), "{text}");
        let reply = server.browser().get("auth/session").await.expect(401);
        let flow = reply.flow("provider_redirect").expect("a flow");
        assert_eq!(flow["providers"].as_array().map(Vec::len), Some(5));
        assert!(server.app().get("auth/session").await.flow("provider_redirect").is_none());
    });
}

#[test]
fn e4_people_are_sent_back_to_listed_places_only() {
    on_both(async |backend| {
        let idp = Idp::default();
        let settings = "account.rate_limits = false
            csrf.trusted_origins = ['https://app.example.org', 'https://*.wild.example']";
        let server = TestApp::start_with(backend, settings, &idp).await;
        for url in [
            "",
            "done",
            "//evil.example/",
            "/\\evil.example",
            "https://evil.example/",
            "https://app.example.org@evil.example/",
            "https://app.example.org.evil.example/",
            "https://x.wild.example/",
            "javascript:alert(1)",
            "https://app.example.org/\r\nset-cookie: a=b",
            "/\u{e9}",
        ] {
            let mut browser = server.browser();
            let fields = [("provider", "idp"), ("process", "login"), ("callback_url", url)];
            let reply = browser.post_form(REDIRECT, &fields).await.expect(302);
            assert_eq!(location(&reply), LOST, "{url}");
        }
        assert!(idp.calls().is_empty(), "nothing begins");
        for url in ["/done?next=%2Fx#top", "http://localhost:8000/done", "https://app.example.org/done?x=1"] {
            let mut browser = server.browser();
            let fields = [("provider", "idp"), ("process", "login"), ("callback_url", url)];
            let page = location(&browser.post_form(REDIRECT, &fields).await.expect(302));
            assert_eq!(arrive(&mut browser, &idp.authorize(&page, &ada())).await, url);
            let page = location(&browser.post_form(REDIRECT, &fields).await.expect(302));
            let told = arrive(&mut browser, &idp.deny(&page)).await;
            assert!(told.starts_with(url.split('#').next().unwrap_or_default()), "{told}");
            assert!(told.contains("error=cancelled&error_process=login"), "{told}");
        }
    });
}

#[test]
fn l3_no_provider_leads_around_the_second_factor() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let mut own = by(&server, &idp, &ada()).await;
        let secret = own.get(TOTP).await.expect(404);
        let phone = AuthenticatorApp::new(secret.json["meta"]["secret"].as_str().expect("a secret"));
        own.post(TOTP, json!({ "code": phone.code(&server) })).await.expect(200);
        for by_token in [false, true] {
            server.pass(PERIOD);
            let mut client = if by_token { server.app() } else { server.browser() };
            if by_token {
                let reply = bring(&mut client, &idp, "login", &ada()).await.expect(401);
                assert!(reply.is_pending("mfa_authenticate"), "{reply}");
            } else {
                assert_eq!(travel(&mut client, &idp, "idp", "login", &ada()).await, BACK);
                assert!(client.get("auth/session").await.expect(401).is_pending("mfa_authenticate"));
            }
            client.get("account/providers").await.expect(401);
            let reply = client.post(AUTHENTICATE, json!({ "code": phone.code(&server) })).await.expect(200);
            assert_eq!(methods(&reply), [("socialaccount", ""), ("mfa", "totp")]);
        }
    });
}

#[test]
fn l4_connections_change_only_after_a_recent_proof_where_so_configured() {
    on_both(async |backend| {
        for (settings, asks) in [
            ("account.reauthentication_required = true", true),
            ("socialaccount.reauthentication_required = true", true),
            (
                "account.reauthentication_required = true\nsocialaccount.reauthentication_required = false",
                false,
            ),
        ] {
            let idp = Idp::default();
            let server = TestApp::start_with(backend, &format!("{FREE}{settings}"), &idp).await;
            account(&server, "ada@example.org").await;
            let mut app = entered(&server, "ada@example.org").await;
            let mut browser = server.browser();
            login(&mut browser, "ada@example.org", PASSWORD).await.expect(200);
            if asks {
                let reply = bring(&mut app, &idp, "connect", &ada()).await.expect(401);
                assert!(reply.flow("reauthenticate").is_some(), "{reply}");
                let told = travel(&mut browser, &idp, "idp", "connect", &ada()).await;
                assert_eq!(told, "/done?error=reauthentication_required&error_process=connect");
                assert!(connected(&mut app).await.is_empty());
                for client in [&mut app, &mut browser] {
                    prove(client).await;
                }
            }
            bring(&mut app, &idp, "connect", &ada()).await.expect(200);
            assert_eq!(travel(&mut browser, &idp, "idp", "connect", &bob()).await, BACK);
            assert_eq!(connected(&mut app).await, ["ada-4711", "bob-4712"]);

            let gone = json!({ "provider": "idp", "account": "bob-4712" });
            if asks {
                // The proof is an old one by now.
                server.pass(301);
                app.delete("account/providers", gone.clone()).await.expect(401);
                assert_eq!(connected(&mut app).await.len(), 2);
                prove(&mut app).await;
            }
            app.delete("account/providers", gone).await.expect(200);
            assert_eq!(connected(&mut app).await, ["ada-4711"]);
        }
    });
}

#[test]
fn h7_the_last_way_in_stays() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let mut own = by(&server, &idp, &ada()).await;
        let gone = json!({ "provider": "idp", "account": "ada-4711" });
        let reply = own.delete("account/providers", gone.clone()).await.expect(400);
        assert_eq!(reply.errors(), [("", "no_password")]);
        assert_eq!(connected(&mut own).await, ["ada-4711"]);
        // What is connected to a provider that is not there any more lets nobody in.
        assert_eq!(travel(&mut own, &idp, "other", "connect", &bob()).await, BACK);
        let apps = Idp::apps("");
        let rest = apps.replace("provider_id = 'other'", "provider_id = 'another'");
        let without = server.second_with(&rest).await;
        let mut there = without.app();
        bring(&mut there, &idp, "login", &ada()).await.expect(200);
        there.delete("account/providers", gone.clone()).await.expect(400);
        own.delete("account/providers", gone.clone()).await.expect(200);

        bring(&mut own, &idp, "connect", &ada()).await.expect(200);
        let gone = json!({ "provider": "other", "account": "bob-4712" });
        own.delete("account/providers", gone).await.expect(200);
        own.post("account/password/change", json!({ "new_password": OTHER })).await.expect(200);
        let gone = json!({ "provider": "idp", "account": "ada-4711" });
        own.delete("account/providers", gone).await.expect(200);
        assert!(connected(&mut own).await.is_empty());
    });
}

#[test]
fn h7_two_deletions_at_once_leave_one_way_in() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        for round in 0..3 {
            let person = |name: &str| {
                Person::verified(&format!("{name}-{round}"), &format!("{name}{round}@example.org"))
            };
            let mut own = by(&server, &idp, &person("ada")).await;
            assert_eq!(travel(&mut own, &idp, "idp", "connect", &person("other")).await, BACK);
            let requests = ["ada", "other"].map(|name| {
                let gone = json!({ "provider": "idp", "account": format!("{name}-{round}") });
                (own.clone(), Method::DELETE, CONNECTED, gone)
            });
            let replies = super::races::at_once(requests.to_vec()).await;
            let seen = statuses(&replies);
            assert_eq!((seen.get(&200), seen.get(&400)), (Some(&1), Some(&1)), "{seen:?}");
            assert_eq!(connected(&mut own).await.len(), 1);
        }
    });
}

#[test]
fn third_parties_alone_can_be_the_only_way() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, &format!("{FREE}socialaccount.only = true"), &idp).await;
        for path in ["auth/login", "auth/signup", "auth/password/request", "account/password/change"] {
            server.app().post(path, json!({})).await.expect(404);
        }
        let mut own = by(&server, &idp, &ada()).await;
        let flows = server.browser().get("auth/session").await.expect(401);
        assert!(flows.flow("login").is_none() && flows.flow("signup").is_none(), "{flows}");
        let gone = json!({ "provider": "idp", "account": "ada-4711" });
        let reply = own.delete("account/providers", gone).await.expect(400);
        assert_eq!(reply.errors(), [("", "disconnect_last")]);
    });
}

#[test]
fn who_was_shut_out_stays_out() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let mut own = by(&server, &idp, &ada()).await;
        let id = user(&mut own).await;
        let mut away = server.browser();
        let page = depart(&mut away, "idp", "login").await;
        server.vestibule.users().deactivate(id).await.expect("a user");
        assert!(is_nobody(&mut own).await);
        assert_eq!(arrive(&mut away, &idp.authorize(&page, &ada())).await, FAILED);
        assert!(is_nobody(&mut away).await);
        let mut app = server.app();
        assert_eq!(bring(&mut app, &idp, "login", &ada()).await.status, 401);
        assert!(is_nobody(&mut app).await);
        server.vestibule.users().activate(id).await.expect("a user");
        assert_eq!(user(&mut by(&server, &idp, &ada()).await).await, id);
    });
}

#[test]
fn tokens_are_kept_renewed_and_sealed_anew_where_so_configured() {
    on_both(async |backend| {
        let idp = Idp::default();
        let settings = format!("{FREE}socialaccount.store_tokens = true");
        let server = TestApp::start_with(backend, &settings, &idp).await;
        let mut own = by(&server, &idp, &ada()).await;
        let id = user(&mut own).await;
        let stranger = user(&mut by(&server, &idp, &bob()).await).await;
        let token = async |server: &TestApp| {
            let found = server.vestibule.users().provider_token(id, "idp", None).await;
            found.map(|token| token.map(|token| token.expose_secret().to_owned()))
        };
        let first = token(&server).await.expect("a token").expect("a token");
        assert!(first.starts_with("access-"), "{first}");
        let others = server.vestibule.users().provider_token(stranger, "idp", Some("ada-4711")).await;
        assert!(others.expect("an answer").is_none());
        let calls = idp.called("/token");
        assert_eq!(token(&server).await.expect("a token"), Some(first.clone()));
        assert_eq!(idp.called("/token"), calls, "a token that is good is not renewed");
        let mut last = first;
        for _ in 0..2 {
            server.pass(3601);
            let next = token(&server).await.expect("a token").expect("a token");
            assert_ne!(next, last, "it is renewed, with the newest refresh token each time");
            last = next;
        }

        let keys = "server.secret_key = 'another secret key of tests, also known to all the world'\n";
        let former = "server.secret_key_fallbacks = ['the secret key of tests, known to all the world']";
        let changing = server.second_with(&format!("{keys}{former}")).await;
        assert_eq!(token(&changing).await.expect("a token"), Some(last.clone()));
        assert_eq!(changing.vestibule.reseal().await.expect("an answer"), 2);
        let changed = server.second_with(keys).await;
        assert_eq!(token(&changed).await.expect("a token"), Some(last.clone()));

        changed.pass(3601);
        idp.play(Script { instead: Some(("/token", Instead::Unreachable)), ..Script::default() });
        assert!(token(&changed).await.is_err(), "a token that has expired is not handed out");
        idp.play(Script::default());
        assert_ne!(token(&changed).await.expect("a token"), Some(last));
        own.post("account/password/change", json!({ "new_password": OTHER })).await.expect(200);
        let gone = json!({ "provider": "idp", "account": "ada-4711" });
        own.delete("account/providers", gone).await.expect(200);
        assert_eq!(token(&changed).await.expect("an answer"), None);
    });
}

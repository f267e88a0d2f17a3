//! Attacks on what passes between a browser, a third party and us (O1, O2, O7, C3): answers that belong to another flow.

#![expect(clippy::expect_used, clippy::panic, reason = "a panic is how a test says that it failed")]

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::{Client, FORM};
use vestibule_testkit::database::on_both;
use vestibule_testkit::idp::{CLIENT, ISSUER, Idp, OTHER_ISSUER, Person, Return, SECRET, Script};

use super::codes::{PASSWORD, account, login};
use super::social::{
    BACK, FAILED, FREE, LOST, REDIRECT, TOKEN, ada, arrive, bob, bring, by, connected, depart, id_token,
    is_nobody, location, travel, user,
};

/// Comes back in all browsers at once; gives each with where it was sent.
pub(super) async fn arrive_at_once(all: Vec<(Client, Return)>) -> Vec<(Client, String)> {
    let mut under_way = JoinSet::new();
    for (mut browser, answer) in all {
        under_way.spawn(async move {
            let told = arrive(&mut browser, &answer).await;
            (browser, told)
        });
    }
    tokio::time::timeout(Duration::from_secs(30), under_way.join_all()).await.expect("no deadlock")
}

fn param(page: &str, name: &str) -> String {
    let (_, query) = page.split_once('?').expect("a query");
    let found = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    found.unwrap_or_else(|| panic!("no {name} in {page}")).to_owned()
}

#[test]
fn o1_every_departure_is_another_one() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let mut browser = server.browser();
        let mut seen = BTreeSet::new();
        for _ in 0..5 {
            let page = depart(&mut browser, "idp", "login").await;
            assert!(page.starts_with("https://idp.example/authorize?"), "{page}");
            assert_eq!(param(&page, "code_challenge_method"), "S256");
            for name in ["state", "nonce", "code_challenge"] {
                let value = param(&page, name);
                assert!(value.len() >= 43, "{name} is too short: {value}");
                assert!(seen.insert(value), "{name} comes again");
            }
        }
    });
}

#[test]
fn o1_an_answer_is_of_use_once_and_in_the_session_that_asked_for_it() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let mut own = server.browser();
        let page = depart(&mut own, "idp", "login").await;
        let answer = idp.authorize(&page, &ada());

        let mut elsewhere = server.browser();
        assert_eq!(arrive(&mut elsewhere, &answer).await, LOST, "without a session");
        depart(&mut elsewhere, "idp", "login").await;
        assert_eq!(arrive(&mut elsewhere, &answer).await, LOST, "in a session with a flow of its own");
        let mut member = by(&server, &idp, &bob()).await;
        let id = user(&mut member).await;
        assert_eq!(arrive(&mut member, &answer).await, LOST, "in the session of somebody else");
        assert_eq!(user(&mut member).await, id);
        for wrong in [
            answer.clone().without("state"),
            answer.clone().with("state", ""),
            answer.clone().with("state", &format!("{}x", answer.get("state"))),
            answer.clone().with("state", "login"),
        ] {
            assert_eq!(arrive(&mut own, &wrong).await, LOST, "{wrong:?}");
        }
        assert!(is_nobody(&mut own).await && is_nobody(&mut elsewhere).await);
        assert_eq!(idp.called("/token"), 1, "the code was shown to nobody");

        assert_eq!(arrive(&mut own, &answer).await, BACK);
        let id = user(&mut own).await;
        assert_eq!(arrive(&mut own, &answer).await, LOST, "again");
        assert_eq!(user(&mut own).await, id);
    });
}

#[test]
fn o1_an_answer_is_of_use_at_the_provider_that_was_asked() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        for other in ["/accounts/oidc/other/login/callback/", "/accounts/github/login/callback/"] {
            let mut browser = server.browser();
            let page = depart(&mut browser, "idp", "login").await;
            let answer = idp.authorize(&page, &ada());
            let astray = Return { path: other.to_owned(), ..answer.clone() };
            assert_eq!(arrive(&mut browser, &astray).await, LOST, "{other}");
            assert_eq!(arrive(&mut browser, &answer).await, BACK, "{other}");
        }
        server.browser().get("/accounts/oidc/nobody/login/callback/").await.expect(404);
    });
}

#[test]
fn o1_tabs_do_not_disturb_each_other() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let mut browser = server.browser();
        let mut answers = Vec::new();
        for url in ["/one", "/two", "/three"] {
            let fields = [("provider", "idp"), ("process", "login"), ("callback_url", url)];
            let page = location(&browser.post_form(REDIRECT, &fields).await.expect(302));
            answers.push((url, idp.authorize(&page, &ada())));
        }
        let mut ids = BTreeSet::new();
        for (url, answer) in answers.iter().rev() {
            assert_eq!(arrive(&mut browser, answer).await, *url);
            ids.insert(user(&mut browser).await);
        }
        assert_eq!(ids.len(), 1);

        // Somebody else who logs in takes over nothing.
        let page = depart(&mut browser, "idp", "connect").await;
        let connecting = idp.authorize(&page, &Person::new("ada's other account"));
        assert_eq!(travel(&mut browser, &idp, "idp", "login", &bob()).await, BACK);
        assert_eq!(arrive(&mut browser, &connecting).await, LOST);
        assert_eq!(connected(&mut browser).await, ["bob-4712"]);
    });
}

#[test]
fn l2_a_connection_begun_by_nobody_is_not_made_for_whoever_logs_in_next() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        account(&server, "victim@example.org").await;
        for by_password in [true, false] {
            // On a machine that several people use.
            let mut browser = server.browser();
            let page = depart(&mut browser, "idp", "connect").await;
            let trap = idp.authorize(&page, &Person::new("the thief's account"));
            if by_password {
                login(&mut browser, "victim@example.org", PASSWORD).await.expect(200);
            } else {
                assert_eq!(travel(&mut browser, &idp, "idp", "login", &ada()).await, BACK);
            }
            let before = connected(&mut browser).await;
            assert_ne!(arrive(&mut browser, &trap).await, BACK);
            assert_eq!(connected(&mut browser).await, before);
        }
    });
}

#[test]
fn o1_nobody_stays_away_for_long() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        for (seconds, told) in [(599, BACK), (600, LOST)] {
            let mut browser = server.browser();
            let page = depart(&mut browser, "idp", "login").await;
            let answer = idp.authorize(&page, &ada());
            server.pass(seconds);
            assert_eq!(arrive(&mut browser, &answer).await, told);
        }
    });
}

#[test]
fn o1_to_depart_takes_a_form_of_our_own_pages() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let mut browser = server.browser();
        browser.get("config").await.expect(200);
        let form = "provider=idp&process=login&callback_url=%2Fdone";
        let call = browser.call(Method::POST, "auth/provider/redirect").raw(FORM, form);
        call.without_csrf().send().await.expect(403);
        let forged = format!("{form}&csrfmiddlewaretoken={}", "0".repeat(32));
        browser.call(Method::POST, REDIRECT).raw(FORM, forged).without_csrf().send().await.expect(403);
        let secret = browser.cookie("csrftoken").expect("a secret").to_owned();
        let good = format!("{form}&csrfmiddlewaretoken={secret}");
        for origin in ["https://evil.example", "null"] {
            let call = browser.call(Method::POST, REDIRECT).raw(FORM, good.clone()).without_csrf();
            call.header("origin", origin).send().await.expect(403);
        }
        browser.get(REDIRECT).await.expect(405);
        browser.get(&format!("{REDIRECT}?{form}")).await.expect(405);
        let reply = browser.call(Method::POST, REDIRECT).json(&json!({ "provider": "idp" })).send().await;
        assert_eq!(location(&reply.expect(302)), LOST);
        assert!(idp.calls().is_empty());
        let reply =
            browser.call(Method::POST, REDIRECT).raw(FORM, good).without_csrf().send().await.expect(302);
        assert!(location(&reply).starts_with("https://idp.example/authorize?"));
        // Apps have no cookies to come back with.
        let reply = server.app().call(Method::POST, REDIRECT).raw(FORM, form).send().await.expect(302);
        assert_eq!(location(&reply), LOST);
    });
}

#[test]
fn o1_a_form_of_the_provider_s_page_reaches_the_session_that_waits_for_it_only() {
    on_both(async |backend| {
        let idp = Idp::default();
        let settings = format!("{FREE}{}", Idp::apps("auth_params = { response_mode = 'form_post' }"));
        let server = TestApp::start_with(backend, &settings, &idp).await;
        let mut own = server.browser();
        let page = depart(&mut own, "idp", "login").await;
        assert_eq!(param(&page, "response_mode"), "form_post");
        let answer = idp.authorize(&page, &ada());
        // Browsers send no cookies along, and the origin is the provider's.
        let post = async |answer: &Return| {
            let mut bare = server.browser();
            let call = bare.call(Method::POST, &answer.path).raw(FORM, answer.form()).without_csrf();
            let reply = call.header("origin", "https://idp.example").send().await.expect(302);
            assert_eq!(reply.set_cookies().count(), 0);
            location(&reply)
        };
        assert_eq!(post(&answer.clone().with("state", "unknown")).await, LOST);
        assert_eq!(post(&answer.clone().without("state")).await, LOST);
        let next = post(&answer).await;
        assert!(next.starts_with(&answer.path) && !next.contains("code"), "{next}");
        assert_eq!(idp.called("/token"), 0);
        // Of two answers the first counts.
        let other = idp.authorize(&page, &bob());
        assert_eq!(post(&other).await, LOST);

        let mut elsewhere = by(&server, &idp, &bob()).await;
        let id = user(&mut elsewhere).await;
        assert_eq!(location(&elsewhere.get(&next).await.expect(302)), LOST);
        assert_eq!(user(&mut elsewhere).await, id);
        assert_eq!(location(&own.get(&next).await.expect(302)), BACK);
        assert_eq!(connected(&mut own).await, ["ada-4711"]);
        assert_eq!(location(&own.get(&next).await.expect(302)), LOST);
    });
}

#[test]
fn o2_a_code_is_of_use_only_to_the_flow_that_it_was_given_for() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let mut victim = server.browser();
        let page = depart(&mut victim, "idp", "login").await;
        let stolen = idp.authorize(&page, &ada());
        let mut thief = server.browser();
        let page = depart(&mut thief, "idp", "login").await;
        let own = idp.authorize(&page, &bob());
        assert_eq!(arrive(&mut thief, &own.with("code", stolen.get("code"))).await, FAILED);
        assert!(is_nobody(&mut thief).await);

        // Nor is an answer of one provider taken for that of another (RFC 9207).
        for iss in [Some(OTHER_ISSUER), Some("https://idp.example/"), Some(""), None] {
            let page = depart(&mut thief, "idp", "login").await;
            let answer = idp.authorize(&page, &bob()).without("iss");
            let answer = iss.map_or(answer.clone(), |iss| answer.with("iss", iss));
            assert_eq!(arrive(&mut thief, &answer).await, FAILED, "{iss:?}");
            assert!(is_nobody(&mut thief).await, "{iss:?}");
        }
        assert_eq!(idp.called("/token"), 1, "the code was shown to nobody");
    });
}

#[test]
fn c3_an_answer_that_comes_back_many_times_at_once_counts_once() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let mut browser = server.browser();
        let page = depart(&mut browser, "idp", "login").await;
        let answer = idp.authorize(&page, &ada());
        let told = arrive_at_once(vec![(browser, answer); 20]).await;
        assert_eq!(told.iter().filter(|(_, told)| told == BACK).count(), 1);
        assert_eq!(told.iter().filter(|(_, told)| told == LOST).count(), 19);
        assert_eq!(idp.called("/token"), 1);
    });
}

#[test]
fn o7_a_token_is_judged_by_the_provider_that_is_named() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let token = |issuer: &str| idp.id_token(issuer, &ada(), &Value::Null);
        for (provider, issuer) in [("idp", OTHER_ISSUER), ("other", ISSUER), ("facebook", ISSUER)] {
            let mut client = server.app();
            let reply = client.post(TOKEN, id_token(provider, "login", &token(issuer))).await.expect(400);
            assert_eq!(reply.errors(), [("token", "invalid_token")], "{provider}");
            assert!(is_nobody(&mut client).await);
        }
        // Which of the two is meant, the client's name does not say.
        let reply = server.app().post(TOKEN, id_token("openid_connect", "login", &token(ISSUER))).await;
        reply.expect(400);
        let body = |token: Value| json!({ "provider": "facebook", "process": "login", "token": token });
        for (client, status) in [("another app", 400), (CLIENT, 200)] {
            let access = idp.access_token(client, &Person::new("9001").claim("name", "Ada"));
            let mut app = server.app();
            let reply = app.post(TOKEN, body(json!({ "client_id": CLIENT, "access_token": access }))).await;
            let reply = if status == 200 {
                assert_ne!(reply.status, 400, "{reply}");
                continue;
            } else {
                reply.expect(400)
            };
            assert_eq!(reply.errors(), [("token", "invalid_token")]);
        }
        let wrong = json!({ "client_id": "another app", "id_token": token(ISSUER) });
        let wrong = json!({ "provider": "idp", "process": "login", "token": wrong });
        server.app().post(TOKEN, wrong).await.expect(400);
        let secret = json!({ "client_id": CLIENT, "id_token": SECRET });
        let secret = json!({ "provider": "idp", "process": "login", "token": secret });
        server.app().post(TOKEN, secret).await.expect(400);
    });
}

#[test]
fn o7_connections_are_made_for_whoever_is_logged_in_and_of_accounts_that_are_nobodys() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let mut browser = server.browser();
        let told = travel(&mut browser, &idp, "idp", "connect", &ada()).await;
        assert_eq!(told, "/done?error=permission_denied&error_process=connect");
        bring(&mut server.app(), &idp, "connect", &ada()).await.expect(401);
        assert!(is_nobody(&mut browser).await);

        let mut owner = by(&server, &idp, &ada()).await;
        let mut thief = by(&server, &idp, &bob()).await;
        let (owner_id, thief_id) = (user(&mut owner).await, user(&mut thief).await);
        let told = travel(&mut thief, &idp, "idp", "connect", &ada()).await;
        assert_eq!(told, "/done?error=connected_other&error_process=connect");
        let reply = bring(&mut thief, &idp, "connect", &ada()).await.expect(400);
        assert_eq!(reply.errors(), [("", "connected_other")]);
        assert_eq!(connected(&mut thief).await, ["bob-4712"]);
        assert_eq!(connected(&mut owner).await, ["ada-4711"]);
        assert_eq!((user(&mut owner).await, user(&mut thief).await), (owner_id, thief_id));
        // A connection does not log in, and is not made by a flow that was begun to log in.
        let page = depart(&mut thief, "idp", "login").await;
        let answer = idp.authorize(&page, &ada()).with("process", "connect");
        assert_eq!(arrive(&mut thief, &answer).await, BACK);
        assert_eq!(user(&mut thief).await, owner_id);
    });
}

#[test]
fn o7_of_two_who_connect_one_account_at_once_one_gets_it() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let mut members = Vec::new();
        for name in ["one", "two", "three", "four"] {
            members.push(by(&server, &idp, &Person::verified(name, &format!("{name}@example.org"))).await);
        }
        for round in 0..3 {
            let wanted = Person::new(&format!("wanted-{round}"));
            let mut returns = Vec::new();
            for member in &mut members {
                let page = depart(member, "idp", "connect").await;
                returns.push((member.clone(), idp.authorize(&page, &wanted)));
            }
            let told = arrive_at_once(returns).await;
            let lost = "/done?error=connected_other&error_process=connect";
            assert_eq!(told.iter().filter(|(_, told)| told == BACK).count(), 1, "{told:?}");
            assert_eq!(told.iter().filter(|(_, told)| told == lost).count(), 3, "{told:?}");
        }
        let mut all = 0;
        for member in &mut members {
            all += connected(member).await.len();
        }
        assert_eq!(all, 4 + 3);
    });
}

#[test]
fn o2_what_the_provider_publishes_is_its_own() {
    on_both(async |backend| {
        for discovery in [
            json!({ "issuer": OTHER_ISSUER }),
            json!({ "issuer": null }),
            json!({ "token_endpoint": "http://169.254.169.254/token" }),
            json!({ "token_endpoint": "https://10.0.0.1/token" }),
            json!({ "jwks_uri": "http://keys.example/jwks" }),
            json!({ "userinfo_endpoint": "https://[::1]/userinfo" }),
        ] {
            let idp = Idp::default();
            idp.play(Script { discovery: discovery.clone(), ..Script::default() });
            let server = TestApp::start_with(backend, FREE, &idp).await;
            let mut browser = server.browser();
            let page = depart(&mut browser, "idp", "login").await;
            if page.starts_with(ISSUER) {
                assert_eq!(arrive(&mut browser, &idp.authorize(&page, &ada())).await, FAILED, "{discovery}");
            } else {
                assert_eq!(page, FAILED, "{discovery}");
            }
            assert!(is_nobody(&mut browser).await);
            let hosts: BTreeSet<String> =
                idp.calls().iter().filter_map(|call| call.url.host_str().map(str::to_owned)).collect();
            assert_eq!(hosts, BTreeSet::from(["idp.example".to_owned()]), "{discovery}");
        }
    });
}

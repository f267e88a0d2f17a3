//! Second factors: TOTP, recovery codes, trusted browsers (M1, M2, M3, M5, H4, X1), and that no way in leads around them.

#![expect(clippy::expect_used, reason = "a panic is how a test says that it failed")]

use serde_json::{Value, json};
use vestibule_base::config::AuthenticatorType as Kind;
use vestibule_base::security::Token;
use vestibule_base::storage::authenticators::{self, Authenticator};
use vestibule_base::storage::trust;
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::{Client, Reply};
use vestibule_testkit::database::on_both;
use vestibule_testkit::totp::{AuthenticatorApp, PERIOD};

use super::codes::{OTHER, PASSWORD, account, entered, login};
use super::races::{at_once, post, statuses};

const FREE: &str = "account.rate_limits = false";
const NOTIFIES: &str = "account = { rate_limits = false, email_notifications = true }";
const TRUSTS: &str = "
    mfa.trust_enabled = true
    account.rate_limits = false";
const ADA: &str = "ada@example.org";
const EVE: &str = "eve@example.org";
const TOTP: &str = "account/authenticators/totp";
const CODES: &str = "account/authenticators/recovery-codes";
const AUTHENTICATE: &str = "auth/2fa/authenticate";
const REAUTHENTICATE: &str = "auth/2fa/reauthenticate";
const TRUST: &str = "auth/2fa/trust";

async fn prove(client: &mut Client) {
    client.post("auth/reauthenticate", json!({ "password": PASSWORD })).await.expect(200);
}

/// Puts the secret that this session is offered into an app.
async fn offered(client: &mut Client) -> AuthenticatorApp {
    let reply = client.get(TOTP).await.expect(404);
    AuthenticatorApp::new(reply.json["meta"]["secret"].as_str().expect("a secret"))
}

/// Sets up TOTP for whoever `client` is logged in as. The app shows a fresh code after that.
async fn enrol(server: &TestApp, client: &mut Client) -> AuthenticatorApp {
    prove(client).await;
    let app = offered(client).await;
    client.post(TOTP, json!({ "code": app.code(server) })).await.expect(200);
    server.pass(PERIOD);
    app
}

/// Makes an account with TOTP; gives its app and a client that is logged in and has just proved who it is.
async fn protected(server: &TestApp, email: &str) -> (AuthenticatorApp, Client) {
    account(server, email).await;
    let mut client = entered(server, email).await;
    (enrol(server, &mut client).await, client)
}

async fn codes(client: &mut Client) -> Vec<String> {
    let reply = client.get(CODES).await.expect(200);
    shown(&reply)
}

fn shown(reply: &Reply) -> Vec<String> {
    let codes = reply.data()["unused_codes"].as_array().expect("codes").iter();
    codes.map(|code| code.as_str().expect("a code").to_owned()).collect()
}

/// Goes as far as the second factor.
async fn half_way(mut client: Client, email: &str) -> Client {
    let reply = login(&mut client, email, PASSWORD).await.expect(401);
    assert!(reply.is_pending("mfa_authenticate"), "{reply}");
    client
}

async fn second_factor(client: &mut Client, code: &str) -> Reply {
    client.post(AUTHENTICATE, json!({ "code": code })).await
}

async fn refused(client: &mut Client, code: &str) {
    let reply = second_factor(client, code).await.expect(400);
    assert_eq!(reply.errors(), [("code", "incorrect_code")], "{code:?}");
}

fn methods(reply: &Reply) -> Vec<(&str, &str)> {
    let records = reply.data()["methods"].as_array().expect("methods").iter();
    records
        .map(|record| (record["method"].as_str().unwrap_or(""), record["type"].as_str().unwrap_or("")))
        .collect()
}

fn types(flow: &Value) -> Vec<&str> {
    flow["types"].as_array().expect("types").iter().filter_map(Value::as_str).collect()
}

/// The second factors in the list of whoever is logged in.
async fn kinds(client: &mut Client) -> Vec<String> {
    let reply = client.get("account/authenticators").await.expect(200);
    let rows = reply.data().as_array().expect("a list").iter();
    rows.map(|row| row["type"].as_str().expect("a type").to_owned()).collect()
}

async fn stored(server: &TestApp, user_id: i64) -> Vec<Authenticator> {
    let mut conn = server.db.read().await.expect("a connection");
    authenticators::of_user(&mut conn, user_id).await.expect("rows")
}

/// The kinds of mails to an address, oldest first.
async fn mails(server: &TestApp, to: &str) -> Vec<String> {
    let messages = server.messages_for(to).await;
    let kinds = messages.iter().rev().map(|message| {
        let message = serde_json::to_value(message).expect("JSON");
        message["kind"].as_str().expect("a kind").to_owned()
    });
    kinds.collect()
}

#[test]
fn totp_and_recovery_codes_from_setting_up_to_removing() {
    on_both(async |backend| {
        let server = TestApp::start(backend, NOTIFIES).await;
        for (mut client, email) in [(server.app(), ADA), (server.browser(), EVE)] {
            account(&server, email).await;
            login(&mut client, email, PASSWORD).await.expect(200);
            assert!(kinds(&mut client).await.is_empty());
            client.get("account/authenticators/recovery-codes").await.expect(404);
            let reply = client.post("account/authenticators/recovery-codes", json!({})).await.expect(400);
            assert_eq!(reply.errors(), [("", "cannot_generate_recovery_codes")]);
            client.delete("account/authenticators/totp", Value::Null).await.expect(200);

            let reply = client.get("account/authenticators/totp").await.expect(404);
            let url = reply.json["meta"]["totp_url"].as_str().expect("a URL").to_owned();
            let address = email.replace('@', "%40");
            assert!(url.starts_with(&format!("otpauth://totp/localhost:{address}?secret=")), "{url}");
            assert!(url.ends_with("&issuer=localhost"), "{url}");
            let app = AuthenticatorApp::new(reply.json["meta"]["secret"].as_str().expect("a secret"));
            let code = json!({ "code": app.code(&server) });
            let reply = client.post("account/authenticators/totp", code.clone()).await.expect(401);
            assert!(reply.flow("reauthenticate").is_some(), "a login is no fresh proof: {reply}");
            prove(&mut client).await;
            for (wrong, error) in [("", "required"), ("abcdef", "incorrect_code")] {
                let reply = client.post(TOTP, json!({ "code": wrong })).await.expect(400);
                assert_eq!(reply.errors(), [("code", error)]);
            }
            let reply = client.post(TOTP, code).await.expect(200);
            assert_eq!(
                (&reply.data()["type"], &reply.data()["last_used_at"]),
                (&json!("totp"), &Value::Null)
            );
            client.get(TOTP).await.expect(200);
            assert_eq!(kinds(&mut client).await, ["totp", "recovery_codes"]);

            let first = codes(&mut client).await;
            assert_eq!(first.len(), 10);
            assert_eq!(codes(&mut client).await, first, "the same on every look");
            let reply = client.post(CODES, json!({})).await.expect(200);
            let second = shown(&reply);
            assert!(second.iter().all(|code| code.len() == 8 && !first.contains(code)), "{second:?}");
            let body = json!({ "code": second[0] });
            let reply = client.post("auth/2fa/reauthenticate", body).await.expect(200);
            assert_eq!(methods(&reply).last(), Some(&("mfa", "recovery_codes")));
            assert_eq!(reply.data()["methods"][2]["reauthenticated"], true);
            assert_eq!(codes(&mut client).await, second[1..]);

            client.delete(TOTP, Value::Null).await.expect(200);
            assert!(kinds(&mut client).await.is_empty(), "recovery codes go with the last factor");
            let sent = ["totp_activated", "recovery_codes_generated", "totp_deactivated"];
            assert_eq!(mails(&server, email).await, sent);
        }
    });
}

#[test]
fn a_login_takes_both_factors() {
    on_both(async |backend| {
        let server = TestApp::start(backend, FREE).await;
        for (client, email) in [(server.app(), ADA), (server.browser(), EVE)] {
            let (app, mut first) = protected(&server, email).await;
            let mut client = half_way(client, email).await;
            let reply = client.get("auth/session").await.expect(401);
            let flow = reply.flow("mfa_authenticate").expect("the flow");
            assert_eq!(types(flow), ["recovery_codes", "totp"]);
            assert!(!reply.to_string().contains(email), "{reply}");
            refused(&mut client, &app.wrong(&server)).await;
            let reply = second_factor(&mut client, &app.code(&server)).await.expect(200);
            assert_eq!(methods(&reply), [("password", ""), ("mfa", "totp")]);
            assert!(reply.data()["methods"][1]["id"].is_i64(), "{reply}");

            // Neither factor is a fresh proof, either is asked for.
            for path in [CODES, TOTP] {
                let reply = if path == CODES {
                    client.get(path).await.expect(401)
                } else {
                    client.delete(path, Value::Null).await.expect(401)
                };
                let flow = reply.flow("mfa_reauthenticate").expect("the flow");
                assert_eq!(types(flow), ["recovery_codes", "totp"]);
                assert!(reply.flow("reauthenticate").is_some(), "{reply}");
            }
            server.pass(PERIOD);
            client.post(REAUTHENTICATE, json!({ "code": app.code(&server) })).await.expect(200);
            client.get(CODES).await.expect(200);
            server.pass(301);
            client.get(CODES).await.expect(401);

            // Whoever is logged in has no login that waits.
            let reply = first.post("auth/2fa/authenticate", json!({ "code": "1" })).await.expect(401);
            assert!(reply.flow("login").is_some() && reply.flow("reauthenticate").is_none(), "{reply}");
        }
    });
}

#[test]
fn m1_a_step_is_taken_once_in_whatever_spelling() {
    on_both(async |backend| {
        let server = TestApp::start(backend, FREE).await;
        account(&server, ADA).await;
        let mut client = entered(&server, ADA).await;
        prove(&mut client).await;
        let app = offered(&mut client).await;
        let first = app.code(&server);
        client.post(TOTP, json!({ "code": first })).await.expect(200);
        // The code that set it up does not log in as well, nor prove again.
        refused(&mut half_way(server.app(), ADA).await, &first).await;
        client.post(REAUTHENTICATE, json!({ "code": first })).await.expect(400);

        server.pass(PERIOD);
        let code = app.code(&server);
        let spelled = format!(" +{} - {}. ", &code[..3], &code[3..]);
        second_factor(&mut half_way(server.browser(), ADA).await, &spelled).await.expect(200);
        let full_width: String = code
            .chars()
            .map(|digit| char::from_u32(digit as u32 - 0x30 + 0xFF10).expect("a digit"))
            .collect();
        let arabic: String =
            code.chars().map(|digit| char::from_u32(digit as u32 - 0x30 + 0x660).expect("a digit")).collect();
        for mut client in [half_way(server.app(), ADA).await, half_way(server.browser(), ADA).await] {
            for spelling in
                [&code, &format!("+{code}"), &format!("-{code}"), &format!("{} {}", &code[..3], &code[3..])]
            {
                refused(&mut client, spelling).await;
            }
        }
        // Digits of other scripts are none, also where the code was not used.
        server.pass(PERIOD);
        let mut client = half_way(server.app(), ADA).await;
        for wrong in [&full_width, &arabic, "", "0x", &"1".repeat(5000)] {
            second_factor(&mut client, wrong).await.expect(400);
        }
        let fresh = app.code(&server);
        let full_width: String = fresh
            .chars()
            .map(|digit| char::from_u32(digit as u32 - 0x30 + 0xFF10).expect("a digit"))
            .collect();
        refused(&mut client, &full_width).await;
        second_factor(&mut client, &fresh).await.expect(200);
    });
}

#[test]
fn m1_no_code_of_before_is_taken_not_even_when_the_clock_goes_back() {
    on_both(async |backend| {
        for tolerance in [0, 1] {
            let server = TestApp::start(backend, &format!("{FREE}\nmfa.totp_tolerance = {tolerance}")).await;
            let (app, _) = protected(&server, ADA).await;
            let mut client = half_way(server.app(), ADA).await;
            for steps in [-2, 2] {
                refused(&mut client, &app.code_in(&server, steps * PERIOD)).await;
            }
            if tolerance == 0 {
                refused(&mut client, &app.code_in(&server, PERIOD)).await;
                second_factor(&mut client, &app.code(&server)).await.expect(200);
            } else {
                second_factor(&mut client, &app.code_in(&server, PERIOD)).await.expect(200);
            }
            let mut client = half_way(server.browser(), ADA).await;
            refused(&mut client, &app.code(&server)).await;
            server.pass(-10 * PERIOD);
            for steps in [-1, 0, 1] {
                refused(&mut client, &app.code_in(&server, steps * PERIOD)).await;
            }
            server.pass(12 * PERIOD);
            second_factor(&mut client, &app.code(&server)).await.expect(200);
        }
    });
}

#[test]
fn m2_recovery_codes_work_once_each_and_only_the_last_set() {
    on_both(async |backend| {
        let server = TestApp::start(backend, "account.rate_limits = false\naccount.email_notifications = true\nmfa.recovery_code_used_mail = true").await;
        let (app, mut client) = protected(&server, ADA).await;
        let old = codes(&mut client).await;
        let spelled = format!("{} {}", &old[3][..4], &old[3][4..]);
        let reply = second_factor(&mut half_way(server.app(), ADA).await, &spelled).await.expect(200);
        assert_eq!(methods(&reply), [("password", ""), ("mfa", "recovery_codes")]);
        assert_eq!(mails(&server, ADA).await.last().map(String::as_str), Some("recovery_code_used"));
        refused(&mut half_way(server.browser(), ADA).await, &old[3]).await;
        let listed = client.get("account/authenticators").await.expect(200);
        let row = &listed.data()[1];
        assert_eq!((&row["total_code_count"], &row["unused_code_count"]), (&json!(10), &json!(9)));
        assert!(row["last_used_at"].is_f64() && row.get("unused_codes").is_none(), "{row}");

        let new = shown(&client.post(CODES, json!({})).await.expect(200));
        let mut waiting = half_way(server.app(), ADA).await;
        for code in &old {
            refused(&mut waiting, code).await;
        }
        second_factor(&mut waiting, &new[9]).await.expect(200);

        // Codes of a set that is gone stay worthless, whatever is set up after it.
        client.delete(TOTP, Value::Null).await.expect(200);
        login(&mut server.app(), ADA, PASSWORD).await.expect(200);
        let again = enrol(&server, &mut client).await;
        let mut waiting = half_way(server.app(), ADA).await;
        for code in [&new[0], &old[0], &app.code(&server)] {
            refused(&mut waiting, code).await;
        }
        second_factor(&mut waiting, &again.code(&server)).await.expect(200);
    });
}

#[test]
fn m2_recovery_codes_are_seen_once_if_so_configured() {
    on_both(async |backend| {
        let settings = format!(
            "{FREE}\nmfa.recovery_codes_show_once = true\nmfa.recovery_code_count = 3\nmfa.recovery_code_digits = 6"
        );
        let server = TestApp::start(backend, &settings).await;
        let (_, mut client) = protected(&server, ADA).await;
        let looks = (0..6).map(|_| (client.clone(), axum::http::Method::GET, CODES, json!({}))).collect();
        let looks = at_once(looks).await;
        let seen = looks.iter().filter(|reply| reply.data().get("unused_codes").is_some());
        assert_eq!((statuses(&looks)[&200], seen.count()), (6, 1), "one of several looks sees them");
        let reply = client.post(CODES, json!({})).await.expect(200);
        assert!(shown(&reply).iter().all(|code| code.len() == 6), "{reply}");
        let reply = client.get(CODES).await.expect(200);
        assert_eq!(reply.data()["unused_code_count"], 3);
        assert!(reply.data().get("unused_codes").is_none(), "made and shown is seen: {reply}");
    });
}

#[test]
fn m3_only_whoever_passed_the_first_factor_can_use_up_the_attempts() {
    on_both(async |backend| {
        let server = TestApp::start(backend, "account.rate_limits = { login_failed = '5/5m/key', login = '1000/m/ip', reauthenticate = '1000/m/user' }").await;
        let (app, _) = protected(&server, ADA).await;
        let (eve_s, _) = protected(&server, EVE).await;
        // Strangers, and whoever waits with a login of their own.
        for _ in 0..8 {
            for mut client in [server.app(), server.browser()] {
                client.post(AUTHENTICATE, json!({ "code": "123456" })).await.expect(401);
                client.post(REAUTHENTICATE, json!({ "code": "123456" })).await.expect(401);
            }
        }
        let mut eve = half_way(server.app(), EVE).await;
        for _ in 0..5 {
            refused(&mut eve, &eve_s.wrong(&server)).await;
        }
        let reply = second_factor(&mut eve, &eve_s.code(&server)).await.expect(400);
        assert_eq!(reply.errors(), [("code", "too_many_login_attempts")]);
        assert!(eve.get("auth/session").await.expect(401).is_pending("mfa_authenticate"));
        second_factor(&mut half_way(server.app(), ADA).await, &app.code(&server)).await.expect(200);

        // Another session or way does not begin anew; time does, and so does a right code.
        let reply =
            second_factor(&mut half_way(server.browser(), EVE).await, &eve_s.code(&server)).await.expect(400);
        assert_eq!(reply.errors(), [("code", "too_many_login_attempts")]);
        server.pass(301);
        let mut eve = half_way(server.app(), EVE).await;
        for _ in 0..4 {
            refused(&mut eve, &eve_s.wrong(&server)).await;
        }
        second_factor(&mut eve, &eve_s.code(&server)).await.expect(200);
        // P2: the same counter at reauthentication.
        for _ in 0..5 {
            eve.post(REAUTHENTICATE, json!({ "code": eve_s.wrong(&server) })).await.expect(400);
        }
        server.pass(PERIOD);
        let reply = eve.post(REAUTHENTICATE, json!({ "code": eve_s.code(&server) })).await.expect(400);
        assert_eq!(reply.errors(), [("code", "too_many_login_attempts")]);
        // Ada has TOTP already: nothing is offered, nothing is taken, and each try counts.
        let mut ada = half_way(server.app(), ADA).await;
        second_factor(&mut ada, &app.code(&server)).await.expect(200);
        prove(&mut ada).await;
        for _ in 0..5 {
            ada.post(TOTP, json!({ "code": app.wrong(&server) })).await.expect(400);
        }
        let reply = ada.post(TOTP, json!({ "code": app.code(&server) })).await.expect(400);
        assert_eq!(reply.errors(), [("code", "rate_limited")]);
    });
}

/// A browser of this person that is asked whether it is to be trusted.
async fn asked(server: &TestApp, email: &str, app: &AuthenticatorApp, browser: Client) -> Client {
    server.pass(PERIOD);
    let mut browser = half_way(browser, email).await;
    let reply = second_factor(&mut browser, &app.code(server)).await.expect(401);
    assert!(reply.is_pending("mfa_trust"), "{reply}");
    browser
}

async fn trusted(server: &TestApp, email: &str, app: &AuthenticatorApp, browser: Client) -> Client {
    let mut browser = asked(server, email, app, browser).await;
    browser.post(TRUST, json!({ "trust": true })).await.expect(200);
    browser.delete("auth/session", Value::Null).await.expect(401);
    browser
}

async fn is_trusted(browser: &Client, email: &str) -> bool {
    let reply = login(&mut browser.clone(), email, PASSWORD).await;
    assert!(reply.status == 200 || reply.is_pending("mfa_authenticate"), "{reply}");
    reply.status == 200
}

#[test]
fn m5_a_trusted_browser_skips_the_second_factor_of_its_users_for_a_while() {
    on_both(async |backend| {
        let server = TestApp::start(backend, TRUSTS).await;
        let (ada_s, _) = protected(&server, ADA).await;
        let (eve_s, _) = protected(&server, EVE).await;

        let mut browser = server.browser();
        browser.post("auth/2fa/trust", json!({ "trust": true })).await.expect(401);
        for no in [json!({ "trust": false }), json!({})] {
            let mut browser = asked(&server, ADA, &ada_s, server.browser()).await;
            browser.get("account/email").await.expect(401);
            browser.post(TRUST, json!({ "trust": [] })).await.expect(400);
            let reply = browser.post(TRUST, no).await.expect(200);
            assert_eq!(methods(&reply), [("password", ""), ("mfa", "totp")]);
            assert!(browser.cookie("mfa_trusted").is_none());
        }
        let browser = trusted(&server, ADA, &ada_s, browser).await;
        assert!(is_trusted(&browser, ADA).await && !is_trusted(&browser, EVE).await);
        assert!(!is_trusted(&server.browser(), ADA).await, "another browser");

        // Shared by two: each trusts it for themselves, and the token of before is worth nothing.
        let before = browser.clone();
        let shared = trusted(&server, EVE, &eve_s, browser).await;
        assert_ne!(before.cookie("mfa_trusted"), shared.cookie("mfa_trusted"));
        assert!(is_trusted(&shared, ADA).await && is_trusted(&shared, EVE).await);
        assert!(!is_trusted(&before, ADA).await);

        // Apps have no cookies: they are not asked, and one that they send counts for nothing.
        let cookie = format!("mfa_trusted={}", shared.cookie("mfa_trusted").expect("a cookie"));
        server.pass(PERIOD);
        let mut app = half_way(server.app().with_header("cookie", &cookie), ADA).await;
        app.post(TRUST, json!({ "trust": true })).await.expect(404);
        second_factor(&mut app, &ada_s.code(&server)).await.expect(200);

        // Of the others' making, or none at all.
        for forged in [Token::generate().expect("random").expose(), "", "x", &"A".repeat(5000)] {
            let mut browser = server.browser();
            browser.set_cookie("mfa_trusted", forged);
            assert!(!is_trusted(&browser, ADA).await, "{forged}");
        }
        server.pass(1_209_600);
        assert!(!is_trusted(&shared, ADA).await && !is_trusted(&shared, EVE).await);
    });
}

#[test]
fn m5_trust_is_stored_as_a_hash_and_bound_to_the_credentials() {
    on_both(async |backend| {
        let server = TestApp::start(backend, TRUSTS).await;
        let (app, mut client) = protected(&server, ADA).await;
        let browser = trusted(&server, ADA, &app, server.browser()).await;
        let token = Token::parse(browser.cookie("mfa_trusted").expect("a cookie")).expect("a token");
        let user_id =
            client.get("auth/session").await.expect(200).data()["user"]["id"].as_i64().expect("an id");
        let mut conn = server.db.read().await.expect("a connection");
        let mark = trust::mark(&mut conn, &token.digest(), user_id, 0).await.expect("an answer");
        assert!(mark.is_some(), "it is looked up by its hash");
        drop(conn);
        assert!(is_trusted(&browser, ADA).await);

        // New recovery codes are new credentials.
        prove(&mut client).await;
        client.post(CODES, json!({})).await.expect(200);
        assert!(!is_trusted(&browser, ADA).await);

        // So is TOTP set up anew,
        let browser = trusted(&server, ADA, &app, browser).await;
        prove(&mut client).await;
        client.delete(TOTP, Value::Null).await.expect(200);
        let app = enrol(&server, &mut client).await;
        assert!(!is_trusted(&browser, ADA).await);

        // and a password, even if it is the same again.
        let browser = trusted(&server, ADA, &app, browser).await;
        assert!(is_trusted(&browser, ADA).await);
        for (from, to) in [(PASSWORD, OTHER), (OTHER, PASSWORD)] {
            let body = json!({ "current_password": from, "new_password": to });
            client.post("account/password/change", body).await.expect(200);
        }
        assert!(!is_trusted(&browser, ADA).await);
        let browser = trusted(&server, ADA, &app, browser).await;
        client.post("auth/password/request", json!({ "email": ADA })).await.expect(200);
        let key = server.link_key_for(ADA).await;
        server
            .app()
            .post("auth/password/reset", json!({ "key": key, "password": PASSWORD }))
            .await
            .expect(401);
        assert!(!is_trusted(&browser, ADA).await);
    });
}

#[test]
fn m5_trust_given_for_a_code_does_not_count_for_a_second_factor() {
    on_both(async |backend| {
        let settings = "
            [account]
            login_by_code_required = true
            login_by_code_trust_enabled = true
            rate_limits = false";
        let server = TestApp::start(backend, settings).await;
        account(&server, ADA).await;
        let mut browser = server.browser();
        assert!(login(&mut browser, ADA, PASSWORD).await.expect(401).is_pending("login_by_code"));
        let code = json!({ "code": server.code_for(ADA).await });
        assert!(browser.post("auth/code/confirm", code).await.expect(401).is_pending("mfa_trust"));
        browser.post(TRUST, json!({ "trust": true })).await.expect(200);
        let app = enrol(&server, &mut browser).await;
        browser.delete("auth/session", Value::Null).await.expect(401);
        // It has another credential now.
        assert!(login(&mut browser, ADA, PASSWORD).await.expect(401).is_pending("login_by_code"));
        let code = json!({ "code": server.code_for(ADA).await });
        assert!(browser.post("auth/code/confirm", code).await.expect(401).is_pending("mfa_authenticate"));
        assert!(second_factor(&mut browser, &app.code(&server)).await.expect(401).is_pending("mfa_trust"));
        browser.post(TRUST, json!({ "trust": true })).await.expect(200);
        browser.delete("auth/session", Value::Null).await.expect(401);
        // mfa.trust_enabled is off: the code is skipped, the second factor is not.
        assert!(login(&mut browser, ADA, PASSWORD).await.expect(401).is_pending("mfa_authenticate"));
    });
}

#[test]
fn h4_no_second_factor_with_an_unverified_address_and_none_added_with_one() {
    on_both(async |backend| {
        let settings = "account = { email_verification = 'optional', rate_limits = false }";
        let server = TestApp::start(backend, settings).await;
        for (mut client, email) in [(server.app(), ADA), (server.browser(), EVE)] {
            let body = json!({ "email": email, "password": PASSWORD });
            client.post("auth/signup", body).await.expect(200);
            let reply = client.get(TOTP).await.expect(409);
            assert_eq!(reply.errors(), [("", "unverified_email")]);
            prove(&mut client).await;
            let reply = client.post(TOTP, json!({ "code": "123456" })).await.expect(400);
            assert_eq!(reply.errors(), [("code", "unverified_email")]);

            let key = server.link_key_for(email).await;
            client.post("auth/email/verify", json!({ "key": key })).await.expect(200);
            let app = offered(&mut client).await;
            let second = format!("second-{email}");
            client.post("account/email", json!({ "email": second })).await.expect(200);
            // The secret was offered before the address was added.
            let reply = client.post(TOTP, json!({ "code": app.code(&server) })).await.expect(400);
            assert_eq!(reply.errors(), [("code", "unverified_email")]);
            client.delete("account/email", json!({ "email": second })).await.expect(200);
            client.post(TOTP, json!({ "code": app.code(&server) })).await.expect(200);
            let reply = client.post("account/email", json!({ "email": second })).await.expect(400);
            assert_eq!(reply.errors(), [("email", "add_email_blocked")]);
            assert_eq!(
                client.get("account/email").await.expect(200).data().as_array().map(Vec::len),
                Some(1)
            );
        }
    });
}

#[test]
fn h4_both_at_once_leave_one_of_them() {
    on_both(async |backend| {
        let server = TestApp::start(backend, FREE).await;
        for round in 0..4 {
            let email = format!("ada{round}@example.org");
            account(&server, &email).await;
            let mut client = entered(&server, &email).await;
            prove(&mut client).await;
            let app = offered(&mut client).await;
            let both = at_once(vec![
                post(&client, "account/email", json!({ "email": format!("second-{email}") })),
                post(&client, TOTP, json!({ "code": app.code(&server) })),
            ])
            .await;
            assert_eq!(both.iter().filter(|reply| reply.status == 200).count(), 1, "{both:?}");
        }
    });
}

#[test]
fn h4_the_settings_can_allow_it() {
    on_both(async |backend| {
        let settings = "
            account = { email_verification = 'optional', rate_limits = false, login_by_code_enabled = true }
            mfa.allow_unverified_email = true";
        let server = TestApp::start(backend, settings).await;
        let mut client = server.app();
        client.post("auth/signup", json!({ "email": ADA, "password": PASSWORD })).await.expect(200);
        enrol(&server, &mut client).await;
        client.post("account/email", json!({ "email": EVE })).await.expect(200);
        // H1: whoever set this up never proved the address; its owner is not locked out by it.
        let mut owner = server.app();
        owner.post("auth/code/request", json!({ "email": ADA })).await.expect(401);
        let code = json!({ "code": server.code_for(ADA).await });
        owner.post("auth/code/confirm", code).await.expect(200);
        assert!(kinds(&mut owner).await.is_empty());
        client.get("auth/session").await.expect(401);
    });
}

#[test]
fn l1_a_login_that_waits_for_its_second_factor_opens_nothing() {
    on_both(async |backend| {
        let server = TestApp::start(backend, FREE).await;
        let (app, mut owner) = protected(&server, ADA).await;
        let set = codes(&mut owner).await;
        for mut client in [half_way(server.app(), ADA).await, half_way(server.browser(), ADA).await] {
            for path in ["account/authenticators", TOTP, CODES, "account/email", "auth/sessions"] {
                client.get(path).await.expect(401);
            }
            for path in [TOTP, CODES, REAUTHENTICATE] {
                client.post(path, json!({ "code": app.code(&server) })).await.expect(401);
            }
            client.delete(TOTP, Value::Null).await.expect(401);
            client.post("auth/reauthenticate", json!({ "password": PASSWORD })).await.expect(401);
            assert!(client.get("auth/session").await.is_pending("mfa_authenticate"));
            client.delete("auth/session", Value::Null).await.expect(401);
            let status = second_factor(&mut client, &app.code(&server)).await.status;
            assert!([401, 410].contains(&status), "{status}");
        }
        assert_eq!(codes(&mut owner).await, set, "and uses nothing up");
        second_factor(&mut half_way(server.app(), ADA).await, &app.code(&server)).await.expect(200);

        // In time, or not at all.
        server.pass(PERIOD);
        let mut late = half_way(server.app(), ADA).await;
        server.pass(901);
        second_factor(&mut late, &app.code(&server)).await.expect(401);
    });
}

#[test]
fn l2_nothing_of_one_login_reaches_another() {
    on_both(async |backend| {
        let server = TestApp::start(backend, FREE).await;
        let (ada_s, _) = protected(&server, ADA).await;
        let (eve_s, _) = protected(&server, EVE).await;
        account(&server, "ann@example.org").await;
        for fresh in [server.app(), server.browser()] {
            server.pass(PERIOD);
            let client = half_way(fresh, ADA).await;
            let mut client = half_way(client, EVE).await;
            refused(&mut client, &ada_s.code(&server)).await;
            let reply = second_factor(&mut client, &eve_s.code(&server)).await.expect(200);
            assert_eq!(reply.data()["user"]["email"], EVE);
            assert_eq!(methods(&reply), [("password", ""), ("mfa", "totp")]);

            // A secret that one session is offered is of no use in another, nor to another user in the same one.
            let mut one = entered(&server, "ann@example.org").await;
            let mut other = entered(&server, "ann@example.org").await;
            let app = offered(&mut one).await;
            prove(&mut other).await;
            other.post(TOTP, json!({ "code": app.code(&server) })).await.expect(400);
        }
        // A failed login as somebody else leaves the one that waits as it was.
        server.pass(PERIOD);
        let mut client = half_way(server.app(), ADA).await;
        login(&mut client, EVE, OTHER).await.expect(400);
        second_factor(&mut client, &ada_s.code(&server)).await.expect(200);
    });
}

#[test]
fn l3_no_way_in_leads_around_the_second_factor() {
    let settings = "
        [account]
        login_by_code_enabled = true
        login_on_password_reset = true
        login_on_email_confirmation = true
        rate_limits = false";
    on_both(async |backend| {
        for by_code in [false, true] {
            let settings = format!("{settings}\npassword_reset_by_code_enabled = {by_code}");
            let server = TestApp::start(backend, &settings).await;
            let (app, _) = protected(&server, ADA).await;
            for mut client in [server.app(), server.browser()] {
                client.post("auth/code/request", json!({ "email": ADA })).await.expect(401);
                let code = json!({ "code": server.code_for(ADA).await });
                let reply = client.post("auth/code/confirm", code).await.expect(401);
                assert!(reply.is_pending("mfa_authenticate"), "{reply}");
                client.get("account/email").await.expect(401);
                let reply = second_factor(&mut client, &app.code(&server)).await.expect(200);
                assert_eq!(methods(&reply), [("code", ""), ("mfa", "totp")]);
                server.pass(PERIOD);
                client.delete("auth/session", Value::Null).await.expect(401);
                client.get("auth/session").await;

                let asked = client.post("auth/password/request", json!({ "email": ADA })).await;
                asked.expect(if by_code { 401 } else { 200 });
                let key = if by_code { server.code_for(ADA).await } else { server.link_key_for(ADA).await };
                let body = json!({ "key": key, "password": PASSWORD });
                let reply = client.post("auth/password/reset", body).await.expect(401);
                assert!(reply.is_pending("mfa_authenticate"), "{reply}");
                for (path, body) in [
                    ("auth/email/verify", json!({ "key": "x" })),
                    ("auth/code/confirm", json!({ "code": "x" })),
                ] {
                    let status = client.post(path, body).await.status;
                    assert!([400, 409].contains(&status), "{path}: {status}");
                }
                let reply = second_factor(&mut client, &app.code(&server)).await.expect(200);
                assert_eq!(methods(&reply), [("password_reset", ""), ("mfa", "totp")]);
                server.pass(PERIOD);
                client.delete("auth/session", Value::Null).await.expect(401);
                client.get("auth/session").await;
            }
        }
    });
}

#[test]
fn h2_a_login_that_waits_ends_with_the_password_that_it_began_with() {
    on_both(async |backend| {
        let server = TestApp::start(backend, FREE).await;
        let (app, mut owner) = protected(&server, ADA).await;
        let mut thief = half_way(server.app(), ADA).await;
        let body = json!({ "current_password": PASSWORD, "new_password": OTHER });
        owner.post("account/password/change", body).await.expect(200);
        second_factor(&mut thief, &app.code(&server)).await.expect(401);
        owner.get("account/authenticators").await.expect(200);
    });
}

#[test]
fn c3_one_code_sent_by_many_at_once_is_taken_once() {
    on_both(async |backend| {
        let server = TestApp::start(backend, FREE).await;
        let (app, mut owner) = protected(&server, ADA).await;
        let recovery = codes(&mut owner).await;
        for code in [app.code(&server), recovery[0].clone()] {
            let mut requests = Vec::new();
            for round in 0..8 {
                let fresh = if round % 2 == 0 { server.app() } else { server.browser() };
                let client = half_way(fresh, ADA).await;
                // Twice from each session, and from one that is logged in.
                requests.push(post(&client, AUTHENTICATE, json!({ "code": code })));
                requests.push(post(&client, AUTHENTICATE, json!({ "code": code })));
                requests.push(post(&owner, REAUTHENTICATE, json!({ "code": code })));
            }
            let replies = at_once(requests).await;
            assert_eq!(statuses(&replies).get(&200), Some(&1), "{:?}", statuses(&replies));
        }
        let left = codes(&mut owner).await;
        assert_eq!(left, recovery[1..]);

        // Different codes at once are all taken, each once.
        let requests = left.iter().map(|code| post(&owner, REAUTHENTICATE, json!({ "code": code })));
        let replies = at_once(requests.collect()).await;
        assert_eq!(statuses(&replies).get(&200), Some(&left.len()), "{:?}", statuses(&replies));
    });
}

#[test]
fn c3_totp_is_set_up_once() {
    on_both(async |backend| {
        let server = TestApp::start(backend, FREE).await;
        let user_id = account(&server, ADA).await;
        let mut requests = Vec::new();
        for _ in 0..3 {
            let mut client = entered(&server, ADA).await;
            prove(&mut client).await;
            let app = offered(&mut client).await;
            for _ in 0..2 {
                requests.push(post(&client, TOTP, json!({ "code": app.code(&server) })));
            }
        }
        let replies = at_once(requests).await;
        assert_eq!(statuses(&replies).get(&200), Some(&1), "{:?}", statuses(&replies));
        assert_eq!(stored(&server, user_id).await.len(), 2);
    });
}

#[test]
fn c3_wrong_codes_at_once_are_counted_one_by_one() {
    on_both(async |backend| {
        let limits = "account.rate_limits = { login_failed = '5/5m/key', login = '1000/m/ip' }";
        let server = TestApp::start(backend, limits).await;
        let (app, _) = protected(&server, ADA).await;
        let client = half_way(server.app(), ADA).await;
        let guess = json!({ "code": app.wrong(&server) });
        let replies = at_once((0..12).map(|_| post(&client, AUTHENTICATE, guess.clone())).collect()).await;
        let looked_at = replies.iter().filter(|reply| reply.errors() == [("code", "incorrect_code")]).count();
        assert_eq!((looked_at, statuses(&replies)[&400]), (5, 12));
    });
}

#[test]
fn x1_what_authenticators_know_is_sealed_for_its_user() {
    on_both(async |backend| {
        let server = TestApp::start(backend, FREE).await;
        let ada = account(&server, ADA).await;
        let mut client = entered(&server, ADA).await;
        prove(&mut client).await;
        let reply = client.get(TOTP).await.expect(404);
        let secret = reply.json["meta"]["secret"].as_str().expect("a secret").to_owned();
        let app = AuthenticatorApp::new(&secret);
        client.post(TOTP, json!({ "code": app.code(&server) })).await.expect(200);
        let mut plain = codes(&mut client).await;
        plain.push(secret);
        for row in stored(&server, ada).await {
            for text in &plain {
                assert!(
                    !row.secret.windows(text.len()).any(|part| part == text.as_bytes()),
                    "{:?}",
                    row.kind
                );
            }
        }

        // Put into another account, it opens nothing.
        let eve = account(&server, EVE).await;
        let row = stored(&server, ada).await.into_iter().find(|row| row.kind == Kind::Totp).expect("TOTP");
        let mut tx = server.db.write().await.expect("a transaction");
        authenticators::insert(&mut tx, eve, Kind::Totp, &row.secret, 0, 0).await.expect("a row");
        tx.commit().await.expect("committed");
        server.pass(PERIOD);
        let mut client = half_way(server.app(), EVE).await;
        second_factor(&mut client, &app.code(&server)).await.expect(500);
    });
}

#[test]
fn x1_authenticators_and_trust_outlive_a_change_of_the_secret_key() {
    on_both(async |backend| {
        let old = TestApp::start(backend, TRUSTS).await;
        let (app, mut client) = protected(&old, ADA).await;
        let recovery = codes(&mut client).await;
        let browser = trusted(&old, ADA, &app, old.browser()).await;

        let new = "server.secret_key = 'another secret key of tests, as well known'";
        let former = "server.secret_key_fallbacks = ['the secret key of tests, known to all the world']";
        let both = old.second_with(&format!("{new}\n{former}")).await;
        let cookie = browser.cookie("mfa_trusted").expect("a cookie").to_owned();
        let mut there = both.browser();
        there.set_cookie("mfa_trusted", &cookie);
        login(&mut there, ADA, PASSWORD).await.expect(200);
        // Each is used once under the new key, and written anew by that.
        both.pass(PERIOD);
        second_factor(&mut half_way(both.app(), ADA).await, &app.code(&both)).await.expect(200);
        second_factor(&mut half_way(both.app(), ADA).await, &recovery[0]).await.expect(200);

        let alone = old.second_with(new).await;
        alone.pass(PERIOD);
        let mut client = half_way(alone.app(), ADA).await;
        second_factor(&mut client, &app.code(&alone)).await.expect(200);
        second_factor(&mut half_way(alone.app(), ADA).await, &recovery[1]).await.expect(200);
        prove(&mut client).await;
        assert_eq!(codes(&mut client).await, recovery[2..]);
    });
}

#[test]
fn what_is_not_supported_is_not_there_and_what_was_set_up_is_still_asked_for() {
    on_both(async |backend| {
        let server = TestApp::start(backend, FREE).await;
        let (app, _) = protected(&server, ADA).await;
        let none = server.second_with("mfa.supported_types = []").await;
        let mut client = half_way(none.app(), ADA).await;
        second_factor(&mut client, &app.code(&none)).await.expect(200);
        for path in [TOTP, CODES, TRUST] {
            client.get(path).await.expect(404);
            client.post(path, json!({ "code": "1" })).await.expect(404);
        }
        assert_eq!(kinds(&mut client).await, ["totp", "recovery_codes"]);
        assert_eq!(client.get("config").await.expect(200).data()["mfa"]["supported_types"], json!([]));

        let alone = server.second_with("mfa.supported_types = ['totp']").await;
        account(&alone, EVE).await;
        let mut client = entered(&alone, EVE).await;
        enrol(&alone, &mut client).await;
        assert_eq!(kinds(&mut client).await, ["totp"]);
    });
}

#[test]
fn the_settings_of_totp_reach_the_app() {
    on_both(async |backend| {
        let settings = format!(
            "{FREE}\nmfa = {{ totp_digits = 8, totp_period = 60, totp_issuer = 'Acme: Inc', reauthentication_required = false }}"
        );
        let server = TestApp::start(backend, &settings).await;
        account(&server, ADA).await;
        let mut client = entered(&server, ADA).await;
        let reply = client.get(TOTP).await.expect(404);
        let url = reply.json["meta"]["totp_url"].as_str().expect("a URL");
        assert!(url.starts_with("otpauth://totp/Acme%20%20Inc:ada%40example.org?"), "{url}");
        for part in ["digits=8", "period=60", "issuer=Acme%20%20Inc"] {
            assert!(url.contains(part), "{url}");
        }
        let app = AuthenticatorApp::new(reply.json["meta"]["secret"].as_str().expect("a secret"));
        client.post(TOTP, json!({ "code": app.code(&server) })).await.expect(400);
    });
}

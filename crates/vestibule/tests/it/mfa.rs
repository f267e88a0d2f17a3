//! Second factors: TOTP, recovery codes, trusted browsers (M1, M2, M3, M5, H4, X1), and that no way in leads around them.

#![expect(clippy::expect_used, reason = "a panic is how a test says that it failed")]

use serde_json::{Value, json};
use vestibule_base::config::AuthenticatorType as Kind;
use vestibule_base::storage::authenticators::{self, Authenticator};
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::{Client, Reply};
use vestibule_testkit::database::on_both;
use vestibule_testkit::totp::{AuthenticatorApp, PERIOD};

use super::codes::{PASSWORD, account, entered, login};
use super::races::{at_once, statuses};

pub(super) const FREE: &str = "account.rate_limits = false";
pub(super) const NOTIFIES: &str = "account = { rate_limits = false, email_notifications = true }";
pub(super) const ADA: &str = "ada@example.org";
pub(super) const EVE: &str = "eve@example.org";
pub(super) const TOTP: &str = "account/authenticators/totp";
pub(super) const CODES: &str = "account/authenticators/recovery-codes";
pub(super) const AUTHENTICATE: &str = "auth/2fa/authenticate";
pub(super) const REAUTHENTICATE: &str = "auth/2fa/reauthenticate";
pub(super) const TRUST: &str = "auth/2fa/trust";

pub(super) async fn prove(client: &mut Client) {
    client.post("auth/reauthenticate", json!({ "password": PASSWORD })).await.expect(200);
}

/// Puts the secret that this session is offered into an app.
pub(super) async fn offered(client: &mut Client) -> AuthenticatorApp {
    let reply = client.get(TOTP).await.expect(404);
    AuthenticatorApp::new(reply.json["meta"]["secret"].as_str().expect("a secret"))
}

/// Sets up TOTP for whoever `client` is logged in as. The app shows a fresh code after that.
pub(super) async fn enrol(server: &TestApp, client: &mut Client) -> AuthenticatorApp {
    prove(client).await;
    let app = offered(client).await;
    client.post(TOTP, json!({ "code": app.code(server) })).await.expect(200);
    server.pass(PERIOD);
    app
}

/// Makes an account with TOTP; gives its app and a client that is logged in and has just proved who it is.
pub(super) async fn protected(server: &TestApp, email: &str) -> (AuthenticatorApp, Client) {
    account(server, email).await;
    let mut client = entered(server, email).await;
    (enrol(server, &mut client).await, client)
}

pub(super) async fn codes(client: &mut Client) -> Vec<String> {
    let reply = client.get(CODES).await.expect(200);
    shown(&reply)
}

pub(super) fn shown(reply: &Reply) -> Vec<String> {
    let codes = reply.data()["unused_codes"].as_array().expect("codes").iter();
    codes.map(|code| code.as_str().expect("a code").to_owned()).collect()
}

/// Goes as far as the second factor.
pub(super) async fn half_way(mut client: Client, email: &str) -> Client {
    let reply = login(&mut client, email, PASSWORD).await.expect(401);
    assert!(reply.is_pending("mfa_authenticate"), "{reply}");
    client
}

pub(super) async fn second_factor(client: &mut Client, code: &str) -> Reply {
    client.post(AUTHENTICATE, json!({ "code": code })).await
}

pub(super) async fn refused(client: &mut Client, code: &str) {
    let reply = second_factor(client, code).await.expect(400);
    assert_eq!(reply.errors(), [("code", "incorrect_code")], "{code:?}");
}

pub(super) fn methods(reply: &Reply) -> Vec<(&str, &str)> {
    let records = reply.data()["methods"].as_array().expect("methods").iter();
    records
        .map(|record| (record["method"].as_str().unwrap_or(""), record["type"].as_str().unwrap_or("")))
        .collect()
}

pub(super) fn types(flow: &Value) -> Vec<&str> {
    flow["types"].as_array().expect("types").iter().filter_map(Value::as_str).collect()
}

/// The second factors in the list of whoever is logged in.
pub(super) async fn kinds(client: &mut Client) -> Vec<String> {
    let reply = client.get("account/authenticators").await.expect(200);
    let rows = reply.data().as_array().expect("a list").iter();
    rows.map(|row| row["type"].as_str().expect("a type").to_owned()).collect()
}

pub(super) async fn stored(server: &TestApp, user_id: i64) -> Vec<Authenticator> {
    let mut conn = server.db.read().await.expect("a connection");
    authenticators::of_user(&mut conn, user_id).await.expect("rows")
}

/// The subjects of mails to an address, oldest first.
pub(super) async fn mails(server: &TestApp, to: &str) -> Vec<String> {
    let messages = server.messages_for(to).await;
    messages.into_iter().rev().map(|message| message.content.subject).collect()
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
            let sent = [
                "An authenticator app was set up",
                "New recovery codes were made",
                "The authenticator app was removed",
            ];
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
        assert_eq!(mails(&server, ADA).await.last().map(String::as_str), Some("A recovery code was used"));
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

        // Encrypted anew, all of it opens with the new key alone.
        let new = "server.secret_key = 'another secret key of tests, as well known'";
        let former = "server.secret_key_fallbacks = ['the secret key of tests, known to all the world']";
        let both = server.second_with(&format!("{new}\n{former}")).await;
        assert_eq!(both.vestibule.reseal().await.expect("sealed anew"), 2);
        assert!(server.vestibule.reseal().await.is_err(), "the former key does not open it");
        let alone = server.second_with(new).await;
        alone.pass(PERIOD);
        let mut client = half_way(alone.app(), ADA).await;
        second_factor(&mut client, &app.code(&alone)).await.expect(200);
        prove(&mut client).await;
        assert_eq!(codes(&mut client).await, plain[..10]);

        // Put into another account, it opens nothing.
        let eve = account(&server, EVE).await;
        let row = stored(&server, ada).await.into_iter().find(|row| row.kind == Kind::Totp).expect("TOTP");
        let mut tx = server.db.write().await.expect("a transaction");
        authenticators::insert(&mut tx, eve, Kind::Totp, &row.secret, 0, 0).await.expect("a row");
        tx.commit().await.expect("committed");
        alone.pass(PERIOD);
        let mut client = half_way(alone.app(), EVE).await;
        second_factor(&mut client, &app.code(&alone)).await.expect(400);
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

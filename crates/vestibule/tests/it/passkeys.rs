//! Passkeys: logging in and signing up with one, and that none of it is a way around anything (M4, C3, H7, P3, P7, L1, L2,
//! L3, M3, M5).

#![expect(clippy::expect_used, reason = "a panic is how a test says that it failed")]

use axum::http::Method;
use serde_json::{Value, json};
use vestibule_testkit::app::TestApp;
use vestibule_testkit::authenticator::{Authenticator, BACKED_UP, Lie, USER_PRESENT, USER_VERIFIED};
use vestibule_testkit::client::{Client, Door, Reply};
use vestibule_testkit::database::on_both;

use super::codes::{PASSWORD, account, entered, login, password};
use super::mfa::{ADA, EVE, codes, enrol as enrol_totp, half_way, kinds, methods, prove, second_factor};
use super::races::{at_once, post, statuses};
use super::webauthn::{
    AUTHENTICATE, KEYS, ORIGIN, SETTINGS, enrol, key, keyed, no_good, not_taken, options, sent, signed,
};

const LOGIN: &str = "auth/webauthn/login";
const SIGNUP: &str = "auth/webauthn/signup";

/// An account with a password and a passkey; gives the id of the account, and a client that is logged in.
pub(super) async fn with_passkey(server: &TestApp, email: &str) -> (Authenticator, Client, i64) {
    let user = account(server, email).await;
    let mut client = entered(server, email).await;
    let mut key = key();
    enrol(&mut client, &mut key, "?passwordless").await;
    (key, client, user)
}

/// Begins a signup with a passkey and proves the address.
async fn begun(server: &TestApp, mut client: Client, email: &str) -> Client {
    let reply = client.post(SIGNUP, json!({ "email": email })).await.expect(401);
    assert!(reply.is_pending("verify_email"), "{reply}");
    let code = server.code_for(email).await;
    let reply = client.post("auth/email/verify", json!({ "key": code })).await.expect(401);
    assert!(reply.is_pending("mfa_signup_webauthn"), "{reply}");
    client
}

/// An account that was made with a passkey and has no password.
async fn signed_up(server: &TestApp, client: Client, email: &str) -> (Authenticator, Client) {
    let mut client = begun(server, client, email).await;
    let mut key = key();
    let made = key.create(&options(&mut client, SIGNUP).await, ORIGIN, &Lie::default());
    let reply = client.put(SIGNUP, sent(&made)).await.expect(200);
    assert_eq!(reply.data()["user"]["has_usable_password"], false);
    (key, client)
}

pub(super) async fn log_in(key: &mut Authenticator, client: &mut Client) -> Reply {
    let assertion = signed(key, client, LOGIN).await;
    client.post(LOGIN, sent(&assertion)).await
}

#[test]
fn a_passkey_logs_in_alone() {
    on_both(async |backend| {
        let server = TestApp::start(backend, &format!("{SETTINGS}\ntrust_enabled = true")).await;
        let (mut key, mut first, _) = with_passkey(&server, ADA).await;
        enrol_totp(&server, &mut first).await;
        for mut client in [server.app(), server.browser()] {
            let reply = client.get("auth/session").await.expect(401);
            assert!(reply.flow("mfa_login_webauthn").is_some(), "{reply}");
            let reply = client.get("auth/webauthn/login").await.expect(200);
            let asked = &reply.data()["request_options"]["publicKey"];
            assert_eq!(
                (&asked["userVerification"], &asked["allowCredentials"]),
                (&json!("required"), &json!([]))
            );
            for nothing in [json!({}), json!({ "credential": null }), json!({ "credential": {} })] {
                let reply = client.post("auth/webauthn/login", nothing).await.expect(400);
                assert_eq!(reply.errors(), [("credential", "required")]);
            }
            let reply = log_in(&mut key, &mut client).await.expect(200);
            assert_eq!(methods(&reply), [("mfa", "webauthn")], "neither TOTP nor trust is asked for");
            assert_eq!(reply.data()["methods"][0]["passwordless"], true);
            client.get("account/email").await.expect(200);
            // L4: it is no fresh proof.
            client.get(KEYS).await.expect(401);
            // Whoever is logged in stays so.
            let assertion = signed(&mut key, &mut client, LOGIN).await;
            client.post(LOGIN, sent(&assertion)).await.expect(409);
            client.get("account/email").await.expect(200);
        }
    });
}

#[test]
fn m4_a_login_takes_nothing_but_a_verified_passkey_with_its_owner_s_handle() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        let (mut key, mut client, _) = with_passkey(&server, ADA).await;
        let (_, _, eve) = with_passkey(&server, EVE).await;
        let claim = |name: &str, value: Value| {
            let client_data = serde_json::Map::from_iter([(name.to_owned(), value)]);
            Lie { client_data, ..Lie::default() }
        };
        for lie in [
            claim("origin", json!("https://attacker.example")),
            claim("origin", json!("http://localhost:8000/")),
            claim("crossOrigin", json!(true)),
            claim("type", json!("webauthn.create")),
            Lie { rp_id: Some("attacker.example"), ..Lie::default() },
            Lie { clear: USER_PRESENT, ..Lie::default() },
            Lie { clear: USER_VERIFIED, ..Lie::default() },
            Lie { set: BACKED_UP, ..Lie::default() },
            Lie { sign_count: Some(0), ..Lie::default() },
        ] {
            let mut stranger = server.app();
            if lie.sign_count.is_some() {
                log_in(&mut key, &mut server.app()).await.expect(200);
            }
            let asked = options(&mut stranger, LOGIN).await;
            no_good(stranger.post(LOGIN, sent(&key.get(&asked, ORIGIN, &lie))).await);
            stranger.get("auth/session").await.expect(401);
        }
        let handle = base64(&eve.to_string());
        for handle in [Value::Null, json!(""), json!(handle), json!("!"), json!(7)] {
            let mut stranger = server.browser();
            let mut assertion = signed(&mut key, &mut stranger, LOGIN).await;
            assertion["response"]["userHandle"] = handle;
            no_good(stranger.post(LOGIN, sent(&assertion)).await);
        }
        // The answer is spent also here, and belongs to its session.
        let mut stranger = server.app();
        let assertion = signed(&mut key, &mut stranger, LOGIN).await;
        no_good(server.app().post(LOGIN, sent(&assertion)).await);
        let mut other = server.app();
        options(&mut other, LOGIN).await;
        no_good(other.post(LOGIN, sent(&assertion)).await);
        server.pass(300);
        no_good(stranger.post(LOGIN, sent(&assertion)).await);
        log_in(&mut key, &mut stranger).await.expect(200);

        // A key that was set up as a second factor is none, whoever finds its id.
        let mut second = super::webauthn::key();
        enrol(&mut client, &mut second, "").await;
        let ids = options(&mut client, "auth/webauthn/reauthenticate").await;
        let mut asked = options(&mut other, LOGIN).await;
        asked["publicKey"]["allowCredentials"] = ids["publicKey"]["allowCredentials"].clone();
        no_good(other.post(LOGIN, sent(&second.get(&asked, ORIGIN, &Lie::default()))).await);
    });
}

/// A short text in base64url.
fn base64(text: &str) -> String {
    use vestibule_base::security::webauthn::UserEntity;
    let id = text.as_bytes().to_vec();
    let entity = UserEntity { id, name: String::new(), display_name: String::new() };
    serde_json::to_value(entity).expect("JSON")["id"].as_str().expect("a text").to_owned()
}

#[test]
fn c3_of_many_logins_by_one_challenge_one_succeeds() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        let (mut key, _, _) = with_passkey(&server, ADA).await;
        for mut client in [server.app(), server.browser()] {
            // A browser fetches its CSRF token first.
            client.post(LOGIN, json!({})).await.expect(400);
            let assertion = sent(&signed(&mut key, &mut client, LOGIN).await);
            let replies = at_once((0..6).map(|_| post(&client, LOGIN, assertion.clone())).collect()).await;
            assert_eq!(statuses(&replies)[&200], 1);
        }
        // The same in sessions of their own: one counter serves each once.
        let mut clients = vec![server.app(), server.app(), server.app()];
        let mut requests = Vec::new();
        for client in &mut clients {
            let asked = options(client, LOGIN).await;
            let assertion = key.get(&asked, ORIGIN, &Lie { sign_count: Some(50), ..Lie::default() });
            requests.push(post(client, LOGIN, sent(&assertion)));
        }
        let replies = at_once(requests).await;
        assert_eq!((statuses(&replies)[&200], statuses(&replies)[&400]), (1, 2));
    });
}

#[test]
fn p3_a_login_tells_nothing_of_accounts() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        let (mut known, _, user) = with_passkey(&server, ADA).await;
        let (mut removed, mut eve, _) = with_passkey(&server, EVE).await;
        let id = eve.get("account/authenticators").await.expect(200).data()[0]["id"].clone();
        eve.delete(KEYS, json!({ "authenticators": [id] })).await.expect(200);

        let mut seen = Vec::new();
        for case in 0..4 {
            if case == 3 {
                // P7: the same for an account that is shut.
                server.vestibule.users().deactivate(user).await.expect("deactivated");
            }
            let mut client = server.app();
            let asked = client.get(LOGIN).await.expect(200);
            let asked = &asked.data()["request_options"];
            let assertion = match case {
                0 => removed.get(asked, ORIGIN, &Lie::default()),
                1 => {
                    let mut unknown = known.get(asked, ORIGIN, &Lie::default());
                    for member in ["id", "rawId"] {
                        unknown[member] = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
                    }
                    unknown
                }
                2 => known.get(asked, ORIGIN, &Lie { rp_id: Some("attacker.example"), ..Lie::default() }),
                _ => known.get(asked, ORIGIN, &Lie::default()),
            };
            let reply = client.post(LOGIN, sent(&assertion)).await.expect(400);
            let mut headers: Vec<_> = reply.headers.keys().map(|name| name.as_str().to_owned()).collect();
            headers.sort();
            seen.push((reply.body.clone(), headers));
            client.get("auth/session").await.expect(401);
        }
        assert!(seen.iter().all(|other| *other == seen[0]), "{seen:?}");
    });
}

#[test]
fn p7_an_inactive_user_gets_nothing_by_a_passkey() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        let (mut key, mut client, user) = with_passkey(&server, ADA).await;
        let mut waiting = server.app();
        let assertion = signed(&mut key, &mut waiting, LOGIN).await;
        let mut signing_up = begun(&server, server.app(), EVE).await;
        let made =
            super::webauthn::key().create(&options(&mut signing_up, SIGNUP).await, ORIGIN, &Lie::default());
        let eve = server.vestibule.users().find(EVE).await.expect("an account").id;
        for id in [user, eve] {
            server.vestibule.users().deactivate(id).await.expect("deactivated");
        }
        no_good(waiting.post(LOGIN, sent(&assertion)).await);
        no_good(log_in(&mut key, &mut server.browser()).await);
        client.get(KEYS).await.expect(401);
        assert!(matches!(signing_up.put(SIGNUP, sent(&made)).await.status, 409 | 410));
        server.vestibule.users().activate(user).await.expect("activated");
        log_in(&mut key, &mut server.browser()).await.expect(200);
    });
}

#[test]
fn h7_the_last_way_in_stays() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        for (client, email) in [(server.app(), ADA), (server.browser(), EVE)] {
            let (mut key, mut client) = signed_up(&server, client, email).await;
            let first = client.get("account/authenticators").await.expect(200).data()[0]["id"].clone();
            let assertion = signed(&mut key, &mut client, "auth/webauthn/reauthenticate").await;
            client.post("auth/webauthn/reauthenticate", sent(&assertion)).await.expect(200);
            let only = json!({ "authenticators": [first] });
            let reply = client.delete(KEYS, only.clone()).await.expect(400);
            assert_eq!(reply.errors(), [("authenticators", "cannot_delete_authenticator")]);
            // A key that cannot log in alone does not stand in for it.
            let made =
                super::webauthn::key().create(&options(&mut client, KEYS).await, ORIGIN, &Lie::default());
            let weak = client.post(KEYS, sent(&made)).await.expect(200).data()["id"].clone();
            client.delete(KEYS, only.clone()).await.expect(400);
            client.delete(KEYS, json!({ "authenticators": [weak, first] })).await.expect(400);
            client.delete(KEYS, json!({ "authenticators": [weak] })).await.expect(200);

            // Another passkey does; of two deletions at once, one leaves the other's.
            let passwordless = format!("{KEYS}?passwordless");
            let made = super::webauthn::key().create(
                &options(&mut client, &passwordless).await,
                ORIGIN,
                &Lie::default(),
            );
            let second = client.post(KEYS, sent(&made)).await.expect(200).data()["id"].clone();
            let delete =
                |id: &Value| (client.clone(), Method::DELETE, KEYS, json!({ "authenticators": [id] }));
            let replies = at_once(vec![delete(&first), delete(&second)]).await;
            assert_eq!((statuses(&replies)[&200], statuses(&replies)[&400]), (1, 1));
            let listed = client.get("account/authenticators").await.expect(200);
            let mut rows = listed.data().as_array().expect("a list").iter();
            let left = rows.find(|row| row["type"] == "webauthn").expect("the other one");
            let left = json!({ "authenticators": [left["id"]] });
            client.delete(KEYS, left.clone()).await.expect(400);

            // A login code is a way in, where there is one; so is a password.
            if email == ADA {
                let by_code = server.second_with("account.login_by_code_enabled = true").await;
                let mut other = by_code.app();
                other.set_token(client.token());
                other.delete(KEYS, left).await.expect(200);
            } else {
                let body = json!({ "new_password": PASSWORD });
                client.post("account/password/change", body).await.expect(200);
                client.delete(KEYS, left).await.expect(200);
            }
            assert!(kinds(&mut client).await.is_empty());
        }
    });
}

#[test]
fn h7_the_only_address_stays_where_there_is_no_password() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        let names = server.second_with("account.login_methods = ['email', 'username']").await;
        let (mut key, mut client) = signed_up(&names, names.app(), ADA).await;
        let assertion = signed(&mut key, &mut client, "auth/webauthn/reauthenticate").await;
        client.post("auth/webauthn/reauthenticate", sent(&assertion)).await.expect(200);
        client.delete("account/email", json!({ "email": ADA })).await.expect(400);
    });
}

#[test]
fn a_signup_with_a_passkey_makes_an_account_without_a_password() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        for (mut client, email) in [(server.app(), ADA), (server.browser(), EVE)] {
            client.get("auth/webauthn/signup").await.expect(409);
            client.put("auth/webauthn/signup", json!({})).await.expect(409);
            let reply =
                client.post("auth/webauthn/signup", json!({ "email": "no address" })).await.expect(400);
            assert_eq!(reply.errors(), [("email", "invalid")]);
            // A password that is sent is not taken.
            client.post(SIGNUP, json!({ "email": email, "password": PASSWORD })).await.expect(401);
            client.get(SIGNUP).await.expect(409);
            let code = server.code_for(email).await;
            client.post("auth/email/verify", json!({ "key": code })).await.expect(401);
            // L1, L3: the account is not entered before its passkey is there.
            for path in ["account/email", "account/authenticators", KEYS, "auth/sessions"] {
                client.get(path).await.expect(401);
            }
            client.get("auth/webauthn/authenticate").await.expect(401);
            client.get("auth/webauthn/reauthenticate").await.expect(401);
            client.post("auth/email/verify", json!({ "key": code })).await.expect(409);

            let asked = options(&mut client, SIGNUP).await;
            let selection = &asked["publicKey"]["authenticatorSelection"];
            assert_eq!(
                (&selection["residentKey"], &selection["userVerification"]),
                (&json!("required"), &json!("required"))
            );
            let unverified = Lie { clear: USER_VERIFIED, ..Lie::default() };
            not_taken(client.put(SIGNUP, sent(&key().create(&asked, ORIGIN, &unverified))).await);
            // M4: the first answer has spent it; and what was made for something else is nothing here.
            not_taken(client.put(SIGNUP, sent(&key().create(&asked, ORIGIN, &Lie::default()))).await);
            assert!(client.get("auth/session").await.expect(401).is_pending("mfa_signup_webauthn"));
            let mut passkey = key();
            let made = passkey.create(&options(&mut client, SIGNUP).await, ORIGIN, &Lie::default());
            let body = json!({ "name": "Phone", "credential": made });
            let replies =
                at_once((0..4).map(|_| (client.clone(), Method::PUT, SIGNUP, body.clone())).collect()).await;
            assert_eq!(statuses(&replies)[&200], 1, "C3");
            let reply = replies.into_iter().find(|reply| reply.status == 200).expect("one that has entered");
            assert_eq!(reply.data()["user"]["has_usable_password"], false);
            assert_eq!(reply.data()["methods"], json!([]));

            let mut client = server.app();
            log_in(&mut passkey, &mut client).await.expect(200);
            assert_eq!(kinds(&mut client).await, ["webauthn"], "codes come with a second factor");
            login(&mut server.app(), email, PASSWORD).await.expect(400);
        }
    });
}

#[test]
fn p3_a_signup_with_a_taken_address_looks_like_any_other() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        account(&server, ADA).await;
        let mut seen = Vec::new();
        for email in [ADA, EVE] {
            for mut client in [server.app(), server.browser()] {
                let reply = client.post(SIGNUP, json!({ "email": email })).await.expect(401);
                assert!(reply.is_pending("verify_email"), "{reply}");
                let mut answers = vec![(reply.status, reply.data().clone())];
                for (method, path, body) in [
                    (Method::POST, "auth/email/verify", json!({ "key": "000000" })),
                    (Method::GET, SIGNUP, Value::Null),
                    (Method::PUT, SIGNUP, json!({ "credential": { "id": "x" } })),
                    (Method::GET, "auth/session", Value::Null),
                ] {
                    let reply = client.call(method, path).json(&body).send().await;
                    answers.push((reply.status, reply.json["errors"].clone()));
                    answers.push((0, reply.data().clone()));
                }
                seen.push(answers);
            }
            assert_eq!(server.messages_for(email).await.len(), 2);
        }
        assert_eq!(seen[..2], seen[2..]);
        assert_eq!(server.messages_for(ADA).await[0].content.subject, "You have an account already");
    });
}

#[test]
fn l2_what_is_asked_for_before_a_login_is_worth_nothing_after_it() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        let (mut ada_s, _, _) = with_passkey(&server, ADA).await;
        let (mut eve_s, _, _) = with_passkey(&server, EVE).await;
        // A login of Ada waits for its second factor; Eve enters in the same session, and nothing of Ada is left.
        let mut client = half_way(server.app(), ADA).await;
        let as_ada = signed(&mut ada_s, &mut client, "auth/webauthn/authenticate").await;
        let reply = log_in(&mut eve_s, &mut client).await.expect(200);
        assert_eq!(reply.data()["user"]["email"], EVE);
        assert_eq!(methods(&reply), [("mfa", "webauthn")]);
        client.post("auth/webauthn/authenticate", sent(&as_ada)).await.expect(401);

        // A signup under way ends with a login, too.
        let mut client = begun(&server, server.browser(), "third@example.org").await;
        let made = key().create(&options(&mut client, SIGNUP).await, ORIGIN, &Lie::default());
        log_in(&mut eve_s, &mut client).await.expect(200);
        client.put(SIGNUP, sent(&made)).await.expect(409);
        client.delete("auth/session", Value::Null).await.expect(401);
        client.put(SIGNUP, sent(&made)).await.expect(409);
        // And an abandoned one leaves a session in which it cannot be gone on with.
        let mut client = begun(&server, server.app(), "fourth@example.org").await;
        client.delete("auth/session", Value::Null).await.expect(401);
        assert!(matches!(client.get(SIGNUP).await.status, 409 | 410));
    });
}

#[test]
fn l3_a_passkey_skips_no_other_stage() {
    on_both(async |backend| {
        let server = TestApp::start(backend, &format!("{SETTINGS}\nallow_unverified_email = true")).await;
        let lax = server.second_with("account.email_verification = 'none'").await;
        let mut client = lax.app();
        client.post("auth/signup", json!({ "email": ADA, "password": PASSWORD })).await.expect(200);
        let mut passkey = key();
        enrol(&mut client, &mut passkey, "?passwordless").await;
        let mut client = server.app();
        let reply = log_in(&mut passkey, &mut client).await.expect(401);
        assert!(reply.is_pending("verify_email"), "{reply}");
        client.get("account/authenticators").await.expect(401);
        let code = server.code_for(ADA).await;
        let reply = client.post("auth/email/verify", json!({ "key": code })).await.expect(200);
        assert_eq!(methods(&reply), [("mfa", "webauthn")]);
    });
}

#[test]
fn m3_tries_with_a_passkey_lock_nobody_out() {
    on_both(async |backend| {
        let settings = SETTINGS.replace("    [mfa]", "    [mfa]\n    trust_enabled = true");
        let server = TestApp::start(backend, &settings).await;
        let (mut key, _, _) = with_passkey(&server, ADA).await;
        let limited = server.second_with("account.rate_limits = { login_failed = '2/5m/key', login = '100/m/ip' }\nmfa.rate_limits = { webauthn_login = '6/m/ip' }").await;
        for _ in 0..3 {
            let mut stranger = limited.app();
            let mut assertion = signed(&mut key, &mut stranger, LOGIN).await;
            assertion["response"]["signature"] = json!("AAAA");
            no_good(stranger.post(LOGIN, sent(&assertion)).await);
        }
        // P1: nor does a locked password keep the passkey out, or the passkey's limit the password.
        for _ in 0..3 {
            login(&mut limited.app(), ADA, "wrong password").await.expect(400);
        }
        log_in(&mut key, &mut limited.app()).await.expect(200);
        for _ in 0..2 {
            limited.app().post(LOGIN, json!({})).await.expect(400);
        }
        limited.app().post(LOGIN, json!({})).await.expect(429);
        limited.app().get(LOGIN).await.expect(200);
        let elsewhere = limited.app().from_ip([192, 0, 2, 7].into());
        log_in(&mut key, &mut elsewhere.clone()).await.expect(200);
        server.pass(301);
        half_way(limited.app(), ADA).await;
    });
}

#[test]
fn m3_wrong_answers_at_the_second_factor_count_with_wrong_codes() {
    on_both(async |backend| {
        let limits =
            format!("{SETTINGS}\n[account.rate_limits]\nlogin_failed = '5/5m/key'\nlogin = '1000/m/ip'");
        let server =
            TestApp::start(backend, &limits.replace("    rate_limits = false\n    [mfa]", "    [mfa]")).await;
        let (mut own, mut first, _) = keyed(&server, ADA).await;
        let code = codes(&mut first).await.remove(0);
        let mut waiting = half_way(server.app(), ADA).await;
        for _ in 0..3 {
            options(&mut waiting, AUTHENTICATE).await;
            no_good(waiting.post(AUTHENTICATE, sent(&json!({ "id": "AAAA" }))).await);
        }
        for _ in 0..2 {
            second_factor(&mut waiting, "000000").await.expect(400);
        }
        let good = signed(&mut own, &mut waiting, AUTHENTICATE).await;
        let reply = waiting.post(AUTHENTICATE, sent(&good)).await.expect(400);
        assert_eq!(reply.errors(), [("credential", "too_many_login_attempts")]);
        second_factor(&mut waiting, &code).await.expect(400);
        server.pass(301);
        let good = signed(&mut own, &mut waiting, AUTHENTICATE).await;
        waiting.post(AUTHENTICATE, sent(&good)).await.expect(200);
    });
}

#[test]
fn m5_another_key_ends_the_trust_in_browsers() {
    on_both(async |backend| {
        let server = TestApp::start(backend, &format!("{SETTINGS}\ntrust_enabled = true")).await;
        let (mut own, mut first, _) = with_passkey(&server, ADA).await;
        let mut browser = half_way(server.browser(), ADA).await;
        let assertion = signed(&mut own, &mut browser, "auth/webauthn/authenticate").await;
        let reply = browser.post("auth/webauthn/authenticate", sent(&assertion)).await.expect(401);
        assert!(reply.is_pending("mfa_trust"), "{reply}");
        browser.post("auth/2fa/trust", json!({ "trust": true })).await.expect(200);
        browser.delete("auth/session", Value::Null).await.expect(401);
        login(&mut browser.clone(), ADA, PASSWORD).await.expect(200);
        enrol(&mut first, &mut key(), "").await;
        half_way(browser, ADA).await;
    });
}

#[test]
fn a_new_password_leaves_passkeys_as_they_are() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        let (mut own, mut client, user) = with_passkey(&server, ADA).await;
        server.vestibule.users().set_password(user, password("quite another one 4711")).await.expect("set");
        client.get(KEYS).await.expect(401);
        log_in(&mut own, &mut server.app()).await.expect(200);
        // Of a deleted account nothing is left.
        server.vestibule.users().delete(user).await.expect("deleted");
        no_good(log_in(&mut own, &mut server.app()).await);
        prove(&mut with_passkey(&server, ADA).await.1).await;
    });
}

#[test]
fn what_systems_ask_for_is_served_from_the_settings() {
    const PRINT: &str =
        "A4:D8:8F:E6:22:B2:43:C2:70:80:63:9A:28:0D:73:18:F5:0F:24:84:BE:D0:7D:71:28:27:1F:20:82:06:2D:C9";
    const APP: &str = "android:apk-key-hash:pNiP5iKyQ8JwgGOaKA1zGPUPJIS-0H1xKCcfIIIGLck";
    const PATHS: [&str; 3] =
        ["/.well-known/assetlinks.json", "/.well-known/apple-app-site-association", "/.well-known/webauthn"];
    on_both(async |backend| {
        let plain = TestApp::start(backend, SETTINGS).await;
        let unobserved = |server: &TestApp| Client::app(Door { observer: None, ..server.door.clone() });
        for path in PATHS {
            unobserved(&plain).get(path).await.expect(404);
        }
        let server = plain
            .second_with(&format!(
                "
            [mfa]
            webauthn_rp_name = 'Example'
            webauthn_origins = ['https://app.localhost', 'https://example.com']
            webauthn_apple_apps = ['TEAM.org.example.app']
            [[mfa.webauthn_android_apps]]
            package_name = 'org.example.app'
            sha256_cert_fingerprints = ['{PRINT}']
        "
            ))
            .await;
        let [android, apple, related] = PATHS;
        // Passed on by the server of the domain that keys belong to.
        let mut asking = unobserved(&server).with_header("host", "example.org");
        let links = asking.get(android).await.expect(200);
        assert_eq!(links.header("content-type"), Some("application/json"));
        assert_eq!(links.json[0]["target"]["package_name"], "org.example.app");
        assert_eq!(links.json[0]["target"]["sha256_cert_fingerprints"], json!([PRINT]));
        let association = unobserved(&server).get(apple).await.expect(200);
        assert_eq!(association.json, json!({ "webcredentials": { "apps": ["TEAM.org.example.app"] } }));
        let origins = unobserved(&server).get(related).await.expect(200);
        assert_eq!(origins.json, json!({ "origins": ["https://example.com"] }));

        // M4: each of them is taken, and no others.
        account(&server, ADA).await;
        let mut client = entered(&server, ADA).await;
        prove(&mut client).await;
        for (origin, good) in [
            (ORIGIN, true),
            ("https://app.localhost", true),
            ("https://example.com", true),
            (APP, true),
            ("https://localhost", true),
            ("https://other.localhost", false),
            ("android:apk-key-hash:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false),
        ] {
            let asked = options(&mut client, KEYS).await;
            assert_eq!(asked["publicKey"]["rp"], json!({ "id": "localhost", "name": "Example" }));
            let reply = client.post(KEYS, sent(&key().create(&asked, origin, &Lie::default()))).await;
            if good { drop(reply.expect(200)) } else { not_taken(reply) }
        }
    });
}

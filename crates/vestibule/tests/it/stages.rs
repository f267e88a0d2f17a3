//! The stages of a login and what they guard: codes, pending logins, the verification that signup waits for,
//! reauthentication.

use axum::http::Method;
use serde_json::{Value, json};
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::Client;
use vestibule_testkit::database::on_both;

use crate::contract::{FACTORS, documented};
use crate::login::{OTHER, PASSWORD, login, user};

const ADA: &str = "ada@example.org";
const EVE: &str = "eve@example.org";

async fn sign_up(client: &mut Client, email: &str) {
    let reply = client.post("auth/signup", json!({"email": email, "password": PASSWORD})).await;
    assert!(reply.clone().expect(401).is_pending("verify_email"), "{reply}");
}

async fn request_code(client: &mut Client, email: &str) {
    let reply = client.post("auth/code/request", json!({"email": email})).await;
    assert!(reply.clone().expect(401).is_pending("login_by_code"), "{reply}");
}

/// How the session was authenticated.
fn methods(data: &Value) -> Vec<(&str, &str)> {
    let records = data["methods"].as_array().map(Vec::as_slice).unwrap_or_default();
    records
        .iter()
        .map(|record| {
            (record["method"].as_str().unwrap_or_default(), record["email"].as_str().unwrap_or_default())
        })
        .collect()
}

#[test]
fn an_address_is_verified_by_link_and_only_a_setting_logs_in() {
    on_both(async |backend| {
        for (setting, status) in [("false", 401), ("true", 200)] {
            let settings =
                format!("account = {{ login_on_email_confirmation = {setting}, rate_limits = false }}");
            let server = TestApp::start(backend, &settings).await;
            for (mut client, email) in [(server.app(), ADA), (server.browser(), EVE)] {
                sign_up(&mut client, email).await;
                let key = server.link_key_for(email).await;
                let reply = client.post("auth/email/verify", json!({"key": key})).await.expect(status);
                assert!(reply.flow("verify_email").is_none(), "nothing waits any more: {reply}");
                client.post("auth/email/verify", json!({"key": key})).await.expect(400);
                login(&mut server.app(), email, PASSWORD).await.expect(200);
            }
            // Whoever follows the link elsewhere verifies the address, and enters by it nowhere.
            let mut client = server.app();
            sign_up(&mut client, "ann@example.org").await;
            let key = server.link_key_for("ann@example.org").await;
            server.browser().post("auth/email/verify", json!({"key": key})).await.expect(401);
            login(&mut server.browser(), "ann@example.org", PASSWORD).await.expect(200);
        }
    });
}

#[test]
fn an_address_is_verified_by_code_sent_again_and_corrected() {
    let settings = "
        [account]
        email_verification_by_code_enabled = true
        email_verification_supports_resend = 1
        email_verification_supports_change = 1";
    on_both(async |backend| {
        let server = TestApp::start(backend, settings).await;
        for (mut client, typo, email) in
            [(server.app(), "adda@example.org", ADA), (server.browser(), "evee@example.org", EVE)]
        {
            sign_up(&mut client, typo).await;
            client.post("auth/email/verify/resend", json!({})).await.expect(429);
            let first = server.code_for(typo).await;
            server.pass(11);
            client.post("auth/email/verify/resend", json!({})).await.expect(200);
            let second = server.code_for(typo).await;
            assert_ne!(first, second);
            server.pass(11);
            client.post("auth/email/verify/resend", json!({})).await.expect(409);
            let reply = client.post("auth/email/verify", json!({"key": first})).await.expect(400);
            assert_eq!(reply.errors(), [("key", "incorrect_code")]);

            let reply = client.post("account/email", json!({"email": typo})).await.expect(400);
            assert_eq!(reply.errors(), [("email", "same_as_current")]);
            let reply = client.post("account/email", json!({"email": email})).await.expect(200);
            assert_eq!(reply.data()[0]["email"], email);
            client.post("account/email", json!({"email": "third@example.org"})).await.expect(409);
            client.post("auth/email/verify", json!({"key": second})).await.expect(400);
            let code = server.code_for(email).await;
            let typed = code.to_lowercase().replace('-', " ");
            let call = client.call(Method::GET, "auth/email/verify");
            let reply = call.header("X-Email-Verification-Key", &typed).send().await.expect(200);
            assert_eq!(reply.data()["email"], email);
            let reply = client.post("auth/email/verify", json!({"key": typed})).await.expect(200);
            assert_eq!(reply.data()["user"]["email"], email);
            let reply = client.get("account/email").await.expect(200);
            assert_eq!(reply.data(), &json!([{"email": email, "primary": true, "verified": true}]));
            login(&mut server.app(), typo, PASSWORD).await.expect(400);
        }
    });
}

#[test]
fn login_by_code_sent_again() {
    let settings = "account = { login_by_code_enabled = true, login_by_code_supports_resend = 1 }";
    on_both(async |backend| {
        let server = TestApp::start(backend, settings).await;
        for (mut client, email) in [(server.app(), ADA), (server.browser(), EVE)] {
            user(&server, email, None, None).await;
            client.post("auth/code/resend", json!({})).await.expect(409);
            request_code(&mut client, email).await;
            let first = server.code_for(email).await;
            client.post("auth/code/resend", json!({})).await.expect(200);
            let second = server.code_for(email).await;
            client.post("auth/code/resend", json!({})).await.expect(409);
            let reply = client.post("auth/code/confirm", json!({"code": first})).await.expect(400);
            assert_eq!(reply.errors(), [("code", "incorrect_code")]);
            server.app().post("auth/code/confirm", json!({"code": second})).await.expect(409);
            let reply = client.post("auth/code/confirm", json!({"code": second})).await.expect(200);
            assert_eq!(methods(reply.data()), [("code", email)]);
            client.post("auth/code/confirm", json!({"code": second})).await.expect(409);
        }
    });
}

#[test]
fn a_code_can_be_required_on_top_of_a_password() {
    on_both(async |backend| {
        for required in ["true", "['password']"] {
            let settings = format!(
                "account = {{ login_by_code_enabled = true, login_by_code_required = {required}, rate_limits = false }}"
            );
            let server = TestApp::start(backend, &settings).await;
            user(&server, ADA, None, Some(PASSWORD)).await;
            for mut client in [server.app(), server.browser()] {
                login(&mut client, ADA, OTHER).await.expect(400);
                let reply = login(&mut client, ADA, PASSWORD).await.expect(401);
                assert!(reply.is_pending("login_by_code"), "{reply}");
                client.get("account/email").await.expect(401);
                let code = server.code_for(ADA).await;
                let reply = client.post("auth/code/confirm", json!({"code": code})).await.expect(200);
                assert_eq!(methods(reply.data()), [("password", ADA), ("code", ADA)]);

                client.delete("auth/session", Value::Null).await.expect(401);
                client.get("auth/session").await;
                // Who came by a code is not asked for another.
                request_code(&mut client, ADA).await;
                let code = server.code_for(ADA).await;
                let reply = client.post("auth/code/confirm", json!({"code": code})).await.expect(200);
                assert_eq!(methods(reply.data()), [("code", ADA)]);
            }
        }
    });
}

#[test]
fn a_phone_number_is_verified_and_changed() {
    let settings = "
        [account]
        login_methods = ['phone']
        signup_fields = ['phone*', 'password1*']
        phone_verification_supports_resend = 1
        phone_verification_supports_change = 1
        email_verification = 'none'";
    const TYPO: &str = "+31612345670";
    const NUMBER: &str = "+31612345678";
    const NEW: &str = "+31687654321";
    on_both(async |backend| {
        let server = TestApp::start(backend, settings).await;
        let mut client = server.app();
        let reply =
            client.post("auth/signup", json!({"phone": TYPO, "password": PASSWORD})).await.expect(401);
        assert!(reply.is_pending("verify_phone"), "{reply}");
        client.get("account/phone").await.expect(401);
        client.post("account/phone", json!({"phone": NUMBER})).await.expect(202);
        client.post("auth/phone/verify/resend", json!({})).await.expect(429);
        server.pass(31);
        client.post("auth/phone/verify/resend", json!({})).await.expect(200);
        client.post("auth/phone/verify", json!({"code": "WRONG"})).await.expect(400);
        let code = server.code_for(NUMBER).await;
        client.post("auth/phone/verify", json!({"code": code})).await.expect(200);
        let own = json!([{"phone": NUMBER, "verified": true}]);
        assert_eq!(client.get("account/phone").await.expect(200).data(), &own);

        client.post("account/phone", json!({"phone": NEW})).await.expect(429);
        server.pass(61);
        client.post("account/phone", json!({"phone": NEW})).await.expect(202);
        assert_eq!(client.get("account/phone").await.expect(200).data(), &own, "until the code is typed");
        let code = server.code_for(NEW).await;
        client.post("auth/phone/verify", json!({"code": code})).await.expect(200);
        let own = json!([{"phone": NEW, "verified": true}]);
        assert_eq!(client.get("account/phone").await.expect(200).data(), &own);
        for (phone, status) in [(NUMBER, 400), (NEW, 200)] {
            let body = json!({"phone": phone, "password": PASSWORD});
            server.app().post("auth/login", body).await.expect(status);
        }
    });
}

#[test]
fn a_password_is_reset_by_link_or_code() {
    on_both(async |backend| {
        for by_code in [false, true] {
            let settings =
                format!("account = {{ password_reset_by_code_enabled = {by_code}, rate_limits = false }}");
            let server = TestApp::start(backend, &settings).await;
            user(&server, ADA, None, Some(PASSWORD)).await;
            for (mut client, password) in [(server.app(), OTHER), (server.browser(), "and a third one")] {
                let reply = client.post("auth/password/request", json!({"email": ADA})).await;
                let reply = reply.expect(if by_code { 401 } else { 200 });
                assert_eq!(reply.is_pending("password_reset_by_code"), by_code, "{reply}");
                let key = if by_code { server.code_for(ADA).await } else { server.link_key_for(ADA).await };
                let call = client.call(Method::GET, "auth/password/reset");
                let reply = call.header("X-Password-Reset-Key", &key).send().await.expect(200);
                assert_eq!(reply.data()["user"]["email"], ADA);
                client
                    .post("auth/password/reset", json!({"key": key, "password": "short"}))
                    .await
                    .expect(400);
                client
                    .post("auth/password/reset", json!({"key": key, "password": password}))
                    .await
                    .expect(401);
                login(&mut server.app(), ADA, PASSWORD).await.expect(400);
                login(&mut server.app(), ADA, password).await.expect(200);
            }
        }
    });
}

#[test]
fn l1_a_pending_login_opens_nothing() {
    on_both(async |backend| {
        for by_code in [false, true] {
            let settings = format!(
                "account = {{ login_by_code_enabled = true, email_verification_by_code_enabled = {by_code},
                     deletion_enabled = true, data_export_enabled = true }}{FACTORS}"
            );
            let server = TestApp::start(backend, &settings).await;
            user(&server, ADA, None, Some(PASSWORD)).await;
            for (mut client, email) in [(server.app(), "ann@example.org"), (server.browser(), EVE)] {
                let mut waits = client.clone();
                sign_up(&mut waits, email).await;
                request_code(&mut client, ADA).await;
                for (method, path) in documented() {
                    let path = path.trim_start_matches('/');
                    if !(path.starts_with("account")
                        || matches!(path, "auth/sessions" | "auth/reauthenticate"))
                    {
                        continue;
                    }
                    // A signup may correct the address that it mistyped, where that is configured; here it is not.
                    let corrects = method == "POST" && matches!(path, "account/email" | "account/phone");
                    for client in [&mut waits, &mut client] {
                        let body = json!({
                            "email": "new@example.org", "primary": true, "phone": "+31612345678",
                            "password": PASSWORD, "current_password": PASSWORD, "new_password": OTHER, "sessions": [1],
                        });
                        let call = client.call(method.parse().unwrap(), path).json(&body);
                        let reply = call.send().await.expect(if corrects { 409 } else { 401 });
                        assert!(corrects || reply.json["meta"]["is_authenticated"] == false, "{reply}");
                    }
                }
                assert!(waits.get("auth/session").await.is_pending("verify_email"));
                assert!(client.get("auth/session").await.is_pending("login_by_code"));
            }
            assert!(server.messages_for("new@example.org").await.is_empty());
        }
    });
}

#[test]
fn l2_a_second_login_in_a_session_has_nothing_of_the_first() {
    let settings = "account = { login_by_code_required = true, rate_limits = false }";
    on_both(async |backend| {
        let server = TestApp::start(backend, settings).await;
        user(&server, ADA, None, Some(PASSWORD)).await;
        user(&server, EVE, None, Some(OTHER)).await;
        for mut client in [server.app(), server.browser()] {
            login(&mut client, ADA, PASSWORD).await.expect(401);
            let ada_s = server.code_for(ADA).await;
            login(&mut client, EVE, OTHER).await.expect(401);
            let eve_s = server.code_for(EVE).await;
            client.post("auth/code/confirm", json!({"code": ada_s})).await.expect(400);
            let reply = client.post("auth/code/confirm", json!({"code": eve_s})).await.expect(200);
            assert_eq!(reply.data()["user"]["email"], EVE);
            assert_eq!(methods(reply.data()), [("password", EVE), ("code", EVE)]);
            client.post("auth/code/confirm", json!({"code": ada_s})).await.expect(409);
        }
    });
}

#[test]
fn l2_a_verification_of_one_user_does_not_go_on_as_another() {
    let settings = "account = { email_verification_by_code_enabled = true, rate_limits = false }";
    on_both(async |backend| {
        let server = TestApp::start(backend, settings).await;
        user(&server, EVE, None, Some(PASSWORD)).await;
        for (mut client, email) in [(server.app(), ADA), (server.browser(), "ann@example.org")] {
            sign_up(&mut client, email).await;
            let code = server.code_for(email).await;
            login(&mut client, EVE, PASSWORD).await.expect(200);
            client.post("auth/email/verify", json!({"key": code})).await.expect(409);
            let reply = client.get("account/email").await.expect(200);
            assert_eq!(reply.data(), &json!([{"email": EVE, "primary": true, "verified": true}]));
            // The other's login is over, and the address unproved.
            assert!(login(&mut server.app(), email, PASSWORD).await.expect(401).is_pending("verify_email"));
        }
    });
}

#[test]
fn l2_a_pending_login_ends_by_logout_by_time_and_with_its_code() {
    let settings = "account = { login_by_code_enabled = true, login_by_code_timeout = 600, login_timeout = 300, rate_limits = false }";
    on_both(async |backend| {
        let server = TestApp::start(backend, settings).await;
        user(&server, ADA, None, Some(PASSWORD)).await;
        for is_browser in [false, true] {
            let client = || if is_browser { server.browser() } else { server.app() };
            let (mut leaves, mut sleeps, mut guesses) = (client(), client(), client());

            request_code(&mut leaves, ADA).await;
            let code = server.code_for(ADA).await;
            let mut before = leaves.clone();
            leaves.delete("auth/session", Value::Null).await.expect(401);
            // The session is gone, not just the login in it.
            before.get("auth/session").await.expect(if is_browser { 401 } else { 410 });
            before.post("auth/code/confirm", json!({"code": code})).await.expect(409);

            request_code(&mut guesses, ADA).await;
            let code = server.code_for(ADA).await;
            for wrong in ["WRONG", "-", "wrong"] {
                guesses.post("auth/code/confirm", json!({"code": wrong})).await.expect(400);
            }
            guesses.post("auth/code/confirm", json!({"code": code})).await.expect(409);
            assert!(!guesses.get("auth/session").await.expect(401).is_pending("login_by_code"));

            request_code(&mut sleeps, ADA).await;
            let code = server.code_for(ADA).await;
            server.pass(301);
            sleeps.post("auth/code/confirm", json!({"code": code})).await.expect(409);
            assert!(!sleeps.get("auth/session").await.expect(401).is_pending("login_by_code"));
        }
    });
}

#[test]
fn l3_no_stage_is_skipped_by_another_way_in() {
    let settings = "
        [account]
        login_by_code_required = true
        login_on_password_reset = true
        login_on_email_confirmation = true
        rate_limits = false";
    on_both(async |backend| {
        let server = TestApp::start(backend, settings).await;
        user(&server, ADA, None, Some(PASSWORD)).await;
        for (mut client, email) in [(server.app(), EVE), (server.browser(), "ann@example.org")] {
            // A password reset enters as far as the code, and no further.
            client.post("auth/password/request", json!({"email": ADA})).await.expect(200);
            let reset = json!({"key": server.link_key_for(ADA).await, "password": PASSWORD});
            let reply = client.post("auth/password/reset", reset).await.expect(401);
            assert!(reply.is_pending("login_by_code"), "{reply}");
            client.post("auth/email/verify", json!({"key": "x"})).await.expect(400);
            client.post("auth/phone/verify", json!({"code": "x"})).await.expect(409);
            let code = server.code_for(ADA).await;
            let reply = client.post("auth/code/confirm", json!({"code": code})).await.expect(200);
            assert_eq!(methods(reply.data()), [("password_reset", ""), ("code", ADA)]);
            client.delete("auth/session", Value::Null).await.expect(401);
            client.get("auth/session").await;

            // Nor does a signup, nor the link of an earlier one: its code proves the address in passing.
            let signup = json!({"email": email, "password": PASSWORD});
            assert!(client.post("auth/signup", signup).await.expect(401).is_pending("login_by_code"));
            assert!(login(&mut client, email, PASSWORD).await.expect(401).is_pending("login_by_code"));
            client.post("auth/email/verify/resend", json!({})).await.expect(409);
            let code = server.code_for(email).await;
            client.post("auth/code/confirm", json!({"code": code})).await.expect(200);
        }
    });
}

#[test]
fn l3_a_reset_does_not_prove_an_address_that_it_was_not_mailed_to() {
    let settings = "account = { login_on_password_reset = true, rate_limits = false }";
    on_both(async |backend| {
        let server = TestApp::start(backend, settings).await;
        let mut client = server.app();
        sign_up(&mut client, ADA).await;
        client.post("auth/password/request", json!({"email": ADA})).await.expect(200);
        let reset = json!({"key": server.link_key_for(ADA).await, "password": OTHER});
        let reply = server.app().post("auth/password/reset", reset).await.expect(401);
        assert!(reply.is_pending("verify_email"), "{reply}");
    });
}

#[test]
fn l4_reauthentication_guards_what_a_stolen_session_must_not_do() {
    let settings = "
        [account]
        reauthentication_required = true
        rate_limits = false
        login_methods = ['email', 'phone']
        signup_fields = ['email*', 'phone', 'password1*']";
    on_both(async |backend| {
        let server = TestApp::start(backend, settings).await;
        for is_browser in [false, true] {
            let client = || if is_browser { server.browser() } else { server.app() };
            let email = if is_browser { ADA } else { EVE };
            user(&server, email, None, Some(PASSWORD)).await;
            let (mut mine, mut stolen) = (client(), client());
            login(&mut mine, email, PASSWORD).await.expect(200);
            login(&mut stolen, email, PASSWORD).await.expect(200);
            let second = format!("second-{email}");
            let guarded = [
                ("POST", "account/email", json!({"email": second}), 200),
                ("PATCH", "account/email", json!({"email": email, "primary": true}), 200),
                ("DELETE", "account/email", json!({"email": second}), 200),
                (
                    "POST",
                    "account/phone",
                    json!({"phone": if is_browser { "+31612345678" } else { "+31612345679" }}),
                    202,
                ),
            ];
            for (method, path, body, status) in &guarded {
                if *method == "DELETE" {
                    // There is something to delete: the POST before has added it.
                    assert_eq!(mine.get("account/email").await.data()[1]["email"], second);
                }
                let send = async |client: &mut Client| {
                    client.call(method.parse().unwrap(), path).json(body).send().await
                };
                // A login is no proof, however fresh; and one session's proof is not another's.
                for client in [&mut stolen, &mut mine] {
                    let reply = send(client).await.expect(401);
                    assert!(reply.flow("reauthenticate").is_some(), "{method} {path}: {reply}");
                    assert_eq!(reply.json["meta"]["is_authenticated"], true);
                }
                mine.post("auth/reauthenticate", json!({"password": OTHER})).await.expect(400);
                send(&mut mine).await.expect(401);
                let reply = mine.post("auth/reauthenticate", json!({"password": PASSWORD})).await.expect(200);
                assert_eq!(
                    reply.data()["methods"].as_array().unwrap().last().unwrap()["reauthenticated"],
                    true
                );
                server.pass(299);
                send(&mut mine).await.expect(*status);
                assert_ne!(send(&mut stolen).await.status, *status);
                server.pass(2);
            }
            mine.put("account/email", json!({"email": email})).await.expect(200);
            mine.get("account/email").await.expect(200);

            // A password change asks for the password itself.
            mine.post("auth/reauthenticate", json!({"password": PASSWORD})).await.expect(200);
            mine.post("account/password/change", json!({"new_password": OTHER})).await.expect(400);
            let change = json!({"current_password": PASSWORD, "new_password": OTHER});
            stolen.post("account/password/change", change).await.expect(200);
        }
    });
}

#[test]
fn l4_nobody_inherits_a_reauthentication() {
    let settings = "account = { reauthentication_required = true, rate_limits = false }";
    on_both(async |backend| {
        let server = TestApp::start(backend, settings).await;
        user(&server, ADA, None, Some(PASSWORD)).await;
        user(&server, EVE, None, Some(PASSWORD)).await;
        let mut client = server.browser();
        client.post("auth/reauthenticate", json!({"password": PASSWORD})).await.expect(401);
        for email in [ADA, EVE, ADA] {
            login(&mut client, email, PASSWORD).await.expect(200);
            let add = json!({"email": format!("second-{email}")});
            client.post("account/email", add.clone()).await.expect(401);
            client.post("auth/reauthenticate", json!({"password": PASSWORD})).await.expect(200);
            client.post("account/email", add.clone()).await.expect(200);
            client.delete("account/email", add).await.expect(200);
            client.delete("auth/session", Value::Null).await.expect(401);
        }
    });
}

//! Signing up, and logging in with a password.

#![expect(clippy::expect_used, reason = "a panic is how a test says that it failed")]

use axum::http::Method;
use serde_json::{Value, json};
use vestibule::{NewUser, Password};
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::{Client, Reply};
use vestibule_testkit::database::on_both;

/// What everybody here has for a password.
pub(crate) const PASSWORD: &str = "correct horse battery";
/// What nobody has.
pub(crate) const OTHER: &str = "staples in the stable";

/// Makes a user, past all rules, and gives their id.
pub(crate) async fn user(server: &TestApp, email: &str, name: Option<&str>, password: Option<&str>) -> i64 {
    let new = NewUser {
        email: Some(email.to_owned()),
        username: name.map(str::to_owned),
        password: password.map(|typed| Password::parse(typed).expect("a password")),
        verified: true,
    };
    server.vestibule.users().create(new).await.expect("a new user").id
}

/// Logs in by address.
pub(crate) async fn login(client: &mut Client, email: &str, password: &str) -> Reply {
    client.post("auth/login", json!({"email": email, "password": password})).await
}

#[test]
fn sign_up_verify_log_in_and_out() {
    on_both(async |backend| {
        let server = TestApp::start(backend, "").await;
        for (mut client, email) in [(server.app(), "ada@example.org"), (server.browser(), "eve@example.org")]
        {
            assert!(client.get("config").await.expect(200).data()["account"].is_object());
            let body = json!({"email": email, "password": PASSWORD});
            let reply = client.post("auth/signup", body).await.expect(401);
            assert!(reply.is_pending("verify_email") && reply.flow("login").is_some(), "{reply}");
            login(&mut client.clone(), email, PASSWORD).await.expect(401);

            let key = server.link_key_for(email).await;
            let call = client.call(Method::GET, "auth/email/verify");
            let reply = call.header("X-Email-Verification-Key", &key).send().await.expect(200);
            assert_eq!(reply.data()["email"], email);
            client.post("auth/email/verify", json!({"key": key})).await.expect(401);

            let reply = login(&mut client, email, PASSWORD).await.expect(200);
            assert_eq!(reply.data()["user"]["email"], email);
            assert_eq!(reply.data()["user"]["has_usable_password"], true);
            assert_eq!(reply.data()["methods"][0]["method"], "password");
            assert_eq!(reply.data()["methods"][0]["email"], email);
            assert_eq!(client.get("auth/session").await.expect(200).data(), reply.data());
            assert_eq!(client.get("account/authenticators").await.expect(200).data(), &json!([]));
            assert_eq!(client.get("account/providers").await.expect(200).data(), &json!([]));

            let former = client.clone();
            client.delete("auth/session", Value::Null).await.expect(401);
            for mut client in [client, former] {
                let gone = if client.token().is_some() { 410 } else { 401 };
                client.get("auth/session").await.expect(gone);
                client.get("auth/session").await.expect(401);
            }
        }
    });
}

/// Login methods, signup fields, a body that does, and what is wrong with an empty one.
type Case = (&'static str, &'static str, Value, &'static [(&'static str, &'static str)]);

#[test]
fn signup_asks_for_what_it_is_configured_to() {
    let none = "email_verification = 'none'";
    on_both(async |backend| {
        let cases: [Case; 7] = [
            (
                "['email']",
                "['email*', 'password1*']",
                json!({"email": "ada@example.org", "password": PASSWORD}),
                &[("email", "required"), ("password", "required")],
            ),
            (
                "['username']",
                "['username*', 'password1*']",
                json!({"username": "ada", "password": PASSWORD}),
                &[("password", "required"), ("username", "required")],
            ),
            (
                "['username']",
                "['username*', 'email', 'password1*']",
                json!({"username": "ada", "password": PASSWORD}),
                &[("password", "required"), ("username", "required")],
            ),
            (
                "['username', 'email']",
                "['username*', 'email*', 'password1*', 'password2*']",
                json!({"username": "ada", "email": "ada@example.org", "password": PASSWORD}),
                &[("email", "required"), ("password", "required"), ("username", "required")],
            ),
            (
                "['email']",
                "['email*', 'email2*', 'password1*']",
                json!({"email": "ada@example.org", "email2": "Ada@Example.org", "password": PASSWORD}),
                &[("email", "required"), ("email2", "required"), ("password", "required")],
            ),
            ("['email']", "['email*']", json!({"email": "ada@example.org"}), &[("email", "required")]),
            (
                "['email']",
                "['email*', 'username', 'password1']",
                json!({"email": "ada@example.org"}),
                &[("email", "required")],
            ),
        ];
        for (methods, fields, body, missing) in cases {
            let settings = format!(
                "[account]\nlogin_methods = {methods}\nsignup_fields = {fields}\n{none}\nlogin_by_code_enabled = true"
            );
            let server = TestApp::start(backend, &settings).await;
            let reply = server.app().post("auth/signup", json!({})).await.expect(400);
            let mut errors = reply.errors();
            errors.sort_unstable();
            assert_eq!(errors, missing, "{fields}");

            let reply = server.browser().post("auth/signup", body.clone()).await.expect(200);
            let user = &reply.data()["user"];
            assert_eq!(user["username"], "ada", "{fields}: the name chosen, or made of the address");
            assert_eq!(user["email"], body["email"], "{fields}");
            assert_eq!(user["has_usable_password"], body["password"].is_string(), "{fields}");
            assert_eq!(reply.data()["methods"], json!([]), "{fields}: a signup proves nothing");
        }
    });
}

#[test]
fn signup_refuses_what_is_wrong_with_its_fields() {
    let settings = "
        [account]
        login_methods = ['username', 'email']
        signup_fields = ['username*', 'email*', 'email2*', 'password1*']
        username_min_length = 3
        username_blacklist = ['Admin']
        email_verification = 'none'
        rate_limits = false";
    on_both(async |backend| {
        let server = TestApp::start(backend, settings).await;
        user(&server, "ada@example.org", Some("Ada"), Some(PASSWORD)).await;
        let good = json!({
            "username": "eve", "email": "eve@example.org", "email2": "eve@example.org", "password": PASSWORD,
        });
        for (field, value, code) in [
            ("username", "ADA", "username_taken"),
            ("username", "ev", "min_length"),
            ("username", "e v e", "invalid"),
            ("username", "adMIN", "username_blacklisted"),
            ("email2", "adam@example.org", ""),
            ("email2", "no address", "invalid"),
            ("password", "short", "password_too_short"),
            ("password", "password123", "password_too_common"),
            ("password", "eve@example.org", "password_too_similar"),
        ] {
            let mut body = good.clone();
            body[field] = value.into();
            let reply = server.app().post("auth/signup", body).await.expect(400);
            assert_eq!(reply.errors(), [(field, code)], "{field} {value}");
        }
        server.app().post("auth/signup", good).await.expect(200);
    });
}

#[test]
fn an_account_has_one_name_whatever_the_spelling() {
    let settings = "
        [account]
        login_methods = ['username', 'email']
        signup_fields = ['username*', 'email*', 'password1*']
        rate_limits = false";
    on_both(async |backend| {
        let server = TestApp::start(backend, settings).await;
        user(&server, "ada@example.org", Some("Ada"), Some(PASSWORD)).await;
        for body in [
            json!({"email": "ada@example.org", "password": PASSWORD}),
            json!({"email": " ADA@Example.ORG ", "password": PASSWORD}),
            json!({"username": "ada", "password": PASSWORD}),
            json!({"username": " aDA ", "password": PASSWORD}),
            json!({"username": "ada@EXAMPLE.org", "password": PASSWORD}),
        ] {
            for mut client in [server.app(), server.browser()] {
                let reply = client.post("auth/login", body.clone()).await.expect(200);
                assert_eq!(reply.data()["user"]["username"], "Ada");
            }
        }
        for (body, errors) in [
            (json!({"password": PASSWORD}), ("", "invalid_login")),
            (
                json!({"email": "ada@example.org", "username": "ada", "password": PASSWORD}),
                ("", "invalid_login"),
            ),
            (json!({"username": "ada"}), ("password", "required")),
            (json!({"username": "ada", "password": OTHER}), ("password", "username_password_mismatch")),
            (json!({"email": "ada@example.org", "password": OTHER}), ("password", "email_password_mismatch")),
            // Nothing is trimmed from a password.
            (
                json!({"username": "ada", "password": format!("{PASSWORD} ")}),
                ("password", "username_password_mismatch"),
            ),
        ] {
            assert_eq!(server.app().post("auth/login", body).await.expect(400).errors(), [errors]);
        }
    });
}

#[test]
fn who_is_logged_in_neither_logs_in_nor_signs_up() {
    on_both(async |backend| {
        let server = TestApp::start(backend, "").await;
        user(&server, "ada@example.org", None, Some(PASSWORD)).await;
        for mut client in [server.app(), server.browser()] {
            login(&mut client, "ada@example.org", PASSWORD).await.expect(200);
            // What is wrong with the input is said first.
            login(&mut client, "ada@example.org", OTHER).await.expect(400);
            login(&mut client, "ada@example.org", PASSWORD).await.expect(409);
            let signup = json!({"email": "new@example.org", "password": "short"});
            client.post("auth/signup", signup).await.expect(400);
            let signup = json!({"email": "new@example.org", "password": PASSWORD});
            client.post("auth/signup", signup).await.expect(409);
            client.get("auth/session").await.expect(200);
        }
        assert!(server.messages_for("new@example.org").await.is_empty());
    });
}

#[test]
fn signup_can_be_closed() {
    on_both(async |backend| {
        let server = TestApp::start(backend, "account.is_open_for_signup = false").await;
        for mut client in [server.app(), server.browser()] {
            let body = json!({"email": "ada@example.org", "password": PASSWORD});
            client.post("auth/signup", body).await.expect(403);
            client.post("auth/signup", json!({"email": "ada@example.org"})).await.expect(400);
            assert!(client.get("auth/session").await.expect(401).flow("signup").is_none());
        }
        assert!(server.messages_for("ada@example.org").await.is_empty());
        login(&mut server.app(), "ada@example.org", PASSWORD).await.expect(400);
    });
}

#[test]
fn a_robot_gets_a_convincing_answer_and_no_account() {
    on_both(async |backend| {
        let server = TestApp::start(backend, "account.signup_form_honeypot_field = 'website'").await;
        let robot =
            json!({"email": "bot@example.org", "password": PASSWORD, "website": "http://spam.example"});
        server.app().post("auth/signup", robot).await.expect(401);
        assert!(server.messages_for("bot@example.org").await.is_empty());
        assert!(server.vestibule.users().find("bot@example.org").await.is_err());

        let human = json!({"email": "ada@example.org", "password": PASSWORD, "website": ""});
        assert!(server.app().post("auth/signup", human).await.expect(401).is_pending("verify_email"));
        server.vestibule.users().find("ada@example.org").await.unwrap();
    });
}

//! Passwords: guessing them, changing them, hashing too many of them, and those that other systems have hashed.

#![expect(clippy::expect_used, reason = "a panic is how a test says that it failed")]

use serde_json::{Value, json};
use tokio::task::JoinSet;
use vestibule_base::security::password::PasswordHash;
use vestibule_base::storage::users;
use vestibule_testkit::app::TestApp;
use vestibule_testkit::database::on_both;

use crate::login::{OTHER, PASSWORD, login, user};

/// Gives a user a stored hash, as an import does.
pub(crate) async fn store(server: &TestApp, id: i64, hash: &str) {
    let mut tx = server.db.write().await.expect("a transaction");
    let hash = PasswordHash::from_stored(hash.to_owned());
    users::set_password(&mut tx, id, Some(&hash)).await.expect("an update");
    tx.commit().await.expect("a commit");
}

async fn stored(server: &TestApp, id: i64) -> Option<String> {
    let mut conn = server.db.read().await.expect("a connection");
    let user = users::find(&mut conn, id).await.expect("a query").expect("the user");
    user.password.map(|hash| hash.as_str().to_owned())
}

#[test]
fn a_password_is_changed_or_set() {
    on_both(async |backend| {
        let server = TestApp::start(backend, "account.email_notifications = true").await;
        user(&server, "ada@example.org", None, Some(PASSWORD)).await;
        let (mut client, mut elsewhere) = (server.app(), server.browser());
        login(&mut elsewhere, "ada@example.org", PASSWORD).await.expect(200);
        login(&mut client, "ada@example.org", PASSWORD).await.expect(200);
        let former = client.token().map(str::to_owned);
        for (current, new, error) in [
            (Value::Null, OTHER, ("current_password", "required")),
            (json!(OTHER), OTHER, ("current_password", "enter_current_password")),
            (json!(PASSWORD), "short", ("new_password", "password_too_short")),
        ] {
            let body = json!({"current_password": current, "new_password": new});
            let reply = client.post("account/password/change", body).await.expect(400);
            assert_eq!(reply.errors(), [error]);
        }
        let body = json!({"current_password": PASSWORD, "new_password": OTHER});
        client.post("account/password/change", body).await.expect(200);
        assert_ne!(client.token(), former.as_deref(), "a new token");
        client.get("auth/session").await.expect(200);
        elsewhere.get("auth/session").await.expect(401);
        login(&mut server.app(), "ada@example.org", PASSWORD).await.expect(400);
        login(&mut server.app(), "ada@example.org", OTHER).await.expect(200);
        assert_eq!(server.messages_for("ada@example.org").await.len(), 1, "the owner is told");
    });
}

#[test]
fn a_password_change_may_end_its_own_session_too() {
    on_both(async |backend| {
        let server = TestApp::start(backend, "account.logout_on_password_change = true").await;
        user(&server, "ada@example.org", None, Some(PASSWORD)).await;
        let mut client = server.browser();
        login(&mut client, "ada@example.org", PASSWORD).await.expect(200);
        let body = json!({"current_password": PASSWORD, "new_password": OTHER});
        client.post("account/password/change", body).await.expect(401);
        client.get("auth/session").await.expect(401);
        login(&mut client, "ada@example.org", OTHER).await.expect(200);
    });
}

#[test]
fn p5_long_passwords_count_in_full_and_nothing_is_asked_of_their_letters() {
    on_both(async |backend| {
        let server =
            TestApp::start(backend, "account = { email_verification = 'none', rate_limits = false }").await;
        let long = "lo ng ".repeat(700);
        for (number, password) in
            [&long[..64], &long[..4096], "9182736450192", "  two blanks  "].iter().enumerate()
        {
            let email = format!("ada{number}@example.org");
            let signup = json!({"email": email, "password": password});
            server.app().post("auth/signup", signup).await.expect(200);
            login(&mut server.app(), &email, password).await.expect(200);
            login(&mut server.app(), &email, &password[..password.len() - 1]).await.expect(400);
        }
    });
}

/// The same password under every hasher of Django; origin: `django_password_hashes.json` of the base crate's tests.
pub(crate) const DJANGO: [&str; 6] = [
    "pbkdf2_sha256$1000$7BQYSj7h7qEcw5uLg4Ke86$b06mUcO6WStQX0uhSvNp9sqlrNl4F6HehY/f40rVG64=",
    "pbkdf2_sha1$1000$B2VJPlf8zKvtPkb94fP4S0$7lZsRL/LXAXsCqoICSu+tmk1V0c=",
    "argon2$argon2id$v=19$m=256,t=2,p=2$elh1VllhQzBqTHI5YWZ4bHN4UkJTQg$w7Ss8nuba87WjdnM6JmIxQrzlkCGABDuOImcNIjSsU8",
    "bcrypt_sha256$$2b$04$UiB2FUs8JCjxeO8uVQ7KF.GyJgrQFCVYvL0sDkXqzRXvU/yHZNrJG",
    "bcrypt$$2b$04$ejGYUKOkqH11taEyXqejKuG2USIGSDAk0w.g6Q/7UJCg8UT/aWuW.",
    "scrypt$16$8m8W0H43KEIvsu2lhQVbgO$8$5$SSpw9hP5NrDIDntJ7AtoTfn42QbTaxo35S/ZioSQ+vB6tX11vwVLqLXRFSQJag91KFj1RrZt3sdwM2sQuHhxnA==",
];

#[test]
fn p5_hashes_of_django_log_in_and_are_upgraded_while_sessions_stay() {
    let settings = "account = { login_by_code_enabled = true, rate_limits = false }";
    on_both(async |backend| {
        let server = TestApp::start(backend, settings).await;
        for (number, hash) in DJANGO.into_iter().enumerate() {
            let email = format!("ada{number}@example.org");
            let id = user(&server, &email, None, None).await;
            store(&server, id, hash).await;
            let mut elsewhere = server.browser();
            elsewhere.post("auth/code/request", json!({"email": email})).await.expect(401);
            let code = server.code_for(&email).await;
            elsewhere.post("auth/code/confirm", json!({"code": code})).await.expect(200);

            login(&mut server.app(), &email, "correct horse battery stapler").await.expect(400);
            assert_eq!(stored(&server, id).await.as_deref(), Some(hash), "a wrong password upgrades nothing");
            login(&mut server.app(), &email, "correct horse battery staple").await.expect(200);
            let upgraded = stored(&server, id).await.unwrap();
            assert!(upgraded.starts_with("$argon2id$"), "{upgraded}");
            elsewhere.get("auth/session").await.expect(200);
            login(&mut server.app(), &email, "correct horse battery staple").await.expect(200);
            assert_eq!(stored(&server, id).await.unwrap(), upgraded, "once is enough");
        }
    });
}

#[test]
fn p5_absurd_work_factors_are_refused_and_not_computed() {
    on_both(async |backend| {
        let server = TestApp::start(backend, "account.rate_limits = false").await;
        let id = user(&server, "ada@example.org", None, None).await;
        for hash in [
            "pbkdf2_sha256$99999999999$salt$b06mUcO6WStQX0uhSvNp9sqlrNl4F6HehY/f40rVG64=",
            "scrypt$1073741824$salt$8$5$AAAA",
            "$argon2id$v=19$m=4294967295,t=4294967295,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "bcrypt$$2b$31$ejGYUKOkqH11taEyXqejKuG2USIGSDAk0w.g6Q/7UJCg8UT/aWuW.",
        ] {
            store(&server, id, hash).await;
            let reply = login(&mut server.app(), "ada@example.org", PASSWORD).await.expect(400);
            assert_eq!(reply.errors(), [("password", "email_password_mismatch")]);
        }
    });
}

#[test]
fn p6_no_password_never_verifies_and_the_first_is_set_without_one() {
    let settings = "account = { login_by_code_enabled = true, rate_limits = false }";
    on_both(async |backend| {
        let server = TestApp::start(backend, settings).await;
        let id = user(&server, "ada@example.org", None, None).await;
        for hash in ["", " ", "!", "!correct horse battery", PASSWORD] {
            store(&server, id, hash).await;
            for typed in [PASSWORD, " ", "!"] {
                login(&mut server.app(), "ada@example.org", typed).await.expect(400);
            }
            login(&mut server.app(), "ada@example.org", "").await.expect(400);
        }
        let mut tx = server.db.write().await.unwrap();
        users::set_password(&mut tx, id, None).await.unwrap();
        tx.commit().await.unwrap();
        login(&mut server.app(), "ada@example.org", PASSWORD).await.expect(400);

        let mut client = server.app();
        client.post("auth/code/request", json!({"email": "ada@example.org"})).await.expect(401);
        let code = server.code_for("ada@example.org").await;
        let reply = client.post("auth/code/confirm", json!({"code": code})).await.expect(200);
        assert_eq!(reply.data()["user"]["has_usable_password"], false);
        client.post("auth/reauthenticate", json!({"password": ""})).await.expect(400);
        client.post("auth/reauthenticate", json!({"password": PASSWORD})).await.expect(400);
        let reply =
            client.post("account/password/change", json!({"new_password": PASSWORD})).await.expect(200);
        assert_eq!(reply.data()["user"]["has_usable_password"], true);
        // From now on there is one, which must be known.
        client.post("account/password/change", json!({"new_password": OTHER})).await.expect(400);
        login(&mut server.app(), "ada@example.org", PASSWORD).await.expect(200);
    });
}

#[test]
fn p1_failures_count_against_the_account_whatever_the_spelling() {
    let settings = "
        [account]
        login_methods = ['username', 'email']
        signup_fields = ['username*', 'email*', 'password1*']
        login_by_code_enabled = true";
    on_both(async |backend| {
        let server = TestApp::start(backend, settings).await;
        user(&server, "ada@example.org", Some("Ada"), Some(PASSWORD)).await;
        user(&server, "eve@example.org", Some("Eve"), Some(PASSWORD)).await;
        let mut present = server.browser();
        login(&mut present, "ada@example.org", PASSWORD).await.expect(200);

        let spellings = [
            json!({"email": "ada@example.org", "password": OTHER}),
            json!({"email": " ADA@example.ORG ", "password": OTHER}),
            json!({"username": "ada", "password": OTHER}),
            json!({"username": " ADA ", "password": OTHER}),
            json!({"username": "Ada@Example.org", "password": OTHER}),
        ];
        for (number, body) in (1..).zip(&spellings) {
            let mut client = server.app().from_ip([192, 0, 2, number].into());
            let reply = client.post("auth/login", body.clone()).await.expect(400);
            assert_eq!(reply.errors()[0].0, "password");
        }
        // Used up: the right password is refused too, from everywhere and in every spelling.
        for mut body in spellings {
            body["password"] = PASSWORD.into();
            let reply =
                server.app().from_ip([192, 0, 2, 99].into()).post("auth/login", body).await.expect(400);
            assert_eq!(reply.errors(), [("", "too_many_login_attempts")]);
        }
        // Sessions and codes of the account, and other accounts, go on.
        present.get("auth/session").await.expect(200);
        login(&mut server.app(), "eve@example.org", PASSWORD).await.expect(200);
        let mut by_code = server.app();
        by_code.post("auth/code/request", json!({"email": "ada@example.org"})).await.expect(401);
        let code = server.code_for("ada@example.org").await;
        by_code.post("auth/code/confirm", json!({"code": code})).await.expect(200);

        server.pass(301);
        login(&mut server.app(), "ada@example.org", PASSWORD).await.expect(200);
    });
}

#[test]
fn p1_failures_on_unknown_accounts_count_alike() {
    on_both(async |backend| {
        let server = TestApp::start(backend, "").await;
        user(&server, "ada@example.org", None, Some(PASSWORD)).await;
        for email in ["ada@example.org", "nobody@example.org"] {
            for number in 1..=6 {
                let mut client = server.app().from_ip([192, 0, 2, number].into());
                let typed = if number % 2 == 0 { email.to_uppercase() } else { email.to_owned() };
                let reply = login(&mut client, &typed, OTHER).await.expect(400);
                let code = if number < 6 { "email_password_mismatch" } else { "too_many_login_attempts" };
                assert_eq!(reply.errors()[0].1, code, "{email} {number}");
            }
        }
    });
}

#[test]
fn p2_success_clears_the_account_s_counter_and_never_the_address_s() {
    on_both(async |backend| {
        let server = TestApp::start(backend, "account.rate_limits = { login = false }").await;
        user(&server, "ada@example.org", None, Some(PASSWORD)).await;
        user(&server, "eve@example.org", None, Some(PASSWORD)).await;
        let elsewhere = |number| server.app().from_ip([192, 0, 2, number].into());
        for round in 1..=3 {
            for _ in 0..4 {
                login(&mut elsewhere(round), "ada@example.org", OTHER).await.expect(400);
            }
            login(&mut elsewhere(round), "ada@example.org", PASSWORD).await.expect(200);
        }
        // Ten failures of one address in a minute, between the successes of an account of the attacker's own.
        for number in 0..10 {
            login(&mut server.app(), "eve@example.org", PASSWORD).await.expect(200);
            let reply =
                login(&mut server.app(), &format!("victim{number}@example.org"), OTHER).await.expect(400);
            assert_eq!(reply.errors(), [("password", "email_password_mismatch")], "{number}");
        }
        for (email, password) in [("victim@example.org", OTHER), ("eve@example.org", PASSWORD)] {
            let reply = login(&mut server.app(), email, password).await.expect(400);
            assert_eq!(reply.errors(), [("", "too_many_login_attempts")]);
        }
        login(&mut elsewhere(9), "eve@example.org", PASSWORD).await.expect(200);
    });
}

#[test]
fn p2_passwords_count_wherever_they_are_typed() {
    on_both(async |backend| {
        let limits = "account.rate_limits = { login_failed = '3/5m/key', change_password = false, reauthenticate = false }";
        let server = TestApp::start(backend, limits).await;
        user(&server, "ada@example.org", None, Some(PASSWORD)).await;
        let mut client = server.app();
        login(&mut client, "ada@example.org", PASSWORD).await.expect(200);

        let change =
            |password: &str| json!({"current_password": password, "new_password": "another one here"});
        login(&mut server.app(), "ada@example.org", OTHER).await.expect(400);
        client.post("auth/reauthenticate", json!({"password": OTHER})).await.expect(400);
        client.post("account/password/change", change(OTHER)).await.expect(400);
        let exhausted = [
            (login(&mut server.app(), "ada@example.org", PASSWORD).await, ""),
            (client.post("auth/reauthenticate", json!({"password": PASSWORD})).await, "password"),
            (client.post("account/password/change", change(PASSWORD)).await, "current_password"),
        ];
        for (reply, param) in exhausted {
            assert_eq!(reply.expect(400).errors(), [(param, "too_many_login_attempts")]);
        }
        server.pass(301);
        client.post("account/password/change", change(PASSWORD)).await.expect(200);
    });
}

/// One hasher, nobody may wait, and a hash takes long enough to look around meanwhile.
pub(crate) const BUSY: &str = "
    server = { hash_workers = 1, hash_queue = 0 }
    account = { rate_limits = false, login_by_code_enabled = true }
    passwords.argon2 = { memory_kib = 65536, iterations = 12, parallelism = 1 }";

/// Runs `meanwhile` while the only hasher works on somebody else's login.
pub(crate) async fn while_busy<T>(server: &TestApp, meanwhile: impl Future<Output = T>) -> T {
    let mut logins = JoinSet::new();
    for _ in 0..3 {
        let mut client = server.app();
        logins.spawn(async move { login(&mut client, "other@example.org", OTHER).await });
    }
    // Two are sent away: then the third is in hand.
    for _ in 0..2 {
        logins.join_next().await.expect("an answer").expect("no panic").expect(503);
    }
    let seen = meanwhile.await;
    assert!(logins.try_join_next().is_none(), "the hash was done before all that had to be seen meanwhile");
    logins.join_next().await.expect("an answer").expect("no panic").expect(400);
    seen
}

#[test]
fn p4_when_the_hashers_are_busy_logins_wait_or_are_refused_and_the_rest_is_served() {
    on_both(async |backend| {
        let server = TestApp::start(backend, BUSY).await;
        let id = user(&server, "ada@example.org", None, None).await;
        store(&server, id, DJANGO[0]).await;
        while_busy(&server, async {
            for mut client in [server.app(), server.browser()] {
                let reply = login(&mut client, "ada@example.org", PASSWORD).await.expect(503);
                let wait: u32 = reply.header("retry-after").unwrap().parse().unwrap();
                assert!((1..=60).contains(&wait));
                let signup = json!({"email": "new@example.org", "password": PASSWORD});
                client.post("auth/signup", signup).await.expect(503);
                client.get("config").await.expect(200);
                client.get("auth/session").await.expect(401);
                client.post("auth/code/request", json!({"email": "ada@example.org"})).await.expect(401);
            }
        })
        .await;
        login(&mut server.app(), "ada@example.org", PASSWORD).await.expect(400);
        assert!(server.vestibule.users().find("new@example.org").await.is_err(), "nothing is half done");
    });
}

#[test]
fn p4_a_password_beyond_4096_bytes_is_refused_before_it_is_hashed() {
    on_both(async |backend| {
        let server = TestApp::start(backend, BUSY).await;
        let id = user(&server, "ada@example.org", None, None).await;
        store(&server, id, DJANGO[0]).await;
        let mut present = server.app();
        present.post("auth/code/request", json!({"email": "ada@example.org"})).await.expect(401);
        let code = server.code_for("ada@example.org").await;
        present.post("auth/code/confirm", json!({"code": code})).await.expect(200);
        let long = "p".repeat(4097);
        // Were it hashed, or waiting to be, the answer would be 503.
        while_busy(&server, async {
            for (path, param, body) in [
                ("auth/login", "password", json!({"email": "ada@example.org", "password": long})),
                ("auth/signup", "password", json!({"email": "new@example.org", "password": long})),
            ] {
                let reply = server.app().post(path, body).await.expect(400);
                assert_eq!(reply.errors(), [(param, "max_length")], "{path}");
            }
            let reply = present.post("auth/reauthenticate", json!({"password": long})).await.expect(400);
            assert_eq!(reply.errors(), [("password", "max_length")]);
            let body = json!({"current_password": long, "new_password": long});
            let reply = present.post("account/password/change", body).await.expect(400);
            assert_eq!(reply.errors(), [("current_password", "max_length"), ("new_password", "max_length")]);
        })
        .await;
    });
}

#[test]
fn p5_a_password_known_from_a_breach_is_refused_and_nothing_fails_open() {
    // The SHA-1 of the password, as such services answer: the range in the path, the rest in the list.
    const LOST: &str = "a password that others have lost";
    const RANGE: &str = "ED47B";
    const REST: &str = "D54E361390A0D0D2C7D79734B9AA593470F";
    on_both(async |backend| {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let range = axum::routing::get(
            |axum::extract::Path(range): axum::extract::Path<String>| async move {
                let known = if range == RANGE { format!("{REST}:3\r\n") } else { String::new() };
                let list = format!(
                    "{known}0000000000000000000000000000000000A:1\r\n00000000000000000000000000000000000:0\r\n"
                );
                // No connection outlives the service.
                ([("connection", "close")], list)
            },
        );
        let service = axum::Router::new().route("/range/{range}", range);
        let serving = tokio::spawn(async move { axum::serve(listener, service).await });
        let settings = format!(
            "passwords.pwned_range_url = 'http://{address}/range'\naccount.email_verification = 'none'"
        );
        let server = TestApp::start(backend, &settings).await;
        let signup = |password: &str| json!({"email": "ada@example.org", "password": password});
        let reply = server.app().post("auth/signup", signup(LOST)).await.expect(400);
        assert_eq!(reply.errors(), [("password", "password_too_common")]);
        let mut ada = server.app();
        ada.post("auth/signup", signup(PASSWORD)).await.expect(200);

        serving.abort();
        assert!(serving.await.is_err(), "the service is gone");
        let body = json!({"current_password": PASSWORD, "new_password": LOST});
        ada.post("account/password/change", body).await.expect(503);
        login(&mut server.app(), "ada@example.org", PASSWORD).await.expect(200);
    });
}

#[test]
fn p7_who_is_deactivated_is_out_at_once_and_unknown_everywhere() {
    let settings = "
        account = { login_by_code_enabled = true, rate_limits = false, login_on_password_reset = true }
        headless.frontend_urls.account_reset_password_from_key = 'http://localhost:8000/reset/{key}'";
    on_both(async |backend| {
        let server = TestApp::start(backend, settings).await;
        let id = user(&server, "ada@example.org", None, Some(PASSWORD)).await;
        let (mut app, mut browser, mut pending) = (server.app(), server.browser(), server.app());
        login(&mut app, "ada@example.org", PASSWORD).await.expect(200);
        login(&mut browser, "ada@example.org", PASSWORD).await.expect(200);
        pending.post("auth/code/request", json!({"email": "ada@example.org"})).await.expect(401);
        let code = server.code_for("ada@example.org").await;
        server.app().post("auth/password/request", json!({"email": "ada@example.org"})).await.expect(200);
        let key = server.link_key_for("ada@example.org").await;
        server.vestibule.users().deactivate(id).await.unwrap();

        assert_eq!(app.get("auth/session").await.status, 401, "told once that the session ended");
        app.get("auth/session").await.expect(410);
        browser.get("auth/session").await.expect(401);
        pending.post("auth/code/confirm", json!({"code": code})).await.expect(409);
        let reset = json!({"key": key, "password": OTHER});
        server.app().post("auth/password/reset", reset).await.expect(400);
        login(&mut server.app(), "ada@example.org", PASSWORD).await.expect(400);
        let before = server.messages_for("ada@example.org").await.len();
        let reply =
            server.app().post("auth/code/request", json!({"email": "ada@example.org"})).await.expect(401);
        assert!(reply.is_pending("login_by_code"));
        server.app().post("auth/password/request", json!({"email": "ada@example.org"})).await.expect(200);
        let mails = server.messages_for("ada@example.org").await;
        let unknown = &mails[..mails.len() - before];
        assert!(
            unknown.iter().all(|mail| mail.content.code.is_none() && !mail.content.text.contains("/reset")),
            "{mails:?}"
        );
        assert_eq!(unknown.len(), 2, "what an unknown address would get");

        server.vestibule.users().activate(id).await.unwrap();
        browser.get("auth/session").await.expect(401);
        login(&mut server.app(), "ada@example.org", PASSWORD).await.expect(200);
    });
}

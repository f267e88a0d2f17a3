//! P3: whether an account exists shows in no answer, no mail and no work done, unless configured so.

#![expect(clippy::expect_used, reason = "a panic is how a test says that it failed")]

use serde_json::{Value, json};
use vestibule::NewUser;
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::{Client, Reply};
use vestibule_testkit::database::on_both;

use crate::login::{OTHER, PASSWORD, login, user};
use crate::passwords::{BUSY, DJANGO, store, while_busy};

/// An address for each state that an account can be in, and one that has none. All are of one length.
const ADDRESSES: [&str; 5] = [UNKNOWN, VERIFIED, UNVERIFIED, PASSWORDLESS, INACTIVE];
const UNKNOWN: &str = "unknown@example.org";
const VERIFIED: &str = "provedd@example.org";
const UNVERIFIED: &str = "unprove@example.org";
const PASSWORDLESS: &str = "without@example.org";
const INACTIVE: &str = "goneout@example.org";

/// One request of a script: method, path and body, where `EMAIL` stands for the address. `GET`s carry a wrong key.
pub(crate) type Step = (&'static str, &'static str, Value);

/// Seconds before a step that sends again.
const COOL_DOWN: i64 = 200;

async fn settle(server: &TestApp) {
    for (email, has_password, verified) in [
        (VERIFIED, true, true),
        (UNVERIFIED, true, false),
        (PASSWORDLESS, false, true),
        (INACTIVE, true, true),
    ] {
        let new = NewUser { email: Some(email.to_owned()), username: None, password: None, verified };
        let made = server.vestibule.users().create(new).await.expect("a new user");
        if has_password {
            store(server, made.id, DJANGO[0]).await;
        }
        if email == INACTIVE {
            server.vestibule.users().deactivate(made.id).await.expect("an update");
        }
    }
}

/// Plays a script for each address, as each kind of client, and demands that every answer is the same as for an
/// address without an account, and that as many messages were sent.
async fn alike(server: &TestApp, logged_in: Option<&str>, script: &[Step]) {
    settle(server).await;
    for is_browser in [false, true] {
        let mut expected = None;
        for (number, email) in (1..).zip(ADDRESSES) {
            let ip = [192, 0, 2, number + 100 * u8::from(is_browser)];
            let client = if is_browser { server.browser() } else { server.app() };
            let mut client = client.from_ip(ip.into());
            if let Some(who) = logged_in {
                login(&mut client, who, PASSWORD).await.expect(200);
            }
            // A signup would change what its address stands for: each kind of client asks for one of its own.
            let asked = if email == UNKNOWN && is_browser { "unknowm@example.org" } else { email };
            let seen = play(server, &mut client, asked, script).await;
            let expected = expected.get_or_insert_with(|| seen.clone());
            for (step, (seen, expected)) in script.iter().zip(seen.iter().zip(expected.iter())) {
                assert_eq!(seen, expected, "{email} at {} {}, browser: {is_browser}", step.0, step.1);
            }
            server.pass(COOL_DOWN);
        }
    }
}

pub(crate) async fn play(server: &TestApp, client: &mut Client, email: &str, script: &[Step]) -> Vec<Value> {
    let mut found = Vec::new();
    let mut before = server.messages_for(email).await.len();
    for (method, path, body) in script {
        let resends = path.ends_with("resend") || *method == "PUT";
        if resends {
            server.pass(15);
        }
        let body: Value = serde_json::from_str(&body.to_string().replace("EMAIL", email)).expect("JSON");
        let call = client.call(method.parse().expect("a method"), path);
        let call = if *method == "GET" {
            call.header("X-Email-Verification-Key", "WRONG").header("X-Password-Reset-Key", "WRONG")
        } else {
            call.json(&body)
        };
        let mut seen = shape(&call.send().await, email);
        let after = server.messages_for(email).await.len();
        if !resends {
            // A code is sent again only to where there was one; whoever reads the mails learns that from the first.
            seen["mailed"] = (after - before).into();
        }
        before = after;
        found.push(seen);
    }
    found
}

/// All that an answer shows, without what is random in it.
fn shape(reply: &Reply, email: &str) -> Value {
    let mut body = reply.json.clone();
    if let Some(token) = body.pointer_mut("/meta/session_token") {
        *token = json!(format!("{} characters", token.as_str().map_or(0, str::len)));
    }
    let body = body.to_string().replace(email, "EMAIL");
    let mut headers: Vec<String> = Vec::new();
    for (name, value) in reply.headers.iter().filter(|(name, _)| *name != "x-request-id") {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers.push(match (name.as_str(), value.split_once(';')) {
            ("set-cookie", Some((pair, attributes))) => {
                let (cookie, secret) = pair.split_once('=').unwrap_or_default();
                format!("{cookie}: {} characters; {}", secret.len(), without_date(attributes))
            }
            _ => format!("{name}: {value}"),
        });
    }
    headers.sort();
    json!({"status": reply.status, "body": body, "headers": headers})
}

/// The clock is moved between two scripts.
fn without_date(attributes: &str) -> String {
    attributes
        .split(';')
        .filter(|part| !part.trim_start().starts_with("expires="))
        .collect::<Vec<_>>()
        .join(";")
}

fn on_both_alike(settings: &str, logged_in: Option<&str>, script: &[Step]) {
    on_both(async |backend| {
        let server = TestApp::start(backend, settings).await;
        if let Some(email) = logged_in {
            user(&server, email, None, Some(PASSWORD)).await;
        }
        alike(&server, logged_in, script).await;
    });
}

#[test]
fn p3_login() {
    let wrong = json!({"email": "EMAIL", "password": OTHER});
    let script = [("POST", "auth/login", wrong.clone()), ("GET", "auth/session", Value::Null)];
    on_both_alike("", None, &script);
    let attempts = vec![("POST", "auth/login", wrong); 6];
    on_both_alike("account.email_verification_by_code_enabled = true", None, &attempts);
}

#[test]
fn p3_signup_by_link() {
    let new = json!({"email": "EMAIL", "password": PASSWORD});
    let script = [
        ("POST", "auth/signup", json!({"email": "EMAIL", "password": "short"})),
        ("POST", "auth/signup", new.clone()),
        ("GET", "auth/session", Value::Null),
        ("GET", "auth/email/verify", Value::Null),
        ("POST", "auth/email/verify", json!({"key": "WRONG"})),
        ("POST", "auth/email/verify/resend", json!({})),
        ("POST", "auth/signup", new),
        ("DELETE", "auth/session", Value::Null),
    ];
    on_both_alike("", None, &script);
}

#[test]
fn p3_signup_by_code() {
    let settings = "
        [account]
        email_verification_by_code_enabled = true
        email_verification_supports_resend = true";
    let wrong = || ("POST", "auth/email/verify", json!({"key": "WRONG"}));
    let script = [
        ("POST", "auth/signup", json!({"email": "EMAIL", "password": PASSWORD})),
        ("GET", "auth/session", Value::Null),
        ("POST", "auth/email/verify/resend", json!({})),
        ("POST", "auth/email/verify/resend", json!({})),
        ("POST", "auth/email/verify/resend", json!({})),
        ("GET", "auth/email/verify", Value::Null),
        wrong(),
        wrong(),
        wrong(),
        ("GET", "auth/session", Value::Null),
    ];
    on_both_alike(settings, None, &script);
}

#[test]
fn p3_signup_that_asks_for_a_login_code() {
    let script = [
        ("POST", "auth/signup", json!({"email": "EMAIL", "password": PASSWORD})),
        ("GET", "auth/session", Value::Null),
        ("POST", "auth/code/confirm", json!({"code": "WRONG"})),
    ];
    on_both_alike("account.login_by_code_required = true", None, &script);
}

#[test]
fn p3_password_reset_by_link() {
    let ask = || ("POST", "auth/password/request", json!({"email": "EMAIL"}));
    let script = [ask(), ("GET", "auth/session", Value::Null), ask(), ask(), ask(), ask(), ask()];
    on_both_alike("", None, &script);
}

#[test]
fn p3_password_reset_by_code() {
    let wrong = || ("POST", "auth/password/reset", json!({"key": "WRONG", "password": OTHER}));
    let script = [
        ("POST", "auth/password/request", json!({"email": "EMAIL"})),
        ("GET", "auth/session", Value::Null),
        ("GET", "auth/password/reset", Value::Null),
        wrong(),
        wrong(),
        wrong(),
        ("GET", "auth/session", Value::Null),
    ];
    on_both_alike("account.password_reset_by_code_enabled = true", None, &script);
}

#[test]
fn p3_login_by_code() {
    let settings = "
        [account]
        login_by_code_enabled = true
        login_by_code_supports_resend = 1";
    let ask = || ("POST", "auth/code/request", json!({"email": "EMAIL"}));
    let wrong = || ("POST", "auth/code/confirm", json!({"code": "WRONG"}));
    let script = [
        ask(),
        ("GET", "auth/session", Value::Null),
        ("POST", "auth/code/resend", json!({})),
        ("POST", "auth/code/resend", json!({})),
        wrong(),
        wrong(),
        wrong(),
        wrong(),
        ("GET", "auth/session", Value::Null),
        ask(),
        ask(),
        ask(),
        ("DELETE", "auth/session", Value::Null),
    ];
    on_both_alike(settings, None, &script);
}

#[test]
fn p3_adding_an_email() {
    let change = |method| (method, "account/email", json!({"email": "EMAIL"}));
    let primary = ("PATCH", "account/email", json!({"email": "EMAIL", "primary": true}));
    let common =
        [change("POST"), ("GET", "account/email", Value::Null), change("POST"), change("PUT"), primary];
    let by_link = [&common[..], &[change("DELETE")]].concat();
    let limits = "rate_limits = { manage_email = false }";
    on_both_alike(&format!("account = {{ {limits} }}"), Some("me@example.org"), &by_link);
    on_both_alike(
        &format!("account = {{ {limits}, change_email = true }}"),
        Some("me@example.org"),
        &by_link,
    );
    let by_code = format!("account = {{ {limits}, email_verification_by_code_enabled = true }}");
    let wrong = ("POST", "auth/email/verify", json!({"key": "WRONG"}));
    on_both_alike(&by_code, Some("me@example.org"), &[&common[..], &[wrong, change("DELETE")]].concat());
}

/// With the only hasher busy, whatever needs a hash is refused: so it shows who needs one.
#[test]
fn p3_an_unknown_account_costs_a_hash_and_a_known_one_no_more() {
    on_both(async |backend| {
        let server = TestApp::start(backend, BUSY).await;
        settle(&server).await;
        while_busy(&server, async {
            for email in ADDRESSES {
                login(&mut server.app(), email, OTHER).await.expect(503);
                let signup = json!({"email": email, "password": PASSWORD});
                server.app().post("auth/signup", signup).await.expect(503);
                let email = json!({"email": email});
                server.app().post("auth/password/request", email.clone()).await.expect(200);
                server.app().post("auth/code/request", email).await.expect(401);
            }
        })
        .await;
    });
}

#[test]
fn without_prevention_it_is_said() {
    let settings = "account = { prevent_enumeration = false, login_by_code_enabled = true }";
    on_both(async |backend| {
        let server = TestApp::start(backend, settings).await;
        user(&server, "ada@example.org", None, Some(PASSWORD)).await;
        user(&server, "me@example.org", None, Some(PASSWORD)).await;
        let known = json!({"email": "ada@example.org", "password": PASSWORD});
        let unknown = json!({"email": UNKNOWN});
        for (path, body, code) in [
            ("auth/signup", &known, "email_taken"),
            ("auth/password/request", &unknown, "unknown_email"),
            ("auth/code/request", &unknown, "unknown_email"),
        ] {
            let reply = server.app().post(path, body.clone()).await.expect(400);
            assert_eq!(reply.errors(), [("email", code)], "{path}");
        }
        let mut me = server.app();
        login(&mut me, "me@example.org", PASSWORD).await.expect(200);
        let reply = me.post("account/email", json!({"email": "ada@example.org"})).await.expect(400);
        assert_eq!(reply.errors(), [("email", "email_taken")]);
        assert!(server.messages_for("ada@example.org").await.is_empty());
        assert!(server.messages_for(UNKNOWN).await.is_empty());
        // Not even then does a login say which of the two is wrong.
        let codes = [(UNKNOWN, PASSWORD), ("ada@example.org", OTHER)];
        for (email, password) in codes {
            let reply = login(&mut server.app(), email, password).await.expect(400);
            assert_eq!(reply.errors(), [("password", "email_password_mismatch")]);
        }
    });
}

/// Where signup does not wait for a proof, either addresses are unique or nothing is said: a setting decides.
#[test]
fn strict_prevention_goes_before_unique_addresses() {
    on_both(async |backend| {
        for (prevent, status) in [("true", 400), ("'strict'", 200)] {
            let settings =
                format!("account = {{ email_verification = 'optional', prevent_enumeration = {prevent} }}");
            let server = TestApp::start(backend, &settings).await;
            user(&server, "ada@example.org", None, Some(PASSWORD)).await;
            let signup = json!({"email": "ada@example.org", "password": OTHER});
            server.app().post("auth/signup", signup).await.expect(status);
            // The account that has proved the address is the one that it stands for.
            login(&mut server.app(), "ada@example.org", PASSWORD).await.expect(200);
            login(&mut server.app(), "ada@example.org", OTHER).await.expect(400);
        }
    });
}

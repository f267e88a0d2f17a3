//! Phone numbers: what a text message may cost, what its absence may tell, and when a number is whose.

#![expect(clippy::expect_used, reason = "a panic is how a test says that it failed")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::{Client, Reply};
use vestibule_testkit::database::on_both;

use crate::codes::{OTHER, PASSWORD};
use crate::enumeration::{Step, play};
use crate::races::{at_once, post, statuses};

/// Numbers in the states that a number can be in; all are of one length.
const UNKNOWN: &str = "+31600000001";
const VERIFIED: &str = "+31600000002";
const UNVERIFIED: &str = "+31600000003";
const INACTIVE: &str = "+31600000004";
const NEW: &str = "+31600000005";

/// Settings of a server where people have a number and a password.
const PHONE: &str = "
    [account]
    rate_limits = false
    login_methods = ['phone']
    signup_fields = ['phone*', 'password1*']
    email_verification = 'none'
    login_by_code_enabled = true
    login_by_code_supports_resend = 9
    phone_verification_supports_resend = 9
    phone_verification_supports_change = 9
";

async fn start(backend: vestibule_testkit::database::Backend, more: &str) -> TestApp {
    TestApp::start(backend, &format!("{PHONE}{more}")).await
}

fn credentials(phone: &str, password: &str) -> Value {
    json!({ "phone": phone, "password": password })
}

async fn log_in(app: &TestApp, phone: &str, password: &str) -> Reply {
    app.app().post("auth/login", credentials(phone, password)).await
}

/// A new account with a proved number.
async fn signed_up(app: &TestApp, phone: &str) -> Client {
    let mut client = app.app();
    client.post("auth/signup", credentials(phone, PASSWORD)).await.expect(401);
    let code = app.code_for(phone).await;
    client.post("auth/phone/verify", json!({ "code": code })).await.expect(200);
    client
}

/// Accounts for [`VERIFIED`], [`UNVERIFIED`] and [`INACTIVE`].
async fn settle(app: &TestApp) {
    signed_up(app, VERIFIED).await;
    app.app().post("auth/signup", credentials(UNVERIFIED, PASSWORD)).await.expect(401);
    let mut inactive = signed_up(app, INACTIVE).await;
    let session = inactive.get("auth/session").await.expect(200);
    let id = session.data()["user"]["id"].as_i64().expect("an id");
    app.vestibule.users().deactivate(id).await.expect("an update");
}

/// Number and state, as its owner sees it.
async fn own_number(client: &mut Client) -> (String, bool) {
    let reply = client.get("account/phone").await.expect(200);
    let row = &reply.data()[0];
    (row["phone"].as_str().unwrap_or_default().to_owned(), row["verified"] == true)
}

async fn ask_for_code(client: &mut Client, phone: &str) -> Reply {
    client.post("auth/code/request", json!({ "phone": phone })).await
}

/// A client from a network of its own.
fn stranger(app: &TestApp, number: u8) -> Client {
    app.app().from_ip([203, 0, 113, number].into())
}

#[test]
fn c6_text_messages_are_limited_by_number_whatever_they_are_about() {
    on_both(async |backend| {
        let app = start(backend, "[sms]\nrate_limit_per_number = '3/h/key'").await;
        settle(&app).await;
        app.pass(3600);
        for (number, phone) in (1..).zip([UNKNOWN, VERIFIED, UNVERIFIED, INACTIVE]) {
            for _ in 0..2 {
                ask_for_code(&mut stranger(&app, number), phone).await.expect(401);
            }
            let mut waiting = stranger(&app, number + 10);
            ask_for_code(&mut waiting, phone).await.expect(401);
            // From any network, for any reason, sent or only pretended.
            ask_for_code(&mut stranger(&app, number + 20), phone).await.expect(429);
            waiting.post("auth/code/resend", Value::Null).await.expect(429);
            let signup = credentials(phone, PASSWORD);
            let mut signing_up = stranger(&app, number + 20);
            let refused = signing_up.post("auth/signup", signup).await.expect(429);
            assert!(refused.json["meta"].get("session_token").is_none(), "{refused}");
            assert_eq!(signing_up.token(), None);
        }
        assert_eq!(app.vestibule.users().list(10, None).await.expect("users").len(), 3, "no half signup");
        assert_eq!(app.messages_for(UNKNOWN).await.len(), 3);
        // The other instance, and the one after a restart, count on.
        let second = app.second().await;
        ask_for_code(&mut second.app(), UNKNOWN).await.expect(429);
        app.vestibule.close().await;
        second.vestibule.close().await;
        let restarted = second.second().await;
        restarted.pass(3599);
        ask_for_code(&mut restarted.app(), UNKNOWN).await.expect(429);
        restarted.pass(1);
        ask_for_code(&mut restarted.app(), UNKNOWN).await.expect(401);
    });
}

#[test]
fn c6_text_messages_are_limited_by_network_whatever_the_numbers() {
    on_both(async |backend| {
        let app = start(backend, "[sms]\nrate_limit_per_client = '3/h/ip'").await;
        let mut own = signed_up(&app, VERIFIED).await;
        for number in [UNKNOWN, NEW] {
            ask_for_code(&mut app.app(), number).await.expect(401);
        }
        ask_for_code(&mut app.app(), UNVERIFIED).await.expect(429);
        own.post("account/phone", json!({ "phone": NEW })).await.expect(429);
        app.app().post("auth/signup", credentials(UNVERIFIED, PASSWORD)).await.expect(429);
        ask_for_code(&mut stranger(&app, 1), UNVERIFIED).await.expect(401);
        // What needs no message goes on.
        own.get("account/phone").await.expect(200);
        log_in(&app, VERIFIED, PASSWORD).await.expect(200);
        app.pass(3600);
        own.post("account/phone", json!({ "phone": NEW })).await.expect(202);
    });
}

#[test]
fn c6_text_messages_at_once_are_counted_one_by_one() {
    on_both(async |backend| {
        let app = start(backend, "[sms]\nrate_limit_per_number = '5/h/key'").await;
        let second = app.second().await;
        let mut requests = Vec::new();
        for number in 0..10 {
            for app in [&app, &second] {
                requests.push(post(&stranger(app, number), "auth/code/request", json!({ "phone": UNKNOWN })));
            }
        }
        let seen = statuses(&at_once(requests).await);
        assert_eq!(seen, BTreeMap::from([(401, 5), (429, 15)]));
        assert_eq!(app.messages_for(UNKNOWN).await.len(), 5);
    });
}

#[test]
fn c6_a_stranger_who_uses_up_a_number_s_messages_does_not_lock_out_its_owner() {
    on_both(async |backend| {
        let app = start(backend, "[sms]\nrate_limit_per_number = '2/h/key'").await;
        let mut own = signed_up(&app, VERIFIED).await;
        ask_for_code(&mut stranger(&app, 1), VERIFIED).await.expect(401);
        ask_for_code(&mut stranger(&app, 1), VERIFIED).await.expect(429);
        log_in(&app, VERIFIED, PASSWORD).await.expect(200);
        own.post("auth/reauthenticate", json!({ "password": PASSWORD })).await.expect(200);
        own.post("account/phone", json!({ "phone": NEW })).await.expect(202);
    });
}

/// A code that is sent again to nobody costs the number as much as one that is sent, or the limit would tell.
#[test]
fn p3_the_limit_of_a_number_does_not_tell_whether_it_has_an_account() {
    on_both(async |backend| {
        let app = start(backend, "[sms]\nrate_limit_per_number = '4/h/key'").await;
        signed_up(&app, VERIFIED).await;
        app.pass(3600);
        for (path, begin) in
            [("auth/code/resend", "auth/code/request"), ("auth/phone/verify/resend", "auth/signup")]
        {
            let mut seen = Vec::new();
            for phone in [VERIFIED, UNKNOWN] {
                let mut client = app.app();
                let body = credentials(phone, PASSWORD);
                let mut answers = vec![client.post(begin, body).await.status];
                for _ in 0..4 {
                    answers.push(client.post(path, Value::Null).await.status);
                }
                seen.push(answers);
            }
            assert_eq!(seen, [[401, 200, 200, 200, 429]; 2], "{path}");
            app.pass(3600);
        }
    });
}

/// Plays a script for a number in each state, as each kind of client, and demands the same answers and as many messages
/// as for a number without an account.
async fn alike(app: &TestApp, script: &[Step]) {
    settle(app).await;
    for is_browser in [false, true] {
        let mut expected = None;
        // A signup changes what its number stands for: each kind of client asks for one of its own.
        let unknown = if is_browser { NEW } else { UNKNOWN };
        for phone in [unknown, VERIFIED, UNVERIFIED, INACTIVE] {
            let mut client = if is_browser { app.browser() } else { app.app() };
            let seen = play(app, &mut client, phone, script).await;
            let expected = expected.get_or_insert_with(|| seen.clone());
            for (step, (seen, expected)) in script.iter().zip(seen.iter().zip(expected.iter())) {
                assert_eq!(seen, expected, "{phone} at {} {}, browser: {is_browser}", step.0, step.1);
            }
        }
    }
}

#[test]
fn p3_signup_by_phone() {
    let wrong = || ("POST", "auth/phone/verify", json!({ "code": "WRONG" }));
    let script = [
        ("POST", "auth/signup", json!({ "phone": "EMAIL", "password": "short" })),
        ("POST", "auth/signup", json!({ "phone": "EMAIL", "password": OTHER })),
        ("GET", "auth/session", Value::Null),
        ("POST", "auth/phone/verify/resend", json!({})),
        wrong(),
        wrong(),
        wrong(),
        wrong(),
        ("GET", "auth/session", Value::Null),
    ];
    for mode in ["true", "'strict'"] {
        on_both(async |backend| {
            let app = start(backend, &format!("prevent_enumeration = {mode}")).await;
            alike(&app, &script).await;
        });
    }
}

#[test]
fn p3_a_signup_whose_address_alone_is_taken_looks_like_any_other() {
    const BOTH: &str = "account = { signup_fields = ['phone*', 'email*', 'password1*'], \
        login_methods = ['email', 'phone'], email_verification = 'mandatory', \
        email_verification_by_code_enabled = true, phone_verification_supports_change = 2, rate_limits = false }";
    on_both(async |backend| {
        let app = TestApp::start(backend, BOTH).await;
        for (n, kind) in [app.app(), app.browser()].into_iter().enumerate() {
            let mut seen = Vec::new();
            // The first signup makes the account of the second's address.
            for (first, second) in [(10, 11), (12, 13)] {
                let number = |last: usize| format!("+316000000{}{last}", n + 2);
                let mut client = kind.clone();
                let email = format!("ada{n}@example.org");
                let new = json!({ "phone": number(first), "email": email, "password": PASSWORD });
                let mut answers = vec![client.post("auth/signup", new).await.expect(401)];
                answers.push(client.post("auth/phone/verify/resend", json!({})).await);
                let changed = client.post("account/phone", json!({ "phone": number(second) })).await;
                assert_eq!(changed.status, 202);
                let code = app.code_for(&number(second)).await;
                answers.push(client.post("auth/phone/verify", json!({ "code": code })).await);
                answers.push(client.get("auth/session").await);
                assert!(answers.last().unwrap().is_pending("verify_email"));
                let told = app.messages_for(&email).await.len();
                let shown: Vec<_> =
                    answers.iter().map(|reply| (reply.status, reply.json["data"].clone())).collect();
                seen.push((shown, told));
            }
            assert_eq!(seen[0].0, seen[1].0);
            assert_eq!(seen[0].1 + 1, seen[1].1, "the owner of the address is told");
        }
    });
}

#[test]
fn c6_codes_that_strangers_ask_for_do_not_keep_out_who_has_the_password() {
    on_both(async |backend| {
        let limits = "rate_limits = { request_login_code = '3/m/key' }";
        let settings = format!(
            "[account]\nemail_verification = 'none'\nlogin_by_code_enabled = true\n\
            login_by_code_required = true\n{limits}"
        );
        let app = TestApp::start(backend, &settings).await;
        let mut owner = app.app();
        let new = json!({ "email": "ada@example.org", "password": PASSWORD });
        owner.post("auth/signup", new.clone()).await.expect(401);
        let code = app.code_for("ada@example.org").await;
        owner.post("auth/code/confirm", json!({ "code": code })).await.expect(200);
        for n in 0..4 {
            stranger(&app, n).post("auth/code/request", json!({ "email": "ada@example.org" })).await;
        }
        let mut owner = app.app();
        let reply = owner.post("auth/login", new).await.expect(401);
        assert!(reply.is_pending("login_by_code"));
        let code = app.code_for("ada@example.org").await;
        owner.post("auth/code/confirm", json!({ "code": code })).await.expect(200);
    });
}

#[test]
fn p3_login_by_phone_and_by_code() {
    let wrong = || ("POST", "auth/code/confirm", json!({ "code": "WRONG" }));
    let script = [
        ("POST", "auth/login", json!({ "phone": "EMAIL", "password": OTHER })),
        ("POST", "auth/code/request", json!({ "phone": "EMAIL" })),
        ("GET", "auth/session", Value::Null),
        ("POST", "auth/code/resend", json!({})),
        wrong(),
        wrong(),
        wrong(),
        wrong(),
        ("GET", "auth/session", Value::Null),
    ];
    for mode in ["true", "'strict'"] {
        on_both(async |backend| {
            let app = start(backend, &format!("prevent_enumeration = {mode}")).await;
            alike(&app, &script).await;
        });
    }
}

#[test]
fn without_prevention_it_is_said() {
    on_both(async |backend| {
        let app = start(backend, "prevent_enumeration = false").await;
        let mut other = signed_up(&app, NEW).await;
        settle(&app).await;
        for phone in [VERIFIED, UNVERIFIED] {
            let before = app.messages_for(phone).await.len();
            let reply = app.app().post("auth/signup", credentials(phone, PASSWORD)).await.expect(400);
            assert_eq!(reply.errors()[0].0, "phone");
            let reply = other.post("account/phone", json!({ "phone": phone })).await.expect(400);
            assert_eq!(reply.errors(), [("phone", "phone_taken")]);
            assert_eq!(app.messages_for(phone).await.len(), before);
        }
        let reply = ask_for_code(&mut app.app(), UNKNOWN).await.expect(400);
        assert_eq!(reply.errors(), [("phone", "unknown_phone")]);
        assert!(app.messages_for(UNKNOWN).await.is_empty());
    });
}

#[test]
fn p7_an_inactive_user_gets_the_text_of_an_unknown_number() {
    on_both(async |backend| {
        let app = start(backend, "").await;
        settle(&app).await;
        log_in(&app, INACTIVE, PASSWORD).await.expect(400);
        let mut texts = Vec::new();
        for phone in [UNKNOWN, INACTIVE] {
            ask_for_code(&mut app.app(), phone).await.expect(401);
            let newest = app.messages_for(phone).await.swap_remove(0);
            assert_eq!(newest.content.code, None);
            texts.push(newest.content.text);
        }
        assert_eq!(texts[0], texts[1]);
    });
}

#[test]
fn one_number_has_one_spelling_everywhere() {
    on_both(async |backend| {
        let app = start(backend, "").await;
        let mut own = app.app();
        own.post("auth/signup", credentials(&format!("  {VERIFIED} "), PASSWORD)).await.expect(401);
        let code = app.code_for(VERIFIED).await;
        own.post("auth/phone/verify", json!({ "code": code })).await.expect(200);
        assert_eq!(own_number(&mut own).await, (VERIFIED.to_owned(), true));
        log_in(&app, &format!("{VERIFIED}\t"), PASSWORD).await.expect(200);
        ask_for_code(&mut app.app(), &format!(" {VERIFIED}")).await.expect(401);
        assert!(app.messages_for(VERIFIED).await[0].content.code.is_some());
        let reply = own.post("account/phone", json!({ "phone": format!("{VERIFIED} ") })).await.expect(400);
        assert_eq!(reply.errors(), [("phone", "same_as_current")]);
        for other in ["+31 600000002", "+31-600000002", "0031600000002", "31600000002", "+3160000000\u{662}"]
        {
            let body = credentials(other, PASSWORD);
            for reply in [
                app.app().post("auth/signup", body.clone()).await,
                app.app().post("auth/login", body.clone()).await,
                app.app().post("auth/code/request", json!({ "phone": other })).await,
                own.post("account/phone", json!({ "phone": other })).await,
            ] {
                assert_eq!(reply.expect(400).errors(), [("phone", "invalid_phone")], "{other}");
            }
        }
    });
}

#[test]
fn a_number_is_changed_after_reauthentication_and_by_its_code() {
    on_both(async |backend| {
        let app = start(backend, "reauthentication_required = true").await;
        let mut own = signed_up(&app, VERIFIED).await;
        let change = json!({ "phone": NEW });
        own.post("account/phone", change.clone()).await.expect(401);
        assert!(app.messages_for(NEW).await.is_empty());
        own.post("auth/reauthenticate", json!({ "password": PASSWORD })).await.expect(200);
        own.post("account/phone", change.clone()).await.expect(202);
        own.post("auth/phone/verify/resend", Value::Null).await.expect(409);
        let cancelled = app.code_for(NEW).await;
        own.post("account/phone", change).await.expect(202);
        let code = app.code_for(NEW).await;
        // Until then the old number is the number, and nobody else has the code.
        assert_eq!(own_number(&mut own).await, (VERIFIED.to_owned(), true));
        log_in(&app, VERIFIED, PASSWORD).await.expect(200);
        log_in(&app, NEW, PASSWORD).await.expect(400);
        let mut elsewhere = app.app();
        elsewhere.post("auth/login", credentials(VERIFIED, PASSWORD)).await.expect(200);
        elsewhere.post("auth/phone/verify", json!({ "code": code })).await.expect(409);
        own.post("auth/phone/verify", json!({ "code": cancelled })).await.expect(400);
        own.post("auth/phone/verify", json!({ "code": code })).await.expect(200);
        assert_eq!(own_number(&mut own).await, (NEW.to_owned(), true));
        log_in(&app, VERIFIED, PASSWORD).await.expect(400);
        log_in(&app, NEW, PASSWORD).await.expect(200);
        // The old one is free again.
        signed_up(&app, VERIFIED).await;
    });
}

#[test]
fn c1_a_login_code_to_a_number_that_was_changed_opens_nothing() {
    on_both(async |backend| {
        let app = start(backend, "").await;
        let mut own = signed_up(&app, VERIFIED).await;
        let mut holder = app.app();
        ask_for_code(&mut holder, VERIFIED).await.expect(401);
        let old = app.code_for(VERIFIED).await;
        own.post("account/phone", json!({ "phone": NEW })).await.expect(202);
        let code = app.code_for(NEW).await;
        own.post("auth/phone/verify", json!({ "code": code })).await.expect(200);
        holder.post("auth/code/confirm", json!({ "code": old })).await.expect(409);
        holder.get("auth/session").await.expect(401);
        assert_eq!(own_number(&mut own).await, (NEW.to_owned(), true));
    });
}

#[test]
fn a_number_that_somebody_proved_cannot_be_proved_again() {
    on_both(async |backend| {
        let app = start(backend, "").await;
        signed_up(&app, VERIFIED).await;
        let mut other = signed_up(&app, NEW).await;
        // The answer is that of a free number, and whoever has it gets a code, but that code is no good.
        other.post("account/phone", json!({ "phone": VERIFIED })).await.expect(202);
        let code = app.code_for(VERIFIED).await;
        let reply = other.post("auth/phone/verify", json!({ "code": code })).await.expect(400);
        assert_eq!(reply.errors(), [("code", "phone_taken")]);
        assert_eq!(own_number(&mut other).await, (NEW.to_owned(), true));
        // One that was only claimed goes to whoever proves it.
        let mut claimed = app.app();
        claimed.post("auth/signup", credentials(UNVERIFIED, OTHER)).await.expect(401);
        let late = app.code_for(UNVERIFIED).await;
        other.post("account/phone", json!({ "phone": UNVERIFIED })).await.expect(202);
        let code = app.code_for(UNVERIFIED).await;
        other.post("auth/phone/verify", json!({ "code": code })).await.expect(200);
        let reply = claimed.post("auth/phone/verify", json!({ "code": late })).await.expect(400);
        assert_eq!(reply.errors(), [("code", "phone_taken")]);
        log_in(&app, UNVERIFIED, OTHER).await.expect(400);
        log_in(&app, UNVERIFIED, PASSWORD).await.expect(200);
    });
}

#[test]
fn h2_a_new_password_ends_a_change_of_number_that_is_under_way() {
    on_both(async |backend| {
        let app = start(backend, "").await;
        let mut thief = signed_up(&app, VERIFIED).await;
        thief.post("account/phone", json!({ "phone": NEW })).await.expect(202);
        let code = app.code_for(NEW).await;
        let mut own = app.app();
        own.post("auth/login", credentials(VERIFIED, PASSWORD)).await.expect(200);
        let change = json!({ "current_password": PASSWORD, "new_password": OTHER });
        own.post("account/password/change", change).await.expect(200);
        let reply = thief.post("auth/phone/verify", json!({ "code": code })).await;
        assert!([401, 409, 410].contains(&reply.status), "{reply}");
        assert_eq!(own_number(&mut own).await, (VERIFIED.to_owned(), true));
    });
}

#[test]
fn every_setting_of_phone_verification_works() {
    on_both(async |backend| {
        let settings = "
            phone_verification_max_attempts = 2
            phone_verification_timeout = 60
            phone_verification_code_format = { numeric = true, dashed = false, length = 6 }
            rate_limits = { verify_phone = '2/m/key' }
            phone_verification_supports_resend = 1
            phone_verification_supports_change = 1";
        let plain =
            PHONE.replace("rate_limits = false", "").replace("phone_verification_supports_resend = 9", "");
        let plain = plain.replace("phone_verification_supports_change = 9", "");
        let app = TestApp::start(backend, &format!("{plain}{settings}")).await;
        let mut client = app.app();
        client.post("auth/signup", credentials(UNKNOWN, PASSWORD)).await.expect(401);
        client.post("auth/phone/verify/resend", Value::Null).await.expect(200);
        client.post("auth/phone/verify/resend", Value::Null).await.expect(409);
        client.post("account/phone", json!({ "phone": NEW })).await.expect(202);
        client.post("account/phone", json!({ "phone": VERIFIED })).await.expect(409);
        let code = app.code_for(NEW).await;
        assert!(code.len() == 6 && code.bytes().all(|digit| digit.is_ascii_digit()), "{code}");
        client.post("auth/phone/verify", json!({ "code": "WRONG" })).await.expect(400);
        client.post("auth/phone/verify", json!({ "code": "WRONG" })).await.expect(400);
        client.post("auth/phone/verify", json!({ "code": code })).await.expect(409);

        let mut late = app.app();
        late.post("auth/login", credentials(NEW, PASSWORD)).await.expect(401);
        let code = app.code_for(NEW).await;
        app.app().post("auth/login", credentials(NEW, PASSWORD)).await.expect(429);
        app.pass(61);
        late.post("auth/phone/verify", json!({ "code": code })).await.expect(409);

        let app = start(backend, "phone_verification_enabled = false").await;
        let mut client = app.app();
        client.post("auth/signup", credentials(UNKNOWN, PASSWORD)).await.expect(200);
        assert_eq!(own_number(&mut client).await, (UNKNOWN.to_owned(), false));
        log_in(&app, UNKNOWN, PASSWORD).await.expect(200);
        assert!(app.messages_for(UNKNOWN).await.is_empty());
    });
}

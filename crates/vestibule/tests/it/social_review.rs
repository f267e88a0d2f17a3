//! What a review of third-party logins has found: ways around the proof of an address, and requests that nobody sends.

use axum::http::Method;
use serde_json::json;
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::FORM;
use vestibule_testkit::database::on_both;
use vestibule_testkit::idp::{Idp, Person};

use super::codes::{OTHER, PASSWORD, reset, reset_key};
use super::social::{BACK, FREE, LOST, ada, arrive, bring, depart, is_nobody, location, travel, user};

const NUMBER: &str = "+31612345678";
const ADDRESS: &str = "victim@example.org";

/// Settings of a server where a number is one of several ways in.
fn numbers(reset_by_code: bool) -> String {
    format!(
        "[account]
         rate_limits = false
         login_methods = ['email', 'phone']
         signup_fields = ['email*', 'phone', 'password1*']
         email_verification = 'optional'
         login_by_code_enabled = true
         password_reset_by_code_enabled = {reset_by_code}
         [socialaccount]
         email_authentication = true"
    )
}

/// Somebody signs up with a number of their own and the address of somebody else.
async fn squat(server: &TestApp) -> i64 {
    let mut squatter = server.app();
    let new = json!({ "email": ADDRESS, "phone": NUMBER, "password": PASSWORD });
    squatter.post("auth/signup", new).await.expect(401);
    let code = server.code_for(NUMBER).await;
    squatter.post("auth/phone/verify", json!({ "code": code })).await.expect(200);
    user(&mut squatter).await
}

/// Logs in with a code to the squatter's number; gives the account, if there is one.
async fn by_number(server: &TestApp) -> Option<i64> {
    let mut squatter = server.app();
    squatter.post("auth/code/request", json!({ "phone": NUMBER })).await.expect(401);
    // Whoever owns a number of no account is told so.
    let code = server.messages_for(NUMBER).await.into_iter().next()?.content.code?;
    squatter.post("auth/code/confirm", json!({ "code": code })).await.expect(200);
    Some(user(&mut squatter).await)
}

#[test]
fn h1_a_squatter_s_number_goes_when_the_owner_proves_the_address() {
    on_both(async |backend| {
        for by_code in [false, true] {
            for proof in ["login", "reset"] {
                let server = TestApp::start(backend, &numbers(by_code)).await;
                squat(&server).await;
                let mut owner = server.app();
                match (proof, by_code) {
                    ("login", _) => {
                        owner.post("auth/code/request", json!({ "email": ADDRESS })).await.expect(401);
                        let code = server.code_for(ADDRESS).await;
                        owner.post("auth/code/confirm", json!({ "code": code })).await.expect(200);
                    }
                    (_, true) => {
                        owner.post("auth/password/request", json!({ "email": ADDRESS })).await.expect(401);
                        let key = server.code_for(ADDRESS).await;
                        let new = json!({ "key": key, "password": OTHER });
                        owner.post("auth/password/reset", new).await.expect(401);
                    }
                    (_, false) => {
                        let key = reset_key(&server, ADDRESS).await;
                        reset(&server, &key).await.expect(401);
                    }
                }
                assert_eq!(by_number(&server).await, None, "{proof}, {by_code}");
            }
        }
    });
}

#[test]
fn h3_an_address_opens_no_account_whose_number_is_proved_and_whose_address_is_not() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, &numbers(false), &idp).await;
        let squatted = squat(&server).await;
        let mut owner = server.browser();
        let owner_there = Person::verified("owner", ADDRESS);
        assert_eq!(travel(&mut owner, &idp, "idp", "login", &owner_there).await, BACK);
        assert!(is_nobody(&mut owner).await);
        assert_eq!(by_number(&server).await, Some(squatted), "nothing has changed for whoever has it");
    });
}

#[test]
fn s4_to_look_where_a_callback_leads_is_not_to_get_there() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let mut browser = server.browser();
        let page = depart(&mut browser, "idp", "login").await;
        let answer = idp.authorize(&page, &ada());
        browser.call(Method::HEAD, &answer.url()).send().await.expect(405);
        assert!(is_nobody(&mut browser).await);
        assert_eq!(idp.called("/token"), 0);
        assert_eq!(arrive(&mut browser, &answer).await, BACK);
    });
}

#[test]
fn o6_no_more_is_kept_of_a_form_than_a_provider_could_send() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let mut browser = server.browser();
        let page = depart(&mut browser, "idp", "login").await;
        let answer = idp.authorize(&page, &ada());
        let mut bare = server.browser();
        let form = format!("{}&more={}", answer.form(), "x".repeat(40_000));
        let call = bare.call(Method::POST, &answer.path).raw(FORM, form).without_csrf();
        assert_eq!(location(&call.send().await.expect(302)), LOST);
        assert_eq!(arrive(&mut browser, &answer).await, BACK, "the flow waits for its answer");
    });
}

#[test]
fn e6_a_subject_with_control_characters_is_nobody() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        for sub in ["a\0b", "\0", "a\nb", "a\u{85}"] {
            let mut client = server.app();
            let reply = bring(&mut client, &idp, "login", &Person::new(sub)).await.expect(400);
            assert_eq!(reply.errors(), [("token", "invalid_token")], "{sub:?}");
        }
    });
}

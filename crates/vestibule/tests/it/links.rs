//! Links: how often they work, what ends them, and what they prove (C4, C5).

use axum::http::Method;
use serde_json::json;
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::Reply;
use vestibule_testkit::database::on_both;

use super::codes::{Flow, OTHER, PASSWORD, account, addresses, entered, login, password, reset, reset_key};
use super::log::Ear;

const LINKS: &str = "account.rate_limits = false";

fn dead(reply: Reply) {
    assert_eq!(reply.expect(400).errors(), [("key", "invalid_password_reset")]);
}

#[test]
fn c4_a_reset_key_works_once_and_does_not_log_in() {
    on_both(async |backend| {
        let app = TestApp::start(backend, LINKS).await;
        account(&app, "a@example.org").await;
        let key = reset_key(&app, "a@example.org").await;
        let mut client = app.app();
        let look = client.call(Method::GET, "auth/password/reset").header("x-password-reset-key", &key);
        look.send().await.expect(200);
        let body = json!({ "key": key, "password": OTHER });
        let reply = client.post("auth/password/reset", body.clone()).await.expect(401);
        assert_eq!(reply.json["meta"]["is_authenticated"], false);
        client.get("auth/session").await.expect(401);
        dead(client.post("auth/password/reset", body).await);
        login(&mut app.app(), "a@example.org", PASSWORD).await.expect(400);
        login(&mut app.app(), "a@example.org", OTHER).await.expect(200);
    });
}

#[test]
fn c4_a_reset_logs_in_where_that_is_configured() {
    on_both(async |backend| {
        let settings = "account = { rate_limits = false, login_on_password_reset = true }";
        let app = TestApp::start(backend, settings).await;
        account(&app, "a@example.org").await;
        let key = reset_key(&app, "a@example.org").await;
        let mut client = app.app();
        client.post("auth/password/reset", json!({ "key": key, "password": OTHER })).await.expect(200);
        client.get("auth/session").await.expect(200);
    });
}

#[test]
fn c4_a_reset_key_lasts_an_hour() {
    on_both(async |backend| {
        let app = TestApp::start(backend, LINKS).await;
        account(&app, "a@example.org").await;
        let key = reset_key(&app, "a@example.org").await;
        app.pass(3600);
        dead(reset(&app, &key).await);
        let key = reset_key(&app, "a@example.org").await;
        app.pass(3599);
        reset(&app, &key).await.expect(401);
    });
}

#[test]
fn c4_a_reset_key_dies_with_a_change_of_password() {
    on_both(async |backend| {
        let app = TestApp::start(backend, LINKS).await;
        let id = account(&app, "a@example.org").await;

        let (one, two) = (reset_key(&app, "a@example.org").await, reset_key(&app, "a@example.org").await);
        app.app().post("auth/password/reset", json!({ "key": one, "password": PASSWORD })).await.expect(401);
        dead(reset(&app, &two).await);

        let key = reset_key(&app, "a@example.org").await;
        let mut own = entered(&app, "a@example.org").await;
        let change = json!({ "current_password": PASSWORD, "new_password": "and now a third 99" });
        own.post("account/password/change", change).await.expect(200);
        dead(reset(&app, &key).await);

        let key = reset_key(&app, "a@example.org").await;
        app.vestibule.users().set_password(id, password(PASSWORD)).await.expect("a new password");
        dead(reset(&app, &key).await);
    });
}

#[test]
fn c4_a_reset_key_dies_with_a_change_of_the_email() {
    on_both(async |backend| {
        let app = TestApp::start(backend, LINKS).await;
        account(&app, "a@example.org").await;
        let mut own = entered(&app, "a@example.org").await;
        own.post("account/email", json!({ "email": "b@example.org" })).await.expect(200);
        let proof = app.link_key_for("b@example.org").await;

        let key = reset_key(&app, "a@example.org").await;
        own.post("auth/email/verify", json!({ "key": proof })).await.expect(200);
        dead(reset(&app, &key).await);

        let key = reset_key(&app, "a@example.org").await;
        own.patch("account/email", json!({ "email": "b@example.org", "primary": true })).await.expect(200);
        dead(reset(&app, &key).await);

        let key = reset_key(&app, "a@example.org").await;
        own.delete("account/email", json!({ "email": "a@example.org" })).await.expect(200);
        dead(reset(&app, &key).await);

        let settings = "account = { rate_limits = false, change_email = true }";
        let app = TestApp::start(backend, settings).await;
        account(&app, "a@example.org").await;
        let mut own = entered(&app, "a@example.org").await;
        own.post("account/email", json!({ "email": "b@example.org" })).await.expect(200);
        let proof = app.link_key_for("b@example.org").await;
        let key = reset_key(&app, "a@example.org").await;
        own.post("auth/email/verify", json!({ "key": proof })).await.expect(200);
        dead(reset(&app, &key).await);
    });
}

#[test]
fn c4_a_reset_key_or_code_dies_with_the_active_flag() {
    on_both(async |backend| {
        let app = TestApp::start(backend, LINKS).await;
        let id = account(&app, "a@example.org").await;
        let key = reset_key(&app, "a@example.org").await;
        app.vestibule.users().deactivate(id).await.expect("an account");
        dead(reset(&app, &key).await);
        app.vestibule.users().activate(id).await.expect("an account");
        dead(reset(&app, &key).await);

        let flow = Flow::Reset;
        let app = TestApp::start(backend, flow.settings()).await;
        let mut client = flow.begin(&app, 1).await;
        let code = app.code_for(&flow.address(1)).await;
        let id = app.vestibule.users().find(&flow.address(1)).await.expect("an account").id;
        app.vestibule.users().deactivate(id).await.expect("an account");
        app.vestibule.users().activate(id).await.expect("an account");
        flow.confirm(&mut client, &code).await.expect(409);
    });
}

#[test]
fn c4_a_reset_key_is_in_the_mail_and_nowhere_else() {
    on_both(async |backend| {
        let app = TestApp::start(backend, LINKS).await;
        account(&app, "a@example.org").await;
        for mut client in [app.app(), app.browser()] {
            let mut replies = Vec::new();
            let email = json!({ "email": "a@example.org" });
            replies.push(client.post("auth/password/request", email).await.expect(200));
            let key = app.link_key_for("a@example.org").await;
            let token = key.split_once('-').expect("user and token").1.to_owned();
            let call = client.call(Method::GET, "auth/password/reset").header("x-password-reset-key", &key);
            replies.push(call.send().await.expect(200));
            let weak = json!({ "key": key, "password": "short" });
            replies.push(client.post("auth/password/reset", weak).await.expect(400));
            let good = json!({ "key": key, "password": OTHER });
            replies.push(client.post("auth/password/reset", good).await.expect(401));
            for reply in replies {
                assert_eq!(reply.header("location"), None, "no redirect");
                assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
                assert_eq!(reply.header("cache-control"), Some("no-store"));
                let seen = format!("{:?} {reply}", reply.headers);
                assert!(!seen.contains(&token), "{seen}");
            }
        }
    });
}

#[test]
fn c4_a_reset_key_reaches_no_line_of_the_log() {
    on_both(async |backend| {
        let mut log = Ear::open();
        let app = TestApp::start(backend, LINKS).await;
        account(&app, "a@example.org").await;
        let key = reset_key(&app, "a@example.org").await;
        let token = key.split_once('-').expect("user and token").1.to_owned();
        let mut client = app.app();
        let call = client.call(Method::GET, "auth/password/reset").header("x-password-reset-key", &key);
        call.send().await.expect(200);
        // As a front end that is mistaken might send it, or a thief try it.
        client.get(&format!("auth/password/reset?key={key}")).await;
        client.get(&format!("/{key}")).await.expect(404);
        let odd = json!({ "key": format!("{key}x"), "password": OTHER, "email": key });
        client.post("auth/password/reset", odd).await.expect(400);
        client.post("auth/password/reset", json!({ "key": key, "password": "short" })).await.expect(400);
        reset(&app, &key).await.expect(401);
        reset(&app, &key).await.expect(400);
        let lines = log.lines();
        for event in ["password_reset_requested", "event=\"password_reset\""] {
            assert!(lines.iter().any(|line| line.contains(event)), "{event} was not heard");
        }
        for line in lines {
            assert!(!line.contains(&token), "{line}");
        }
    });
}

#[test]
fn c5_a_link_verifies_the_address_it_was_mailed_to_for_the_user_who_asked() {
    on_both(async |backend| {
        let app = TestApp::start(backend, LINKS).await;
        account(&app, "a@example.org").await;
        account(&app, "stranger@example.org").await;
        let mut own = entered(&app, "a@example.org").await;
        for email in ["b@example.org", "c@example.org"] {
            own.post("account/email", json!({ "email": email })).await.expect(200);
        }
        let key = app.link_key_for("b@example.org").await;
        let mut stranger = entered(&app, "stranger@example.org").await;
        stranger.post("auth/email/verify", json!({ "key": key })).await.expect(200);
        let row = |email: &str, verified, primary| (email.to_owned(), verified, primary);
        assert_eq!(
            addresses(&mut own).await,
            [
                row("a@example.org", true, true),
                row("b@example.org", true, false),
                row("c@example.org", false, false)
            ]
        );
        assert_eq!(addresses(&mut stranger).await, [row("stranger@example.org", true, true)]);
    });
}

#[test]
fn c5_a_link_dies_with_the_address_it_was_mailed_to() {
    on_both(async |backend| {
        let app = TestApp::start(backend, LINKS).await;
        account(&app, "a@example.org").await;
        let mut own = entered(&app, "a@example.org").await;
        let email = json!({ "email": "b@example.org" });
        own.post("account/email", email.clone()).await.expect(200);
        let key = app.link_key_for("b@example.org").await;
        own.delete("account/email", email.clone()).await.expect(200);
        let verify = json!({ "key": key });
        own.post("auth/email/verify", verify.clone()).await.expect(400);
        own.post("account/email", email).await.expect(200);
        own.post("auth/email/verify", verify).await.expect(400);
        assert!(!addresses(&mut own).await[1].1);
    });
}

#[test]
fn c5_with_change_email_the_old_address_stays_in_force_until_the_new_one_is_proved() {
    on_both(async |backend| {
        for by_code in [false, true] {
            let settings = format!(
                "account = {{ rate_limits = false, change_email = true, email_verification_by_code_enabled = {by_code} }}"
            );
            let app = TestApp::start(backend, &settings).await;
            account(&app, "old@example.org").await;
            let mut own = entered(&app, "old@example.org").await;
            own.post("account/email", json!({ "email": "typo@example.org" })).await.expect(200);
            own.post("account/email", json!({ "email": "new@example.org" })).await.expect(200);
            let row = |email: &str, verified, primary| (email.to_owned(), verified, primary);
            let old = row("old@example.org", true, true);
            assert_eq!(addresses(&mut own).await, [old, row("new@example.org", false, false)]);
            assert_eq!(own.get("auth/session").await.data()["user"]["email"], "old@example.org");
            login(&mut app.app(), "old@example.org", PASSWORD).await.expect(200);
            reset_key(&app, "old@example.org").await;

            // What was mailed to the address that was replaced is worthless.
            let key = async |email: &str| match by_code {
                true => app.code_for(email).await,
                false => app.link_key_for(email).await,
            };
            let (typo, new) = (key("typo@example.org").await, key("new@example.org").await);
            own.post("auth/email/verify", json!({ "key": typo })).await.expect(400);
            let reply = own.post("auth/email/verify", json!({ "key": new })).await.expect(200);
            assert_eq!(reply.data()["user"]["email"], "new@example.org");
            assert_eq!(addresses(&mut own).await, [row("new@example.org", true, true)]);
            login(&mut app.app(), "old@example.org", PASSWORD).await.expect(400);
            login(&mut app.app(), "new@example.org", PASSWORD).await.expect(200);
        }
    });
}

#[test]
fn c5_mail_goes_to_the_stored_spelling() {
    on_both(async |backend| {
        let app = TestApp::start(backend, Flow::Login.settings()).await;
        account(&app, "Alice@Example.ORG").await;
        let typed = "  ALICE@example.Org ";
        app.app().post("auth/password/request", json!({ "email": typed })).await.expect(401);
        app.app().post("auth/code/request", json!({ "email": typed })).await.expect(401);
        assert_eq!(app.messages_for("alice@example.org").await.len(), 2);
        let all = vestibule_base::delivery::mailbox::list(&app.db).await.expect("the mailbox");
        assert_eq!(all.len(), 2, "{all:?}");
    });
}

//! The email addresses of an account: listing, adding, verifying, choosing and removing them.

use serde_json::{Value, json};
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::Client;
use vestibule_testkit::database::{Backend, on_both};

use crate::login::{PASSWORD, login, user};

const ADA: &str = "ada@example.org";
const NEW: &str = "countess@example.org";
const THIRD: &str = "lovelace@example.org";

/// A server with a user who is logged in, once as each kind of client.
async fn logged_in(backend: Backend, settings: &str) -> (TestApp, [Client; 2]) {
    let server = TestApp::start(backend, settings).await;
    user(&server, ADA, None, Some(PASSWORD)).await;
    let mut clients = [server.app(), server.browser()];
    for client in &mut clients {
        login(client, ADA, PASSWORD).await.expect(200);
    }
    (server, clients)
}

fn row(email: &str, primary: bool, verified: bool) -> Value {
    json!({"email": email, "primary": primary, "verified": verified})
}

async fn list(client: &mut Client) -> Value {
    client.get("account/email").await.expect(200).data().clone()
}

#[test]
fn an_address_is_added_verified_chosen_and_removed() {
    on_both(async |backend| {
        let (server, clients) = logged_in(backend, "account.rate_limits = { manage_email = false }").await;
        let (mut primary, mut second) = (ADA, NEW);
        for mut client in clients {
            assert_eq!(list(&mut client).await, json!([row(primary, true, true)]));
            let reply =
                client.post("account/email", json!({"email": format!(" {} ", second.to_uppercase())})).await;
            assert_eq!(
                reply.expect(200).data(),
                &json!([row(primary, true, true), row(second, false, false)])
            );
            let reply =
                client.patch("account/email", json!({"email": second, "primary": true})).await.expect(400);
            assert_eq!(reply.errors(), [("email", "unverified_primary_email")]);

            // A second mail has to wait; the first one's link goes on working.
            let key = server.link_key_for(second).await;
            client.put("account/email", json!({"email": second})).await.expect(403);
            server.pass(181);
            client.put("account/email", json!({"email": second})).await.expect(200);
            assert_ne!(server.link_key_for(second).await, key);
            client.post("auth/email/verify", json!({"key": key})).await.expect(200);
            assert_eq!(list(&mut client).await, json!([row(primary, true, true), row(second, false, true)]));

            let reply =
                client.patch("account/email", json!({"email": second, "primary": true})).await.expect(200);
            assert_eq!(reply.data(), &json!([row(primary, false, true), row(second, true, true)]));
            let reply = client.get("auth/session").await.expect(200);
            assert_eq!(reply.data()["user"]["email"], second);
            let reply = client.delete("account/email", json!({"email": second})).await.expect(400);
            assert_eq!(reply.errors(), [("email", "cannot_remove_primary_email")]);
            let reply = client.delete("account/email", json!({"email": primary})).await.expect(200);
            assert_eq!(reply.data(), &json!([row(second, true, true)]));
            let reply = client.delete("account/email", json!({"email": second})).await.expect(400);
            assert_eq!(reply.errors(), [("email", "cannot_remove_primary_email")]);

            login(&mut server.app(), primary, PASSWORD).await.expect(400);
            login(&mut server.app(), second, PASSWORD).await.expect(200);
            (primary, second) = (second, primary);
            server.pass(181);
        }
    });
}

#[test]
fn what_is_wrong_with_an_address_is_said() {
    on_both(async |backend| {
        let (_server, clients) = logged_in(backend, "account.rate_limits = false").await;
        for mut client in clients {
            for (method, body, error) in [
                ("POST", json!({}), ("email", "required")),
                ("POST", json!({"email": "no address"}), ("email", "invalid")),
                ("POST", json!({"email": "ADA@example.org"}), ("email", "duplicate_email")),
                ("PUT", json!({"email": NEW}), ("email", "unknown_email")),
                ("PATCH", json!({"email": NEW, "primary": true}), ("email", "unknown_email")),
                ("PATCH", json!({"email": ADA, "primary": false}), ("primary", "required")),
                ("PATCH", json!({"email": ADA}), ("primary", "required")),
                ("DELETE", json!({"email": NEW}), ("email", "unknown_email")),
                ("DELETE", json!({"email": [ADA]}), ("email", "invalid")),
            ] {
                let call = client.call(method.parse().unwrap(), "account/email").json(&body);
                assert_eq!(call.send().await.expect(400).errors(), [error], "{method} {body}");
            }
            assert_eq!(list(&mut client).await, json!([row(ADA, true, true)]));
        }
    });
}

#[test]
fn an_address_that_waits_for_its_code_is_kept_back() {
    let settings = "
        [account]
        email_verification_by_code_enabled = true
        email_verification_supports_resend = 1
        rate_limits = { manage_email = false }";
    on_both(async |backend| {
        let (server, [mut app, mut browser]) = logged_in(backend, settings).await;
        let reply = app.post("account/email", json!({"email": NEW})).await.expect(200);
        assert_eq!(reply.data(), &json!([row(ADA, true, true), row(NEW, false, false)]));
        assert_eq!(list(&mut browser).await, json!([row(ADA, true, true)]), "it is this session's");
        let first = server.code_for(NEW).await;
        app.put("account/email", json!({"email": NEW})).await.expect(403);
        server.pass(11);
        app.put("account/email", json!({"email": NEW})).await.expect(200);
        app.post("auth/email/verify", json!({"key": first})).await.expect(400);
        let code = server.code_for(NEW).await;
        browser.post("auth/email/verify", json!({"key": code})).await.expect(409);

        // Giving it up kills its code.
        let reply = app.delete("account/email", json!({"email": NEW})).await.expect(200);
        assert_eq!(reply.data(), &json!([row(ADA, true, true)]));
        app.post("auth/email/verify", json!({"key": code})).await.expect(409);

        server.pass(11);
        app.post("account/email", json!({"email": NEW})).await.expect(200);
        let code = server.code_for(NEW).await;
        app.post("auth/email/verify", json!({"key": code})).await.expect(200);
        for mut client in [app, browser] {
            assert_eq!(list(&mut client).await, json!([row(ADA, true, true), row(NEW, false, true)]));
        }
    });
}

#[test]
fn there_may_be_a_most() {
    on_both(async |backend| {
        let (_server, [mut client, _]) = logged_in(backend, "account.max_email_addresses = 2").await;
        client.post("account/email", json!({"email": NEW})).await.expect(200);
        let reply = client.post("account/email", json!({"email": THIRD})).await.expect(400);
        assert_eq!(reply.errors(), [("email", "max_email_addresses")]);
        client.delete("account/email", json!({"email": NEW})).await.expect(200);
        client.post("account/email", json!({"email": THIRD})).await.expect(200);
    });
}

#[test]
fn a_new_address_takes_the_place_of_the_old_one_once_it_is_verified() {
    on_both(async |backend| {
        for by_code in [false, true] {
            let settings = format!(
                "account = {{ change_email = true, max_email_addresses = 1, email_notifications = true, \
                 email_verification_by_code_enabled = {by_code} }}"
            );
            let (server, [mut client, mut browser]) = logged_in(backend, &settings).await;
            client.post("account/email", json!({"email": THIRD})).await.expect(200);
            // Another one replaces the one that waits, and its key with it.
            let former =
                if by_code { server.code_for(THIRD).await } else { server.link_key_for(THIRD).await };
            client.post("account/email", json!({"email": NEW})).await.expect(200);
            assert_eq!(list(&mut client).await, json!([row(ADA, true, true), row(NEW, false, false)]));
            client.post("auth/email/verify", json!({"key": former})).await.expect(400);
            login(&mut server.app(), ADA, PASSWORD).await.expect(200);

            let key = if by_code { server.code_for(NEW).await } else { server.link_key_for(NEW).await };
            let reply = client.post("auth/email/verify", json!({"key": key})).await.expect(200);
            assert_eq!(reply.data()["user"]["email"], NEW);
            assert_eq!(list(&mut browser).await, json!([row(NEW, true, true)]));
            login(&mut server.app(), ADA, PASSWORD).await.expect(400);
            login(&mut server.app(), NEW, PASSWORD).await.expect(200);
            assert_eq!(server.messages_for(ADA).await.len(), 1, "the old address is told");
        }
    });
}

#[test]
fn an_address_that_somebody_has_proved_cannot_be_proved_by_another() {
    on_both(async |backend| {
        for by_code in [false, true] {
            let settings = format!(
                "account = {{ email_verification_by_code_enabled = {by_code}, rate_limits = false }}"
            );
            let (server, [mut ada, _]) = logged_in(backend, &settings).await;
            user(&server, NEW, None, Some(PASSWORD)).await;
            ada.post("account/email", json!({"email": NEW})).await.expect(200);
            let key = if by_code { server.code_for(NEW).await } else { server.link_key_for(NEW).await };
            let reply = ada.post("auth/email/verify", json!({"key": key})).await.expect(400);
            assert_eq!(reply.errors(), [("key", "email_taken")]);
            let verified =
                list(&mut ada).await.as_array().unwrap().iter().filter(|row| row["verified"] == true).count();
            assert_eq!(verified, 1);
            let reply = login(&mut server.app(), NEW, PASSWORD).await.expect(200);
            assert_eq!(reply.data()["user"]["email"], NEW, "its owner still is");
        }
    });
}

#[test]
fn sessions_are_listed_and_ended() {
    on_both(async |backend| {
        let (_server, [mut app, mut browser]) = logged_in(backend, "").await;
        let reply = app.get("auth/sessions").await.expect(200);
        let sessions = reply.data().as_array().unwrap();
        assert_eq!(sessions.len(), 2);
        let other = sessions.iter().find(|session| session["is_current"] == false).unwrap();
        let reply = app.delete("auth/sessions", json!({"sessions": [other["id"]]})).await.expect(200);
        assert_eq!(reply.data().as_array().unwrap().len(), 1);
        browser.get("auth/session").await.expect(401);
        app.get("auth/session").await.expect(200);
    });
}

//! People download what is kept of them, and delete their account.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::Client;
use vestibule_testkit::database::on_both;

const PASSWORD: &str = "correct horse battery staple";
const ON: &str = "account = { deletion_enabled = true, data_export_enabled = true, email_notifications = true, email_verification = 'optional' }";

/// Signs up in a client; gives the user's id.
async fn sign_up(client: &mut Client, email: &str) -> i64 {
    let body = json!({ "email": email, "password": PASSWORD });
    let reply = client.post("auth/signup", body).await.expect(200);
    reply.data()["user"]["id"].as_i64().unwrap()
}

async fn prove(client: &mut Client) {
    client.post("auth/reauthenticate", json!({ "password": PASSWORD })).await.expect(200);
}

#[test]
fn neither_is_there_unless_it_is_switched_on() {
    on_both(async |backend| {
        let server = TestApp::start(backend, "account.email_verification = 'optional'").await;
        let mut app = server.app();
        sign_up(&mut app, "ada@example.org").await;
        app.delete("account", Value::Null).await.expect(404);
        app.get("account/export").await.expect(404);
    });
}

#[test]
fn p4_leaving_and_taking_along_take_a_fresh_proof() {
    on_both(async |backend| {
        let server = TestApp::start(backend, ON).await;
        for mut client in [server.app(), server.browser()] {
            client.delete("account", Value::Null).await.expect(401);
            client.get("account/export").await.expect(401);
        }
        for (mut client, email) in [(server.app(), "a@example.org"), (server.browser(), "b@example.org")] {
            sign_up(&mut client, email).await;
            for reply in [client.delete("account", Value::Null).await, client.get("account/export").await] {
                let reply = reply.expect(401);
                assert_eq!(reply.json["meta"]["is_authenticated"], true);
                assert_eq!(reply.data()["flows"][0]["id"], "reauthenticate");
            }
            prove(&mut client).await;
            client.get("account/export").await.expect(200);
            server.pass(300);
            client.delete("account", Value::Null).await.expect(401);
            client.get("auth/session").await.expect(200);
        }
    });
}

#[test]
fn x3_what_is_kept_is_given_in_full_and_without_secrets() {
    on_both(async |backend| {
        let server = TestApp::start(backend, ON).await;
        let mut other = server.app();
        sign_up(&mut other, "bea@example.org").await;
        let mut app = server.app();
        let id = sign_up(&mut app, "ada@example.org").await;
        let mut tx = server.db.write().await.unwrap();
        let extra = json!({ "login": "ada" }).to_string();
        vestibule_base::storage::social::insert(&mut tx, id, "github", "7", &extra, 0).await.unwrap();
        tx.commit().await.unwrap();
        prove(&mut app).await;
        let reply = app.get("account/export").await.expect(200);
        assert_eq!(reply.header("content-disposition"), Some("attachment; filename=\"account.json\""));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let data = reply.data();
        assert_eq!(data["id"], id);
        assert_eq!(data["emails"][0]["email"], "ada@example.org");
        assert_eq!(data["providers"][0]["extra_data"]["login"], "ada");
        assert_eq!(data["sessions"].as_array().unwrap().len(), 1);
        let events: Vec<&str> =
            data["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(events.first(), Some(&"signed_up"), "{events:?}");
        assert_eq!(events.last(), Some(&"reauthenticated"), "{events:?}");
        let text = reply.json.to_string();
        assert!(!text.contains("bea@") && !text.contains("$argon2") && !text.contains(app.token().unwrap()));
    });
}

#[test]
fn s2_an_account_that_is_deleted_is_gone_with_all_that_was_in_by_it() {
    on_both(async |backend| {
        let server = TestApp::start(backend, ON).await;
        for (mut client, email) in [(server.app(), "a@example.org"), (server.browser(), "b@example.org")] {
            let id = sign_up(&mut client, email).await;
            let key = server.link_key_for(email).await;
            client.post("auth/email/verify", json!({ "key": key })).await.expect(200);
            let mut elsewhere = server.app();
            let login = json!({ "email": email, "password": PASSWORD });
            elsewhere.post("auth/login", login.clone()).await.expect(200);
            prove(&mut client).await;
            let reply = client.delete("account", Value::Null).await.expect(401);
            assert_eq!(reply.json["meta"]["is_authenticated"], false);
            elsewhere.get("auth/session").await.expect(410);
            server.app().post("auth/login", login).await.expect(400);
            let mail = serde_json::to_string(&server.messages_for(email).await[0]).unwrap();
            assert!(mail.contains("was deleted"), "{mail}");

            // What has happened stays, and says of nobody from where or with what.
            let query = vestibule::EventQuery {
                user_id: Some(id),
                kind: None,
                since: None,
                before: None,
                limit: 100,
            };
            let events = server.vestibule.events().list(&query).await.unwrap();
            let last = events.last().unwrap();
            assert_eq!((last.kind.as_str(), last.by.as_str()), ("deleted", "user"));
            assert!(
                events
                    .iter()
                    .all(|one| one.ip.is_none() && one.user_agent.is_none() && one.detail.is_empty())
            );
            // The address is free again.
            sign_up(&mut server.app(), email).await;
        }
    });
}

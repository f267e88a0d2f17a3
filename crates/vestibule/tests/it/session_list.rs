//! The list of a user's sessions: what it shows, and what becomes of sessions that are over (S2).

#![expect(clippy::expect_used, reason = "a panic is how a test says that it failed")]

use serde_json::{Value, json};
use tokio::sync::watch;
use vestibule_base::vals;
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::Client;
use vestibule_testkit::database::on_both;

use crate::codes::{PASSWORD, account, entered};

/// User agents and addresses in the list, oldest session first.
async fn listed(client: &mut Client) -> Vec<(String, String)> {
    let reply = client.get("auth/sessions").await.expect(200);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let rows = reply.data().as_array().expect("a list").clone();
    rows.iter().map(|row| (text(&row["user_agent"]), text(&row["ip"]))).collect()
}

/// How many sessions, codes that are awaited, and logins under way there are.
async fn rows(app: &TestApp) -> (usize, usize, usize) {
    let mut conn = app.db.read().await.expect("a connection");
    let sessions = conn.all("SELECT id FROM sessions", vals![]).await.expect("rows").len();
    let processes = conn.all("SELECT id FROM processes", vals![]).await.expect("rows").len();
    let logins = conn.all("SELECT session_id FROM logins", vals![]).await.expect("rows").len();
    (sessions, processes, logins)
}

/// Clears away what has expired, once.
async fn sweep(app: &TestApp) {
    let (_stop, stopped) = watch::channel(true);
    app.vestibule.background(stopped).await;
}

#[test]
fn s2_what_is_over_is_not_listed_and_is_cleared_away() {
    on_both(async |backend| {
        let settings = "
            session.cookie_age = 7200
            account = { rate_limits = false, login_by_code_enabled = true }";
        let app = TestApp::start(backend, settings).await;
        account(&app, "ada@example.org").await;
        let mut first = entered(&app, "ada@example.org").await;
        // A login that waits for its code.
        let mut waiting = app.app();
        waiting.post("auth/code/request", json!({ "email": "ada@example.org" })).await.expect(401);
        app.pass(3600);
        let mut second = entered(&app, "ada@example.org").await;
        assert_eq!(listed(&mut second).await.len(), 2);
        assert_eq!(rows(&app).await, (3, 1, 1));
        sweep(&app).await;
        assert_eq!(rows(&app).await, (2, 0, 0), "the login that waited is gone, with all that hung on it");
        app.pass(3600);
        assert_eq!(listed(&mut second).await.len(), 1);
        sweep(&app).await;
        assert_eq!(rows(&app).await, (1, 0, 0));
        first.get("auth/session").await.expect(410);
        second.get("auth/session").await.expect(200);
    });
}

#[test]
fn s2_whoever_was_away_for_too_long_is_not_listed() {
    on_both(async |backend| {
        let settings = "session.idle_timeout = 600\naccount.rate_limits = false";
        let app = TestApp::start(backend, settings).await;
        account(&app, "ada@example.org").await;
        let idle = entered(&app, "ada@example.org").await;
        let mut busy = entered(&app, "ada@example.org").await;
        app.pass(400);
        assert_eq!(listed(&mut busy).await.len(), 2);
        app.pass(400);
        assert_eq!(listed(&mut busy).await.len(), 1);
        drop(idle);
    });
}

#[test]
fn s2_ids_that_are_no_sessions_of_the_user_are_refused_and_end_nothing() {
    on_both(async |backend| {
        let app = TestApp::start(backend, "account.rate_limits = false").await;
        account(&app, "ada@example.org").await;
        let mut own = entered(&app, "ada@example.org").await;
        let mut other = entered(&app, "ada@example.org").await;
        let ids = own.get("auth/sessions").await.expect(200).data().clone();
        let ids: Vec<i64> = (0..2).map(|at| ids[at]["id"].as_i64().expect("an id")).collect();
        for (sessions, code) in [
            (json!(null), "required"),
            (json!([]), "required"),
            (json!(""), "required"),
            (json!(12), "invalid_list"),
            (json!("12"), "invalid_list"),
            (json!([ids[1], [ids[0]]]), "invalid_list"),
            (json!([ids[1], "abc"]), "invalid_pk_value"),
            (json!([ids[1], ""]), "invalid_pk_value"),
            (json!([ids[1], "1\0"]), "null_characters_not_allowed"),
            (json!([ids[1], 987_654]), "invalid_choice"),
            (json!([ids[1], 1.5]), "invalid_choice"),
            (json!([ids[1], null]), "invalid_choice"),
            (json!([ids[1], 1e300]), "invalid_choice"),
        ] {
            let reply = own.delete("auth/sessions", json!({ "sessions": sessions })).await.expect(400);
            assert_eq!(reply.errors(), [("sessions", code)], "{sessions}");
        }
        other.get("auth/session").await.expect(200);
        let named_twice = json!({ "sessions": [ids[1].to_string(), ids[1]] });
        own.delete("auth/sessions", named_twice).await.expect(200);
        other.get("auth/session").await.expect(410);
    });
}

#[test]
fn tracked_browsers_are_noted_at_once_and_apps_within_a_minute() {
    on_both(async |backend| {
        let settings = "usersessions.track_activity = true\naccount.rate_limits = false";
        let app = TestApp::start(backend, settings).await;
        account(&app, "ada@example.org").await;
        let login = json!({ "email": "ada@example.org", "password": PASSWORD });
        for (client, at_once) in [(app.browser(), true), (app.app(), false)] {
            let mut client = client.with_header("user-agent", "before");
            client.post("auth/login", login.clone()).await.expect(200);
            let mut moved = client.with_header("user-agent", "after").from_ip([203, 0, 113, 9].into());
            let (before, after) = (
                ("before".to_owned(), "127.0.0.1".to_owned()),
                ("after".to_owned(), "203.0.113.9".to_owned()),
            );
            let own = listed(&mut moved).await.pop().expect("a session");
            assert_eq!(own, if at_once { after.clone() } else { before });
            app.pass(60);
            assert_eq!(listed(&mut moved).await.pop(), Some(after));
            let reply = moved.get("auth/sessions").await.expect(200);
            let seen =
                reply.data().as_array().expect("a list").last().expect("a session")["last_seen_at"].as_f64();
            assert!(seen.is_some(), "{reply}");
        }
    });
}

#[test]
fn without_tracking_a_session_stays_where_it_was_opened() {
    on_both(async |backend| {
        let app = TestApp::start(backend, "account.rate_limits = false").await;
        account(&app, "ada@example.org").await;
        let mut own = entered(&app, "ada@example.org").await.with_header("user-agent", "after");
        app.pass(3600);
        assert_eq!(listed(&mut own).await, [("vestibule-testkit".to_owned(), "127.0.0.1".to_owned())]);
        let reply = own.get("auth/sessions").await.expect(200);
        assert!(reply.data()[0].get("last_seen_at").is_none(), "{reply}");
    });
}

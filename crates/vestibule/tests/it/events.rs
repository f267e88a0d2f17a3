//! The log of events: what leaves one, what leaves none, and how it is read (X3).

#![expect(clippy::expect_used, reason = "a panic is how a test says that it failed")]

use serde_json::{Value, json};
use tokio::sync::watch;
use vestibule::{Event, EventQuery, Follower, Password, Recorded};
use vestibule_base::storage::events::{self, NewEvent};
use vestibule_base::vals;
use vestibule_testkit::app::{START, TestApp};
use vestibule_testkit::authenticator::Lie;
use vestibule_testkit::client::Client;
use vestibule_testkit::database::{Backend, on_both};
use vestibule_testkit::idp::{Idp, Person};

use super::codes::{OTHER, PASSWORD, account, entered, login, reset, reset_key};
use super::edge::unobserved;
use super::failure::dump;
use super::mfa::{self, ADA, AUTHENTICATE, CODES, FREE, TOTP, TRUST, half_way, prove, second_factor, shown};
use super::races::{at_once, post};
use super::social::{self, travel};
use super::webauthn::{self, KEYS, ORIGIN, enrol, key, sent, signed};

const ALL: EventQuery = EventQuery { user_id: None, kind: None, since: None, before: None, limit: 1000 };

/// What happens from now on.
struct Watch<'a> {
    app: &'a TestApp,
    follower: Follower,
}

impl<'a> Watch<'a> {
    async fn over(app: &'a TestApp) -> Self {
        Self { app, follower: app.vestibule.events().follow().await.expect("the log") }
    }

    async fn events(&mut self) -> Vec<Recorded> {
        self.app.vestibule.events().next(&mut self.follower).await.expect("the log")
    }

    /// That exactly these events have happened since this was last asked: their names, with what they say.
    #[track_caller]
    fn saw(&mut self, expected: &[&str]) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        let expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        async move {
            let events = self.events().await;
            let said: Vec<String> = events
                .iter()
                .map(|event| format!("{} {}", event.kind, event.detail).trim().to_owned())
                .collect();
            assert_eq!(said, expected, "at {place}");
        }
    }
}

async fn all(app: &TestApp) -> Vec<Recorded> {
    app.vestibule.events().list(&ALL).await.expect("the log")
}

async fn sweep(app: &TestApp) {
    let (_stop, stopped) = watch::channel(true);
    app.vestibule.background(stopped).await;
}

#[test]
fn x3_addresses_passwords_and_sessions_leave_their_events() {
    on_both(async |backend| {
        let app = TestApp::start(backend, FREE).await;
        let mut seen = Watch::over(&app).await;
        let mut ada = app.app().with_header("user-agent", "Ada's browser");
        ada.post("auth/signup", json!({ "email": ADA, "password": PASSWORD })).await.expect(401);
        let [signed_up] = <[Recorded; 1]>::try_from(seen.events().await).expect("one event");
        assert_eq!((signed_up.kind.as_str(), signed_up.by.as_str()), ("signed_up", "user"));
        assert_eq!((signed_up.at, signed_up.client.as_deref()), (START, Some("app")));
        assert_eq!(signed_up.user_agent.as_deref(), Some("Ada's browser"));
        assert!(signed_up.ip.is_some() && signed_up.user_id.is_some());
        let key = app.link_key_for(ADA).await;
        // Somebody with the same address gets the same answer; nothing has happened to an account.
        app.app().post("auth/signup", json!({ "email": ADA, "password": OTHER })).await.expect(401);
        seen.saw(&[]).await;
        ada.post("auth/email/verify", json!({ "key": key })).await.expect(401);
        seen.saw(&["email_verified"]).await;
        login(&mut ada, ADA, PASSWORD).await.expect(200);
        seen.saw(&["logged_in password"]).await;
        ada.get("auth/session").await.expect(200);
        ada.get("account/email").await.expect(200);
        ada.get("auth/sessions").await.expect(200);
        seen.saw(&[]).await;

        login(&mut app.app(), ADA, OTHER).await.expect(400);
        login(&mut app.app(), "nobody@example.org", OTHER).await.expect(400);
        let failed = seen.events().await;
        let of: Vec<_> = failed.iter().map(|event| (event.kind.as_str(), event.user_id)).collect();
        assert_eq!(of, [("login_failed", signed_up.user_id), ("login_failed", None)]);

        ada.post("auth/reauthenticate", json!({ "password": OTHER })).await.expect(400);
        seen.saw(&["login_failed password"]).await;
        prove(&mut ada).await;
        seen.saw(&["reauthenticated password"]).await;
        let more = json!({ "email": "more@example.org" });
        ada.post("account/email", more.clone()).await.expect(200);
        seen.saw(&["email_added"]).await;
        ada.post("account/email", more.clone()).await.expect(400);
        seen.saw(&[]).await;
        let key = app.link_key_for("more@example.org").await;
        ada.post("auth/email/verify", json!({ "key": key })).await.expect(200);
        seen.saw(&["email_verified"]).await;
        ada.patch("account/email", json!({ "email": "more@example.org", "primary": true })).await.expect(200);
        seen.saw(&["primary_email_changed"]).await;
        ada.delete("account/email", json!({ "email": ADA })).await.expect(200);
        seen.saw(&["email_removed"]).await;
        ada.delete("account/email", more).await.expect(400);
        seen.saw(&[]).await;

        let change = json!({ "current_password": PASSWORD, "new_password": "short" });
        ada.post("account/password/change", change).await.expect(400);
        seen.saw(&[]).await;
        let change = json!({ "current_password": PASSWORD, "new_password": OTHER });
        ada.post("account/password/change", change).await.expect(200);
        seen.saw(&["password_changed"]).await;
        let key = reset_key(&app, "more@example.org").await;
        seen.saw(&["password_reset_requested"]).await;
        app.app().post("auth/password/request", json!({ "email": "nobody@example.org" })).await.expect(200);
        seen.saw(&["password_reset_requested"]).await;
        reset(&app, &key).await.expect(401);
        seen.saw(&["password_reset"]).await;
        reset(&app, &key).await.expect(400);
        seen.saw(&[]).await;

        let (mut one, mut two) = (app.app(), app.app());
        login(&mut one, "more@example.org", OTHER).await.expect(200);
        login(&mut two, "more@example.org", OTHER).await.expect(200);
        seen.saw(&["logged_in password", "logged_in password"]).await;
        let listed = two.get("auth/sessions").await.expect(200).data().clone();
        let other = listed.as_array().expect("a list").iter().find(|row| row["is_current"] == false);
        let ids = json!({ "sessions": [other.expect("another one")["id"]] });
        two.delete("auth/sessions", ids).await.expect(200);
        seen.saw(&["sessions_ended chosen from the list"]).await;
        two.delete("auth/session", json!({})).await.expect(401);
        seen.saw(&["logged_out"]).await;
    });
}

#[test]
fn x3_codes_leave_their_events() {
    on_both(async |backend| {
        let settings = "
            [account]
            rate_limits = false
            login_methods = ['email', 'phone']
            signup_fields = ['email*', 'phone', 'password1*']
            email_verification_by_code_enabled = true
            login_by_code_enabled = true
            password_reset_by_code_enabled = true";
        let app = TestApp::start(backend, settings).await;
        let mut seen = Watch::over(&app).await;
        let phone = "+31612345678";
        let mut ada = app.app();
        let new = json!({ "email": ADA, "phone": phone, "password": PASSWORD });
        ada.post("auth/signup", new).await.expect(401);
        seen.saw(&["signed_up"]).await;
        ada.post("auth/phone/verify", json!({ "code": "000000" })).await.expect(400);
        seen.saw(&["code_rejected verify_phone"]).await;
        let code = app.code_for(phone).await;
        ada.post("auth/phone/verify", json!({ "code": code })).await.expect(401);
        seen.saw(&["phone_verified"]).await;
        let code = app.code_for(ADA).await;
        ada.post("auth/email/verify", json!({ "key": "WRONG1" })).await.expect(400);
        seen.saw(&["code_rejected verify_email"]).await;
        ada.post("auth/email/verify", json!({ "key": code })).await.expect(200);
        seen.saw(&["email_verified", "logged_in signup"]).await;

        let mut eve = app.app();
        eve.post("auth/code/request", json!({ "email": ADA })).await.expect(401);
        seen.saw(&[]).await;
        eve.post("auth/code/confirm", json!({ "code": "WRONG1" })).await.expect(400);
        seen.saw(&["code_rejected login_code"]).await;
        let code = app.code_for(ADA).await;
        eve.post("auth/code/confirm", json!({ "code": code })).await.expect(200);
        seen.saw(&["logged_in code"]).await;
    });
}

#[test]
fn x3_second_factors_leave_their_events() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &format!("{}\ntrust_enabled = true", webauthn::SETTINGS)).await;
        account(&app, ADA).await;
        let mut seen = Watch::over(&app).await;
        let mut ada = entered(&app, ADA).await;
        prove(&mut ada).await;
        seen.saw(&["logged_in password", "reauthenticated password"]).await;
        let totp = mfa::offered(&mut ada).await;
        ada.post(TOTP, json!({ "code": totp.wrong(&app) })).await.expect(400);
        seen.saw(&["second_factor_failed setting up"]).await;
        ada.post(TOTP, json!({ "code": totp.code(&app) })).await.expect(200);
        seen.saw(&["authenticator_added totp", "authenticator_added recovery_codes"]).await;
        app.pass(60);
        let codes = shown(&ada.post(CODES, json!({})).await.expect(200));
        seen.saw(&["recovery_codes_generated"]).await;

        let mut half = half_way(app.browser(), ADA).await;
        seen.saw(&[]).await;
        second_factor(&mut half, &totp.wrong(&app)).await.expect(400);
        seen.saw(&["second_factor_failed"]).await;
        half.post(AUTHENTICATE, json!({ "code": codes[0] })).await.expect(401);
        seen.saw(&["recovery_code_used"]).await;
        half.post(TRUST, json!({ "trust": true })).await.expect(200);
        seen.saw(&["browser_trusted", "logged_in mfa"]).await;

        let mut key = key();
        let id = enrol(&mut ada, &mut key, "?passwordless").await;
        seen.saw(&["reauthenticated password", "authenticator_added webauthn"]).await;
        let login = "auth/webauthn/login";
        let mut other = app.app();
        let good = signed(&mut key, &mut other, login).await;
        other.post(login, sent(&good)).await.expect(200);
        seen.saw(&["logged_in mfa"]).await;
        let mut third = app.app();
        let asked = webauthn::options(&mut third, login).await;
        let copied = key.get(&asked, ORIGIN, &Lie { sign_count: Some(1), ..Lie::default() });
        third.post(login, sent(&copied)).await.expect(400);
        let told = seen.events().await;
        assert_eq!(
            told.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(),
            ["key_copied", "login_failed"]
        );
        third.post(login, sent(&good)).await.expect(400);
        seen.saw(&["login_failed webauthn"]).await;

        ada.delete(KEYS, json!({ "authenticators": [id] })).await.expect(200);
        seen.saw(&["authenticator_removed webauthn"]).await;
        ada.delete(TOTP, json!({})).await.expect(200);
        seen.saw(&["authenticator_removed totp", "authenticator_removed recovery_codes"]).await;
    });
}

#[test]
fn x3_providers_leave_their_events() {
    on_both(async |backend| {
        let idp = Idp::default();
        let app = TestApp::start_with(backend, FREE, &idp).await;
        let mut seen = Watch::over(&app).await;
        let mut browser = social::by(&app, &idp, &social::ada()).await;
        seen.saw(&["signed_up", "logged_in socialaccount"]).await;
        let second = Person::verified("ada-2", "ada2@example.org");
        travel(&mut browser, &idp, "other", "connect", &second).await;
        seen.saw(&["provider_connected other"]).await;
        let gone = json!({ "provider": "other", "account": "ada-2" });
        browser.delete("account/providers", gone).await.expect(200);
        seen.saw(&["provider_disconnected other"]).await;
        let token = json!({ "client_id": vestibule_testkit::idp::CLIENT, "id_token": "nonsense" });
        let body = json!({ "provider": "idp", "process": "login", "token": token });
        app.app().post(social::TOKEN, body).await.expect(400);
        let failed = seen.events().await;
        assert_eq!(failed.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(), ["provider_failed"]);
    });
}

#[test]
fn x3_tokens_leave_their_events() {
    on_both(async |backend| {
        let settings = "
            account.rate_limits = false
            [headless]
            token_strategy = 'jwt'
            jwt_algorithm = 'HS256'
            jwt_private_key = 'a secret of this test, long enough to sign with'
            jwt_rotate_refresh_token = true
            jwt_refresh_token_grace = 10";
        let app = TestApp::start(backend, settings).await;
        account(&app, ADA).await;
        let mut seen = Watch::over(&app).await;
        let reply = login(&mut app.app(), ADA, PASSWORD).await.expect(200);
        seen.saw(&["logged_in password"]).await;
        let body = json!({ "refresh_token": reply.json["meta"]["refresh_token"] });
        app.app().post("tokens/refresh", body.clone()).await.expect(200);
        seen.saw(&["tokens_refreshed"]).await;
        app.app().post("tokens/refresh", body.clone()).await.expect(200);
        seen.saw(&["tokens_refreshed"]).await;
        app.pass(60);
        app.app().post("tokens/refresh", body).await.expect(400);
        seen.saw(&["refresh_token_reused the session has ended"]).await;
    });
}

#[test]
fn x3_what_an_operator_does_leaves_events_that_outlive_the_account() {
    on_both(async |backend| {
        let app = TestApp::start(backend, FREE).await;
        let id = account(&app, ADA).await;
        let users = app.vestibule.users();
        users.set_password(id, Password::parse(OTHER).expect("a password")).await.expect("done");
        users.deactivate(id).await.expect("done");
        users.activate(id).await.expect("done");
        users.remove_authenticators(id).await.expect("done");
        users.delete(id).await.expect("done");
        assert!(users.delete(id).await.is_err() && users.deactivate(id).await.is_err());
        let query = EventQuery { user_id: Some(id), ..ALL };
        let told = app.vestibule.events().list(&query).await.expect("the log");
        let kinds: Vec<_> = told.iter().map(|event| event.kind.as_str()).collect();
        let expected =
            ["signed_up", "password_changed", "deactivated", "activated", "authenticator_removed", "deleted"];
        assert_eq!(kinds, expected);
        assert!(told.iter().all(|event| event.by == "operator" && event.ip.is_none()));
    });
}

#[test]
fn x3_no_change_without_its_event() {
    on_both(async |backend| {
        let app = TestApp::start(backend, FREE).await;
        account(&app, ADA).await;
        let mut member = entered(&app, ADA).await;
        prove(&mut member).await;
        let before = dump(&app.db).await;
        run(&app, "ALTER TABLE events RENAME TO elsewhere").await;
        let stranger = || Client::app(unobserved(&app));
        let mut own = stranger();
        own.set_token(member.token());
        login(&mut stranger(), ADA, PASSWORD).await.expect(500);
        login(&mut stranger(), ADA, OTHER).await.expect(500);
        let new = json!({ "email": "new@example.org", "password": PASSWORD });
        stranger().post("auth/signup", new).await.expect(500);
        own.post("account/email", json!({ "email": "more@example.org" })).await.expect(500);
        let change = json!({ "current_password": PASSWORD, "new_password": OTHER });
        own.post("account/password/change", change).await.expect(500);
        own.delete("auth/session", json!({})).await.expect(500);
        run(&app, "ALTER TABLE elsewhere RENAME TO events").await;
        let after = dump(&app.db).await;
        assert_eq!(before, after);
        member.get("auth/session").await.expect(200);
    });
}

async fn run(app: &TestApp, sql: &'static str) {
    let mut tx = app.db.write().await.expect("a transaction");
    tx.execute(sql, vals![]).await.expect("a statement");
    tx.commit().await.expect("a commit");
}

#[test]
fn x3_of_requests_at_once_each_change_has_one_event() {
    on_both(async |backend| {
        let app = TestApp::start(backend, FREE).await;
        account(&app, ADA).await;
        let key = reset_key(&app, ADA).await;
        let mut seen = Watch::over(&app).await;
        let body = json!({ "key": key, "password": OTHER });
        let requests = (0..4).map(|_| post(&app.app(), "auth/password/reset", body.clone()));
        let replies = at_once(requests.collect()).await;
        assert_eq!(replies.iter().filter(|reply| reply.status == 401).count(), 1);
        seen.saw(&["password_reset"]).await;
    });
}

#[test]
fn x3_no_event_holds_a_secret() {
    on_both(async |backend| {
        let webhook = "\n[[events.webhooks]]\nname = 'all'\nurl = 'http://127.0.0.1:1/'\nsecrets = \
            ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']\n";
        let app = TestApp::start(backend, &format!("{}{webhook}", webauthn::SETTINGS)).await;
        let mut ada = app.app();
        let mut secrets = vec![PASSWORD.to_owned(), OTHER.to_owned()];
        let keep =
            |client: &Client, secrets: &mut Vec<String>| secrets.extend(client.token().map(str::to_owned));
        ada.post("auth/signup", json!({ "email": ADA, "password": PASSWORD })).await.expect(401);
        keep(&ada, &mut secrets);
        let code = app.code_for(ADA).await;
        ada.post("auth/email/verify", json!({ "key": "BADC0D" })).await.expect(400);
        ada.post("auth/email/verify", json!({ "key": code })).await.expect(200);
        secrets.extend([code, "BADC0D".to_owned()]);
        keep(&ada, &mut secrets);
        let totp = mfa::enrol(&app, &mut ada).await;
        let codes = mfa::codes(&mut ada).await;
        let mut half = half_way(app.app(), ADA).await;
        second_factor(&mut half, &codes[0]).await.expect(200);
        secrets.extend(codes);
        secrets.push(totp.code(&app));
        login(&mut app.app(), ADA, OTHER).await.expect(400);
        // A password in the wrong field.
        login(&mut app.app(), "a secret@example.org", PASSWORD).await;
        secrets.push("a secret".into());
        let key = reset_key(&app, ADA).await;
        reset(&app, &key).await.expect(401);
        secrets.push(key);
        let mut conn = app.db.read().await.expect("a connection");
        let bodies = conn.all("SELECT body FROM webhook_deliveries", vals![]).await.expect("rows");
        drop(conn);
        let written = all(&app).await;
        assert!(written.len() > 9 && bodies.len() == written.len(), "{} {}", written.len(), bodies.len());
        let mut text = json!(written).to_string();
        text.extend(bodies.iter().map(|row| row.text(0).expect("a text")));
        for secret in secrets {
            assert!(!secret.is_empty() && !text.contains(&secret), "{secret}");
        }
    });
}

#[test]
fn x3_whoever_follows_misses_nothing_that_is_committed_late() {
    // On SQLite one transaction writes at a time: there is nothing late.
    if !Backend::all().contains(&Backend::Postgres) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let app = TestApp::start(Backend::Postgres, "").await;
        let event = |at: i64, detail: &'static str| NewEvent {
            at,
            kind: "logged_in",
            user_id: None,
            actor: "user",
            client: None,
            ip: None,
            user_agent: None,
            detail,
        };
        let mut earlier = app.db.write().await.expect("a transaction");
        events::insert(&mut earlier, &event(START, "before")).await.expect("a row");
        earlier.commit().await.expect("a commit");
        let mut seen = Watch::over(&app).await;
        seen.saw(&[]).await;
        let (mut slow, mut fast) =
            (app.db.write().await.expect("a transaction"), app.db.write().await.expect("a transaction"));
        let low = events::insert(&mut slow, &event(START, "slow")).await.expect("a row");
        let high = events::insert(&mut fast, &event(START + 20_000, "fast")).await.expect("a row");
        assert!(low < high);
        fast.commit().await.expect("a commit");
        seen.saw(&["logged_in fast"]).await;
        slow.commit().await.expect("a commit");
        seen.saw(&["logged_in slow"]).await;
        seen.saw(&[]).await;
        // X6: a clock that was set back by a day.
        let mut back = app.db.write().await.expect("a transaction");
        events::insert(&mut back, &event(START - 86_400_000, "back")).await.expect("a row");
        back.commit().await.expect("a commit");
        seen.saw(&["logged_in back"]).await;
        seen.saw(&[]).await;
    });
}

#[test]
fn events_are_listed_by_user_type_and_time_in_pages() {
    on_both(async |backend| {
        let app = TestApp::start(backend, FREE).await;
        let id = account(&app, ADA).await;
        let eve = account(&app, mfa::EVE).await;
        entered(&app, ADA).await;
        app.pass(10);
        entered(&app, ADA).await;
        entered(&app, mfa::EVE).await;
        let list = async |query: EventQuery| {
            let found = app.vestibule.events().list(&query).await.expect("the log");
            found.iter().map(|event| (event.id, event.user_id)).collect::<Vec<_>>()
        };
        let everything = list(ALL).await;
        assert_eq!(everything.iter().map(|row| row.1).collect::<Vec<_>>(), [id, eve, id, id, eve].map(Some));
        assert_eq!(list(EventQuery { limit: 2, ..ALL }).await, everything[3..]);
        assert_eq!(
            list(EventQuery { limit: 2, before: Some(everything[3].0), ..ALL }).await,
            everything[1..3]
        );
        assert_eq!(list(EventQuery { since: Some(START + 1), ..ALL }).await, everything[3..]);
        let kind = Some(Event::LoggedIn);
        assert_eq!(list(EventQuery { kind, user_id: Some(eve), ..ALL }).await, everything[4..]);
        assert_eq!(list(EventQuery { kind, ..ALL }).await, everything[2..]);
        let json: Value = json!(all(&app).await[3]);
        assert_eq!(json["at"], "2030-01-01T00:00:10.000Z");
        assert_eq!(
            (&json["type"], &json["by"], &json["detail"]),
            (&json!("logged_in"), &json!("user"), &json!("password"))
        );
    });
}

#[test]
fn events_are_kept_as_long_as_the_settings_say() {
    on_both(async |backend| {
        for (days, kept) in [(2, 1), (0, 2)] {
            let app = TestApp::start(backend, &format!("{FREE}\nevents.retention = {days}")).await;
            account(&app, ADA).await;
            app.pass(2 * 86_400 + 1);
            account(&app, mfa::EVE).await;
            sweep(&app).await;
            assert_eq!(all(&app).await.len(), kept, "{days} days");
        }
    });
}

#[test]
fn every_event_is_in_the_guide() {
    let guide = include_str!("../../../../docs/how-to/events.md");
    let rows: Vec<String> = guide.lines().filter(|line| line.starts_with("| `")).map(str::to_owned).collect();
    let expected: Vec<String> = Event::ALL
        .iter()
        .map(|(event, about)| format!("| `{}` | {} |", event.name(), about.trim()))
        .collect();
    assert_eq!(rows, expected, "docs/how-to/events.md lists them as crates/core/src/event.rs does");
}

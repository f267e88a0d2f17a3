//! Codes: what they are bound to, how often they work, how they end, and how often they are sent (C1, C2, C6).

#![expect(clippy::expect_used, reason = "a panic is how a test says that it failed")]

use std::net::IpAddr;

use axum::http::Method;
use serde_json::{Value, json};
use vestibule::{Config, NewUser, Password};
use vestibule_base::config::check;
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::{Client, Reply};
use vestibule_testkit::database::on_both;

pub(super) const PASSWORD: &str = "the password at first";
pub(super) const OTHER: &str = "quite another one 4711";

/// Makes an account with a proved address.
pub(super) async fn account(app: &TestApp, email: &str) -> i64 {
    let new = NewUser {
        email: Some(email.to_owned()),
        password: Some(password(PASSWORD)),
        verified: true,
        ..NewUser::default()
    };
    app.vestibule.users().create(new).await.expect("a new account").id
}

pub(super) fn password(text: &str) -> Password {
    Password::parse(text).expect("a password")
}

/// Logs in by password.
pub(super) async fn login(client: &mut Client, email: &str, password: &str) -> Reply {
    client.post("auth/login", json!({ "email": email, "password": password })).await
}

/// A client of this account.
pub(super) async fn entered(app: &TestApp, email: &str) -> Client {
    let mut client = app.app();
    login(&mut client, email, PASSWORD).await.expect(200);
    client
}

/// Asks for a reset link and gives its key.
pub(super) async fn reset_key(app: &TestApp, email: &str) -> String {
    app.app().post("auth/password/request", json!({ "email": email })).await.expect(200);
    app.link_key_for(email).await
}

/// Uses a reset key from a client of its own.
pub(super) async fn reset(app: &TestApp, key: &str) -> Reply {
    app.app().post("auth/password/reset", json!({ "key": key, "password": OTHER })).await
}

/// The addresses of whoever is logged in: address, verified, primary.
pub(super) async fn addresses(client: &mut Client) -> Vec<(String, bool, bool)> {
    let reply = client.get("account/email").await.expect(200);
    let rows = reply.data().as_array().expect("a list").iter();
    rows.map(|row| {
        let address = row["email"].as_str().expect("an address").to_owned();
        (address, row["verified"] == true, row["primary"] == true)
    })
    .collect()
}

/// The flows in which a code is awaited.
#[derive(Debug, Clone, Copy)]
pub(super) enum Flow {
    Email,
    Phone,
    Login,
    Reset,
}

impl Flow {
    pub(super) const ALL: [Self; 4] = [Self::Email, Self::Phone, Self::Login, Self::Reset];

    pub(super) fn settings(self) -> &'static str {
        match self {
            Self::Phone => {
                "[account]
                 rate_limits = false
                 login_methods = ['phone']
                 signup_fields = ['phone*', 'password1*']
                 email_verification = 'none'
                 phone_verification_supports_resend = 5"
            }
            Self::Email | Self::Login | Self::Reset => {
                "[account]
                 rate_limits = false
                 email_verification_by_code_enabled = true
                 email_verification_supports_resend = 5
                 login_by_code_enabled = true
                 login_by_code_supports_resend = 5
                 password_reset_by_code_enabled = true"
            }
        }
    }

    /// Where person number `person` is written to.
    pub(super) fn address(self, person: u32) -> String {
        match self {
            Self::Phone => format!("+3161234567{person}"),
            Self::Email | Self::Login | Self::Reset => format!("person{person}@example.org"),
        }
    }

    /// A client that awaits the code of person number `person`.
    pub(super) async fn begin(self, app: &TestApp, person: u32) -> Client {
        let mut client = app.app();
        let address = self.address(person);
        match self {
            Self::Email => {
                let new = json!({ "email": address, "password": PASSWORD });
                client.post("auth/signup", new).await.expect(401);
            }
            Self::Phone => {
                let new = json!({ "phone": address, "password": PASSWORD });
                client.post("auth/signup", new).await.expect(401);
            }
            Self::Login => {
                account(app, &address).await;
                client.post("auth/code/request", json!({ "email": address })).await.expect(401);
            }
            Self::Reset => {
                account(app, &address).await;
                client.post("auth/password/request", json!({ "email": address })).await.expect(401);
            }
        }
        assert!(self.is_pending(&mut client).await);
        client
    }

    pub(super) async fn confirm(self, client: &mut Client, code: &str) -> Reply {
        match self {
            Self::Email => client.post("auth/email/verify", json!({ "key": code })).await,
            Self::Phone => client.post("auth/phone/verify", json!({ "code": code })).await,
            Self::Login => client.post("auth/code/confirm", json!({ "code": code })).await,
            Self::Reset => {
                client.post("auth/password/reset", json!({ "key": code, "password": OTHER })).await
            }
        }
    }

    /// What a code that works is answered with: a reset does not log in.
    pub(super) fn done(self) -> u16 {
        match self {
            Self::Email | Self::Phone | Self::Login => 200,
            Self::Reset => 401,
        }
    }

    async fn resend(self, client: &mut Client) {
        let path = match self {
            Self::Email => "auth/email/verify/resend",
            Self::Phone => "auth/phone/verify/resend",
            Self::Login => "auth/code/resend",
            Self::Reset => "auth/password/request",
        };
        let (body, status) = match self {
            Self::Reset => (json!({ "email": self.address(1) }), 401),
            Self::Email | Self::Phone | Self::Login => (Value::Null, 200),
        };
        client.call(Method::POST, path).json(&body).send().await.expect(status);
    }

    async fn is_pending(self, client: &mut Client) -> bool {
        let id = match self {
            Self::Email => "verify_email",
            Self::Phone => "verify_phone",
            Self::Login => "login_by_code",
            Self::Reset => "password_reset_by_code",
        };
        client.get("auth/session").await.is_pending(id)
    }

    /// Seconds that its code is good for.
    fn lifetime(self) -> i64 {
        match self {
            Self::Email | Self::Phone => 600,
            Self::Login | Self::Reset => 180,
        }
    }
}

/// Runs a test on every flow, each on a server of its own.
fn in_every_flow(test: impl AsyncFn(Flow, &TestApp)) {
    on_both(async |backend| {
        for flow in Flow::ALL {
            let app = TestApp::start(backend, flow.settings()).await;
            test(flow, &app).await;
        }
    });
}

fn wrong(reply: Reply) {
    let reply = reply.expect(400);
    assert_eq!(reply.errors().iter().map(|(_, code)| *code).collect::<Vec<_>>(), ["incorrect_code"]);
}

#[test]
fn c1_a_code_works_once() {
    in_every_flow(async |flow, app| {
        let mut client = flow.begin(app, 1).await;
        let code = app.code_for(&flow.address(1)).await;
        flow.confirm(&mut client, &code).await.expect(flow.done());
        flow.confirm(&mut client, &code).await.expect(409);
        assert!(!flow.is_pending(&mut client).await, "{flow:?}");
    });
}

#[test]
fn c1_a_code_expires() {
    in_every_flow(async |flow, app| {
        let mut early = flow.begin(app, 1).await;
        let mut late = flow.begin(app, 2).await;
        let codes = [app.code_for(&flow.address(1)).await, app.code_for(&flow.address(2)).await];
        app.pass(flow.lifetime() - 1);
        flow.confirm(&mut early, &codes[0]).await.expect(flow.done());
        app.pass(1);
        flow.confirm(&mut late, &codes[1]).await.expect(409);
        assert!(!flow.is_pending(&mut late).await, "{flow:?}");
    });
}

#[test]
fn c1_a_code_dies_after_max_attempts_together_with_its_flow() {
    in_every_flow(async |flow, app| {
        let mut client = flow.begin(app, 1).await;
        let code = app.code_for(&flow.address(1)).await;
        wrong(flow.confirm(&mut client, "WRNG-CDXX").await);
        // No code is no guess.
        flow.confirm(&mut client, "").await.expect(400);
        wrong(flow.confirm(&mut client, &format!("{code}B")).await);
        assert!(flow.is_pending(&mut client).await, "{flow:?}");
        wrong(flow.confirm(&mut client, "123456789").await);
        flow.confirm(&mut client, &code).await.expect(409);
        assert!(!flow.is_pending(&mut client).await, "{flow:?}");
    });
}

#[test]
fn c1_looking_at_a_code_counts_as_an_attempt() {
    on_both(async |backend| {
        for (flow, path, header) in [
            (Flow::Email, "auth/email/verify", "x-email-verification-key"),
            (Flow::Reset, "auth/password/reset", "x-password-reset-key"),
        ] {
            let app = TestApp::start(backend, flow.settings()).await;
            let mut client = flow.begin(&app, 1).await;
            let code = app.code_for(&flow.address(1)).await;
            for _ in 0..5 {
                // The right one may be looked at as often as one likes; it stays good.
                client.call(Method::GET, path).header(header, &code).send().await.expect(200);
            }
            client.call(Method::GET, path).header(header, "wrong").send().await.expect(400);
            client.get(path).await.expect(400);
            client.call(Method::GET, path).header(header, "wrong too").send().await.expect(400);
            client.call(Method::GET, path).header(header, "wrong").send().await.expect(400);
            client.call(Method::GET, path).header(header, &code).send().await.expect(409);
            flow.confirm(&mut client, &code).await.expect(409);
        }
    });
}

#[test]
fn c1_a_code_is_bound_to_its_session() {
    in_every_flow(async |flow, app| {
        let mut client = flow.begin(app, 1).await;
        let code = app.code_for(&flow.address(1)).await;
        let mut other = flow.begin(app, 2).await;
        flow.confirm(&mut app.app(), &code).await.expect(409);
        wrong(flow.confirm(&mut other, &code).await);
        flow.confirm(&mut client, &code).await.expect(flow.done());
    });
}

#[test]
fn c1_a_code_is_bound_to_its_user_and_address() {
    on_both(async |backend| {
        let app = TestApp::start(backend, Flow::Login.settings()).await;
        let mut client = Flow::Login.begin(&app, 1).await;
        let first = app.code_for("person1@example.org").await;
        account(&app, "person2@example.org").await;
        client.post("auth/code/request", json!({ "email": "person2@example.org" })).await.expect(401);
        let second = app.code_for("person2@example.org").await;
        wrong(Flow::Login.confirm(&mut client, &first).await);
        let reply = Flow::Login.confirm(&mut client, &second).await.expect(200);
        assert_eq!(reply.data()["user"]["email"], "person2@example.org");
    });
}

#[test]
fn c1_a_code_is_bound_to_its_purpose() {
    on_both(async |backend| {
        let app = TestApp::start(backend, Flow::Login.settings()).await;
        let mut client = Flow::Login.begin(&app, 1).await;
        let email = json!({ "email": "person1@example.org" });
        let login = app.code_for("person1@example.org").await;
        client.post("auth/password/request", email).await.expect(401);
        let reset = app.code_for("person1@example.org").await;
        assert_ne!(login, reset);
        wrong(Flow::Login.confirm(&mut client, &reset).await);
        wrong(Flow::Reset.confirm(&mut client, &login).await);
        Flow::Email.confirm(&mut client, &login).await.expect(409);
        Flow::Login.confirm(&mut client, &login).await.expect(200);
    });
}

#[test]
fn c2_a_new_code_cancels_the_old_one() {
    in_every_flow(async |flow, app| {
        let mut client = flow.begin(app, 1).await;
        let old = app.code_for(&flow.address(1)).await;
        flow.resend(&mut client).await;
        let new = app.code_for(&flow.address(1)).await;
        assert_ne!(old, new, "{flow:?}");
        wrong(flow.confirm(&mut client, &old).await);
        flow.confirm(&mut client, &new).await.expect(flow.done());
    });
}

#[test]
fn c2_sending_again_refills_neither_attempts_nor_time() {
    on_both(async |backend| {
        for flow in [Flow::Email, Flow::Phone, Flow::Login] {
            let app = TestApp::start(backend, flow.settings()).await;
            let mut client = flow.begin(&app, 1).await;
            for _ in 0..2 {
                wrong(flow.confirm(&mut client, "WRNG-CDXX").await);
                flow.resend(&mut client).await;
            }
            wrong(flow.confirm(&mut client, "WRNG-CDXX").await);
            let code = app.code_for(&flow.address(1)).await;
            flow.confirm(&mut client, &code).await.expect(409);

            let mut client = flow.begin(&app, 2).await;
            app.pass(flow.lifetime() - 1);
            flow.resend(&mut client).await;
            let code = app.code_for(&flow.address(2)).await;
            app.pass(1);
            flow.confirm(&mut client, &code).await.expect(409);
        }
    });
}

#[test]
fn c2_codes_may_be_spelled_freely() {
    in_every_flow(async |flow, app| {
        for (person, spell) in [
            (1, (|code| code.to_lowercase()) as fn(&str) -> String),
            (2, |code| code.replace('-', "")),
            (3, |code| format!("  {} ", code.replace('-', " "))),
        ] {
            let mut client = flow.begin(app, person).await;
            let code = app.code_for(&flow.address(person)).await;
            let letters: Vec<char> = code.chars().filter(|c| *c != '-').collect();
            assert_eq!(letters.len(), 8, "{code}");
            assert!(letters.iter().all(|c| "BCDFGHJKLMNPQRSTVWXZ".contains(*c)), "{code}");
            flow.confirm(&mut client, &spell(&code)).await.expect(flow.done());
        }
    });
}

#[test]
fn c2_lifetimes_are_ten_minutes_at_most() {
    for setting in [
        "email_verification_by_code_timeout",
        "phone_verification_timeout",
        "login_by_code_timeout",
        "password_reset_by_code_timeout",
    ] {
        let problems = |seconds: i64| {
            let config = Config::from_toml(&format!("account.{setting} = {seconds}")).expect("a setting");
            check(&config).iter().any(|finding| finding.message.contains(setting))
        };
        assert!(problems(601), "{setting}");
        assert!(!problems(600), "{setting}");
    }
}

/// A client from an address of its own.
fn from(app: &TestApp, number: u8) -> Client {
    app.app().from_ip(IpAddr::from([203, 0, 113, number]))
}

#[test]
fn c6_resets_are_limited_by_address_and_by_canonical_email() {
    on_both(async |backend| {
        let app = TestApp::start(backend, "").await;
        account(&app, "a@example.org").await;
        let spellings =
            ["a@example.org", "A@example.org", "a@EXAMPLE.org", " a@example.org", "A@Example.Org"];
        for (number, spelling) in (1..).zip(spellings) {
            let email = json!({ "email": spelling });
            from(&app, number).post("auth/password/request", email).await.expect(200);
        }
        for spelling in spellings {
            from(&app, 99).post("auth/password/request", json!({ "email": spelling })).await.expect(429);
        }
        assert_eq!(app.messages_for("a@example.org").await.len(), 5);
        app.pass(60);
        from(&app, 99).post("auth/password/request", json!({ "email": "a@example.org" })).await.expect(200);

        let mut client = from(&app, 200);
        for number in 0..20 {
            let email = json!({ "email": format!("unknown{number}@example.org") });
            client.post("auth/password/request", email).await.expect(200);
        }
        let email = json!({ "email": "unknown20@example.org" });
        client.post("auth/password/request", email.clone()).await.expect(429);
        from(&app, 201).post("auth/password/request", email).await.expect(200);
    });
}

#[test]
fn c6_login_codes_are_limited_by_recipient() {
    on_both(async |backend| {
        let app = TestApp::start(backend, "account.login_by_code_enabled = true").await;
        account(&app, "a@example.org").await;
        for (number, spelling) in (1..).zip(["a@example.org", "A@example.org", "a@Example.org"]) {
            let email = json!({ "email": spelling });
            from(&app, number).post("auth/code/request", email).await.expect(401);
        }
        let email = json!({ "email": "a@example.org" });
        let reply = from(&app, 9).post("auth/code/request", email).await.expect(400);
        assert_eq!(reply.errors(), [("email", "too_many_login_attempts")]);
        assert_eq!(app.messages_for("a@example.org").await.len(), 3);
    });
}

#[test]
fn c6_verification_mails_are_limited_by_recipient() {
    on_both(async |backend| {
        for by_code in [false, true] {
            let settings = format!("account.email_verification_by_code_enabled = {by_code}");
            let app = TestApp::start(backend, &settings).await;
            let mut statuses = Vec::new();
            for number in 1..=3 {
                let new = json!({ "email": "a@example.org", "password": PASSWORD });
                statuses.push(from(&app, number).post("auth/signup", new).await.status);
            }
            assert_eq!(app.messages_for("a@example.org").await.len(), 1, "{statuses:?}");
        }
    });
}

#[test]
fn c6_a_stranger_who_uses_up_all_sending_does_not_lock_out_the_owner() {
    on_both(async |backend| {
        for by_code in [false, true] {
            let settings = format!(
                "[account]\nlogin_by_code_enabled = true\nemail_verification_by_code_enabled = {by_code}\n\
                 password_reset_by_code_enabled = {by_code}"
            );
            let app = TestApp::start(backend, &settings).await;
            account(&app, "owner@example.org").await;
            let mut stranger = from(&app, 66);
            let email = json!({ "email": "owner@example.org" });
            let new = json!({ "email": "owner@example.org", "password": OTHER });
            for _ in 0..8 {
                stranger.post("auth/password/request", email.clone()).await;
                stranger.post("auth/code/request", email.clone()).await;
                from(&app, 66).post("auth/signup", new.clone()).await;
            }
            from(&app, 67).post("auth/password/request", email.clone()).await.expect(429);
            from(&app, 67).post("auth/code/request", email).await.expect(400);
            login(&mut from(&app, 1), "owner@example.org", PASSWORD).await.expect(200);
        }
    });
}

//! An application of one person, of whose requests each may meet another server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vestibule_base::security::clock::SECOND;
use vestibule_base::security::{Clock, SystemClock};
use vestibule_testkit::totp::{AuthenticatorApp, PERIOD};

use crate::http::try_ask;

pub(super) const PASSWORD: &str = "correct horse battery staple";
/// What a request may take at most, also while the database is away: five seconds, and some for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(8);

#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) at: SocketAddr,
    session: String,
    pub(super) access: String,
    pub(super) refresh: String,
}

impl Client {
    pub(super) fn new(at: SocketAddr) -> Self {
        Self { at, session: String::new(), access: String::new(), refresh: String::new() }
    }

    /// The same person, who meets this server.
    pub(super) fn at(&self, at: SocketAddr) -> Self {
        Self { at, ..self.clone() }
    }

    /// An answer, or nothing where the server or its database was away; anything else that is no answer fails the test.
    pub(super) fn ask(&mut self, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/_allauth/app/v1/{path}") };
        let bearer = format!("Bearer {}", self.access);
        let mut headers = vec![("Content-Type", "application/json")];
        if !self.access.is_empty() {
            headers.push(("Authorization", &bearer));
        } else if !self.session.is_empty() {
            headers.push(("X-Session-Token", &self.session));
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let asked = Instant::now();
        let answer = try_ask(self.at, method, &path, &headers, &body);
        assert!(asked.elapsed() < PATIENCE, "{method} {path} took {:?}", asked.elapsed());
        let answer = answer?;
        if answer.status == 503 {
            return None;
        }
        assert!(answer.status < 500, "{method} {path}: {} {}", answer.status, answer.body);
        let said: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        for (name, kept) in [
            ("session_token", &mut self.session),
            ("access_token", &mut self.access),
            ("refresh_token", &mut self.refresh),
        ] {
            let found = said["meta"][name].as_str().or_else(|| said["data"][name].as_str());
            if let Some(found) = found {
                found.clone_into(kept);
            }
        }
        Some((answer.status, said))
    }

    /// The same, of an answer that has one of these statuses, or the test fails.
    #[track_caller]
    pub(super) fn expect(
        &mut self,
        method: &str,
        path: &str,
        body: &Value,
        statuses: &[u16],
    ) -> Option<Value> {
        let (status, said) = self.ask(method, path, body)?;
        assert!(statuses.contains(&status), "{method} {path} {body}: {status} {said}");
        Some(said)
    }

    #[track_caller]
    pub(super) fn post(&mut self, path: &str, body: &Value, statuses: &[u16]) -> Option<Value> {
        self.expect("POST", path, body, statuses)
    }

    #[track_caller]
    pub(super) fn get(&mut self, path: &str, statuses: &[u16]) -> Option<Value> {
        self.expect("GET", path, &Value::Null, statuses)
    }

    /// Whether this application is logged in.
    pub(super) fn is_in(&mut self) -> Option<bool> {
        let (status, said) = self.ask("GET", "auth/session", &Value::Null)?;
        assert!([200, 401, 410].contains(&status), "{status} {said}");
        Some(status == 200)
    }

    /// Signs up, up to the code that proves the address. No server may be away.
    pub(super) fn sign_up(at: SocketAddr, email: &str) -> Self {
        let mut client = Self::new(at);
        client.post("auth/signup", &json!({ "email": email, "password": PASSWORD }), &[401]).unwrap();
        client
    }

    /// And all the way in.
    pub(super) fn enter(at: SocketAddr, email: &str) -> Self {
        let mut client = Self::sign_up(at, email);
        let code = code(at, email, &[]);
        client.post("auth/email/verify", &json!({ "key": code }), &[200]).unwrap();
        client
    }

    /// Sets up an authenticator app.
    pub(super) fn set_up_app(&mut self) -> Option<App> {
        self.post("auth/reauthenticate", &json!({ "password": PASSWORD }), &[200])?;
        let offered = self.get("account/authenticators/totp", &[404])?;
        let mut app = App::new(offered["meta"]["secret"].as_str().unwrap());
        self.post("account/authenticators/totp", &json!({ "code": app.code() }), &[200])?;
        Some(app)
    }
}

/// An authenticator app. As each code works once, it is made to run ahead.
#[derive(Debug, Clone)]
pub(super) struct App {
    app: AuthenticatorApp,
    last: i64,
}

impl App {
    pub(super) fn new(secret: &str) -> Self {
        Self { app: AuthenticatorApp::new(secret), last: 0 }
    }

    /// A code that was not shown before.
    pub(super) fn code(&mut self) -> String {
        self.last = (self.last + PERIOD).max(SystemClock.now() / SECOND - 2 * PERIOD);
        self.app.code_at(self.last)
    }
}

/// The newest code that was mailed to somebody and is none of these. What the database does not say yet is waited for.
#[track_caller]
pub(super) fn code(at: SocketAddr, email: &str, but: &[String]) -> String {
    let end = Instant::now() + Duration::from_secs(40);
    loop {
        let listed = Client::new(at).ask("GET", "/_dev/mail.json", &Value::Null);
        let mails = listed.map(|(_, mails)| mails).unwrap_or_default();
        let mut to = mails.as_array().into_iter().flatten().filter(|mail| mail["to"] == email);
        if let Some(code) =
            to.find_map(|mail| mail["code"].as_str().filter(|code| !but.iter().any(|b| b == code)))
        {
            return code.to_owned();
        }
        assert!(Instant::now() < end, "no mail came to {email}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

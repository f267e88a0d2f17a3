//! What one person does with an account, and what the servers' answers have promised on the way. Whoever gets no answer
//! stops there and knows no more; everything else is held against the servers in the end.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::client::{App, Client, PASSWORD, code};

const NEW: &str = "staple battery horse correct";

/// What is known of something that was asked for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    #[default]
    NotAsked,
    Unanswered,
    Done,
}

#[derive(Debug)]
pub(super) struct Life {
    pub(super) email: String,
    pub(super) signed_up: Known,
    verified: Known,
    /// By an authenticator app.
    guarded: Known,
    /// Whether a code for another password was asked for.
    forgot: Known,
    reset: Known,
    codes: Vec<String>,
    app: Option<App>,
}

impl Life {
    pub(super) fn new(email: String) -> Self {
        Self {
            email,
            signed_up: Known::NotAsked,
            verified: Known::NotAsked,
            guarded: Known::NotAsked,
            forgot: Known::NotAsked,
            reset: Known::NotAsked,
            codes: Vec::new(),
            app: None,
        }
    }

    /// Goes through everything once; `None` where there was no answer.
    pub(super) fn live(&mut self, door: SocketAddr) -> Option<()> {
        let mut client = Client::new(door);
        self.signed_up = Known::Unanswered;
        client.post("auth/signup", &json!({ "email": self.email, "password": PASSWORD }), &[401])?;
        self.signed_up = Known::Done;
        let key = json!({ "key": self.code(door) });
        self.verified = Known::Unanswered;
        client.post("auth/email/verify", &key, &[200])?;
        self.verified = Known::Done;
        // What is spent stays so, whichever server is asked.
        client.post("auth/email/verify", &key, &[401, 409])?;
        assert!(client.is_in()?, "{self:?}");

        self.guarded = Known::Unanswered;
        self.app = Some(client.set_up_app()?);
        self.guarded = Known::Done;
        let left = client.clone();
        client.expect("DELETE", "auth/session", &Value::Null, &[401])?;
        assert!(!left.clone().is_in()?, "logged out: {self:?}");

        let mut client = self.log_in(door)?;
        client.post("tokens/refresh", &json!({ "refresh_token": client.refresh }), &[200])?;
        let sessions = client.get("auth/sessions", &[200])?;
        assert_eq!(sessions["data"].as_array().map(Vec::len), Some(1), "{sessions}");

        let mut forgetful = Client::new(door);
        self.forgot = Known::Unanswered;
        forgetful.post("auth/password/request", &json!({ "email": self.email }), &[401])?;
        self.forgot = Known::Done;
        let key = self.code(door);
        self.reset = Known::Unanswered;
        let reset = json!({ "key": key, "password": NEW });
        forgetful.post("auth/password/reset", &reset, &[401])?;
        self.reset = Known::Done;
        forgetful.post("auth/password/reset", &reset, &[409])?;
        // With the password went whoever was logged in.
        assert!(!client.is_in()?, "{self:?}");
        Some(())
    }

    fn code(&mut self, door: SocketAddr) -> String {
        let code = code(door, &self.email, &self.codes);
        self.codes.push(code.clone());
        code
    }

    /// With the first password and the app; one more code of which is worth nothing a second time.
    fn log_in(&mut self, door: SocketAddr) -> Option<Client> {
        let credentials = json!({ "email": self.email, "password": PASSWORD });
        let mut clients = [Client::new(door), Client::new(door)];
        for client in &mut clients {
            client.post("auth/login", &credentials, &[401])?;
        }
        let shown = json!({ "code": self.app.as_mut().map(App::code) });
        let [mut client, mut other] = clients;
        client.post("auth/2fa/authenticate", &shown, &[200])?;
        other.post("auth/2fa/authenticate", &shown, &[400])?;
        Some(client)
    }

    /// Holds what the servers know now against what they have answered. None may be away.
    pub(super) fn check(&self, door: SocketAddr, mails: usize) {
        let entry = |password: &str| {
            let body = json!({ "email": self.email, "password": password });
            let (status, said) = Client::new(door).ask("POST", "auth/login", &body).unwrap();
            let flows = said["data"]["flows"].as_array().cloned().unwrap_or_default();
            let pending = flows.iter().find(|flow| flow["is_pending"] == true);
            match (status, pending.and_then(|flow| flow["id"].as_str())) {
                (200, _) => Entry::In,
                (401, Some("mfa_authenticate")) => Entry::Guarded,
                (401, Some("verify_email")) => Entry::Unverified,
                (400, _) => Entry::Refused,
                _ => panic!("{status} {said} for {self:?}"),
            }
        };
        let (old, new) = (entry(PASSWORD), entry(NEW));
        match self.reset {
            Known::NotAsked => assert_eq!(new, Entry::Refused, "{self:?}"),
            Known::Done => assert_eq!(old, Entry::Refused, "{self:?}"),
            Known::Unanswered => {
                let open = [old, new].into_iter().filter(|entry| *entry != Entry::Refused).count();
                assert_eq!(open, 1, "one password of {self:?}");
            }
        }
        let entry = if old == Entry::Refused { new } else { old };
        if entry == Entry::Refused {
            assert_eq!(self.signed_up, Known::Unanswered, "gone: {self:?}");
            // Then nothing of it is there, and it can be made.
            Client::sign_up(door, &self.email);
            return;
        }
        match (self.verified, self.guarded) {
            (Known::NotAsked, _) => assert_eq!(entry, Entry::Unverified, "{self:?}"),
            (Known::Unanswered, _) => assert_ne!(entry, Entry::Guarded, "{self:?}"),
            (Known::Done, Known::NotAsked) => assert_eq!(entry, Entry::In, "{self:?}"),
            (Known::Done, Known::Unanswered) => assert_ne!(entry, Entry::Unverified, "{self:?}"),
            (Known::Done, Known::Done) => assert_eq!(entry, Entry::Guarded, "{self:?}"),
        }
        let promised = [self.signed_up, self.forgot].iter().filter(|known| **known == Known::Done).count();
        assert!(mails >= promised, "{mails} mails for {self:?}");
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    In,
    Guarded,
    Unverified,
    Refused,
}

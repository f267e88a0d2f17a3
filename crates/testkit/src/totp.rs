//! The authenticator app of a person (RFC 6238), by the clock of the test.

use totp_rs::{Builder, Secret, Totp};
use vestibule_base::security::Clock;
use vestibule_base::security::clock::SECOND;

use crate::app::TestApp;

/// Seconds that an app shows a code, by default.
pub const PERIOD: i64 = 30;

/// An app with one secret.
#[derive(Debug, Clone)]
pub struct AuthenticatorApp(Totp);

impl AuthenticatorApp {
    /// An app that a secret in base 32 was typed into.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        let secret = Secret::try_from_base32(secret).expect("base 32");
        Self(Builder::new().with_secret(secret).build().expect("a secret of moderate length"))
    }

    /// The code that it shows now.
    #[must_use]
    pub fn code(&self, server: &TestApp) -> String {
        self.code_in(server, 0)
    }

    /// The code that it shows in so many seconds.
    #[must_use]
    pub fn code_in(&self, server: &TestApp, seconds: i64) -> String {
        self.code_at(server.clock.now() / SECOND + seconds)
    }

    /// The code that it shows at a time, in seconds since 1970.
    #[must_use]
    pub fn code_at(&self, second: i64) -> String {
        self.0.generate(u64::try_from(second).unwrap_or_default()).to_string()
    }

    /// A code that is right at no time near now.
    #[must_use]
    pub fn wrong(&self, server: &TestApp) -> String {
        let near: Vec<String> = (-9..10).map(|step| self.code_in(server, step * PERIOD)).collect();
        let mut codes = (0..).map(|number: u32| format!("{number:06}"));
        codes.find(|code| !near.contains(code)).expect("a million codes")
    }
}

//! `[hooks]`: a service of the operator that is asked before people sign up and log in, and for what is told of them.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::read;
use super::settings::settings;

settings! {
    /// A service of yours that is asked before people sign up and log in, and what to tell of them (see
    /// docs/how-to/hooks.md). What it does not answer, in time and as agreed, is not done.
    pub struct Hooks {
        /// Where `{"hook", "data"}` is posted.
        pub url: Option<String> = None,

        /// The keys that sign each POST by the Standard Webhooks scheme: `whsec_` and 24 to 64 random bytes in base64. Each
        /// of them signs, so that your service can change from one to the next.
        #[serde(deserialize_with = "read::secrets", skip_serializing)]
        pub secrets: Vec<SecretString> = Vec::new(),

        /// Seconds that one answer may take, 10 at most. Also holds for hooks in Rust.
        pub timeout: i64 = 3,

        /// What your service is asked: `"before_signup"` and `"before_login"` (it allows or refuses), `"user"` (further
        /// members of the user object that clients get), `"claims"` (further claims of access tokens).
        #[serde(deserialize_with = "read::unique")]
        pub calls: Vec<HookCall> = Vec::new(),
    }
}

/// What a service can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HookCall {
    /// Whether somebody may sign up.
    BeforeSignup,
    /// Whether somebody may log in.
    BeforeLogin,
    /// Further members of the user object.
    User,
    /// Further claims of an access token.
    Claims,
}

impl HookCall {
    /// Its name, in settings and in the POST.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeSignup => "before_signup",
            Self::BeforeLogin => "before_login",
            Self::User => "user",
            Self::Claims => "claims",
        }
    }
}

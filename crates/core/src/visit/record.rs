//! Authentication records: how, and when, the holder of a session proved who they are.

use serde::{Deserialize, Serialize};
use vestibule_base::config::AuthenticatorType;
use vestibule_base::security::Millis;

use crate::refusal::Outcome;

/// A way of proving who one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A password.
    Password,
    /// A code that was sent to the user.
    Code,
    /// A password reset.
    PasswordReset,
    /// An authenticator.
    Mfa,
    /// An account at a third party.
    Socialaccount,
}

impl Method {
    /// Its name in answers and settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Code => "code",
            Self::PasswordReset => "password_reset",
            Self::Mfa => "mfa",
            Self::Socialaccount => "socialaccount",
        }
    }
}

/// One proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// How.
    pub method: Method,
    /// When.
    pub at: Millis,
    /// The address that was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The name that was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The number that was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The authenticator that was used, and its row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticator: Option<(AuthenticatorType, i64)>,
    /// The provider that vouched, and its own name for the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<(String, String)>,
    /// Whether it was given once more, by somebody logged in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reauthenticated: bool,
    /// Whether it took the place of a password and of any further factor.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passwordless: bool,
}

impl Record {
    /// A proof by `method`.
    #[must_use]
    pub fn new(method: Method, at: Millis) -> Self {
        Self {
            method,
            at,
            email: None,
            username: None,
            phone: None,
            authenticator: None,
            provider: None,
            reauthenticated: false,
            passwordless: false,
        }
    }

    pub(crate) fn read_all(text: &str) -> Outcome<Vec<Self>> {
        if text == "[]" {
            return Ok(Vec::new());
        }
        Ok(serde_json::from_str(text)?)
    }

    pub(crate) fn write_all(records: &[Self]) -> Outcome<String> {
        Ok(serde_json::to_string(records)?)
    }
}

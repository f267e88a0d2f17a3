//! The limits of the account room's actions.

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

use super::rate::{Per, Rate, Rates};

/// Something that is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Changing the password.
    ChangePassword,
    /// Changing the phone number.
    ChangePhone,
    /// Adding, removing, choosing email addresses.
    ManageEmail,
    /// Asking for a password reset. Key: the address.
    ResetPassword,
    /// Proving again who one is.
    Reauthenticate,
    /// Setting a new password with a reset key.
    ResetPasswordFromKey,
    /// Signing up.
    Signup,
    /// Logging in.
    Login,
    /// Asking for a login code. Key: the address or number.
    RequestLoginCode,
    /// Failing to log in. Key: the account.
    LoginFailed,
    /// Having a verification mail sent. Key: the address.
    ConfirmEmail,
    /// Having a verification message sent. Key: the number.
    VerifyPhone,
}

/// The rates of each [`Action`]. Written as a table of those that differ from the default, or `false`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimits([Rates; 12]);

const NAMES: [&str; 12] = [
    "change_password",
    "change_phone",
    "manage_email",
    "reset_password",
    "reauthenticate",
    "reset_password_from_key",
    "signup",
    "login",
    "request_login_code",
    "login_failed",
    "confirm_email",
    "verify_phone",
];

impl Action {
    /// Every action.
    pub const ALL: [Self; 12] = [
        Self::ChangePassword,
        Self::ChangePhone,
        Self::ManageEmail,
        Self::ResetPassword,
        Self::Reauthenticate,
        Self::ResetPasswordFromKey,
        Self::Signup,
        Self::Login,
        Self::RequestLoginCode,
        Self::LoginFailed,
        Self::ConfirmEmail,
        Self::VerifyPhone,
    ];

    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES[self as usize]
    }

    fn default_rates(self) -> Rates {
        let rate = |amount, seconds: i64, per| Rate { amount, window_ms: seconds * 1000, per };
        Rates(match self {
            Self::ChangePassword => vec![rate(5, 60, Per::User)],
            Self::ChangePhone => vec![rate(1, 60, Per::User)],
            Self::ManageEmail | Self::Reauthenticate => vec![rate(10, 60, Per::User)],
            Self::ResetPassword => vec![rate(20, 60, Per::Ip), rate(5, 60, Per::Key)],
            Self::ResetPasswordFromKey | Self::Signup => vec![rate(20, 60, Per::Ip)],
            Self::Login => vec![rate(30, 60, Per::Ip)],
            Self::RequestLoginCode => vec![rate(20, 60, Per::Ip), rate(3, 60, Per::Key)],
            Self::LoginFailed => vec![rate(10, 60, Per::Ip), rate(5, 300, Per::Key)],
            Self::ConfirmEmail => vec![rate(1, 180, Per::Key)],
            Self::VerifyPhone => vec![rate(1, 30, Per::Key), rate(3, 60, Per::Ip)],
        })
    }
}

impl RateLimits {
    /// What `confirm_email` is, if left out, where a code verifies an address: people wait for codes.
    pub(super) const CONFIRM_EMAIL_BY_CODE: &str = "1/10s/key";

    /// No limit on anything.
    #[must_use]
    pub fn off() -> Self {
        Self(Default::default())
    }

    /// The rates of `action`, all of which must hold. Empty: no limit.
    #[must_use]
    pub fn rates(&self, action: Action) -> &[Rate] {
        self.0[action as usize].as_slice()
    }

    /// Replaces the rates of `action`.
    pub fn set(&mut self, action: Action, rates: Rates) {
        self.0[action as usize] = rates;
    }
}

/// The reference's limits, those of links for `confirm_email`. [`Config::load`](super::Config::load) puts in those
/// of codes where codes verify.
impl Default for RateLimits {
    fn default() -> Self {
        Self(Action::ALL.map(Action::default_rates))
    }
}

impl<'de> Deserialize<'de> for RateLimits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = RateLimits;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of rates, or false")
            }

            fn visit_bool<E: de::Error>(self, limited: bool) -> Result<RateLimits, E> {
                Ok(if limited { RateLimits::default() } else { RateLimits::off() })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RateLimits, A::Error> {
                let mut limits = RateLimits::default();
                while let Some(name) = map.next_key::<String>()? {
                    let action = Action::ALL.into_iter().find(|action| action.name() == name);
                    let action = action.ok_or_else(|| de::Error::unknown_field(&name, &NAMES))?;
                    limits.set(action, map.next_value()?);
                }
                Ok(limits)
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl Serialize for RateLimits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Action::ALL.map(|action| (action.name(), &self.0[action as usize])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn shown(text: &str, action: Action) -> String {
        Rates(Config::from_toml(text).unwrap().account.rate_limits.rates(action).to_vec()).to_string()
    }

    #[test]
    fn a_table_changes_single_actions() {
        let text = "account.rate_limits = { login = \"3/h\", signup = false }";
        assert_eq!(shown(text, Action::Login), "3/h/ip");
        assert_eq!(shown(text, Action::Signup), "");
        assert_eq!(shown(text, Action::LoginFailed), "10/m/ip,5/5m/key");
    }

    #[test]
    fn false_lifts_every_limit() {
        let limits = Config::from_toml("account.rate_limits = false").unwrap().account.rate_limits;
        assert!(Action::ALL.into_iter().all(|action| limits.rates(action).is_empty()));
    }

    #[test]
    fn codes_may_be_sent_sooner_than_links() {
        assert_eq!(shown("", Action::ConfirmEmail), "1/3m/key");
        let by_code = "[account]\nemail_verification_by_code_enabled = true\n";
        assert_eq!(shown(by_code, Action::ConfirmEmail), "1/10s/key");
        assert_eq!(
            shown(&format!("{by_code}rate_limits = {{ login = \"1/s\" }}"), Action::ConfirmEmail),
            "1/10s/key"
        );
        assert_eq!(
            shown(&format!("{by_code}rate_limits = {{ confirm_email = \"1/m/key\" }}"), Action::ConfirmEmail),
            "1/m/key"
        );
        assert_eq!(shown(&format!("{by_code}rate_limits = false"), Action::ConfirmEmail), "");
    }
}

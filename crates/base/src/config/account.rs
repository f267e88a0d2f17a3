//! `[account]`: who may sign up, how one logs in, and how addresses, numbers and passwords are proven.

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

use super::code_format::CodeFormat;
use super::extra_fields::ExtraField;
use super::rate_limits::RateLimits;
use super::read;
use super::settings::settings;
use super::signup_fields::{Presence, SignupField, SignupFields};

settings! {
    /// Signing up, logging in, email addresses, phone numbers and their verification. Names are allauth's `ACCOUNT_*`.
    pub struct Account {
        /// What a person may type to say who they are: any of `"email"`, `"username"`, `"phone"`.
        ///
        /// Each must also be one of `signup_fields`, or nobody could ever log in with it.
        /// allauth: `ACCOUNT_LOGIN_METHODS`.
        #[serde(deserialize_with = "read::unique")]
        pub login_methods: Vec<LoginMethod> = vec![LoginMethod::Email],

        /// What a new account is asked for: `"username"`, `"email"`, `"email2"`, `"phone"`, `"password1"`,
        /// `"password2"`; an asterisk marks what must be given. `email2` and `password2` ask for the same again.
        ///
        /// Without `password1`, people log in by code, passkey or provider. allauth: `ACCOUNT_SIGNUP_FIELDS`.
        pub signup_fields: SignupFields = SignupFields::new(&[
            (SignupField::Email, Presence::Required),
            (SignupField::Password1, Presence::Required),
        ]),

        /// Further fields of the signup, each an `[[account.extra_signup_fields]]` with `name`, `type` (`"text"`, `"integer"`,
        /// `"number"`, `"boolean"`, `"date"`, `"choice"`, `"email"`, `"url"`), and where wanted `label`, `required`, `min_length`
        /// and `max_length` (255) of texts, `min` and `max` of numbers, the `choices`, and `show = false` to keep it out of the
        /// user object that clients get. A required `boolean` must be true.
        pub extra_signup_fields: Vec<ExtraField> = Vec::new(),

        /// Whether people can make accounts by themselves. With `false`, signup answers 403.
        ///
        /// allauth: the adapter's `is_open_for_signup`.
        pub is_open_for_signup: bool = true,

        /// Whether an email address must be proven: `"mandatory"` (no login before), `"optional"` (a mail goes out,
        /// login does not wait) or `"none"` (no mail at signup).
        ///
        /// Danger: without `"mandatory"`, anybody can hold an account under somebody else's address.
        /// allauth: `ACCOUNT_EMAIL_VERIFICATION`.
        pub email_verification: EmailVerification = EmailVerification::Mandatory,

        /// Hides whether an account exists: `false`, `true`, or `"strict"`. With `true`, the uniqueness of addresses
        /// goes before secrecy where signup does not wait for verification; with `"strict"`, such a signup goes
        /// through and the address may be on several accounts, verified on one at most.
        ///
        /// Danger: with `false`, strangers can ask which addresses have accounts. allauth: `ACCOUNT_PREVENT_ENUMERATION`.
        pub prevent_enumeration: PreventEnumeration = PreventEnumeration::On,

        /// How often an action may be tried, as `"AMOUNT/WINDOW/PER"`, several separated by commas: `"10/m/ip,5/5m/key"`.
        /// Windows end in `s`, `m`, `h` or `d`; `per` is `ip`, `user` or `key` (the account that is aimed at).
        ///
        /// A table changes single actions, `""` or `false` lifts the limit of one, `rate_limits = false` lifts them all.
        /// When `confirm_email` is left out, it is one in three minutes for links and one in ten seconds for codes.
        /// Danger: without limits, passwords and codes can be guessed. allauth: `ACCOUNT_RATE_LIMITS`.
        pub rate_limits: RateLimits = RateLimits::default(),

        /// Taken so that allauth's settings can be kept as they are; it concerns allauth's own login page. How long a
        /// browser keeps its session is `session.cookie_age`.
        ///
        /// allauth: `ACCOUNT_SESSION_REMEMBER`.
        pub session_remember: Option<bool> = None,

        /// A field that people never see and robots fill in: a signup that carries it gets a convincing answer and no
        /// account. Choose a name that the form does not use otherwise. allauth: `ACCOUNT_SIGNUP_FORM_HONEYPOT_FIELD`.
        pub signup_form_honeypot_field: Option<String> = None,

        /// Seconds that a login may take from its first step to its last. allauth: `ACCOUNT_LOGIN_TIMEOUT`.
        pub login_timeout: i64 = 900,

        /// Whether people can log in by a code that is sent to them. allauth: `ACCOUNT_LOGIN_BY_CODE_ENABLED`.
        pub login_by_code_enabled: bool = false,

        /// Whether a code is asked for on top of another way of logging in: `false`, `true`, or a list of ways:
        /// `"password"`, `"socialaccount"`, `"mfa"`. allauth: `ACCOUNT_LOGIN_BY_CODE_REQUIRED`.
        pub login_by_code_required: LoginByCodeRequired = LoginByCodeRequired::Never,

        /// Wrong codes until the login is over. allauth: `ACCOUNT_LOGIN_BY_CODE_MAX_ATTEMPTS`.
        pub login_by_code_max_attempts: u32 = 3,

        /// Seconds that a login code is good for. allauth: `ACCOUNT_LOGIN_BY_CODE_TIMEOUT`.
        pub login_by_code_timeout: i64 = 180,

        /// How often a new login code may be asked for: a number, `true` for two, or `false`.
        ///
        /// allauth: `ACCOUNT_LOGIN_BY_CODE_SUPPORTS_RESEND`.
        #[serde(deserialize_with = "read::count")]
        pub login_by_code_supports_resend: u32 = 0,

        /// Whether a browser can be trusted, so that it is not asked for the code of `login_by_code_required` again.
        /// It needs `mfa.supported_types` not to be empty. allauth: `ACCOUNT_LOGIN_BY_CODE_TRUST_ENABLED`.
        pub login_by_code_trust_enabled: bool = false,

        /// What login codes look like; see `user_code_format`. allauth: `ACCOUNT_LOGIN_BY_CODE_FORMAT`.
        pub login_by_code_format: CodeFormat = CodeFormat::default(),

        /// What codes look like, unless one of the other `*_format` settings says otherwise: `numeric` (digits instead
        /// of letters), `dashed` (shown in groups), `length` (8 letters, 9 digits).
        ///
        /// Danger: short numeric codes are guessed sooner. allauth: `ALLAUTH_USER_CODE_FORMAT`.
        pub user_code_format: CodeFormat = CodeFormat::default(),

        /// Whether a code instead of a link proves an email address. allauth: `ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED`.
        pub email_verification_by_code_enabled: bool = false,

        /// Wrong codes until the verification is over. allauth: `ACCOUNT_EMAIL_VERIFICATION_BY_CODE_MAX_ATTEMPTS`.
        pub email_verification_by_code_max_attempts: u32 = 3,

        /// Seconds that an email verification code is good for; allauth's default is 900.
        ///
        /// allauth: `ACCOUNT_EMAIL_VERIFICATION_BY_CODE_TIMEOUT`.
        pub email_verification_by_code_timeout: i64 = 600,

        /// What email verification codes look like; see `user_code_format`.
        ///
        /// allauth: `ACCOUNT_EMAIL_VERIFICATION_BY_CODE_FORMAT`.
        pub email_verification_by_code_format: CodeFormat = CodeFormat::default(),

        /// How often the address may be corrected while its verification by code is pending: a number, `true` for two,
        /// or `false`. Danger: with `prevent_enumeration` on, an address cannot be corrected where the account existed
        /// already, which an attentive person can tell. allauth: `ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_CHANGE`.
        #[serde(deserialize_with = "read::count")]
        pub email_verification_supports_change: u32 = 0,

        /// How often a new verification code may be asked for: a number, `true` for two, or `false`.
        ///
        /// allauth: `ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND`.
        #[serde(deserialize_with = "read::count")]
        pub email_verification_supports_resend: u32 = 0,

        /// Days that a verification link is good for. allauth: `ACCOUNT_EMAIL_CONFIRMATION_EXPIRE_DAYS`.
        pub email_confirmation_expire_days: u32 = 3,

        /// Whether verification links carry a signature (`true`) or a random key kept in the database (`false`). Nothing
        /// differs for clients. allauth: `ACCOUNT_EMAIL_CONFIRMATION_HMAC`.
        pub email_confirmation_hmac: bool = true,

        /// Whether following a verification link also logs in the session that signed up.
        ///
        /// allauth: `ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION`.
        pub login_on_email_confirmation: bool = false,

        /// Whether addresses are unique: one account at most may hold an address as verified.
        ///
        /// Danger: with `false`, an address does not say which account is meant. allauth: `ACCOUNT_UNIQUE_EMAIL`.
        pub unique_email: bool = true,

        /// Whether an account has one address, which a new one replaces once it is verified (`true`), or several
        /// (`false`). allauth: `ACCOUNT_CHANGE_EMAIL`.
        pub change_email: bool = false,

        /// The most addresses that an account may have; unset: no bound. With 1, an address can never be changed.
        ///
        /// allauth: `ACCOUNT_MAX_EMAIL_ADDRESSES`.
        pub max_email_addresses: Option<u32> = None,

        /// The longest email address that is taken, in characters. allauth: `ACCOUNT_EMAIL_MAX_LENGTH`.
        pub email_max_length: u32 = 254,

        /// Whether the owner is told by mail of changes to the account, with address and user agent they came from.
        ///
        /// allauth: `ACCOUNT_EMAIL_NOTIFICATIONS`.
        pub email_notifications: bool = false,

        /// Whether a password reset asked for an unknown address sends a mail that says so.
        ///
        /// allauth: `ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS`.
        pub email_unknown_accounts: bool = true,

        /// Whether a code instead of a link resets a password. allauth: `ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED`.
        pub password_reset_by_code_enabled: bool = false,

        /// Wrong codes until the reset is over. allauth: `ACCOUNT_PASSWORD_RESET_BY_CODE_MAX_ATTEMPTS`.
        pub password_reset_by_code_max_attempts: u32 = 3,

        /// Seconds that a reset code is good for. allauth: `ACCOUNT_PASSWORD_RESET_BY_CODE_TIMEOUT`.
        pub password_reset_by_code_timeout: i64 = 180,

        /// What reset codes look like; see `user_code_format`. allauth: `ACCOUNT_PASSWORD_RESET_BY_CODE_FORMAT`.
        pub password_reset_by_code_format: CodeFormat = CodeFormat::default(),

        /// Seconds that a reset link is good for; Django's default is three days. Django: `PASSWORD_RESET_TIMEOUT`.
        pub password_reset_timeout: i64 = 3600,

        /// Whether a password reset also logs in; a second factor is asked for as ever.
        ///
        /// allauth: `ACCOUNT_LOGIN_ON_PASSWORD_RESET`.
        pub login_on_password_reset: bool = false,

        /// Whether a password change ends the session that made it, too. All others end in any case.
        ///
        /// allauth: `ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE`.
        pub logout_on_password_change: bool = false,

        /// Whether email addresses, phone number and connections can be changed only by somebody who has proven again,
        /// lately, who they are. allauth: `ACCOUNT_REAUTHENTICATION_REQUIRED`.
        pub reauthentication_required: bool = false,

        /// Seconds that such a proof counts as late enough. allauth: `ACCOUNT_REAUTHENTICATION_TIMEOUT`.
        pub reauthentication_timeout: i64 = 300,

        /// Whether user names keep the case they were typed in; they are compared without it in any case.
        ///
        /// allauth: `ACCOUNT_PRESERVE_USERNAME_CASING`.
        pub preserve_username_casing: bool = true,

        /// User names that nobody can take, compared without case. allauth: `ACCOUNT_USERNAME_BLACKLIST`.
        pub username_blacklist: Vec<String> = Vec::new(),

        /// The fewest characters of a user name. allauth: `ACCOUNT_USERNAME_MIN_LENGTH`.
        pub username_min_length: u32 = 1,

        /// Whether a phone number must be proven by a code before login. allauth: `ACCOUNT_PHONE_VERIFICATION_ENABLED`.
        pub phone_verification_enabled: bool = true,

        /// Wrong codes until the verification is over. allauth: `ACCOUNT_PHONE_VERIFICATION_MAX_ATTEMPTS`.
        pub phone_verification_max_attempts: u32 = 3,

        /// Seconds that a phone verification code is good for; allauth's default is 900.
        ///
        /// allauth: `ACCOUNT_PHONE_VERIFICATION_TIMEOUT`.
        pub phone_verification_timeout: i64 = 600,

        /// How often the number may be corrected while its verification is pending: a number, `true` for two, or
        /// `false`. allauth: `ACCOUNT_PHONE_VERIFICATION_SUPPORTS_CHANGE`.
        #[serde(deserialize_with = "read::count")]
        pub phone_verification_supports_change: u32 = 0,

        /// How often a new code may be asked for: a number, `true` for two, or `false`.
        ///
        /// allauth: `ACCOUNT_PHONE_VERIFICATION_SUPPORTS_RESEND`.
        #[serde(deserialize_with = "read::count")]
        pub phone_verification_supports_resend: u32 = 0,

        /// What phone verification codes look like; see `user_code_format`.
        ///
        /// allauth: `ACCOUNT_PHONE_VERIFICATION_CODE_FORMAT`.
        pub phone_verification_code_format: CodeFormat = CodeFormat::default(),

        /// Whether people can delete their account by themselves, at `DELETE account`, after proving again who they are. Everything
        /// that is kept of them goes with it, at once and for good.
        pub deletion_enabled: bool = false,

        /// Whether people can download what is kept of them, at `GET account/export`, after proving again who they are.
        pub data_export_enabled: bool = false,
    }
}

/// What a person types to say who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginMethod {
    /// A name of the person's choice.
    Username,
    /// One of the account's email addresses.
    Email,
    /// The account's phone number.
    Phone,
}

/// Whether an email address must be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EmailVerification {
    /// No login before the address is proven.
    Mandatory,
    /// A mail goes out; login does not wait for it.
    Optional,
    /// No mail at signup.
    None,
}

/// How far to go in hiding whether an account exists. Written as `false`, `true` or `"strict"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreventEnumeration {
    /// Do not hide it.
    Off,
    /// Hide it wherever addresses stay unique.
    On,
    /// Hide it even at the price of one address on several accounts.
    Strict,
}

/// After which ways of logging in a code is asked for as well. Written as a flag or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginByCodeRequired {
    /// After none.
    Never,
    /// After every one.
    Always,
    /// After these: `password`, `socialaccount`, `mfa`.
    For(Vec<String>),
}

const CODE_AFTER: [&str; 3] = ["password", "socialaccount", "mfa"];

impl<'de> Deserialize<'de> for PreventEnumeration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = PreventEnumeration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or \"strict\"")
            }

            fn visit_bool<E: de::Error>(self, on: bool) -> Result<Self::Value, E> {
                Ok(if on { PreventEnumeration::On } else { PreventEnumeration::Off })
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Self::Value, E> {
                match word {
                    "strict" => Ok(PreventEnumeration::Strict),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl Serialize for PreventEnumeration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_bool(false),
            Self::On => serializer.serialize_bool(true),
            Self::Strict => serializer.serialize_str("strict"),
        }
    }
}

impl<'de> Deserialize<'de> for LoginByCodeRequired {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = LoginByCodeRequired;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "true, false or a list of {CODE_AFTER:?}")
            }

            fn visit_bool<E: de::Error>(self, on: bool) -> Result<Self::Value, E> {
                Ok(if on { LoginByCodeRequired::Always } else { LoginByCodeRequired::Never })
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut ways: Vec<String> = Vec::new();
                while let Some(way) = seq.next_element::<String>()? {
                    if !CODE_AFTER.contains(&way.as_str()) {
                        return Err(de::Error::unknown_variant(&way, &CODE_AFTER));
                    }
                    if !ways.contains(&way) {
                        ways.push(way);
                    }
                }
                Ok(if ways.is_empty() { LoginByCodeRequired::Never } else { LoginByCodeRequired::For(ways) })
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl Serialize for LoginByCodeRequired {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Never => serializer.serialize_bool(false),
            Self::Always => serializer.serialize_bool(true),
            Self::For(ways) => ways.serialize(serializer),
        }
    }
}

impl LoginByCodeRequired {
    /// Whether a code is asked for after logging in by `way` (`password`, `socialaccount` or `mfa`).
    #[must_use]
    pub fn after(&self, way: &str) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::For(ways) => ways.iter().any(|w| w == way),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn account(text: &str) -> Account {
        Config::from_toml(&format!("[account]\n{text}")).unwrap().account
    }

    #[test]
    fn flags_with_a_third_value() {
        assert_eq!(account("prevent_enumeration = false").prevent_enumeration, PreventEnumeration::Off);
        assert_eq!(
            account("prevent_enumeration = \"strict\"").prevent_enumeration,
            PreventEnumeration::Strict
        );
        assert!(Config::from_toml("account.prevent_enumeration = \"yes\"").is_err());
        assert_eq!(
            account("login_by_code_required = true").login_by_code_required,
            LoginByCodeRequired::Always
        );
        let some = account("login_by_code_required = [\"password\"]").login_by_code_required;
        assert!(some.after("password") && !some.after("mfa"));
        assert!(Config::from_toml("account.login_by_code_required = [\"fax\"]").is_err());
    }

    #[test]
    fn counts_may_be_flags() {
        assert_eq!(
            account("email_verification_supports_resend = true").email_verification_supports_resend,
            2
        );
        assert_eq!(account("email_verification_supports_resend = 5").email_verification_supports_resend, 5);
        assert_eq!(
            account("email_verification_supports_resend = false").email_verification_supports_resend,
            0
        );
        assert!(Config::from_toml("account.email_verification_supports_resend = -1").is_err());
    }

    #[test]
    fn login_methods_keep_their_order_and_come_once() {
        let methods = account("login_methods = [\"username\", \"email\", \"username\"]").login_methods;
        assert_eq!(methods, [LoginMethod::Username, LoginMethod::Email]);
    }

    #[test]
    fn one_code_format_for_all_unless_said_otherwise() {
        let account = account("user_code_format = { numeric = true }\nlogin_by_code_format = { length = 6 }");
        assert_eq!(
            account.email_verification_by_code_format,
            CodeFormat { numeric: true, dashed: true, length: 9 }
        );
        assert_eq!(account.login_by_code_format, CodeFormat { numeric: false, dashed: true, length: 6 });
    }
}

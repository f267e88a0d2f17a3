//! `[mfa]`: second factors, passkeys and trusted browsers.

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;

use super::rate::{Per, Rate, Rates};
use super::read;
use super::session::SameSite;
use super::settings::settings;
use super::webauthn::AndroidApp;

settings! {
    /// Second factors, passkeys and trusted browsers. Names are allauth's `MFA_*`.
    pub struct Mfa {
        /// What people can set up: any of `"totp"`, `"recovery_codes"`, `"webauthn"`. Empty: no second factors.
        ///
        /// allauth: `MFA_SUPPORTED_TYPES`.
        #[serde(deserialize_with = "read::unique")]
        pub supported_types: Vec<AuthenticatorType> = vec![AuthenticatorType::RecoveryCodes, AuthenticatorType::Totp],

        /// Whether an account with an unverified address may turn on second factors, and one with second factors may
        /// add an address. Danger: an account made with somebody else's address could be locked against its owner.
        /// allauth: `MFA_ALLOW_UNVERIFIED_EMAIL`.
        pub allow_unverified_email: bool = false,

        /// Whether second factors can be changed only by somebody who has proven again, lately, who they are.
        ///
        /// Danger: with `false`, a stolen session can replace them. allauth: `MFA_REAUTHENTICATION_REQUIRED`.
        pub reauthentication_required: bool = true,

        /// How often passkeys may be tried: `webauthn_login` is the only action. `false` lifts the limit.
        ///
        /// allauth: `MFA_RATE_LIMITS`.
        pub rate_limits: MfaRateLimits = MfaRateLimits::default(),

        /// How many recovery codes make a set. allauth: `MFA_RECOVERY_CODE_COUNT`.
        pub recovery_code_count: u32 = 10,

        /// Digits of a recovery code. allauth: `MFA_RECOVERY_CODE_DIGITS`.
        pub recovery_code_digits: u32 = 8,

        /// Whether recovery codes can be seen only once. allauth: `MFA_RECOVERY_CODES_SHOW_ONCE`.
        pub recovery_codes_show_once: bool = false,

        /// Whether the owner of an account is mailed, too, when one of its recovery codes was used; needs
        /// `account.email_notifications`. allauth sends no such mail.
        pub recovery_code_used_mail: bool = false,

        /// Seconds that a TOTP code is shown. allauth: `MFA_TOTP_PERIOD`.
        pub totp_period: u32 = 30,

        /// Digits of a TOTP code. allauth: `MFA_TOTP_DIGITS`.
        pub totp_digits: u32 = 6,

        /// How many periods a TOTP code may be early or late. Danger: each one makes guessing easier.
        ///
        /// allauth: `MFA_TOTP_TOLERANCE`.
        pub totp_tolerance: u32 = 0,

        /// Who issued the codes, as authenticator apps show it. Empty: the host of `server.public_url`.
        ///
        /// allauth: `MFA_TOTP_ISSUER`.
        pub totp_issuer: String = String::new(),

        /// Whether people can log in by passkey alone; needs `"webauthn"`. allauth: `MFA_PASSKEY_LOGIN_ENABLED`.
        pub passkey_login_enabled: bool = false,

        /// Whether people can sign up by passkey; needs `"webauthn"` and mandatory email verification by code.
        ///
        /// allauth: `MFA_PASSKEY_SIGNUP_ENABLED`.
        pub passkey_signup_enabled: bool = false,

        /// Whether the person must be verified (fingerprint, PIN) where a key is a second factor: `"discouraged"`,
        /// `"preferred"` or `"required"`. Passkeys always verify. allauth: `MFA_WEBAUTHN_USER_VERIFICATION`.
        pub webauthn_user_verification: UserVerification = UserVerification::Preferred,

        /// Whether origins without https other than localhost are taken. Danger: for development only.
        ///
        /// allauth: `MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN`.
        pub webauthn_allow_insecure_origin: bool = false,

        /// The domain that keys and passkeys belong to. Unset: the host of `server.public_url`.
        ///
        /// A domain above it, such as `"example.org"`, lets all its sub-domains use the same keys. Danger: whoever
        /// controls one of those can ask for them, too. With another domain, keys that were set up before stop working.
        /// allauth: its adapter's `get_public_key_credential_rp_entity`.
        pub webauthn_rp_id: Option<String> = None,

        /// What people are shown as the name of the site when they set up a key. Empty: the host of `server.public_url`.
        pub webauthn_rp_name: String = String::new(),

        /// Origins of pages and apps that may use keys, besides that of `server.public_url`: those of front ends, such as
        /// `"https://app.example.org"`, and of apps, such as `"android:apk-key-hash:..."`.
        ///
        /// Those outside of `webauthn_rp_id` are listed in `/.well-known/webauthn`, as browsers ask for.
        #[serde(deserialize_with = "read::unique")]
        pub webauthn_origins: Vec<String> = Vec::new(),

        /// Android apps that share keys with the site, each a `[[mfa.webauthn_android_apps]]` with `package_name` and
        /// `sha256_cert_fingerprints`, the list of its signing certificates' fingerprints as `AB:CD:...`.
        ///
        /// Their origins are taken, and `/.well-known/assetlinks.json` lists them.
        pub webauthn_android_apps: Vec<AndroidApp> = Vec::new(),

        /// iOS and macOS apps that share keys with the site, as `"TEAMID.com.example.app"`.
        ///
        /// `/.well-known/apple-app-site-association` lists them; their origin, https on `webauthn_rp_id`, is taken.
        #[serde(deserialize_with = "read::unique")]
        pub webauthn_apple_apps: Vec<String> = Vec::new(),

        /// Whether people can mark a browser as trusted, so that it is not asked for the second factor again.
        ///
        /// allauth: `MFA_TRUST_ENABLED`.
        pub trust_enabled: bool = false,

        /// Seconds that a browser stays trusted. allauth: `MFA_TRUST_COOKIE_AGE`.
        pub trust_cookie_age: i64 = 1_209_600,

        /// Name of the cookie of a trusted browser. allauth: `MFA_TRUST_COOKIE_NAME`.
        pub trust_cookie_name: String = "mfa_trusted".to_owned(),

        /// Domain of that cookie. Unset: as `session.cookie_domain`. allauth: `MFA_TRUST_COOKIE_DOMAIN`.
        pub trust_cookie_domain: Option<String> = None,

        /// Path of that cookie. Unset: as `session.cookie_path`. allauth: `MFA_TRUST_COOKIE_PATH`.
        pub trust_cookie_path: Option<String> = None,

        /// `SameSite` of that cookie. Unset: as `session.cookie_samesite`. allauth: `MFA_TRUST_COOKIE_SAMESITE`.
        pub trust_cookie_samesite: Option<SameSite> = None,

        /// Whether browsers send that cookie over https alone. Unset: as `session.cookie_secure`.
        ///
        /// allauth: `MFA_TRUST_COOKIE_SECURE`.
        pub trust_cookie_secure: Option<bool> = None,

        /// Whether that cookie is out of reach for scripts. Unset: as `session.cookie_httponly`.
        ///
        /// allauth: `MFA_TRUST_COOKIE_HTTPONLY`.
        pub trust_cookie_httponly: Option<bool> = None,
    }
}

/// A kind of second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticatorType {
    /// Codes of an authenticator app.
    Totp,
    /// Codes on paper, for when the other factors are lost.
    RecoveryCodes,
    /// Security keys and passkeys.
    Webauthn,
}

impl AuthenticatorType {
    /// Its name in settings, answers and the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::RecoveryCodes => "recovery_codes",
            Self::Webauthn => "webauthn",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Totp, Self::RecoveryCodes, Self::Webauthn].into_iter().find(|kind| kind.name() == name)
    }
}

/// Whether a security key must verify who holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UserVerification {
    /// Rather not.
    Discouraged,
    /// If it can.
    Preferred,
    /// It must.
    Required,
}

/// Limits of this room. Written as a table, or `false`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MfaRateLimits {
    /// Logging in by passkey.
    pub webauthn_login: Rates,
}

impl Default for MfaRateLimits {
    fn default() -> Self {
        Self { webauthn_login: Rates(vec![Rate { amount: 10, window_ms: 60_000, per: Per::Ip }]) }
    }
}

impl<'de> Deserialize<'de> for MfaRateLimits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = MfaRateLimits;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of rates, or false")
            }

            fn visit_bool<E: de::Error>(self, limited: bool) -> Result<MfaRateLimits, E> {
                let off = MfaRateLimits { webauthn_login: Rates::default() };
                Ok(if limited { MfaRateLimits::default() } else { off })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MfaRateLimits, A::Error> {
                let mut limits = MfaRateLimits::default();
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "webauthn_login" => limits.webauthn_login = map.next_value()?,
                        _ => return Err(de::Error::unknown_field(&name, &["webauthn_login"])),
                    }
                }
                Ok(limits)
            }
        }
        deserializer.deserialize_any(Read)
    }
}

//! Settings: one struct a section, each field with its manual entry and default, read from a TOML file and the
//! environment, and checked against each other.
//!
//! Keys are allauth's setting names (Django's for sessions and CSRF), lower-cased and without their prefix:
//! `ACCOUNT_LOGIN_METHODS` is `login_methods` in `[account]`. Durations are whole seconds.

mod account;
mod admin;
mod check;
mod code_format;
mod colour;
mod csrf;
mod database;
mod describe;
mod email;
mod events;
mod extra_fields;
mod headless;
mod hooks;
mod load;
mod mfa;
mod passwords;
mod portal;
mod rate;
mod rate_limits;
mod read;
mod server;
mod session;
mod settings;
mod signup_fields;
mod sms;
mod socialaccount;
mod telemetry;
mod usersessions;
mod webauthn;

pub use account::{Account, EmailVerification, LoginByCodeRequired, LoginMethod, PreventEnumeration};
pub use admin::Admin;
pub use check::{Finding, Severity, check};
pub use code_format::CodeFormat;
pub use colour::{Colour, NotAColour};
pub use csrf::Csrf;
pub use database::Database;
pub use describe::{DjangoName, default_toml, django_names, reference_markdown};
pub use email::{Email, SmtpTls};
pub use events::{Events, Webhook};
pub use extra_fields::{ExtraField, ExtraFieldKind};
pub use headless::{ClientKind, FrontendUrls, Headless, IntrospectionClient, JwtAlgorithm, TokenStrategy};
pub use hooks::{HookCall, Hooks};
pub use load::{ConfigError, Source};
pub use mfa::{AuthenticatorType, Mfa, MfaRateLimits, UserVerification};
pub use passwords::{Argon2, Passwords, Validator};
pub use portal::{Link, Portal};
pub use rate::{NotARate, Per, Rate, Rates};
pub use rate_limits::{Action, RateLimits};
pub use server::Server;
pub use session::{SameSite, Session};
pub use signup_fields::{Presence, SignupField, SignupFields};
pub use sms::Sms;
pub use socialaccount::{App, SocialAccount};
pub use telemetry::Telemetry;
pub use usersessions::UserSessions;
pub use webauthn::AndroidApp;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// Everything that can be set. Secrets neither print nor serialise.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[telemetry]`
    pub telemetry: Telemetry,
    /// `[database]`
    pub database: Database,
    /// `[session]`
    pub session: Session,
    /// `[csrf]`
    pub csrf: Csrf,
    /// `[account]`
    pub account: Account,
    /// `[mfa]`
    pub mfa: Mfa,
    /// `[socialaccount]`
    pub socialaccount: SocialAccount,
    /// `[usersessions]`
    pub usersessions: UserSessions,
    /// `[headless]`
    pub headless: Headless,
    /// `[portal]`
    pub portal: Portal,
    /// `[admin]`
    pub admin: Admin,
    /// `[email]`
    pub email: Email,
    /// `[sms]`
    pub sms: Sms,
    /// `[passwords]`
    pub passwords: Passwords,
    /// `[events]`
    pub events: Events,
    /// `[hooks]`
    pub hooks: Hooks,
}

/// Settings whose default depends on another one.
impl Config {
    /// The database, by default a file in the data folder.
    #[must_use]
    pub fn database_url(&self) -> SecretString {
        self.database.url.clone().unwrap_or_else(|| {
            let path = self.server.data_dir.join("vestibule.sqlite3");
            format!("sqlite://{}", path.display()).into()
        })
    }

    /// Whether an account made through a third party needs an address.
    #[must_use]
    pub fn providers_email_required(&self) -> bool {
        let asked = self.account.signup_fields.get(SignupField::Email);
        self.socialaccount.email_required.unwrap_or(asked == Some(Presence::Required))
    }

    /// Whether third parties are asked for addresses.
    #[must_use]
    pub fn queries_email(&self) -> bool {
        self.socialaccount.query_email.unwrap_or_else(|| self.providers_email_required())
    }

    /// Whether people reach this server over https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.server.public_url.starts_with("https://")
    }

    /// The host that people reach this server at, without its port.
    #[must_use]
    pub fn host(&self) -> Option<String> {
        url::Url::parse(&self.server.public_url).ok()?.host_str().map(str::to_owned)
    }

    /// Whether the session cookie is for https alone.
    #[must_use]
    pub fn session_cookie_secure(&self) -> bool {
        self.session.cookie_secure.unwrap_or(self.is_https())
    }

    /// Whether the CSRF cookie is for https alone.
    #[must_use]
    pub fn csrf_cookie_secure(&self) -> bool {
        self.csrf.cookie_secure.unwrap_or(self.is_https())
    }

    /// Whether Vestibule's own pages are served.
    #[must_use]
    pub fn has_portal(&self) -> bool {
        self.portal.enabled && !self.headless.only && self.headless.clients.contains(&ClientKind::Browser)
    }

    /// Origins that people may be sent back to: our own, and the listed ones. Those with a wildcard are none.
    #[must_use]
    pub fn return_origins(&self) -> Vec<String> {
        let listed = self.csrf.trusted_origins.iter().chain(&self.server.cors_allowed_origins);
        std::iter::once(&self.server.public_url)
            .chain(listed)
            .filter(|origin| !origin.contains('*'))
            .filter_map(|origin| Some(url::Url::parse(origin).ok()?.origin().ascii_serialization()))
            .collect()
    }

    /// Whether browsers can be trusted, for whatever purpose.
    #[must_use]
    pub fn trusts_browsers(&self) -> bool {
        self.mfa.trust_enabled || self.account.login_by_code_trust_enabled
    }

    /// Whether text messages can be sent, be it to the development mailbox.
    #[must_use]
    pub fn can_send_sms(&self) -> bool {
        self.sms.webhook_url.is_some() || self.email.is_development()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn defaults_follow_other_settings() {
        let config = Config::from_toml("server.public_url = \"https://auth.example.org/\"").unwrap();
        assert_eq!(config.server.public_url, "https://auth.example.org");
        assert!(config.session_cookie_secure() && config.csrf_cookie_secure());
        assert_eq!(config.database_url().expose_secret(), "sqlite://vestibule-data/vestibule.sqlite3");

        let config = Config::from_toml("email.host = \"localhost\"\ncsrf.cookie_secure = true").unwrap();
        assert!(!config.session_cookie_secure() && config.csrf_cookie_secure() && !config.can_send_sms());
        assert_eq!((config.email.tls(), config.email.port()), (SmtpTls::None, 25));
        let config = Config::from_toml("email.host = \"mail.example.org\"").unwrap();
        assert_eq!((config.email.tls(), config.email.port()), (SmtpTls::StartTls, 587));
    }

    #[test]
    fn header_and_cookie_words_are_normalised() {
        let text = "csrf.header_name = \"HTTP_X_XSRF_TOKEN\"\nsession.cookie_samesite = \"strict\"";
        let config = Config::from_toml(text).unwrap();
        assert_eq!(config.csrf.header_name, "X-XSRF-TOKEN");
        assert_eq!(config.session.cookie_samesite, SameSite::Strict);
        assert!(Config::from_toml("csrf.header_name = \"X CSRF\"").is_err());
        assert!(
            Config::from_toml("headless.frontend_urls.account_confirm_email = \"https://a.example/v\"")
                .is_err()
        );
    }
}

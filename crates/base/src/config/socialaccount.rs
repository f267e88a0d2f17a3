//! `[socialaccount]`: logging in through third parties.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

use super::account::EmailVerification;
use super::read;
use super::settings::settings;

settings! {
    /// Logging in through third parties (OAuth 2.0, OpenID Connect). Names are allauth's `SOCIALACCOUNT_*`.
    pub struct SocialAccount {
        /// The registrations at providers, each a `[[socialaccount.apps]]` with `provider` (its name in the catalogue),
        /// `provider_id` (for those that can be there several times, such as `openid_connect`), `name`, `client_id`,
        /// `secret`, `key`, and `settings`: what the provider can be told, endpoints included.
        ///
        /// allauth: the `APPS` of `SOCIALACCOUNT_PROVIDERS`.
        pub apps: Vec<App> = Vec::new(),

        /// A file with providers of your own, in the format of the built-in catalogue (see docs/providers.md); an entry there
        /// with the name of a built-in one takes its place.
        pub catalogue: Option<PathBuf> = None,

        /// Whether accounts exist through third parties alone: no password, no local signup.
        ///
        /// allauth: `SOCIALACCOUNT_ONLY`.
        pub only: bool = false,

        /// Whether a first login makes the account without asking anything, if the provider said all that is needed.
        ///
        /// allauth: `SOCIALACCOUNT_AUTO_SIGNUP`.
        pub auto_signup: bool = true,

        /// Whether a verified address from a provider logs in to the account that has it, connected or not. An app's
        /// `settings` can say so for it alone.
        ///
        /// Danger: every provider for which this is on can log in to every account.
        /// allauth: `SOCIALACCOUNT_EMAIL_AUTHENTICATION`.
        pub email_authentication: bool = false,

        /// Whether such a login also connects the provider to the account for good.
        ///
        /// allauth: `SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT`.
        pub email_authentication_auto_connect: bool = false,

        /// As `account.email_verification`, for accounts made through a provider. Unset: the same; with `only`, `"none"`.
        ///
        /// allauth: `SOCIALACCOUNT_EMAIL_VERIFICATION`.
        pub email_verification: Option<EmailVerification> = None,

        /// Whether an account made through a provider needs an address. Unset: if `account.signup_fields` has `"email*"`.
        ///
        /// allauth: `SOCIALACCOUNT_EMAIL_REQUIRED`.
        pub email_required: Option<bool> = None,

        /// Whether providers are asked for the address. Unset: as `email_required`. allauth: `SOCIALACCOUNT_QUERY_EMAIL`.
        pub query_email: Option<bool> = None,

        /// Whether connections can be changed only by somebody who has proven again, lately, who they are. Unset: as
        /// `account.reauthentication_required`. allauth: `SOCIALACCOUNT_REAUTHENTICATION_REQUIRED`.
        pub reauthentication_required: Option<bool> = None,

        /// Seconds that a request to a provider may take. allauth: `SOCIALACCOUNT_REQUESTS_TIMEOUT`.
        pub requests_timeout: i64 = 5,

        /// Whether the provider's tokens are kept (encrypted), for use on behalf of the user.
        ///
        /// allauth: `SOCIALACCOUNT_STORE_TOKENS`.
        pub store_tokens: bool = false,

        /// The part of the callback URL for OpenID Connect: `/accounts/oidc/ID/login/callback/`.
        ///
        /// allauth: `SOCIALACCOUNT_OPENID_CONNECT_URL_PREFIX`.
        pub openid_connect_url_prefix: String = "oidc".to_owned(),
    }
}

/// A registration at a provider. Its secret and its settings, which may hold keys, do not print.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// The provider's name in the catalogue, such as `github` or `openid_connect`.
    pub provider: String,
    /// What tells several registrations at one kind of provider apart. Left out: `provider`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// What people are shown. Left out: the catalogue's name.
    #[serde(default)]
    pub name: String,
    /// How the provider knows us.
    pub client_id: String,
    /// What we prove it with. Some providers have none.
    #[serde(default, deserialize_with = "read::secret", skip_serializing)]
    pub secret: Option<SecretString>,
    /// A further credential that few providers need.
    #[serde(default, deserialize_with = "read::secret", skip_serializing)]
    pub key: Option<SecretString>,
    /// What the provider can be told: scopes, endpoints, knobs.
    #[serde(default, skip_serializing)]
    pub settings: toml::Table,
}

impl App {
    /// What names this registration in URLs and answers.
    #[must_use]
    pub fn id(&self) -> &str {
        self.provider_id.as_deref().unwrap_or(&self.provider)
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("provider", &self.provider)
            .field("provider_id", &self.provider_id)
            .field("name", &self.name)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

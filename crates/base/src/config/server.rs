//! `[server]`: where it listens, under which name it is known, and its secrets.

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use std::path::PathBuf;

use super::read;
use super::settings::settings;
use crate::language::Language;

settings! {
    /// Where Vestibule listens, under which name it is known, which proxies it believes, and its secret key.
    pub struct Server {
        /// Address and port to listen on.
        pub listen: String = "127.0.0.1:8000".to_owned(),

        /// The URL under which browsers and applications reach this server: scheme, host, and port if it is an odd
        /// one. Links, cookies (`Secure` with https), WebAuthn and provider callbacks are made from it, never from
        /// what a request says.
        #[serde(deserialize_with = "without_slash")]
        pub public_url: String = "http://localhost:8000".to_owned(),

        /// The language of messages and mails for clients that do not say which one they like, or that like none of
        /// `languages`: its tag, such as `"de"`. Django: `LANGUAGE_CODE`.
        pub language: Language = Language::En,

        /// The languages to choose from by what a client likes (`Accept-Language`); `language` is always among them.
        /// Empty: all that there are. With templates in one language only, name that one. Django: `LANGUAGES`.
        pub languages: Vec<Language> = Vec::new(),

        /// The folder for what Vestibule keeps by itself: the SQLite database and generated secrets.
        pub data_dir: PathBuf = PathBuf::from("vestibule-data"),

        /// The key from which all signatures and encryption come: at least 32 random characters. Unset: one is generated
        /// at the first start and kept in `data_dir`; several instances need the same one, so they need it set.
        ///
        /// Danger: whoever knows it can forge links and read stored secrets. Django: `SECRET_KEY`.
        #[serde(deserialize_with = "read::secret", skip_serializing)]
        pub secret_key: Option<SecretString> = None,

        /// Former keys: what was signed or encrypted with them stays good, and new things use `secret_key`. To change
        /// the key, move the old one here. Django: `SECRET_KEY_FALLBACKS`.
        #[serde(deserialize_with = "read::secrets", skip_serializing)]
        pub secret_key_fallbacks: Vec<SecretString> = Vec::new(),

        /// Host names, without port, that requests may ask for; `".example.org"` also takes its sub-domains. Empty: the
        /// host of `public_url`, and the other names of this machine if that is one.
        ///
        /// Django: `ALLOWED_HOSTS`.
        pub allowed_hosts: Vec<String> = Vec::new(),

        /// Origins whose scripts may read answers, such as `"https://app.example.org"`. They are compared exactly;
        /// cookies are allowed. Browsers of these origins also need them in `csrf.trusted_origins` to change anything.
        ///
        /// django-cors-headers: `CORS_ALLOWED_ORIGINS`.
        pub cors_allowed_origins: Vec<String> = Vec::new(),

        /// How many proxies of yours stand before this server. The client's address is then the one that the outermost
        /// of them saw, counted from the right of `X-Forwarded-For`. 0: the header is not believed.
        ///
        /// Danger: too high a number lets clients choose their address and with it escape limits.
        /// allauth: `ALLAUTH_TRUSTED_PROXY_COUNT`.
        pub trusted_proxy_count: u32 = 0,

        /// A header in which your proxy puts the client's address, such as `"X-Real-IP"`. It takes the place of
        /// `X-Forwarded-For`.
        ///
        /// Danger: believed from anybody who reaches this server past the proxy.
        /// allauth: `ALLAUTH_TRUSTED_CLIENT_IP_HEADER`.
        pub trusted_client_ip_header: Option<String> = None,

        /// How many bits of an IPv6 address rate limits look at: providers hand out whole networks.
        ///
        /// allauth: `ALLAUTH_RATE_LIMIT_IPV6_PREFIX`.
        pub rate_limit_ipv6_prefix: u32 = 64,

        /// The longest body of a request, in bytes. Longer ones are refused unread.
        pub body_limit: u32 = 1_048_576,

        /// How many passwords are hashed at once. Unset: as many as there are processors.
        pub hash_workers: Option<u32> = None,

        /// How many requests may wait for their turn to have a password hashed; further ones get 503 at once.
        pub hash_queue: u32 = 64,

        /// Seconds that requests under way may take to finish when the server is asked to stop.
        pub shutdown_timeout: i64 = 30,

        /// Address and port for `/metrics` (Prometheus), apart from the public one. Unset: no metrics.
        pub metrics_listen: Option<String> = None,
    }
}

impl Server {
    /// The languages to choose from.
    #[must_use]
    pub fn languages(&self) -> &[Language] {
        if self.languages.is_empty() { Language::ALL } else { &self.languages }
    }
}

/// Paths are put after this URL, and begin with a slash themselves.
fn without_slash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let url = String::deserialize(deserializer)?;
    Ok(url.trim_end_matches('/').to_owned())
}

//! `[session]`: the browser's session cookie and how long sessions live.

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

use super::settings::settings;

settings! {
    /// Sessions of both clients, and the cookie that carries the browser's. Names are Django's `SESSION_*`.
    pub struct Session {
        /// Name of the cookie. With the prefix `__Host-`, browsers take it over https only, for this host only.
        ///
        /// Django: `SESSION_COOKIE_NAME`.
        pub cookie_name: String = "sessionid".to_owned(),

        /// Seconds that a session lives, for applications too. Django: `SESSION_COOKIE_AGE`.
        pub cookie_age: i64 = 1_209_600,

        /// Domain of the cookie, such as `"example.org"` to share it with sub-domains. Unset: this host alone.
        ///
        /// Danger: every host of that domain gets the cookie. Django: `SESSION_COOKIE_DOMAIN`.
        pub cookie_domain: Option<String> = None,

        /// Path of the cookie. Django: `SESSION_COOKIE_PATH`.
        pub cookie_path: String = "/".to_owned(),

        /// `SameSite` of the cookie: `"Lax"`, `"Strict"` or `"None"`. A front end on another site needs `"None"`, and
        /// with it https. Danger: with `"None"`, only the CSRF token protects. Django: `SESSION_COOKIE_SAMESITE`.
        pub cookie_samesite: SameSite = SameSite::Lax,

        /// Whether browsers send the cookie over https alone. Unset: when `server.public_url` is https.
        ///
        /// Django: `SESSION_COOKIE_SECURE`.
        pub cookie_secure: Option<bool> = None,

        /// Whether the cookie is out of reach for scripts. Danger: with `false`, a script injected anywhere on the site
        /// can steal sessions. Django: `SESSION_COOKIE_HTTPONLY`.
        pub cookie_httponly: bool = true,

        /// Whether every request extends the session's life by `cookie_age`. Django: `SESSION_SAVE_EVERY_REQUEST`.
        pub save_every_request: bool = false,

        /// Seconds without a request after which a session ends. Unset: only its age counts.
        pub idle_timeout: Option<i64> = None,
    }
}

/// When browsers send a cookie with requests that another site caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum SameSite {
    /// When somebody follows a link.
    Lax,
    /// Never.
    Strict,
    /// Always; browsers demand https for it.
    None,
}

impl SameSite {
    /// As it stands in a `Set-Cookie` header.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lax => "Lax",
            Self::Strict => "Strict",
            Self::None => "None",
        }
    }
}

/// Case does not count, as in a `Set-Cookie` header.
impl<'de> Deserialize<'de> for SameSite {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        [Self::Lax, Self::Strict, Self::None]
            .into_iter()
            .find(|value| value.name().eq_ignore_ascii_case(&word))
            .ok_or_else(|| de::Error::unknown_variant(&word, &["Lax", "Strict", "None"]))
    }
}

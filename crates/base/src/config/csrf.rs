//! `[csrf]`: the token that proves that a browser's request was meant.

use serde::Deserialize;
use serde::de::{self, Deserializer};

use super::session::SameSite;
use super::settings::settings;

settings! {
    /// Protection of browsers against requests forged by other sites. Names are Django's `CSRF_*`.
    pub struct Csrf {
        /// Name of the cookie that holds the token, for scripts to read. Django: `CSRF_COOKIE_NAME`.
        pub cookie_name: String = "csrftoken".to_owned(),

        /// Seconds that the cookie lives. Django: `CSRF_COOKIE_AGE`.
        pub cookie_age: i64 = 31_449_600,

        /// Domain of the cookie. A front end on a sub-domain can read the token only if this covers both. Unset: this
        /// host alone. Django: `CSRF_COOKIE_DOMAIN`.
        pub cookie_domain: Option<String> = None,

        /// Path of the cookie. Django: `CSRF_COOKIE_PATH`.
        pub cookie_path: String = "/".to_owned(),

        /// `SameSite` of the cookie: `"Lax"`, `"Strict"` or `"None"`. Django: `CSRF_COOKIE_SAMESITE`.
        pub cookie_samesite: SameSite = SameSite::Lax,

        /// Whether browsers send the cookie over https alone. Unset: when `server.public_url` is https.
        ///
        /// Django: `CSRF_COOKIE_SECURE`.
        pub cookie_secure: Option<bool> = None,

        /// Name of the header in which scripts send the token back; Django's spelling `"HTTP_X_CSRFTOKEN"` is taken too.
        ///
        /// Django: `CSRF_HEADER_NAME`.
        #[serde(deserialize_with = "header_name")]
        pub header_name: String = "X-CSRFToken".to_owned(),

        /// Origins besides `server.public_url` from which requests may change things, with scheme:
        /// `"https://app.example.org"`, or `"https://*.example.org"` for all its sub-domains.
        ///
        /// Danger: every page of such an origin can act for people who are logged in.
        /// Django: `CSRF_TRUSTED_ORIGINS`.
        pub trusted_origins: Vec<String> = Vec::new(),
    }
}

/// Django names headers as its environment does: `HTTP_X_XSRF_TOKEN` is `X-XSRF-TOKEN`.
fn header_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let written = String::deserialize(deserializer)?;
    let name = match written.strip_prefix("HTTP_") {
        Some(rest) => rest.replace('_', "-"),
        None => written,
    };
    let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if valid {
        Ok(name)
    } else {
        Err(de::Error::custom(format_args!("{name:?} cannot be the name of a header")))
    }
}

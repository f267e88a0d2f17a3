//! Cross-site request forgery, refused as Django does it: a secret in a cookie that scripts can read, the same secret,
//! plain or masked, in a header, and an origin that is on the list.

use axum::http::{HeaderMap, header};
use vestibule_base::config::Config;
use vestibule_base::security::{NoEntropy, random, same};

use super::cookies;

const ALPHABET: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const LENGTH: usize = 32;

/// The rules of this configuration.
#[derive(Debug)]
pub(super) struct Csrf {
    cookie_name: String,
    header_name: String,
    https: bool,
    origins: Vec<String>,
    /// `("https://", ".sub.example.org")` for `https://*.sub.example.org`.
    wildcards: Vec<(String, String)>,
}

/// The secret that a browser holds, or is about to be given.
#[derive(Debug)]
pub(super) struct Held {
    secret: Option<String>,
    /// Whether it came with the request.
    came: bool,
}

/// Why a request is refused. For the log: most such refusals are mistakes in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Reason {
    #[error("no CSRF cookie came with the request")]
    NoCookie,
    #[error("no header {0} came with the request")]
    NoHeader(String),
    #[error("the CSRF token in the header is not of the form of one")]
    Malformed,
    #[error("the CSRF token in the header is not the one of the cookie")]
    Mismatch,
    #[error("origin {0:?} is neither that of server.public_url nor in csrf.trusted_origins")]
    Origin(String),
    #[error("no Referer came with a request over https without Origin")]
    NoReferer,
    #[error("referer {0:?} is neither of server.public_url nor of csrf.trusted_origins")]
    Referer(String),
}

impl Held {
    /// The secret to be set in a cookie, if the browser has none.
    pub(super) fn to_set(&self) -> Option<String> {
        self.secret.clone().filter(|_| !self.came)
    }
}

impl Csrf {
    pub(super) fn new(config: &Config) -> Self {
        let own = url::Url::parse(&config.server.public_url).map(|url| url.origin().ascii_serialization());
        let (wild, plain): (Vec<&String>, Vec<&String>) =
            config.csrf.trusted_origins.iter().partition(|origin| origin.contains('*'));
        Self {
            cookie_name: config.csrf.cookie_name.clone(),
            header_name: config.csrf.header_name.clone(),
            https: config.is_https(),
            origins: own
                .into_iter()
                .chain(plain.into_iter().map(|origin| origin.trim_end_matches('/').to_owned()))
                .collect(),
            wildcards: wild
                .into_iter()
                .filter_map(|origin| {
                    let (scheme, host) = origin.split_once("*")?;
                    Some((scheme.to_owned(), host.to_owned()))
                })
                .collect(),
        }
    }

    /// A new secret.
    pub(super) fn fresh() -> Result<String, NoEntropy> {
        random::text(ALPHABET, LENGTH)
    }

    /// What the request's cookie holds; a new secret if there is none.
    pub(super) fn held(&self, headers: &HeaderMap) -> Held {
        let cookie = cookies::find(headers, &self.cookie_name).and_then(|value| unmasked(&value));
        match cookie {
            Some(secret) => Held { secret: Some(secret), came: true },
            None => Held { secret: Self::fresh().ok(), came: false },
        }
    }

    /// Whether a request that changes something was meant by the front end.
    /// A form may hold the secret in a `field` in place of the header.
    pub(super) fn check(&self, held: &Held, headers: &HeaderMap, field: Option<&str>) -> Result<(), Reason> {
        match text(headers, header::ORIGIN.as_str()) {
            Some(origin) if self.trusts(origin) => {}
            Some(origin) => return Err(Reason::Origin(origin.to_owned())),
            None if self.https => self.check_referer(headers)?,
            None => {}
        }
        let secret = held.secret.as_deref().filter(|_| held.came).ok_or(Reason::NoCookie)?;
        let sent = text(headers, &self.header_name).or(field);
        let sent = sent.ok_or_else(|| Reason::NoHeader(self.header_name.clone()))?;
        let sent = unmasked(sent).ok_or(Reason::Malformed)?;
        if same(sent.as_bytes(), secret.as_bytes()) { Ok(()) } else { Err(Reason::Mismatch) }
    }

    fn check_referer(&self, headers: &HeaderMap) -> Result<(), Reason> {
        let referer = text(headers, header::REFERER.as_str()).ok_or(Reason::NoReferer)?;
        let origin = url::Url::parse(referer).map(|url| url.origin().ascii_serialization());
        match origin {
            Ok(origin) if origin.starts_with("https://") && self.trusts(&origin) => Ok(()),
            _ => Err(Reason::Referer(referer.to_owned())),
        }
    }

    fn trusts(&self, origin: &str) -> bool {
        self.origins.iter().any(|trusted| trusted == origin)
            || self.wildcards.iter().any(|(scheme, host)| {
                // As Django has it, `*.example.org` stands for `example.org` as well.
                let name = origin.strip_prefix(scheme.as_str());
                name.is_some_and(|name| {
                    (name.ends_with(host.as_str()) && !name.contains('/'))
                        || host.strip_prefix('.') == Some(name)
                })
            })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// The secret in a token: the token itself, or what is behind its mask.
fn unmasked(token: &str) -> Option<String> {
    let places: Vec<usize> = token
        .bytes()
        .map(|byte| ALPHABET.iter().position(|letter| *letter == byte))
        .collect::<Option<_>>()?;
    if places.len() == LENGTH {
        return Some(token.to_owned());
    }
    if places.len() != 2 * LENGTH {
        return None;
    }
    let (mask, masked) = places.split_at(LENGTH);
    let size = ALPHABET.len();
    mask.iter()
        .zip(masked)
        .map(|(mask, masked)| ALPHABET.get((masked + size - mask) % size).copied().map(char::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &str = "UvMZxhID8exMasvWbmzL1qFGVZ9Xk7cI";
    /// Made by Django 5.2.19 of that secret.
    const MASKED: [&str; 3] = [
        "IrjK3EXN54HAfEyAVmKnv9SkR1cR9ouPsMVzqLvg384cfWTmWy9YmpnQCQbEjlwn",
        "HcL3QCZmYH6tTWUO5mP2IRa5Yf45HPEErxnSdJxPWLt5TefA6yeDz7FBJ43SRMGc",
        "xP45RY6cB0jWZS3g3NpCMO0Ejt3Gt304haGUe5EFz4GyZao24ZOdD4va4i2tD02C",
    ];

    fn rules(settings: &str) -> Csrf {
        Csrf::new(&Config::from_toml(settings).unwrap())
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn check(csrf: &Csrf, pairs: &[(&'static str, &str)]) -> Result<(), Reason> {
        let headers = headers(pairs);
        csrf.check(&csrf.held(&headers), &headers, None)
    }

    #[test]
    fn s4_plain_and_masked_tokens_are_taken() {
        let csrf = rules("");
        let cookie = format!("csrftoken={SECRET}");
        for token in MASKED.into_iter().chain([SECRET]) {
            assert_eq!(check(&csrf, &[("cookie", &cookie), ("x-csrftoken", token)]), Ok(()));
        }
        for (token, reason) in [
            ("a".repeat(32), Reason::Mismatch),
            ("a".repeat(64), Reason::Mismatch),
            ("abc".into(), Reason::Malformed),
            (String::new(), Reason::Malformed),
            ("!".repeat(32), Reason::Malformed),
        ] {
            assert_eq!(check(&csrf, &[("cookie", &cookie), ("x-csrftoken", &token)]), Err(reason));
        }
        assert_eq!(check(&csrf, &[("x-csrftoken", SECRET)]), Err(Reason::NoCookie));
        assert_eq!(check(&csrf, &[("cookie", &cookie)]), Err(Reason::NoHeader("X-CSRFToken".into())));
    }

    #[test]
    fn s4_origins_are_compared_exactly() {
        let csrf = rules("csrf.trusted_origins = ['https://app.example.org', 'https://*.sub.example.org']");
        let cookie = format!("csrftoken={SECRET}");
        for (origin, trusted) in [
            ("http://localhost:8000", true),
            ("https://localhost:8000", false),
            ("http://localhost:1", false),
            ("null", false),
            ("https://app.example.org", true),
            ("http://app.example.org", false),
            ("https://app.example.org.evil.example", false),
            ("https://a.sub.example.org", true),
            ("https://sub.example.org", true),
            ("https://evilsub.example.org", false),
            ("https://evil.example/.sub.example.org", false),
        ] {
            let got = check(&csrf, &[("cookie", &cookie), ("x-csrftoken", SECRET), ("origin", origin)]);
            assert_eq!(got.is_ok(), trusted, "{origin}");
        }
    }

    #[test]
    fn s4_over_https_a_referer_stands_in_for_a_missing_origin() {
        let csrf = rules("server.public_url = 'https://auth.example.org'\nemail.host = 'localhost'");
        let cookie = format!("csrftoken={SECRET}");
        let with = |referer: &str| {
            check(&csrf, &[("cookie", &cookie), ("x-csrftoken", SECRET), ("referer", referer)])
        };
        assert_eq!(with("https://auth.example.org/login"), Ok(()));
        assert!(with("http://auth.example.org/login").is_err());
        assert!(with("https://evil.example/auth.example.org").is_err());
        assert_eq!(check(&csrf, &[("cookie", &cookie), ("x-csrftoken", SECRET)]), Err(Reason::NoReferer));
    }

    proptest! {
        #[test]
        fn unmasking_never_panics(token in "\\PC{0,70}") {
            let _ = unmasked(&token);
        }

        #[test]
        fn unmasking_gives_secrets_of_the_right_form(token in "[a-zA-Z0-9]{64}") {
            prop_assert_eq!(unmasked(&token).map(|secret| secret.len()), Some(32));
        }
    }
}

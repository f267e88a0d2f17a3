//! How the portal's pages and files are answered: kept by browsers until they change, and under a strict policy.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use sha2::{Digest, Sha256};
use vestibule_base::config::Config;

use super::settings;

const HEADERS: [(HeaderName, HeaderValue); 5] = [
    // Kept, but asked for: what a new version of the program or a folder of the operator's changes is seen at once.
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=()"),
    ),
];

/// A file as it is sent.
#[derive(Debug, Clone)]
pub(super) struct Served {
    kind: &'static str,
    tag: String,
    pub(super) body: Bytes,
}

impl Served {
    /// A body of a kind (its media type), named by its content.
    pub(super) fn new(kind: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let hash: String = Sha256::digest(&body).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { kind, tag: format!("\"{hash}\""), body }
    }

    /// Whether the browser has it already (RFC 9110, section 13.1.2).
    fn is_known(&self, headers: &HeaderMap) -> bool {
        headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|value| {
            value.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == self.tag)
        })
    }
}

/// What pages may load and do (Content Security Policy, level 3).
#[derive(Debug)]
pub(super) struct Policy(HeaderValue);

impl Policy {
    pub(super) fn new(config: &Config) -> Self {
        let logo = settings::logo_origin(config).map(|origin| format!(" {origin}")).unwrap_or_default();
        // Browsers hold the redirect to a provider against the form that asked for it, hence wide.
        let providers = if speaks_http(config) { "https: http:" } else { "https:" };
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'{logo}; connect-src 'self'; \
             form-action 'self' {providers}; base-uri 'none'; frame-ancestors 'none'"
        );
        Self(HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'")))
    }

    /// A page, under the policy.
    pub(super) fn page(&self, served: &Served, asked: &HeaderMap) -> Response<Body> {
        answer(served, asked, self.0.clone())
    }

    /// A file, which by itself may do nothing.
    pub(super) fn file(&self, served: &Served, asked: &HeaderMap) -> Response<Body> {
        let nothing = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox";
        answer(served, asked, HeaderValue::from_static(nothing))
    }
}

/// Whether a provider may be reached without https: in development, and where the operator says so.
fn speaks_http(config: &Config) -> bool {
    let allows = |app: &vestibule_base::config::App| {
        app.settings.get("allow_http").and_then(|value| value.as_bool()) == Some(true)
    };
    !config.is_https() || config.socialaccount.apps.iter().any(allows)
}

fn answer(served: &Served, asked: &HeaderMap, policy: HeaderValue) -> Response<Body> {
    let known = served.is_known(asked);
    let mut response = Response::new(if known { Body::empty() } else { Body::from(served.body.clone()) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.extend(HEADERS);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    if !known {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(served.kind));
    }
    if let Ok(tag) = HeaderValue::try_from(&served.tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(settings: &str) -> String {
        Policy::new(&Config::from_toml(settings).unwrap()).0.to_str().unwrap().to_owned()
    }

    #[test]
    fn the_policy_follows_the_settings() {
        let strict = policy("server.public_url = 'https://auth.example.org'");
        assert!(
            strict.contains("img-src 'self';") && strict.contains("form-action 'self' https:;"),
            "{strict}"
        );
        assert!(policy("").contains("form-action 'self' https: http:;"));
        let logo = policy("portal.logo = 'https://cdn.example.org/logo.svg'");
        assert!(logo.contains("img-src 'self' https://cdn.example.org;"), "{logo}");
    }

    #[test]
    fn tags_are_compared_weakly() {
        let served = Served::new("text/css", &b"b{}"[..]);
        let known = |value: String| {
            served.is_known(
                &[(header::IF_NONE_MATCH, HeaderValue::try_from(value).unwrap())].into_iter().collect(),
            )
        };
        let tag = &served.tag;
        assert!(known(tag.clone()) && known(format!("\"a\", W/{tag}")) && known("*".into()));
        assert!(!known("\"a\"".into()) && !known(String::new()));
    }
}

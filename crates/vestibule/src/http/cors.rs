//! Cross-origin requests: only from the origins in the configuration, compared exactly.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use vestibule_base::config::Config;

const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";

/// Who may read answers from another origin.
#[derive(Debug)]
pub(super) struct Cors {
    origins: Vec<HeaderValue>,
    headers: HeaderValue,
}

impl Cors {
    pub(super) fn new(config: &Config) -> Self {
        let origins = config.server.cors_allowed_origins.iter();
        let headers = format!(
            "Content-Type, Authorization, X-Session-Token, X-Email-Verification-Key, X-Password-Reset-Key, {}",
            config.csrf.header_name
        );
        Self {
            origins: origins.filter_map(|origin| HeaderValue::try_from(origin).ok()).collect(),
            headers: HeaderValue::try_from(headers).unwrap_or(HeaderValue::from_static("Content-Type")),
        }
    }

    /// The answer to a question of a browser whether it may ask; `None` if this is none, or not from a listed origin.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response<Body>> {
        let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
        if method != Method::OPTIONS || !METHODS.split(", ").any(|known| wanted == known) {
            return None;
        }
        self.allowed(headers)?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let answer = response.headers_mut();
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        Some(response)
    }

    /// The origin of a request, if it is on the list.
    pub(super) fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        self.origins.iter().find(|listed| *listed == origin).cloned()
    }

    /// Lets the origin read the answer.
    pub(super) fn mark(&self, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

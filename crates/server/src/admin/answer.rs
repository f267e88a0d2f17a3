//! What operators are answered: JSON, and never kept by anybody on the way.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::json;
use vestibule::{AdminError, Fault};
use vestibule_base::storage::StorageError;

/// Of every answer (S6).
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
];

/// What a handler gives.
pub(super) type Answer = Result<Response<Body>, Wrong>;

/// What was wrong, for programs and for people.
#[derive(Debug, Clone)]
pub(super) struct Wrong {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
}

impl Wrong {
    pub(super) const NO_TOKEN: Self =
        Self::of(StatusCode::UNAUTHORIZED, "unauthorized", "Show a token of admin.tokens.");
    pub(super) const TOO_MANY: Self =
        Self::of(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "Too many wrong tokens. Try again later.");
    pub(super) const NO_PATH: Self = Self::of(StatusCode::NOT_FOUND, "not_found", "There is no such path.");
    pub(super) const NO_METHOD: Self =
        Self::of(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "The path does not have this method.");
    pub(super) const UNAVAILABLE: Self =
        Self::of(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not now. Try again later.");
    const INTERNAL: Self =
        Self::of(StatusCode::INTERNAL_SERVER_ERROR, "internal", "It failed. The server's log says why.");

    const fn of(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message: Cow::Borrowed(message) }
    }

    /// An input that is no good.
    pub(super) fn input(message: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "invalid", message: message.into() }
    }

    fn fault(fault: &Fault) -> Self {
        if fault.overtaken() {
            return Self::of(StatusCode::CONFLICT, "overtaken", "Another change was faster. Look again.");
        }
        if fault.passes() {
            tracing::warn!(error = %fault, "an operator's request refused for now");
            return Self::UNAVAILABLE;
        }
        tracing::error!(error = %fault, "an operator's request failed");
        Self::INTERNAL
    }
}

impl From<AdminError> for Wrong {
    fn from(error: AdminError) -> Self {
        let (status, code) = match &error {
            AdminError::Unknown(_) | AdminError::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            AdminError::Taken(_) => (StatusCode::CONFLICT, "taken"),
            AdminError::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid"),
            AdminError::Refused(_) => (StatusCode::CONFLICT, "refused"),
            AdminError::Fault(fault) => return Self::fault(fault),
        };
        Self { status, code, message: error.to_string().into() }
    }
}

impl From<StorageError> for Wrong {
    fn from(error: StorageError) -> Self {
        Self::fault(&error.into())
    }
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response<Body> {
        let error = json!({ "error": { "code": self.code, "message": self.message } });
        let mut response = written(self.status, error.to_string());
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"operators\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// Something that was asked for, or made.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    match serde_json::to_string(body) {
        Ok(text) => Ok(written(status, text)),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            Err(Wrong::INTERNAL)
        }
    }
}

/// It was done, and there is nothing to say.
pub(super) fn done() -> Answer {
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Gives an answer the headers that every answer has.
pub(super) fn dress(headers: &mut HeaderMap) {
    headers.extend(HEADERS);
}

fn written(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

//! The JSON around every answer.

use std::borrow::Cow;
use std::fmt;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::value::RawValue;
use vestibule_base::language::Language;
use vestibule_core::Problem;

/// `status`, `data`, `meta`, `errors`.
#[derive(Debug, Serialize)]
pub(super) struct Envelope<'a> {
    pub(super) status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) meta: Option<Meta<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) errors: &'a [Wrong],
}

/// What is known beside the data.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Meta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) is_authenticated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) is_authenticating: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) access_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token: Option<&'a str>,
    /// A TOTP secret to be put into an app, and the same as a URL.
    #[serde(flatten)]
    pub(super) offer: Option<Offer>,
    /// Whether recovery codes were made along with a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recovery_codes_generated: Option<bool>,
}

/// A TOTP secret on offer. Prints as dots.
#[derive(PartialEq, Eq, Serialize)]
pub(super) struct Offer {
    pub(super) secret: String,
    pub(super) totp_url: String,
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Offer(…)")
    }
}

/// A [`Problem`] as it is written, in somebody's language.
#[derive(Debug, Serialize)]
pub(super) struct Wrong {
    message: Cow<'static, str>,
    code: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<Cow<'static, str>>,
}

impl Wrong {
    pub(super) fn new(problem: Problem, language: Language) -> Self {
        Self { message: problem.message.to(language), code: problem.code, param: problem.param }
    }
}

/// An answer with a body that is written already.
pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer that says no more than its status.
pub(super) fn bare(status: StatusCode) -> Response<Body> {
    json(status, format!("{{\"status\":{}}}", status.as_u16()))
}

pub(super) async fn not_found() -> Response<Body> {
    bare(StatusCode::NOT_FOUND)
}

pub(super) async fn method_not_allowed() -> Response<Body> {
    bare(StatusCode::METHOD_NOT_ALLOWED)
}

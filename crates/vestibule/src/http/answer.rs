//! From what a handler gives to what is sent: the only place where refusals become statuses.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use vestibule_base::language::Language;
use vestibule_core::consult;
use vestibule_core::login::flows;
use vestibule_core::visit::Granted;
use vestibule_core::{Ctx, Outcome, Problem, Refusal, Visit};

use super::envelope::{self, Envelope, Meta, Wrong};
use super::view;

/// What a handler answers.
#[derive(Debug)]
pub(super) enum Answer {
    /// A body that never changes.
    Written(Bytes),
    /// A redirect of a browser: always to be followed by GET.
    Redirect(String),
    /// A page of our own, with the hash of the one script that it may run (CSP level 3).
    Page { html: String, script_hash: String },
    /// An envelope that browsers keep as a file of this name.
    Download { name: &'static str, data: Box<RawValue> },
    /// An envelope.
    Envelope { status: StatusCode, data: Option<Box<RawValue>>, meta: Meta<'static> },
}

/// What an app takes home.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Handed<'a> {
    /// Its new session token.
    pub(super) session_token: Option<&'a str>,
    /// Its access and refresh token.
    pub(super) granted: Option<&'a Granted>,
}

impl Answer {
    /// A status and nothing else.
    pub(super) fn status(status: StatusCode) -> Self {
        Self::Envelope { status, data: None, meta: Meta::default() }
    }

    /// 200 with data.
    pub(super) fn data(data: impl Serialize) -> Outcome<Self> {
        Self::envelope(StatusCode::OK, data, Meta::default())
    }

    /// 200 with data, to be kept as a file.
    pub(super) fn download(name: &'static str, data: impl Serialize) -> Outcome<Self> {
        Ok(Self::Download { name, data: serde_json::value::to_raw_value(&data)? })
    }

    /// Any status, with data and what is known beside it.
    pub(super) fn envelope(status: StatusCode, data: impl Serialize, meta: Meta<'static>) -> Outcome<Self> {
        Ok(Self::Envelope { status, data: Some(serde_json::value::to_raw_value(&data)?), meta })
    }

    /// Who is logged in (200), or what one may do to be (401).
    pub(super) async fn authentication(ctx: &Ctx, visit: &Visit) -> Outcome<Self> {
        let Some(current) = visit.session.user() else {
            return unauthenticated(ctx, visit, StatusCode::UNAUTHORIZED).await;
        };
        let meta = Meta { is_authenticated: Some(true), ..Meta::default() };
        let fields = consult::user_fields(ctx, current).await?;
        Self::envelope(StatusCode::OK, view::current(current, fields, None::<()>), meta)
    }

    /// The answer in bytes; an app finds in `meta` what it is handed.
    pub(super) fn into_response(self, handed: Handed<'_>) -> Response<Body> {
        match self {
            Self::Written(bytes) => envelope::json(StatusCode::OK, bytes),
            Self::Redirect(location) => redirect(&location),
            Self::Page { html, script_hash } => page(html, &script_hash),
            Self::Download { name, data } => download(name, &data),
            Self::Envelope { status, data, meta } => {
                let meta = Meta {
                    session_token: handed.session_token,
                    access_token: handed.granted.map(|granted| granted.access.as_str()),
                    refresh_token: handed.granted.and_then(|granted| granted.refresh.as_deref()),
                    ..meta
                };
                let meta = (meta != Meta::default()).then_some(meta);
                write(status, &Envelope { status: status.as_u16(), data: data.as_deref(), meta, errors: &[] })
            }
        }
    }
}

fn download(name: &str, data: &RawValue) -> Response<Body> {
    let status = StatusCode::OK;
    let mut response =
        write(status, &Envelope { status: status.as_u16(), data: Some(data), meta: None, errors: &[] });
    if let Ok(kept) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, kept);
    }
    response
}

fn redirect(location: &str) -> Response<Body> {
    let Ok(location) = HeaderValue::try_from(location) else {
        return envelope::bare(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    response.headers_mut().insert(header::LOCATION, location);
    response
}

fn page(html: String, script_hash: &str) -> Response<Body> {
    let policy =
        format!("default-src 'none'; script-src '{script_hash}'; base-uri 'none'; frame-ancestors 'none'");
    let mut response = Response::new(Body::from(html));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

async fn unauthenticated(ctx: &Ctx, visit: &Visit, status: StatusCode) -> Outcome<Answer> {
    let data = json!({ "flows": flows::to_enter(ctx, visit).await? });
    let meta = Meta { is_authenticated: Some(false), ..Meta::default() };
    Answer::envelope(status, data, meta)
}

/// Every refusal has its status here.
pub(super) async fn refuse(ctx: &Ctx, visit: &Visit, refusal: Refusal) -> Response<Body> {
    let answer = match refusal {
        Refusal::Invalid(problems) => return wrong(StatusCode::BAD_REQUEST, problems, ctx.language(visit)),
        Refusal::Unauthenticated => unauthenticated(ctx, visit, StatusCode::UNAUTHORIZED).await,
        Refusal::Gone => unauthenticated(ctx, visit, StatusCode::GONE).await,
        Refusal::Reauthenticate => reauthenticate(ctx, visit).await,
        Refusal::Forbidden | Refusal::Barred => Ok(Answer::status(StatusCode::FORBIDDEN)),
        Refusal::NotFound => Ok(Answer::status(StatusCode::NOT_FOUND)),
        Refusal::Conflict => Ok(Answer::status(StatusCode::CONFLICT)),
        Refusal::Blocked(problem) => return wrong(StatusCode::CONFLICT, vec![problem], ctx.language(visit)),
        Refusal::Limited => Ok(Answer::status(StatusCode::TOO_MANY_REQUESTS)),
        Refusal::Fault(fault) => Err(Refusal::Fault(fault)),
    };
    match answer {
        Ok(answer) => answer.into_response(Handed::default()),
        Err(refusal) => fault(&refusal),
    }
}

async fn reauthenticate(ctx: &Ctx, visit: &Visit) -> Outcome<Answer> {
    let current = visit.current()?;
    let flows = flows::to_reauthenticate(ctx, visit).await?;
    let meta = Meta { is_authenticated: Some(true), ..Meta::default() };
    let fields = consult::user_fields(ctx, current).await?;
    Answer::envelope(StatusCode::UNAUTHORIZED, view::current(current, fields, Some(flows)), meta)
}

/// What the caller did wrong, in their language.
pub(super) fn wrong(status: StatusCode, problems: Vec<Problem>, language: Language) -> Response<Body> {
    let errors: Vec<_> = problems.into_iter().map(|problem| Wrong::new(problem, language)).collect();
    let mut response =
        write(status, &Envelope { status: status.as_u16(), data: None, meta: None, errors: &errors });
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.code()));
    headers.append(header::VARY, HeaderValue::from_static("Accept-Language"));
    response
}

/// What we could not do; the log says why.
fn fault(refusal: &Refusal) -> Response<Body> {
    match refusal {
        Refusal::Fault(fault) if fault.overtaken() => return envelope::bare(StatusCode::CONFLICT),
        Refusal::Fault(fault) if fault.passes() => tracing::warn!(error = %fault, "request refused for now"),
        _ => {
            tracing::error!(error = %refusal, "request failed");
            return envelope::bare(StatusCode::INTERNAL_SERVER_ERROR);
        }
    }
    unavailable()
}

/// Something that we rely on does not answer.
pub(super) fn overdue() -> Response<Body> {
    tracing::warn!("request given up: the database or the hashers took too long");
    unavailable()
}

/// Not now; worth another try.
fn unavailable() -> Response<Body> {
    let mut response = envelope::bare(StatusCode::SERVICE_UNAVAILABLE);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn write(status: StatusCode, envelope: &Envelope<'_>) -> Response<Body> {
    match serde_json::to_vec(envelope) {
        Ok(body) => envelope::json(status, body),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            envelope::bare(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

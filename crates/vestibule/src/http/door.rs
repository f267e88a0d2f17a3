//! The door of the API: who comes in with which session, whether they may, and what they take home.

use std::pin::Pin;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use vestibule_base::config::{Action, ClientKind};
use vestibule_base::security::Token;
use vestibule_core::session::{self, Presented};
use vestibule_core::visit::{Change, Session};
use vestibule_core::{Ctx, Outcome, Problem, Refusal, Visit};

use super::answer::{self, Answer};
use super::cookies::{self, Cookies};
use super::csrf::Csrf;
use super::envelope::{Wrong, bare};
use super::input::Form;
use super::json;
use super::threshold::ClientAddress;

/// What a handler gives. Handlers are `fn(&mut Call) -> Reply<'_>` and do three things: read, call one operation, answer.
pub(super) type Reply<'a> = Pin<Box<dyn Future<Output = Outcome<Answer>> + Send + 'a>>;
pub(super) type Handler = for<'a> fn(&'a mut Call) -> Reply<'a>;

const LONGEST_USER_AGENT: usize = 200;

/// The way in for one kind of client.
#[derive(Debug)]
pub(super) struct Door {
    ctx: Arc<Ctx>,
    client: ClientKind,
    csrf: Csrf,
    cookies: Cookies,
    config: Bytes,
}

/// A request inside the door.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) ctx: Arc<Ctx>,
    pub(super) visit: Visit,
    /// The answer to `config`, which never changes.
    pub(super) config: Bytes,
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    /// The fields of the body.
    pub(super) fn form(&self) -> Outcome<Form> {
        json::object(&self.body).map(Form::new).ok_or_else(|| Problem::malformed().into())
    }

    /// The text of a header; empty if there is none.
    pub(super) fn header(&self, name: &str) -> String {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }

    /// Counts the request against the limit of an action.
    pub(super) async fn limit(&self, action: Action) -> Outcome<()> {
        self.ctx.limit_request(&self.visit, action, None).await
    }

    /// Who is logged in now, or what one may do to be.
    pub(super) async fn authentication(&self) -> Outcome<Answer> {
        Answer::authentication(&self.ctx, &self.visit).await
    }
}

impl Door {
    /// `config` is the answer to the operation of that name.
    pub(super) fn new(ctx: Arc<Ctx>, client: ClientKind, config: Bytes) -> Self {
        let csrf = Csrf::new(&ctx.config);
        let cookies = Cookies::new(&ctx.config);
        Self { ctx, client, csrf, cookies, config }
    }

    /// Where its paths begin.
    pub(super) fn base(&self) -> String {
        let client = match self.client {
            ClientKind::App => "app",
            ClientKind::Browser => "browser",
        };
        format!("{}/{client}/v1", self.ctx.config.headless.path_prefix.trim_end_matches('/'))
    }

    /// Serves a request: in, handler, out.
    pub(super) async fn serve(door: Arc<Self>, handler: Handler, request: Request) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let held = match door.client {
            ClientKind::App => None,
            ClientKind::Browser => Some(door.csrf.held(&parts.headers)),
        };
        if let Some(held) = held.as_ref().filter(|_| !safe)
            && let Err(reason) = door.csrf.check(held, &parts.headers)
        {
            tracing::warn!(%reason, path = parts.uri.path(), "CSRF check failed");
            return bare(StatusCode::FORBIDDEN);
        }
        let body = if safe {
            Bytes::new()
        } else {
            let limit = door.ctx.config.server.body_limit as usize;
            match Limited::new(body, limit).collect().await {
                Ok(body) => body.to_bytes(),
                Err(_) => {
                    let too_long = vec![Wrong::from(Problem::malformed())];
                    return answer::invalid(too_long);
                }
            }
        };
        let mut visit = door.visit(&parts);
        let presented = door.present(&parts.headers, &mut visit).await;
        let before = user_of(&visit);
        let mut call = Call {
            ctx: Arc::clone(&door.ctx),
            visit,
            config: door.config.clone(),
            headers: parts.headers,
            body,
        };
        let outcome = match presented {
            Ok(()) => handler(&mut call).await,
            Err(refusal) => Err(refusal),
        };
        let Call { visit, .. } = call;
        let response = match outcome {
            Ok(answer) => answer.into_response(door.token_for_app(&visit.change)),
            Err(refusal) => answer::refuse(&door.ctx, &visit, refusal).await,
        };
        // The token changes whenever somebody enters, so that one from before is worthless (S4).
        let entered = user_of(&visit).is_some_and(|user| before != Some(user));
        let csrf = held.and_then(|held| if entered { Csrf::fresh().ok() } else { held.to_set() });
        door.leave(response, csrf, &visit.change)
    }

    fn visit(&self, parts: &axum::http::request::Parts) -> Visit {
        let address = parts.extensions.get::<ClientAddress>().cloned().unwrap_or_default();
        let agent =
            parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Visit {
            client: self.client,
            session: Session::None,
            change: Change::Kept,
            ip: address.ip,
            network: address.network,
            user_agent: agent.chars().take(LONGEST_USER_AGENT).collect(),
            now: self.ctx.clock.now(),
        }
    }

    /// Finds the session that the request carries. An app is told when it is gone; a browser loses its cookie.
    async fn present(&self, headers: &HeaderMap, visit: &mut Visit) -> Outcome<()> {
        let carried = match self.client {
            ClientKind::App => {
                headers.get("x-session-token").map(|value| value.to_str().unwrap_or("?").to_owned())
            }
            ClientKind::Browser => cookies::find(headers, &self.ctx.config.session.cookie_name),
        };
        let Some(carried) = carried.filter(|carried| !carried.is_empty()) else { return Ok(()) };
        let presented = match Token::parse(&carried) {
            Some(token) => session::present(&self.ctx, self.client, &token, visit.now).await?,
            None => Presented::Unknown,
        };
        match (presented, self.client) {
            (Presented::Live(session), _) => visit.session = session,
            (Presented::Unknown, ClientKind::App) => return Err(Refusal::Gone),
            (Presented::Ended, ClientKind::App) => {}
            (Presented::Unknown | Presented::Ended, ClientKind::Browser) => visit.change = Change::Ended,
        }
        Ok(())
    }

    fn token_for_app<'a>(&self, change: &'a Change) -> Option<&'a str> {
        match (self.client, change) {
            (ClientKind::App, Change::Issued(token)) => Some(token.expose()),
            _ => None,
        }
    }

    /// Hands a browser its cookies.
    fn leave(&self, mut response: Response<Body>, csrf: Option<String>, change: &Change) -> Response<Body> {
        if self.client == ClientKind::App {
            return response;
        }
        let session = match change {
            Change::Kept => None,
            Change::Issued(token) => Some(self.cookies.session(token)),
            Change::Ended => Some(self.cookies.no_session()),
        };
        let csrf = csrf.map(|secret| self.cookies.csrf(&secret));
        for cookie in session.into_iter().chain(csrf) {
            if let Ok(value) = HeaderValue::try_from(cookie) {
                response.headers_mut().append(header::SET_COOKIE, value);
            }
        }
        response
    }
}

fn user_of(visit: &Visit) -> Option<i64> {
    visit.session.user().map(|current| current.user.id)
}

//! The door of the API: who comes in with which session, whether they may, and what they take home.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use tracing::Instrument;
use vestibule_base::config::{Action, ClientKind};
use vestibule_base::security::Token;
use vestibule_core::consult;
use vestibule_core::session::{self, Presented};
use vestibule_core::token;
use vestibule_core::visit::{Change, Session};
use vestibule_core::{Ctx, Outcome, Problem, Refusal, Visit};

use super::answer::{self, Answer, Handed};
use super::cookies::{self, Cookies};
use super::csrf::{Csrf, Held};
use super::envelope::bare;
use super::input::Form;
use super::json;
use super::request::{self, PATIENCE};
use super::threshold::{Admitted, Threshold};

/// What a handler gives. Handlers are `fn(&mut Call) -> Reply<'_>` and do three things: read, call one operation, answer.
pub(super) type Reply<'a> = Pin<Box<dyn Future<Output = Outcome<Answer>> + Send + 'a>>;
pub(super) type Handler = for<'a> fn(&'a mut Call) -> Reply<'a>;

/// What is special about a route.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    pub(super) proof: Proof,
    /// How long it may take.
    pub(super) patience: Duration,
}

/// How a browser shows that its page meant a request that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// By a header: only scripts of listed origins can set one.
    Header,
    /// By a header, or a field of the form.
    HeaderOrField,
    /// Not at all: the request comes from a page elsewhere, and proves what it must by itself.
    None,
}

impl Manner {
    /// That of most routes.
    pub(super) const PLAIN: Self = Self { proof: Proof::Header, patience: PATIENCE };
}

/// The field of a form with the CSRF secret, named as in Django.
const CSRF_FIELD: &str = "csrfmiddlewaretoken";

/// The way in for one kind of client.
#[derive(Debug)]
pub(super) struct Door {
    ctx: Arc<Ctx>,
    client: ClientKind,
    csrf: Csrf,
    cookies: Cookies,
    config: Bytes,
    config_path: String,
    /// The headers of the answer to `config`.
    config_headers: HeaderMap,
    threshold: Arc<Threshold>,
}

/// A request inside the door.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) ctx: Arc<Ctx>,
    pub(super) visit: Visit,
    /// The answer to `config`, which never changes.
    pub(super) config: Bytes,
    pub(super) path: String,
    pub(super) method: Method,
    headers: HeaderMap,
    query: Option<String>,
    body: Bytes,
}

impl Call {
    /// The fields of the body.
    pub(super) fn form(&self) -> Outcome<Form> {
        json::object(&self.body).map(Form::new).ok_or_else(|| Problem::malformed().into())
    }

    /// The fields of a body as HTML forms send them; none of any other.
    pub(super) fn fields(&self) -> Vec<(String, String)> {
        fields(&self.headers, &self.body)
    }

    /// The parameters of the query.
    pub(super) fn query(&self) -> Vec<(String, String)> {
        pairs(self.query.as_deref().unwrap_or_default().as_bytes())
    }

    /// Whether the query has a parameter of this name, whatever it holds.
    pub(super) fn asks(&self, name: &str) -> bool {
        self.query().iter().any(|(key, _)| key == name)
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
    pub(super) fn new(ctx: Arc<Ctx>, threshold: Arc<Threshold>, client: ClientKind, config: Bytes) -> Self {
        let csrf = Csrf::new(&ctx.config);
        let cookies = Cookies::new(&ctx.config);
        let mut config_headers = threshold.headers();
        config_headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let config_path = String::new();
        let mut door = Self { ctx, client, csrf, cookies, config, config_path, config_headers, threshold };
        door.config_path = format!("{}/config", door.base());
        door
    }

    /// Where its paths begin.
    pub(super) fn base(&self) -> String {
        let client = match self.client {
            ClientKind::App => "app",
            ClientKind::Browser => "browser",
        };
        format!("{}/{client}/v1", self.ctx.config.headless.path_prefix.trim_end_matches('/'))
    }

    /// Serves a request: over the threshold, in, handler, out.
    pub(super) async fn serve(
        door: Arc<Self>,
        handler: Handler,
        manner: Manner,
        request: Request,
    ) -> Response<Body> {
        if door.asks_for_config_alone(&request) {
            return door.config();
        }
        match door.threshold.admit(&request) {
            Err(response) => *response,
            Ok(admitted) => {
                let response =
                    door.inside(handler, manner, request, &admitted).instrument(admitted.span.clone()).await;
                door.threshold.leave(response, admitted)
            }
        }
    }

    /// The answer to `config`, which every client asks for first and which never changes.
    fn config(&self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.config.clone()));
        *response.headers_mut() = self.config_headers.clone();
        response
    }

    /// Answers a method that a path does not know.
    pub(super) async fn refuse_method(door: Arc<Self>, request: Request) -> Response<Body> {
        match door.threshold.admit(&request) {
            Err(response) => *response,
            Ok(admitted) => door.threshold.leave(bare(StatusCode::METHOD_NOT_ALLOWED), admitted),
        }
    }

    /// Whether a request asks for `config`, carries no session, and needs no cookie.
    fn asks_for_config_alone(&self, request: &Request) -> bool {
        if request.method() != Method::GET || request.uri().path() != self.config_path {
            return false;
        }
        let headers = request.headers();
        let carries = match self.client {
            ClientKind::App => {
                headers.contains_key("x-session-token") || headers.contains_key(header::AUTHORIZATION)
            }
            ClientKind::Browser => {
                cookies::find(headers, &self.ctx.config.session.cookie_name).is_some()
                    || self.csrf.held(headers).to_set().is_some()
            }
        };
        !carries && self.threshold.is_plain(request)
    }

    async fn inside(
        &self,
        handler: Handler,
        manner: Manner,
        request: Request,
        admitted: &Admitted,
    ) -> Response<Body> {
        let door = self;
        let (parts, mut body) = request.into_parts();
        let safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let held = match door.client {
            ClientKind::App => None,
            // A page elsewhere makes browsers leave their cookies at home; new ones would take the place of these.
            ClientKind::Browser if manner.proof == Proof::None && !safe => None,
            ClientKind::Browser => Some(door.csrf.held(&parts.headers)),
        };
        let limit = door.ctx.config.server.body_limit as usize;
        let mut field = None;
        if manner.proof == Proof::HeaderOrField && !safe {
            let Some(read) = request::body(body, limit).await else { return door.unreadable(&parts.headers) };
            let fields = fields(&parts.headers, &read);
            field = fields.into_iter().find(|(name, _)| name == CSRF_FIELD).map(|(_, value)| value);
            body = Body::from(read);
        }
        if let Some(held) = held.as_ref().filter(|_| !safe && manner.proof != Proof::None)
            && let Err(reason) = door.csrf.check(held, &parts.headers, field.as_deref())
        {
            tracing::warn!(%reason, path = parts.uri.path(), "CSRF check failed");
            return bare(StatusCode::FORBIDDEN);
        }
        let body = match if safe { Some(Bytes::new()) } else { request::body(body, limit).await } {
            Some(body) => body,
            None => return door.unreadable(&parts.headers),
        };
        let visit = request::visit(&door.ctx, &door.threshold, door.client, &parts.headers, admitted.address);
        let mut call = Call {
            ctx: Arc::clone(&door.ctx),
            visit,
            config: door.config.clone(),
            path: parts.uri.path().to_owned(),
            method: parts.method,
            headers: parts.headers,
            query: parts.uri.query().map(str::to_owned),
            body,
        };
        let work = async {
            door.present(&mut call).await?;
            let answer = handler(&mut call).await?;
            token::sign_granted(&call.ctx, &mut call.visit).await?;
            Ok(answer)
        };
        let patience = manner.patience.saturating_add(consult::patience_of_request(&door.ctx));
        match tokio::time::timeout(patience, work).await {
            Ok(Ok(answer)) => {
                // The token changes whenever somebody enters, so that one from before is worthless (S4).
                let csrf =
                    held.and_then(|held| if call.visit.entered { Csrf::fresh().ok() } else { held.to_set() });
                let response = answer.into_response(door.handed(&call.visit));
                door.leave(response, csrf, &call.visit)
            }
            Ok(Err(refusal)) => door.refuse(call, refusal, held.as_ref()).await,
            Err(_) => answer::overdue(),
        }
    }

    /// A body that is too long, or too slow: the connection is of no more use.
    fn unreadable(&self, headers: &HeaderMap) -> Response<Body> {
        let server = &self.ctx.config.server;
        let language = request::languages(headers).choose(server.languages(), server.language);
        let mut response = answer::wrong(StatusCode::BAD_REQUEST, vec![Problem::malformed()], language);
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }

    /// Answers a refusal. What it was about to issue was rolled back, or is withdrawn.
    async fn refuse(&self, mut call: Call, refusal: Refusal, held: Option<&Held>) -> Response<Body> {
        if let Change::Issued(token) = &call.visit.change {
            if call.visit.entered {
                let withdrawn = session::withdraw(&self.ctx, &call.visit, token).await;
                withdrawn.unwrap_or_else(|error| tracing::warn!(%error, "a session that nobody holds stays"));
            }
            call.visit.change = Change::Kept;
            call.visit.session = Session::None;
            call.visit.granted = None;
        }
        let response = answer::refuse(&self.ctx, &call.visit, refusal).await;
        self.leave(response, held.and_then(Held::to_set), &call.visit)
    }

    /// Finds the session that the request carries. An app is told when it is gone; a browser loses its cookie.
    async fn present(&self, call: &mut Call) -> Outcome<()> {
        match self.client {
            ClientKind::App => self.present_app(call).await,
            ClientKind::Browser => self.present_browser(call).await,
        }
    }

    /// By its session token, or else by an access token.
    async fn present_app(&self, call: &mut Call) -> Outcome<()> {
        let presented = match request::session_token(&call.headers) {
            Some(token) => match Token::parse(token) {
                Some(token) => session::present(&self.ctx, &call.visit, &token).await?,
                None => Presented::Unknown,
            },
            None => {
                let Some(access) = request::access_token(&self.ctx, &call.headers) else { return Ok(()) };
                let presented = token::present(&self.ctx, &call.visit, access).await?;
                presented.unwrap_or(Presented::Ended)
            }
        };
        match presented {
            Presented::Live(live) => call.visit.session = live,
            Presented::Ended => {}
            Presented::Unknown => return Err(Refusal::Gone),
        }
        Ok(())
    }

    async fn present_browser(&self, call: &mut Call) -> Outcome<()> {
        let Some(carried) = request::session_cookie(&self.ctx, &call.headers) else { return Ok(()) };
        let presented = match Token::parse(&carried) {
            Some(token) => (session::present(&self.ctx, &call.visit, &token).await?, Some(token)),
            None => (Presented::Unknown, None),
        };
        match presented {
            (Presented::Live(live), token) => {
                call.visit.session = live;
                if let Some(token) = token.filter(|_| self.ctx.config.session.save_every_request) {
                    // The cookie lives as long as the session, which was prolonged.
                    call.visit.change = Change::Issued(token);
                }
            }
            (Presented::Unknown | Presented::Ended, _) => call.visit.change = Change::Ended,
        }
        Ok(())
    }

    fn handed<'a>(&self, visit: &'a Visit) -> Handed<'a> {
        match (self.client, &visit.change) {
            (ClientKind::App, Change::Issued(token)) => {
                Handed { session_token: Some(token.expose()), granted: visit.granted.as_ref() }
            }
            _ => Handed::default(),
        }
    }

    /// Hands a browser its cookies.
    fn leave(&self, mut response: Response<Body>, csrf: Option<String>, visit: &Visit) -> Response<Body> {
        if self.client == ClientKind::App {
            return response;
        }
        let session = match &visit.change {
            Change::Kept => None,
            Change::Issued(token) => Some(self.cookies.session(token)),
            Change::Ended => Some(self.cookies.no_session()),
        };
        let csrf = csrf.map(|secret| self.cookies.csrf(&secret));
        let trust = visit.trusted.as_ref().map(|token| self.cookies.trust(token));
        for cookie in session.into_iter().chain(csrf).chain(trust) {
            if let Ok(value) = HeaderValue::try_from(cookie) {
                response.headers_mut().append(header::SET_COOKIE, value);
            }
        }
        response
    }
}

fn fields(headers: &HeaderMap, body: &Bytes) -> Vec<(String, String)> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") { pairs(body) } else { Vec::new() }
}

fn pairs(text: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text).into_owned().collect()
}

//! Who is calling something that is not of the API: a proxy's question, or a route of the application that mounts us.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Response, StatusCode};
use vestibule_base::config::ClientKind;
use vestibule_base::security::Token;
use vestibule_core::account::reauthenticate;
use vestibule_core::session::{self, Presented};
use vestibule_core::visit::{Current, Session};
use vestibule_core::{Ctx, Outcome, Visit, token};

use super::answer;
use super::csrf::Csrf;
use super::envelope::bare;
use super::request::{self, PATIENCE};
use super::threshold::Threshold;

/// What it takes to tell.
#[derive(Debug)]
pub(crate) struct Callers {
    pub(super) ctx: Arc<Ctx>,
    pub(super) threshold: Arc<Threshold>,
    csrf: Csrf,
}

impl Callers {
    pub(crate) fn new(ctx: Arc<Ctx>) -> Self {
        let threshold = Arc::new(Threshold::new(&ctx.config));
        let csrf = Csrf::new(&ctx.config);
        Self { ctx, threshold, csrf }
    }

    /// The network of an address, by which limits count.
    pub(crate) fn network(&self, address: IpAddr) -> String {
        self.threshold.network(address)
    }

    /// A request to the application, with the session that its credentials stand for; or the API's own answer to it: 403
    /// for what a page elsewhere may have sent, 503.
    pub(crate) async fn visit(&self, parts: &Parts) -> Result<Visit, Box<Response<Body>>> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
        let address =
            self.threshold.client(&parts.headers, peer).ok_or_else(|| bare(StatusCode::FORBIDDEN))?;
        let mut visit = request::visit(&self.ctx, &self.threshold, ClientKind::App, &parts.headers, address);
        match tokio::time::timeout(PATIENCE, self.find(&mut visit, &parts.headers)).await {
            Ok(Ok(Some(current))) => visit.session = Session::User(current),
            Ok(Ok(None)) => {}
            Ok(Err(refusal)) => return Err(answer::refuse(&self.ctx, &visit, refusal).await.into()),
            Err(_) => return Err(answer::overdue().into()),
        }
        self.refuse_forgery(&visit, parts)?;
        Ok(visit)
    }

    /// Who is logged in, or 401 with the flows that lead there.
    pub(crate) async fn user<'a>(&self, visit: &'a Visit) -> Result<&'a Current, Box<Response<Body>>> {
        match visit.current() {
            Ok(current) => Ok(current),
            Err(refusal) => Err(answer::refuse(&self.ctx, visit, refusal).await.into()),
        }
    }

    /// The same, if they have just proved it again; else 401 with the flows by which to.
    pub(crate) async fn recent<'a>(&self, visit: &'a Visit) -> Result<&'a Current, Box<Response<Body>>> {
        match reauthenticate::demand(&self.ctx, visit).await {
            Ok(()) => self.user(visit).await,
            Err(refusal) => Err(answer::refuse(&self.ctx, visit, refusal).await.into()),
        }
    }

    /// Whom the first credential stands for that stands for a user, and as which client: `visit.client` tells. One
    /// statement, unless the first one does not.
    pub(super) async fn find(&self, visit: &mut Visit, headers: &HeaderMap) -> Outcome<Option<Box<Current>>> {
        let (ctx, clients) = (&self.ctx, &self.ctx.config.headless.clients);
        if clients.contains(&ClientKind::App) {
            visit.client = ClientKind::App;
            if let Some(token) = request::session_token(headers).and_then(Token::parse)
                && let Some(caller) = user(session::present(ctx, visit, &token).await?)
            {
                return Ok(Some(caller));
            }
            if let Some(token) = request::access_token(ctx, headers)
                && let Some(caller) = token::present(ctx, visit, token).await?.and_then(user)
            {
                return Ok(Some(caller));
            }
        }
        if clients.contains(&ClientKind::Browser) {
            visit.client = ClientKind::Browser;
            if let Some(token) = request::session_cookie(ctx, headers).as_deref().and_then(Token::parse) {
                return Ok(user(session::present(ctx, visit, &token).await?));
            }
        }
        Ok(None)
    }

    /// A browser sends its cookie along with whatever a page elsewhere makes it send (S4).
    fn refuse_forgery(&self, visit: &Visit, parts: &Parts) -> Result<(), Box<Response<Body>>> {
        let safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if safe || visit.client == ClientKind::App || visit.session.user().is_none() {
            return Ok(());
        }
        let held = self.csrf.held(&parts.headers);
        self.csrf.check(&held, &parts.headers, None).map_err(|reason| {
            tracing::warn!(%reason, path = parts.uri.path(), "CSRF check failed");
            bare(StatusCode::FORBIDDEN).into()
        })
    }
}

/// A login that is still pending is nobody's (L1).
fn user(presented: Presented) -> Option<Box<Current>> {
    match presented {
        Presented::Live(Session::User(current)) => Some(current),
        Presented::Live(_) | Presented::Ended | Presented::Unknown => None,
    }
}

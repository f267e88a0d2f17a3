//! What a request brings: its body, its session, and what rules get to see of it.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, Limited};
use vestibule_base::config::ClientKind;
use vestibule_base::language::AcceptLanguage;
use vestibule_base::security::Token;
use vestibule_core::visit::{Change, Session};
use vestibule_core::{Ctx, Visit};

use super::cookies;
use super::threshold::Threshold;

/// How long a request may take to be answered (X5).
pub(super) const PATIENCE: Duration = Duration::from_millis(4500);

/// How long a body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_USER_AGENT: usize = 200;

/// The body, if it is no longer than `limit` bytes and comes in time.
pub(super) async fn body(body: Body, limit: usize) -> Option<Bytes> {
    let body = tokio::time::timeout(BODY_PATIENCE, Limited::new(body, limit).collect()).await;
    Some(body.ok()?.ok()?.to_bytes())
}

/// The session token of an app, as it came.
pub(super) fn session_token(headers: &HeaderMap) -> Option<&str> {
    let token = headers.get("x-session-token").map(|value| value.to_str().unwrap_or("?"));
    token.filter(|token| !token.is_empty())
}

/// The access token of an app (RFC 6750, 2.1), as it came.
pub(super) fn access_token<'a>(ctx: &Ctx, headers: &'a HeaderMap) -> Option<&'a str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let ours = &ctx.config.headless.jwt_authorization_header_scheme;
    scheme.eq_ignore_ascii_case(ours).then(|| token.trim())
}

/// The session token of a browser, as it came.
pub(super) fn session_cookie(ctx: &Ctx, headers: &HeaderMap) -> Option<String> {
    cookies::find(headers, &ctx.config.session.cookie_name).filter(|token| !token.is_empty())
}

/// What rules see of a request, before anybody looked for its session.
pub(super) fn visit(
    ctx: &Ctx,
    threshold: &Threshold,
    client: ClientKind,
    headers: &HeaderMap,
    address: IpAddr,
) -> Visit {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Visit {
        client,
        session: Session::None,
        change: Change::Kept,
        entered: false,
        granting: None,
        granted: None,
        trust: trust(ctx, client, headers),
        trusted: None,
        ip: address.to_string(),
        network: threshold.network(address),
        languages: languages(headers),
        user_agent: agent.chars().take(LONGEST_USER_AGENT).collect(),
        now: ctx.clock.now(),
    }
}

/// What the client says about the languages that it reads.
pub(super) fn languages(headers: &HeaderMap) -> AcceptLanguage {
    AcceptLanguage::new(headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()))
}

/// What a browser shows to prove that it was trusted.
fn trust(ctx: &Ctx, client: ClientKind, headers: &HeaderMap) -> Option<Token> {
    let asks = client == ClientKind::Browser && ctx.config.trusts_browsers();
    asks.then(|| Token::parse(&cookies::find(headers, &ctx.config.mfa.trust_cookie_name)?)).flatten()
}

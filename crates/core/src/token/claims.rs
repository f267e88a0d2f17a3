//! What tokens say (RFC 7519, 4.1), and when it holds.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vestibule_base::security::Millis;
use vestibule_base::security::clock::SECOND;
use vestibule_base::security::token::unique_id;

use crate::context::Ctx;
use crate::refusal::Outcome;
use crate::visit::Current;

/// What a token is for. One kind is worthless as the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Use {
    /// For every request.
    Access,
    /// For the next pair.
    Refresh,
}

/// The claims of an access or refresh token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// Who has issued it.
    pub iss: String,
    /// The user's id.
    pub sub: String,
    /// For whom it is.
    pub aud: String,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// From when on it is worthless, in seconds since 1970.
    pub exp: i64,
    /// Its own id.
    pub jti: String,
    /// The name of its session: no session token, and worthless by itself.
    pub sid: String,
    token_use: Use,
}

/// The claims of an access token, with what the application adds.
#[derive(Debug, Serialize)]
pub(super) struct Extended<'a> {
    #[serde(flatten)]
    pub(super) own: &'a Claims,
    #[serde(flatten)]
    pub(super) added: Map<String, Value>,
}

/// The claims that the application cannot add: those of every token, the registered ones (RFC 7519, 4.1), and those by
/// which others tell whose a token is, and what for.
pub(super) const RESERVED: [&str; 14] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "sid",
    "token_use",
    "azp",
    "client_id",
    "scope",
    "cnf",
    "act",
];

impl Claims {
    pub(super) fn new(ctx: &Ctx, current: &Current, sid: &str, token_use: Use, now: Millis) -> Outcome<Self> {
        let headless = &ctx.config.headless;
        let lifetime = match token_use {
            Use::Access => headless.jwt_access_token_expires_in,
            Use::Refresh => headless.jwt_refresh_token_expires_in,
        };
        let iat = now.div_euclid(SECOND);
        Ok(Self {
            iss: issuer(ctx).to_owned(),
            sub: current.user.id.to_string(),
            aud: audience(ctx).to_owned(),
            iat,
            // No token outlives its session, however often it is refreshed.
            exp: iat.saturating_add(lifetime).min(current.expires_at.div_euclid(SECOND)),
            jti: unique_id()?,
            sid: sid.to_owned(),
            token_use,
        })
    }

    /// Whether they are ours, for this use, and good at this moment.
    pub(super) fn hold(&self, ctx: &Ctx, token_use: Use, now: Millis) -> bool {
        self.token_use == token_use
            && self.iss == issuer(ctx)
            && self.aud == audience(ctx)
            && now < self.exp.saturating_mul(SECOND)
    }
}

fn issuer(ctx: &Ctx) -> &str {
    ctx.config.headless.jwt_issuer.as_deref().unwrap_or(&ctx.config.server.public_url)
}

fn audience(ctx: &Ctx) -> &str {
    ctx.config.headless.jwt_audience.as_deref().unwrap_or(&ctx.config.server.public_url)
}

//! What a client may do next. Derived from settings and state, never stored.

use serde::Serialize;
use vestibule_base::config::{AuthenticatorType, ClientKind};
use vestibule_base::storage::{authenticators, processes};
use vestibule_providers::Provider;

use super::pipeline::{self, Stage};
use crate::account::process::Kind;
use crate::account::reauthenticate;
use crate::context::Ctx;
use crate::refusal::Outcome;
use crate::social::{self, Offer, pending};
use crate::visit::Visit;

/// One thing that a client may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flow {
    /// Its name in the contract.
    pub id: &'static str,
    /// Whether it is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_pending: Option<bool>,
    /// With which kinds of authenticator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub types: Option<Vec<AuthenticatorType>>,
    /// By which providers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub providers: Option<Vec<String>>,
    /// The provider that vouches for whoever signs up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Offer>,
}

impl Flow {
    fn new(id: &'static str) -> Self {
        Self { id, is_pending: None, types: None, providers: None, provider: None }
    }
}

/// What nobody in particular may do to log in; with it, what the login under way waits for.
///
/// # Errors
/// [`Refusal::Fault`](crate::Refusal::Fault).
pub async fn to_enter(ctx: &Ctx, visit: &Visit) -> Outcome<Vec<Flow>> {
    let mut flows = ways_in(ctx);
    flows.extend(by_providers(ctx, visit.client));
    if visit.session.id().is_some() {
        let mut conn = ctx.db.read().await?;
        if let Some((stage, login)) = pipeline::pending(ctx, &mut conn, visit).await? {
            let types = match (stage, login.user) {
                (Stage::MfaAuthenticate, Some(user)) => {
                    Some(authenticators::kinds(&mut conn, user.id).await?)
                }
                _ => None,
            };
            let pending = Flow { is_pending: Some(true), types, ..Flow::new(stage.key()) };
            match flows.iter_mut().find(|flow| flow.id == pending.id) {
                Some(flow) => *flow = pending,
                None => flows.push(pending),
            }
        }
        if let Some(waiting) = pending::find(ctx, &mut conn, visit).await? {
            let provider = Some(Offer::of(waiting.provider));
            flows.push(Flow { is_pending: Some(true), provider, ..Flow::new("provider_signup") });
        }
    }
    flows.extend(reset(ctx, visit).await?);
    Ok(flows)
}

/// What whoever is logged in may do to prove again who they are.
///
/// # Errors
/// [`Refusal::Unauthenticated`](crate::Refusal::Unauthenticated) if nobody is.
pub async fn to_reauthenticate(ctx: &Ctx, visit: &Visit) -> Outcome<Vec<Flow>> {
    let ways = reauthenticate::ways(ctx, visit.current()?).await?;
    let mut flows = Vec::new();
    if ways.password {
        flows.push(Flow::new("reauthenticate"));
    }
    if !ways.authenticators.is_empty() {
        flows.push(Flow { types: Some(ways.authenticators), ..Flow::new("mfa_reauthenticate") });
    }
    flows.extend(reset(ctx, visit).await?);
    Ok(flows)
}

/// The reset by code, where there is such a thing.
async fn reset(ctx: &Ctx, visit: &Visit) -> Outcome<Option<Flow>> {
    if !ctx.config.account.password_reset_by_code_enabled {
        return Ok(None);
    }
    let mut pending = false;
    if let Some(session_id) = visit.session.id() {
        let mut conn = ctx.db.read().await?;
        let process = processes::find(&mut conn, session_id, Kind::PasswordReset.name()).await?;
        pending = process.is_some_and(|process| process.expires_at > visit.now);
    }
    Ok(Some(Flow { is_pending: Some(pending), ..Flow::new("password_reset_by_code") }))
}

/// The ways in by third parties that a kind of client can use.
fn by_providers(ctx: &Ctx, client: ClientKind) -> Vec<Flow> {
    let offered = social::offered(ctx, client);
    let names = |supports: fn(&Provider) -> bool| {
        let able = offered.iter().filter(|provider| supports(provider));
        able.map(|provider| provider.id().to_owned()).collect::<Vec<_>>()
    };
    let redirect = Some(names(Provider::supports_redirect)).filter(|_| client == ClientKind::Browser);
    let token = Some(names(Provider::supports_token));
    [("provider_redirect", redirect), ("provider_token", token)]
        .into_iter()
        .filter(|(_, names)| names.as_ref().is_some_and(|names| !names.is_empty()))
        .map(|(id, providers)| Flow { providers, ..Flow::new(id) })
        .collect()
}

fn ways_in(ctx: &Ctx) -> Vec<Flow> {
    if ctx.config.socialaccount.only {
        return Vec::new();
    }
    let account = &ctx.config.account;
    let mut flows = vec![Flow::new("login")];
    if account.login_by_code_enabled {
        flows.push(Flow::new("login_by_code"));
    }
    if account.is_open_for_signup {
        flows.push(Flow::new("signup"));
    }
    if ctx.config.mfa.passkey_login_enabled {
        flows.push(Flow::new("mfa_login_webauthn"));
    }
    flows
}

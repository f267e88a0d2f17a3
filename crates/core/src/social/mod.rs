//! Third parties that vouch for people: sending people there, taking them back, and what is connected to an account.

pub mod connect;
pub mod flow;
pub mod pending;
mod return_url;
pub mod tokens;

pub use return_url::ReturnUrl;

use std::time::Duration;

use serde::Serialize;
use vestibule_base::config::ClientKind;
use vestibule_base::outbound::OutboundError;
use vestibule_base::storage::social::SocialAccount;
use vestibule_providers::{Arrival, Provider, ProviderError};

use vestibule_base::security::token;
use vestibule_base::storage::{Conn, social};

use crate::context::Ctx;
use crate::refusal::{Fault, Outcome, Problem, Refusal};
use crate::visit::Visit;

/// What somebody goes to a provider for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// To log in, or to sign up.
    Login,
    /// To connect the account there to the one here.
    Connect,
}

impl Process {
    /// Its name in the contract.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Connect => "connect",
        }
    }

    /// The process of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Login, Self::Connect].into_iter().find(|process| process.name() == name)
    }
}

/// Why nothing came of a visit to a provider.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The provider vouches for nobody.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// We refuse.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Failure {
    /// The word that the front end is given.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Provider(ProviderError::Cancelled) => "cancelled",
            Self::Refused(Refusal::Reauthenticate) => "reauthentication_required",
            Self::Refused(Refusal::Forbidden) => "signup_closed",
            Self::Refused(Refusal::Limited) => "rate_limited",
            Self::Refused(Refusal::Barred) => "permission_denied",
            Self::Refused(Refusal::Invalid(problems)) => {
                problems.first().map_or("unknown", |problem| &problem.code)
            }
            Self::Provider(_) | Self::Refused(_) => "unknown",
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Refused(Refusal::Fault(fault))
    }
}

/// A provider, as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offer {
    id: String,
    name: String,
    flows: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openid_configuration_url: Option<String>,
}

impl Offer {
    /// What is shown of a provider.
    #[must_use]
    pub fn of(provider: &Provider) -> Self {
        let ways = [
            (provider.supports_redirect(), "provider_redirect"),
            (provider.supports_token(), "provider_token"),
        ];
        Self {
            id: provider.id().to_owned(),
            name: provider.name().to_owned(),
            flows: ways.into_iter().filter(|(supported, _)| *supported).map(|(_, flow)| flow).collect(),
            client_id: provider.shown_client_id().map(str::to_owned),
            openid_configuration_url: provider.openid_configuration_url(),
        }
    }

    /// What is shown of the provider of a connected account, which may not be configured any more.
    #[must_use]
    pub fn of_account(ctx: &Ctx, account: &SocialAccount) -> Self {
        let unknown = || Self {
            id: account.provider.clone(),
            name: account.provider.clone(),
            flows: Vec::new(),
            client_id: None,
            openid_configuration_url: None,
        };
        ctx.providers.find(&account.provider).map_or_else(unknown, Self::of)
    }
}

/// The providers that a kind of client can use, by name.
#[must_use]
pub fn offered(ctx: &Ctx, client: ClientKind) -> Vec<&Provider> {
    let usable = |provider: &&Provider| match client {
        ClientKind::Browser => provider.supports_redirect(),
        ClientKind::App => provider.supports_token(),
    };
    let shown = ctx.providers.all().iter().filter(|provider| !provider.hidden());
    let mut found: Vec<&Provider> = shown.filter(usable).collect();
    found.sort_by_key(|provider| provider.name());
    found
}

/// The provider of this id; else the one of this kind, or of several the one whose client this is.
#[must_use]
pub fn named<'a>(ctx: &'a Ctx, id: &str, client_id: Option<&str>) -> Option<&'a Provider> {
    let fits = |provider: &&Provider| client_id.is_none_or(|client_id| provider.has_client_id(client_id));
    if let Some(provider) = ctx.providers.find(id) {
        return Some(provider).filter(fits);
    }
    let mut of_kind =
        ctx.providers.all().iter().filter(|provider| provider.kind() == id && !provider.hidden());
    let found = of_kind.by_ref().find(fits)?;
    // Which of several is meant must be clear.
    (!of_kind.any(|other| fits(&other))).then_some(found)
}

/// Waits for a provider, all its answers together, no longer than is configured: who is slow costs its own users an error.
pub(crate) async fn in_time<T>(
    ctx: &Ctx,
    asked: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    let seconds = u64::try_from(ctx.config.socialaccount.requests_timeout).unwrap_or_default();
    let answered = tokio::time::timeout(Duration::from_secs(seconds), asked).await;
    answered.unwrap_or(Err(ProviderError::Outbound(OutboundError::Timeout)))
}

/// Spends the proof that a client brought, where it can be told from others.
///
/// # Errors
/// [`Refusal::Invalid`] if it was brought before (O3).
pub(crate) async fn spend(tx: &mut Conn, visit: &Visit, arrival: &Arrival) -> Outcome<()> {
    let Some(replay) = &arrival.replay else { return Ok(()) };
    let (name, again_within) = (token::digest(&replay.key), replay.again_within);
    if social::spend_proof(tx, &name, replay.expires_at, visit.now, again_within).await? {
        Ok(())
    } else {
        Err(Problem::invalid_token().on("token").into())
    }
}

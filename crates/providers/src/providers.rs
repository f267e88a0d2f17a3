//! The front: the apps of the configuration, and which protocol each of them speaks.

use secrecy::SecretString;
use vestibule_base::config::App;

use crate::assemble::assemble;
use crate::catalogue::entry::Protocol;
use crate::error::ProviderError;
use crate::login::{Arrival, Callback, Departure, Memory, Presented, Start, Tokens};
use crate::oauth2;
use crate::oidc::Oidc;
use crate::provider::Provider;
use crate::world::World;

/// The providers that people can use.
#[derive(Debug)]
pub struct Providers {
    all: Vec<Provider>,
    world: World,
    oidc: Oidc,
}

impl Providers {
    /// The apps' providers, by the builtin catalogue and the text of the operator's own file, which adds to it.
    ///
    /// # Errors
    /// One line for each thing that is wrong: it names the app, and says what to do.
    pub fn new(apps: &[App], catalogue: Option<&str>, world: World) -> Result<Self, Vec<String>> {
        Ok(Self { all: assemble(apps, catalogue, &world)?, world, oidc: Oidc::default() })
    }

    /// All of them, in the order of the configuration.
    #[must_use]
    pub fn all(&self) -> &[Provider] {
        &self.all
    }

    /// The one of that id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Provider> {
        self.all.iter().find(|provider| provider.id() == id)
    }

    /// The first half of a login: where to send the person.
    ///
    /// # Errors
    /// Any of [`ProviderError`] but `Cancelled`.
    pub async fn begin(&self, provider: &Provider, start: Start<'_>) -> Result<Departure, ProviderError> {
        let world = &self.world;
        if !provider.supports_redirect() {
            return Err(ProviderError::settings("this provider cannot begin a login by redirect"));
        }
        match provider.entry().protocol {
            Protocol::OAuth2 | Protocol::Oidc => oauth2::begin(world, &self.oidc, provider, start).await,
        }
    }

    /// The second half: what came of it.
    ///
    /// # Errors
    /// Any of [`ProviderError`].
    pub async fn complete(
        &self,
        provider: &Provider,
        memory: &Memory,
        callback: &Callback,
    ) -> Result<Arrival, ProviderError> {
        let world = &self.world;
        match provider.entry().protocol {
            Protocol::OAuth2 | Protocol::Oidc => {
                oauth2::complete(world, &self.oidc, provider, memory, callback).await
            }
        }
    }

    /// Who it is whose tokens a client has brought.
    ///
    /// # Errors
    /// `Brought` if they prove nothing to this provider; else any of [`ProviderError`].
    pub async fn verify_token(
        &self,
        provider: &Provider,
        presented: &Presented,
    ) -> Result<Arrival, ProviderError> {
        if !provider.supports_token() {
            return Err(ProviderError::brought("this provider's tokens prove nothing"));
        }
        match provider.entry().protocol {
            Protocol::OAuth2 | Protocol::Oidc => {
                oauth2::verify_token(&self.world, &self.oidc, provider, presented).await
            }
            _ => Err(ProviderError::brought("this provider's tokens prove nothing")),
        }
    }

    /// New tokens for a refresh token. The refresh token among them is the one to use from then on.
    ///
    /// # Errors
    /// `Settings` if the provider has no such thing; else any of [`ProviderError`] but `Cancelled`.
    pub async fn refresh(
        &self,
        provider: &Provider,
        refresh_token: &SecretString,
    ) -> Result<Tokens, ProviderError> {
        match provider.entry().protocol {
            Protocol::OAuth2 | Protocol::Oidc => {
                oauth2::refresh(&self.world, &self.oidc, provider, refresh_token).await
            }
            _ => Err(ProviderError::settings("this provider's tokens do not expire")),
        }
    }
}

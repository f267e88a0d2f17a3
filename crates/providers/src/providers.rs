//! The front: the apps of the configuration, and which protocol each of them speaks.

use secrecy::SecretString;
use vestibule_base::config::App;

use crate::assemble::assemble;
use crate::catalogue::entry::Protocol;
use crate::error::ProviderError;
use crate::login::{Arrival, Callback, Departure, Memory, Presented, Start, Tokens};
use crate::oidc::Oidc;
use crate::provider::Provider;
use crate::quirks::{draugiem, dummy, pocket, steam, telegram};
use crate::world::World;
use crate::{oauth1, oauth2, openid2};

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

    /// The path of a provider's callback, below the site.
    #[must_use]
    pub fn callback_path(&self, provider: &Provider) -> String {
        provider.callback_path(&self.world)
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
        match protocol(provider)? {
            Spoken::OAuth2 => oauth2::begin(world, &self.oidc, provider, start).await,
            Spoken::OAuth1 => oauth1::begin(world, provider, start).await,
            Spoken::OpenId2 => openid2::begin(world, provider, start).await,
            Spoken::Draugiem => draugiem::begin(world, provider, start).await,
            Spoken::Dummy => dummy::begin(world, provider, start).await,
            Spoken::Pocket => pocket::begin(world, provider, start).await,
            Spoken::Steam => steam::begin(world, provider, start).await,
            Spoken::Telegram => telegram::begin(world, provider, start).await,
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
        match protocol(provider)? {
            Spoken::OAuth2 => oauth2::complete(world, &self.oidc, provider, memory, callback).await,
            Spoken::OAuth1 => oauth1::complete(world, provider, memory, callback).await,
            Spoken::OpenId2 => openid2::complete(world, provider, memory, callback).await,
            Spoken::Draugiem => draugiem::complete(world, provider, memory, callback).await,
            Spoken::Dummy => dummy::complete(world, provider, memory, callback).await,
            Spoken::Pocket => pocket::complete(world, provider, memory, callback).await,
            Spoken::Steam => steam::complete(world, provider, memory, callback).await,
            Spoken::Telegram => telegram::complete(world, provider, memory, callback).await,
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
        match protocol(provider)? {
            Spoken::OAuth2 => oauth2::verify_token(&self.world, &self.oidc, provider, presented).await,
            Spoken::Dummy => dummy::verify_token(&self.world, provider, presented).await,
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
        match protocol(provider)? {
            Spoken::OAuth2 => oauth2::refresh(&self.world, &self.oidc, provider, refresh_token).await,
            _ => Err(ProviderError::settings("this provider's tokens do not expire")),
        }
    }
}

/// How a provider is spoken with: by a protocol that others speak too, or in its own way.
enum Spoken {
    OAuth2,
    OAuth1,
    OpenId2,
    Draugiem,
    Dummy,
    Pocket,
    Steam,
    Telegram,
}

fn protocol(provider: &Provider) -> Result<Spoken, ProviderError> {
    Ok(match (provider.entry().protocol, provider.entry().quirk.as_deref()) {
        (_, Some("draugiem")) => Spoken::Draugiem,
        (_, Some("dummy")) => Spoken::Dummy,
        (_, Some("pocket")) => Spoken::Pocket,
        (_, Some("steam")) => Spoken::Steam,
        (_, Some("telegram")) => Spoken::Telegram,
        (Protocol::OAuth2 | Protocol::Oidc, _) => Spoken::OAuth2,
        (Protocol::OAuth1, _) => Spoken::OAuth1,
        (Protocol::OpenId2, _) => Spoken::OpenId2,
        (Protocol::Own, _) => {
            return Err(ProviderError::settings("its entry names no quirk that speaks to it"));
        }
    })
}

//! OpenID Connect: what a provider publishes of itself, the keys that it signs by, and what its ID tokens prove.

mod discovery;
mod id_token;
mod keys;
mod shelf;

pub(crate) use discovery::Metadata;
pub(crate) use id_token::{Expected, Proven, is_signed_by, subject};

use std::sync::Arc;

use crate::error::ProviderError;
use crate::provider::Provider;
use crate::world::World;
use keys::KeySet;
use shelf::Shelf;

/// What is known of providers beyond the catalogue: kept for a while, shared by all logins.
#[derive(Debug, Default)]
pub(crate) struct Oidc {
    documents: Shelf<Metadata>,
    keys: Shelf<KeySet>,
}

impl Oidc {
    /// What the provider publishes of itself, with the operator's `openid_configuration_overrides` laid over it.
    ///
    /// # Errors
    /// `Settings` without a `server_url`; `Answer` if the document is another issuer's.
    pub(crate) async fn discover(
        &self,
        world: &World,
        provider: &Provider,
    ) -> Result<Metadata, ProviderError> {
        let url = provider
            .openid_configuration_url()
            .ok_or_else(|| ProviderError::settings("server_url is missing"))?;
        let endpoint = provider.endpoint(world, &url)?;
        let published = self.documents.get(world, &url, &endpoint, Metadata::read).await?;
        let overrides = provider.setting("openid_configuration_overrides");
        let metadata = published.overridden(overrides);
        let overridden = overrides.and_then(|overrides| overrides.get("issuer")?.as_str());
        metadata.check_issuer(&url, provider.setting_text("issuer").or(overridden))?;
        Ok(metadata)
    }

    /// The same, newer than what is known; `None` where there is none to be had, or it was asked for a moment ago.
    pub(crate) async fn rediscover(&self, world: &World, provider: &Provider) -> Option<Metadata> {
        let url = provider.openid_configuration_url()?;
        let endpoint = provider.endpoint(world, &url).ok()?;
        let known = self.documents.get(world, &url, &endpoint, Metadata::read).await.ok()?;
        self.documents.renew(world, &url, &endpoint, Metadata::read, known).await?;
        self.discover(world, provider).await.ok()
    }

    /// Whether an ID token is what `expected` says: signed by one of the keys at `keys_url`, and meant for us, now.
    ///
    /// # Errors
    /// `Answer` if it proves nothing.
    pub(crate) async fn verify(
        &self,
        world: &World,
        provider: &Provider,
        keys_url: &str,
        token: &str,
        expected: &Expected<'_>,
    ) -> Result<Proven, ProviderError> {
        let endpoint = provider.endpoint(world, keys_url)?;
        let keys = || self.keys.get(world, keys_url, &endpoint, KeySet::read);
        let newer = |known: Arc<KeySet>| self.keys.renew(world, keys_url, &endpoint, KeySet::read, known);
        id_token::verify(world, token, expected, keys, newer).await
    }
}

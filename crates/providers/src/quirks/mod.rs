//! What the data of the catalogue cannot say: one small file for each oddity, named by an entry's `quirk`.

mod apple;
mod battlenet;
mod dataporten;
mod discord;
pub(crate) mod draugiem;
pub(crate) mod dummy;
mod facebook;
mod frontier;
mod linkedin;
mod md5_signature;
mod mediawiki;
mod patreon;
pub(crate) mod pocket;
mod shopify;
mod snapchat;
pub(crate) mod steam;
pub(crate) mod telegram;
mod tiktok;
mod vk;

use std::pin::Pin;

use secrecy::SecretString;
use serde_json::Value;

use crate::error::ProviderError;
use crate::identity::Identity;
use crate::login::{Callback, Memory, Start, Tokens};
use crate::provider::Provider;
use crate::request::Request;
use crate::world::World;

/// What a login has brought so far. Where a client brought a token, there were no first half and no callback.
#[derive(Clone, Copy)]
pub(crate) struct Progress<'a> {
    pub(crate) callback: &'a Callback,
    /// What the token request was answered with.
    pub(crate) token_answer: &'a Value,
    /// Or what the client brought.
    pub(crate) access_token: &'a str,
    /// What was asked for.
    pub(crate) scopes: &'a [String],
}

/// The points of a login by OAuth 2.0 where a provider may differ. Every method does nothing unless a quirk says otherwise.
pub(crate) trait Quirk: Sync {
    /// The scopes to ask for, where they depend on settings; the app's own come first.
    fn scopes(&self, _provider: &Provider) -> Option<Vec<String>> {
        None
    }

    /// Judges what began a login, and remembers of it what the second half needs.
    fn begin(
        &self,
        _provider: &Provider,
        _start: Start<'_>,
        _memory: &mut Memory,
    ) -> Result<(), ProviderError> {
        Ok(())
    }

    /// Changes the settings that templates see, by what was remembered. In both halves.
    fn settings(&self, _memory: &Memory, _settings: &mut serde_json::Map<String, Value>) {}

    /// Judges what the browser brought back, before anything is made of it.
    fn callback(
        &self,
        _provider: &Provider,
        _memory: &Memory,
        _callback: &Callback,
    ) -> Result<(), ProviderError> {
        Ok(())
    }

    /// Changes the token request. In a refresh there is no callback.
    fn token_request(
        &self,
        _world: &World,
        _provider: &Provider,
        _callback: &Callback,
        _request: &mut Request,
    ) -> Result<(), ProviderError> {
        Ok(())
    }

    /// Whether an access token that a client brought was issued to us: asks the provider, and gives the tokens to go on
    /// with. `None`: the provider has no way to tell, and such tokens prove nothing.
    fn vouch<'a>(
        &'a self,
        _world: &'a World,
        _provider: &'a Provider,
        _access_token: &'a SecretString,
    ) -> Option<Vouched<'a>> {
        None
    }

    /// Changes the profile request of this step, the first being 0.
    fn profile_request(
        &self,
        _provider: &Provider,
        _step: usize,
        _progress: Progress<'_>,
        _request: &mut Request,
    ) -> Result<(), ProviderError> {
        Ok(())
    }

    /// Changes or refuses what the provider said, before it is mapped.
    fn data(
        &self,
        _provider: &Provider,
        _progress: Progress<'_>,
        _data: &mut Value,
    ) -> Result<(), ProviderError> {
        Ok(())
    }

    /// Changes what came of the mapping of `data`.
    fn identity(
        &self,
        _provider: &Provider,
        _data: &Value,
        _identity: &mut Identity,
    ) -> Result<(), ProviderError> {
        Ok(())
    }

    /// What people are shown of an account, made of its extra data; before the catalogue is asked.
    fn display(&self, _extra_data: &Value) -> Option<String> {
        None
    }

    /// A picture of the person; as `display`.
    fn avatar_url(&self, _provider: &Provider, _extra_data: &Value) -> Option<String> {
        None
    }

    /// A page about the person; as `display`.
    fn profile_url(&self, _provider: &Provider, _extra_data: &Value) -> Option<String> {
        None
    }
}

/// The tokens to go on with, once the provider has said that they are for us.
pub(crate) type Vouched<'a> = Pin<Box<dyn Future<Output = Result<Tokens, ProviderError>> + Send + 'a>>;

/// All quirks, by the names that entries use.
static ALL: &[(&str, &dyn Quirk)] = &[
    ("apple", &apple::Apple),
    ("battlenet", &battlenet::BattleNet),
    ("dataporten", &dataporten::Dataporten),
    ("discord", &discord::Discord),
    ("facebook", &facebook::Facebook),
    ("frontier", &frontier::Frontier),
    ("linkedin", &linkedin::LinkedIn),
    ("mailru", &md5_signature::MailRu),
    ("mediawiki", &mediawiki::MediaWiki),
    ("odnoklassniki", &md5_signature::Odnoklassniki),
    ("patreon", &patreon::Patreon),
    ("shopify", &shopify::Shopify),
    ("snapchat", &snapchat::Snapchat),
    ("tiktok", &tiktok::TikTok),
    ("vk", &vk::Vk),
];

/// The quirk of that name.
pub(crate) fn named(name: &str) -> Option<&'static dyn Quirk> {
    ALL.iter().find(|(known, _)| *known == name).map(|(_, quirk)| *quirk)
}

/// Whether entries may name it: a quirk, or a file that speaks to its provider in a way of its own.
pub(crate) fn is_known(name: &str) -> bool {
    named(name).is_some() || ["draugiem", "dummy", "pocket", "steam", "telegram"].contains(&name)
}

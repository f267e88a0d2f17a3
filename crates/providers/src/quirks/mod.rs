//! What the data of the catalogue cannot say: one small file for each oddity, named by an entry's `quirk`.

use serde_json::Value;

use crate::error::ProviderError;
use crate::identity::Identity;
use crate::login::{Callback, Memory};
use crate::provider::Provider;
use crate::request::Request;
use crate::world::World;

/// The points of a login by OAuth 2.0 where a provider may differ. Every method does nothing unless a quirk says otherwise.
pub(crate) trait Quirk: Sync {
    /// Changes the settings that templates see, before anything is begun (hosts by region).
    fn settings(
        &self,
        _provider: &Provider,
        _query: &[(String, String)],
        _settings: &mut serde_json::Map<String, Value>,
    ) -> Result<(), ProviderError> {
        Ok(())
    }

    /// Changes the parameters of the authorization request.
    fn authorize(
        &self,
        _provider: &Provider,
        _params: &mut Vec<(String, String)>,
        _memory: &mut Memory,
    ) -> Result<(), ProviderError> {
        Ok(())
    }

    /// Changes the token request.
    fn token_request(
        &self,
        _world: &World,
        _provider: &Provider,
        _callback: &Callback,
        _request: &mut Request,
    ) -> Result<(), ProviderError> {
        Ok(())
    }

    /// Changes the profile request of this step, the first being 0.
    fn profile_request(
        &self,
        _provider: &Provider,
        _step: usize,
        _token_answer: &Value,
        _request: &mut Request,
    ) -> Result<(), ProviderError> {
        Ok(())
    }

    /// Changes or refuses what the provider said, before it is mapped.
    fn data(
        &self,
        _provider: &Provider,
        _callback: &Callback,
        _token_answer: &Value,
        _data: &mut Value,
    ) -> Result<(), ProviderError> {
        Ok(())
    }

    /// Changes what came of the mapping.
    fn identity(
        &self,
        _provider: &Provider,
        _data: &Value,
        _identity: &mut Identity,
    ) -> Result<(), ProviderError> {
        Ok(())
    }

    /// What people are shown of an account, made of its extra data.
    fn display(&self, _extra_data: &Value) -> Option<String> {
        None
    }
}

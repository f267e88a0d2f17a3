//! VK ID: the token request has a `state` of its own.

use vestibule_base::security::random;

use super::Quirk;
use crate::error::ProviderError;
use crate::login::Callback;
use crate::provider::Provider;
use crate::request::Request;
use crate::world::World;

pub(super) struct Vk;

impl Quirk for Vk {
    fn token_request(
        &self,
        _world: &World,
        _provider: &Provider,
        _callback: &Callback,
        request: &mut Request,
    ) -> Result<(), ProviderError> {
        request.set_field("state", hex::encode(random::bytes::<16>()?));
        Ok(())
    }
}

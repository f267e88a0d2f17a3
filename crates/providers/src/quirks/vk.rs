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
        request.set_field("state", uuid(random::bytes()?));
        Ok(())
    }
}

/// Random bytes as a UUID (RFC 9562, 5.4).
fn uuid(bytes: [u8; 16]) -> String {
    let random = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0b11 << 62);
    let hex = format!("{:032x}", random | 0x4 << 76 | 0b10 << 62);
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_says_that_it_is_random() {
        assert_eq!(uuid([0; 16]), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}

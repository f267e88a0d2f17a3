//! Mappings without the logins that lead to them, for the player of the reference's fixtures: what OpenID 2.0 proves cannot
//! be staged, so its cases begin behind that. Not for servers: nothing is verified here.

use std::collections::BTreeMap;

use crate::error::ProviderError;
use crate::identity::Identity;
use crate::openid2;
use crate::provider::Provider;
use crate::quirks::steam;
use crate::world::World;

/// Whom an assertion of OpenID 2.0 names that says this: the identifier, simple registration by name, attribute exchange
/// by URI.
///
/// # Errors
/// As the login's.
pub async fn assertion(
    world: &World,
    provider: &Provider,
    identity_url: &str,
    sreg: &BTreeMap<String, String>,
    ax: &BTreeMap<String, String>,
) -> Result<Identity, ProviderError> {
    match provider.kind() {
        "steam" => steam::identity_of(world, provider, identity_url).await,
        _ => openid2::identity_of(provider, identity_url, sreg, ax),
    }
}

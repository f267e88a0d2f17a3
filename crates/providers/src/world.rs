//! What every login at a provider needs of the server.

use std::sync::Arc;
use std::time::Duration;

use url::Url;
use vestibule_base::outbound::Outbound;
use vestibule_base::security::Clock;

/// The server, as providers see it.
#[derive(Debug, Clone)]
pub struct World {
    /// The HTTP client.
    pub outbound: Outbound,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where people reach the server: `server.public_url`, without a final slash.
    pub site: Url,
    /// How long one call may take: `socialaccount.requests_timeout`.
    pub patience: Duration,
    /// Whether providers are asked for addresses: `socialaccount.query_email`.
    pub query_email: bool,
    /// Whether tokens are kept, so that some providers are asked for lasting ones: `socialaccount.store_tokens`.
    pub store_tokens: bool,
    /// The part of the callback URL of OpenID Connect: `socialaccount.openid_connect_url_prefix`.
    pub oidc_prefix: String,
}

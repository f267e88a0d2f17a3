//! The two halves of a login at a provider, and what passes between them.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use vestibule_base::security::Millis;

use crate::identity::Identity;

/// What begins a login by redirect.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// The random name of this flow: what the provider hands back as `state`.
    pub state: &'a str,
    /// The query of the request that asked for it. Only for the few providers that need to be told something (a shop's
    /// host): never believed, always checked.
    pub query: &'a [(String, String)],
}

impl Start<'_> {
    /// Our callback URL with `state`, for protocols that hand back nothing but what the URL itself carries.
    pub(crate) fn return_to(&self, redirect_uri: &str) -> String {
        let state: String = form_urlencoded::byte_serialize(self.state.as_bytes()).collect();
        format!("{redirect_uri}?state={state}")
    }
}

/// Where to send the person, and what to remember until they come back.
#[derive(Debug)]
pub struct Departure {
    /// The URL at the provider.
    pub url: String,
    /// What the second half needs. Secret: to be stored sealed, bound to session and provider, and used once.
    pub memory: Memory,
    /// What the callback will name this flow by, where that is not `state`: the request token of OAuth 1.0a.
    pub known_by: Option<String>,
}

/// What the second half of a login needs to know of the first. Prints no values.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Memory(pub BTreeMap<String, String>);

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// What the browser brought back. Prints no values.
#[derive(Clone, Default)]
pub struct Callback {
    /// The parameters of query and form, in order; of a name that comes twice the first counts.
    pub params: Vec<(String, String)>,
}

impl Callback {
    /// A parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl std::fmt::Debug for Callback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.params.iter().map(|(name, _)| name)).finish()
    }
}

/// What a client brings in the token flow. Prints no values.
#[derive(Clone, Default)]
pub struct Presented {
    /// An ID token.
    pub id_token: Option<SecretString>,
    /// An access token.
    pub access_token: Option<SecretString>,
}

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presented")
            .field("id_token", &self.id_token.is_some())
            .field("access_token", &self.access_token.is_some())
            .finish()
    }
}

/// What came of a login at a provider.
#[derive(Debug)]
pub struct Arrival {
    /// Who it is.
    pub identity: Identity,
    /// The provider's tokens, where it gave some.
    pub tokens: Option<Tokens>,
    /// What makes the proof usable once, where a client brought it.
    pub replay: Option<Replay>,
}

/// A provider's tokens.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Access token; `oauth_token` of OAuth 1.0a.
    pub access: SecretString,
    /// Refresh token; `oauth_token_secret` of OAuth 1.0a.
    pub refresh: Option<SecretString>,
    /// When the access token expires.
    pub expires_at: Option<Millis>,
}

/// The name of a proof that may be used once.
#[derive(Debug, Clone)]
pub struct Replay {
    /// `iss` and `jti`, as one text.
    pub key: String,
    /// The moment after which the proof is worthless by itself.
    pub expires_at: Millis,
    /// How long after its first use it may come again: for proofs that need not be different ones to look the same.
    pub again_within: Millis,
}

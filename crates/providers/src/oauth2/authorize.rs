//! The first half: where people are sent, and with what (RFC 6749 4.1.1, RFC 7636).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use url::{Host, Url};
use vestibule_base::security::Token;

use super::flow::Flow;
use crate::catalogue::entry::RedirectUri;
use crate::error::ProviderError;
use crate::login::{Departure, Memory, Start};
use crate::oidc::Oidc;
use crate::provider::Provider;
use crate::request::filled;
use crate::world::World;

/// What [`Memory`] calls the text that the ID token must repeat.
pub(super) const NONCE: &str = "nonce";
/// What it calls the secret whose digest went with the person.
pub(super) const VERIFIER: &str = "code_verifier";

/// Where to send the person.
///
/// # Errors
/// Any of [`ProviderError`] but `Cancelled`.
pub(crate) async fn begin(
    world: &World,
    oidc: &Oidc,
    provider: &Provider,
    start: Start<'_>,
) -> Result<Departure, ProviderError> {
    let mut memory = Memory::default();
    if let Some(quirk) = provider.quirk() {
        quirk.begin(provider, start, &mut memory)?;
    }
    let flow = Flow::open(world, oidc, provider, &memory).await?;
    let authorize = flow.entry.authorize.as_ref();
    let authorize = authorize.ok_or_else(|| ProviderError::settings("nobody can be sent there"))?;
    let mut values = flow.values();
    values.query = start.query;
    values.named.insert("state", start.state.to_owned());

    let mut params = Params(filled(&authorize.params, &values));
    for (name, value) in provider.auth_params() {
        params.set(name, value.clone());
    }
    // What the protocol rests on comes last: no setting can take it away.
    params.set(&authorize.client_id_parameter, flow.client_id().to_owned());
    if authorize.redirect_uri != RedirectUri::Omitted {
        params.set("redirect_uri", provider.redirect_uri(world));
    }
    params.set("scope", flow.scopes.join(&authorize.delimiter));
    params.set("response_type", authorize.response_type.clone());
    if let Some(mode) = &authorize.response_mode {
        params.set("response_mode", mode.clone());
    }
    params.set("state", start.state.to_owned());
    if flow.reads_id_tokens() && provider.nonce() {
        let nonce = Token::generate()?.expose().to_owned();
        params.set("nonce", nonce.clone());
        memory.0.insert(NONCE.to_owned(), nonce);
    }
    if provider.pkce() {
        let verifier = Token::generate()?.expose().to_owned();
        params.set("code_challenge", BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier)));
        params.set("code_challenge_method", "S256".to_owned());
        memory.0.insert(VERIFIER.to_owned(), verifier);
    }

    let mut url = authorize.url.url(&values)?;
    check_page(&url, flow.flag_setting("allow_http") == Some(true))?;
    url.query_pairs_mut().extend_pairs(params.0);
    Ok(Departure { url: url.into(), memory, known_by: None })
}

/// Parameters of a request, each once.
struct Params(Vec<(String, String)>);

impl Params {
    fn set(&mut self, name: &str, value: String) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value));
    }
}

/// People are sent to pages that nobody on the way can change. The server itself never calls them, so that they may be
/// on any net.
fn check_page(url: &Url, allow_http: bool) -> Result<(), ProviderError> {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if loopback || allow_http => Ok(()),
        _ => Err(ProviderError::settings("the login page needs https, or allow_http in the app's settings")),
    }
}

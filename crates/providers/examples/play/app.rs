//! The app that a case is played with, in the words of our configuration.

use serde_json::{Map, Value};
use vestibule_base::config::App;

use crate::case::{Case, Response};

const DESCRIPTION: &str = "/.well-known/openid-configuration";

/// Settings of the reference that change nothing of what is played: caches, pages, what it allows later.
const NOTHING_TO_US: [&str; 7] = [
    "app",
    "app_token_cache_timeout",
    "apps",
    "email_authentication_auto_connect",
    "is_embedded",
    "method",
    "servers",
];

/// The app of a case, and whether its issuer had to be named.
///
/// # Errors
/// A setting has no equal in TOML.
pub(crate) fn of(provider: &str, case: &Case) -> Result<(App, bool), String> {
    let mut settings = Map::new();
    // The reference names what holds for all apps in upper case.
    for (name, value) in &case.config.provider_settings {
        settings.insert(name.to_lowercase(), value.clone());
    }
    settings.retain(|name, _| !NOTHING_TO_US.contains(&name.as_str()));
    if let Some(validity) = settings
        .get_mut("auth_params")
        .and_then(|params| params.as_object_mut()?.remove("auth_date_validity"))
    {
        settings.insert("auth_date_validity".to_owned(), validity);
    }
    settings.extend(case.app.settings.clone());
    let issuer = foreign_issuer(case, &settings);
    let named = issuer.is_some();
    if let Some(issuer) = issuer {
        settings.insert("issuer".to_owned(), issuer.into());
    }
    if let Some(identity) =
        case.assertion.as_ref().and_then(|assertion| assertion.get("identity_url")?.as_str())
        && provider == "openid"
    {
        // The server that gives such identifiers: only what it says is believed.
        settings.insert("openid_url".to_owned(), identity.into());
        settings.insert("identity_prefix".to_owned(), identity.into());
    }
    settings.retain(|_, value| !value.is_null());
    let registration = &case.app;
    let app = App {
        provider: provider.to_owned(),
        provider_id: registration.provider_id.clone(),
        name: registration.name.clone(),
        client_id: registration.client_id.clone(),
        secret: registration.secret.clone().map(Into::into),
        key: registration.key.clone().map(Into::into),
        settings: toml::Table::try_from(settings).map_err(|error| error.to_string())?,
    };
    Ok((app, named))
}

/// The issuer that a server describes, where it is another than its URL: that has to be configured.
fn foreign_issuer(case: &Case, settings: &Map<String, Value>) -> Option<String> {
    let server = settings.get("server_url")?.as_str()?;
    let server = server.strip_suffix(DESCRIPTION).unwrap_or(server).trim_end_matches('/');
    let described = case.requests.iter().find(|listed| listed.url.ends_with(DESCRIPTION))?;
    let document = described.response.as_ref().and_then(Response::json)?;
    let issuer = document.get("issuer")?.as_str()?;
    (issuer.trim_end_matches('/') != server).then(|| issuer.to_owned())
}

//! From the apps of the configuration to the providers that people can use.

use secrecy::ExposeSecret;
use url::Host;
use vestibule_base::config::App;

use crate::app_settings;
use crate::catalogue::entry::{Credential, Entry, Protocol};
use crate::catalogue::{Catalogue, nearest};
use crate::provider::Provider;
use crate::world::World;

/// The providers of these apps, by the builtin catalogue and the operator's own (the text of their file).
///
/// # Errors
/// One line for each thing that is wrong: the app's name, and what to do.
pub(crate) fn assemble(
    apps: &[App],
    catalogue: Option<&str>,
    world: &World,
) -> Result<Vec<Provider>, Vec<String>> {
    if apps.is_empty() && catalogue.is_none() {
        return Ok(Vec::new());
    }
    let catalogue = Catalogue::read(catalogue).map_err(|error| vec![error])?;
    let mut providers: Vec<Provider> = Vec::new();
    let mut complaints = Vec::new();
    for app in apps {
        if providers.iter().any(|other| other.id() == app.id()) {
            complaints
                .push(format!("{}: another app has this name; give each its own provider_id", app.id()));
        }
        match provider(app, &catalogue, world) {
            Ok(provider) => providers.push(provider),
            Err(lines) => complaints.extend(lines.into_iter().map(|line| format!("{}: {line}", app.id()))),
        }
    }
    if complaints.is_empty() { Ok(providers) } else { Err(complaints) }
}

fn provider(app: &App, catalogue: &Catalogue, world: &World) -> Result<Provider, Vec<String>> {
    let Some((entry, is_own)) = catalogue.find(&app.provider) else {
        return Err(vec![match app.provider.as_str() {
            "saml" => "SAML is not supported".to_owned(),
            other => format!("there is no provider {other:?}{}", nearest(other, catalogue.ids())),
        }]);
    };
    let mut entry = entry.clone();
    let mut complaints = missing(app, &entry);
    if !app.id().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)) {
        complaints.push("provider_id becomes part of URLs: letters, digits, and any of -._~".to_owned());
    }
    if app.provider == "dummy" && !is_local(world) {
        complaints.push("it logs in anybody as anybody, so it works on localhost only; remove it".to_owned());
    }
    let settings = app_settings::read(app, &mut entry, is_own);
    let settings = match (settings, complaints.is_empty()) {
        (Ok(settings), true) => settings,
        (Ok(_), false) => return Err(complaints),
        (Err(more), _) => return Err(complaints.into_iter().chain(more).collect()),
    };
    let provider = Provider::new(app.clone(), entry, settings);
    if !makes_urls(&provider, world) {
        return Err(vec![
            "its settings make no URLs; hosts are written alone, bases with https://".to_owned(),
        ]);
    }
    Ok(provider)
}

/// What the provider needs of an app and this one lacks.
fn missing(app: &App, entry: &Entry) -> Vec<String> {
    let there = |secret: &Option<secrecy::SecretString>| {
        secret.as_ref().is_some_and(|secret| !secret.expose_secret().is_empty())
    };
    let lacks = |needed: &Credential| match needed {
        Credential::ClientId => app.client_id.is_empty().then_some("client_id"),
        Credential::Secret => (!there(&app.secret)).then_some("secret"),
        Credential::Key => (!there(&app.key)).then_some("key"),
    };
    let provider_id =
        (entry.protocol == Protocol::Oidc && app.provider_id.is_none()).then_some("provider_id");
    let lacking = entry.needs.iter().filter_map(lacks).chain(provider_id);
    lacking.map(|name| format!("{name} is needed")).collect()
}

/// Whether all URLs can be made that depend on settings alone.
fn makes_urls(provider: &Provider, world: &World) -> bool {
    let values = provider.values(world);
    let mut settled = provider.entry().urls().filter(|url| url.is_settled(&values));
    settled.all(|url| url.url(&values).is_ok())
}

/// Whether people reach the server on this machine alone.
fn is_local(world: &World) -> bool {
    match world.site.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

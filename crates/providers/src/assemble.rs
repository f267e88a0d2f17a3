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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};
    use std::time::Duration;

    use serde_json::{Value, json};
    use url::Url;
    use vestibule_base::outbound::Outbound;
    use vestibule_base::security::SystemClock;

    use super::*;

    static OUTBOUND: LazyLock<Outbound> = LazyLock::new(|| Outbound::new().unwrap());
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::read(None).unwrap());

    fn world(site: &str) -> World {
        World {
            outbound: OUTBOUND.clone(),
            clock: Arc::new(SystemClock),
            site: Url::parse(site).unwrap(),
            patience: Duration::from_secs(5),
            query_email: true,
            store_tokens: false,
            oidc_prefix: "oidc".to_owned(),
        }
    }

    fn here() -> World {
        world("http://localhost:8000")
    }

    fn app(text: &str) -> App {
        toml::from_str(text).unwrap()
    }

    fn one(text: &str) -> Result<Provider, String> {
        provider(&app(text), &CATALOGUE, &here()).map_err(|lines| lines.join("\n"))
    }

    fn refused(text: &str) -> String {
        one(text).err().unwrap_or_default()
    }

    /// An app with all that an entry could want.
    fn plausible(id: &str, entry: &Entry) -> App {
        let mut text = format!("provider = '{id}'\nclient_id = 'c'\nsecret = 's'\n");
        if entry.needs.contains(&Credential::Key) {
            text.push_str("key = 'https://key.example'\n");
        }
        if entry.protocol == Protocol::Oidc {
            text.push_str("provider_id = 'mine'\n");
        }
        for (name, setting) in entry.settings.iter().filter(|(_, setting)| setting.required) {
            let is_host = setting.about.as_ref().is_some_and(|about| about.contains("without https://"));
            let value = if is_host { "host.example" } else { "https://host.example" };
            text.push_str(&format!("settings.{name} = '{value}'\n"));
        }
        app(&text)
    }

    #[test]
    fn every_provider_of_the_catalogue_can_be_set_up() {
        let world = here();
        for id in CATALOGUE.ids() {
            let app = plausible(id, CATALOGUE.find(id).unwrap().0);
            let provider = provider(&app, &CATALOGUE, &world);
            let provider = provider.unwrap_or_else(|lines| panic!("{id}: {lines:?}"));
            assert!(provider.callback_path(&world).starts_with("/accounts/"));
            let discovery = json!({"authorization_endpoint": "https://host.example/authorize"});
            let mut values = provider.values(&world);
            values.discovery = &discovery;
            values.settings.to_mut().insert("shop".to_owned(), Value::from("shop"));
            let url =
                provider.entry().authorize.as_ref().map(|authorize| authorize.url.url(&values).unwrap());
            assert!(url.iter().all(|url| url.scheme() == "https"), "{id}");
            let speaks_without = ["dummy", "openid", "steam"].contains(&id);
            assert!(url.is_some() || speaks_without, "{id} has nowhere to send people");
        }
    }

    #[test]
    fn what_an_app_lacks_is_named() {
        let near = refused("provider = 'githup'\nclient_id = 'c'");
        assert_eq!(near, "there is no provider \"githup\" (did you mean \"github\"?)");
        assert_eq!(refused("provider = 'saml'\nclient_id = 'c'"), "SAML is not supported");
        assert_eq!(refused("provider = 'github'\nclient_id = ''"), "client_id is needed");
        let apple = refused("provider = 'apple'\nclient_id = 'c'");
        assert!(apple.starts_with("secret is needed\nkey is needed\nsettings.certificate_key is needed"));
        let auth0 = refused("provider = 'auth0'\nclient_id = 'c'\nsettings.auth0_url = ''");
        assert!(auth0.starts_with("settings.auth0_url is needed"));
        let oidc = refused(
            "provider = 'openid_connect'\nclient_id = 'c'\nsettings.server_url = 'https://a.example'",
        );
        assert_eq!(oidc, "provider_id is needed");
    }

    #[test]
    fn settings_are_known_and_of_their_type() {
        let refused = |settings: &str| refused(&format!("provider = 'gitlab'\nclient_id = 'c'\n{settings}"));
        assert_eq!(
            refused("settings.gitlab_ur = 'x'"),
            "settings.gitlab_ur is not known (did you mean \"gitlab_url\"?)"
        );
        assert!(refused("settings.hiden = true").contains("(did you mean \"hidden\"?)"));
        assert_eq!(refused("settings.gitlab_url = 5"), "settings.gitlab_url must be a text");
        assert!(refused("settings.scope = 'one'").starts_with("settings.scope must be a list of texts"));
        assert!(refused("settings.hidden = 'yes'").starts_with("settings.hidden must be true or false"));
        assert!(
            refused("settings.verified_email = 'a.example'").contains("must be true, or a list of domains")
        );
        assert!(refused("settings.token_url = 'token'").contains("must be an http or https URL"));
        assert!(refused("settings.emails_url = 'https://a.example'").contains("has no such endpoint"));
        assert!(refused("settings.token_auth_method = 'magic'").contains("must be `client_secret_post`"));
        assert!(
            refused("settings.token_auth_method = 'private_key_jwt'")
                .contains("settings.private_key is needed")
        );
        assert!(refused("settings.gitlab_url = 'gitlab.example'").contains("make no URLs"));
        assert!(
            one("provider = 'gitlab'\nclient_id = 'c'\nsettings.gitlab_url = 'https://g.example/'").is_ok()
        );
    }

    #[test]
    fn h3_plain_http_is_for_this_machine_unless_the_operator_allows_it() {
        let with = |url: &str, more: &str| {
            one(&format!("provider = 'gitea'\nclient_id = 'c'\nsettings.gitea_url = '{url}'\n{more}"))
        };
        assert!(with("http://git.example", "").unwrap_err().contains("plain http"));
        assert!(with("http://10.0.0.1:3000", "").is_err());
        assert!(with("http://localhost.evil.example", "").is_err());
        for local in ["http://localhost:3000", "http://127.0.0.2", "http://[::1]:80"] {
            assert!(with(local, "").is_ok(), "{local}");
        }
        assert!(with("http://git.example", "settings.allow_http = true").is_ok());
    }

    #[test]
    fn only_what_the_operator_wrote_may_be_anywhere() {
        let world = here();
        let text = "provider = 'gitea'\nclient_id = 'c'\nsettings.gitea_url = 'http://127.0.0.1:3000/git'";
        let provider = one(text).unwrap();
        assert!(provider.endpoint(&world, "http://127.0.0.1:3000/git/login").is_ok());
        for other in
            ["http://127.0.0.1:3001/", "http://localhost:3000/", "http://192.168.0.1/", "https://10.0.0.1/"]
        {
            assert!(provider.endpoint(&world, other).is_err(), "{other}");
        }
        assert!(provider.endpoint(&world, "https://gitea.example/").is_ok());
        let hosts = "provider = 'okta'\nclient_id = 'c'\nsettings.okta_base_url = '10.0.0.7:8443'";
        assert!(one(hosts).unwrap().endpoint(&world, "https://10.0.0.7:8443/oauth2/v1/token").is_ok());
        let own = "[intranet]\nname = 'I'\nmap = { uid = '/id' }\ntoken = { url = 'https://10.1.1.1/token' }";
        let app = app("provider = 'intranet'\nclient_id = 'c'");
        let providers = assemble(std::slice::from_ref(&app), Some(own), &world).unwrap();
        assert!(providers[0].endpoint(&world, "https://10.1.1.1/userinfo").is_ok());
        let plain = own.replace("https", "http");
        assert!(assemble(&[app], Some(&plain), &world).unwrap_err()[0].contains("plain http"));
    }

    #[test]
    fn names_are_unique_and_fit_for_urls() {
        let github = app("provider = 'github'\nclient_id = 'c'");
        let lines = assemble(&[github.clone(), github], None, &here()).unwrap_err();
        assert_eq!(lines, ["github: another app has this name; give each its own provider_id"]);
        let slash = "provider = 'github'\nclient_id = 'c'\nprovider_id = 'a/../b'";
        assert!(refused(slash).contains("provider_id becomes part of URLs"));
    }

    #[test]
    fn the_dummy_is_for_localhost() {
        let dummy = [app("provider = 'dummy'\nclient_id = ''")];
        assert!(assemble(&dummy, None, &here()).is_ok());
        for site in ["https://auth.example.com", "http://localhost.evil.example", "http://10.0.0.1"] {
            assert!(
                assemble(&dummy, None, &world(site)).unwrap_err()[0].contains("localhost only"),
                "{site}"
            );
        }
    }

    #[test]
    fn apps_override_what_the_catalogue_says() {
        let text = "provider = 'github'\nclient_id = 'c'\nname = 'Ours'\nprovider_id = 'ours'\n[settings]\n\
            scope = ['a']\nauth_params = { prompt = 'consent' }\noauth_pkce_enabled = false\nhidden = true\n\
            email_authentication = true\nauthorize_url = 'https://a.example/in'\nemails_url = 'https://a.example/emails'";
        let provider = one(text).unwrap();
        let world = here();
        assert_eq!((provider.id(), provider.kind(), provider.name()), ("ours", "github", "Ours"));
        assert_eq!(provider.callback_path(&world), "/accounts/github/login/callback/");
        assert_eq!(provider.redirect_uri(&world), "http://localhost:8000/accounts/github/login/callback/");
        assert_eq!(provider.scopes(&world), ["a"]);
        assert_eq!(provider.auth_params(), [("prompt".to_owned(), "consent".to_owned())]);
        assert!(!provider.pkce() && provider.hidden());
        assert_eq!(provider.email_authentication(), Some(true));
        let urls: Vec<_> =
            provider.entry().urls().filter_map(|url| url.text(&provider.values(&world))).collect();
        let token = "https://github.com/login/oauth/access_token";
        let user = "https://api.github.com/user";
        assert_eq!(urls, ["https://a.example/in", token, user, "https://a.example/emails"]);
        let plain = one("provider = 'github'\nclient_id = 'c'").unwrap();
        assert_eq!(plain.scopes(&world), ["user:email"]);
        assert!(plain.pkce() && !plain.hidden());
        assert_eq!(plain.email_authentication(), None);
    }

    #[test]
    fn derived_names_follow_settings() {
        let profile = |settings: &str| {
            let provider = one(&format!("provider = 'github'\nclient_id = 'c'\n{settings}")).unwrap();
            let url = provider.entry().profile[0].url.url(&provider.values(&here())).unwrap();
            url.to_string()
        };
        assert_eq!(profile(""), "https://api.github.com/user");
        assert_eq!(
            profile("settings.github_url = 'https://git.example/'"),
            "https://git.example/api/v3/user"
        );
    }

    #[test]
    fn openid_connect_is_found_below_its_server() {
        let url = |server: &str| {
            let text = format!(
                "provider = 'openid_connect'\nprovider_id = 'p'\nclient_id = 'c'\nsettings.server_url = '{server}'"
            );
            let provider = one(&text).unwrap();
            assert_eq!(provider.callback_path(&here()), "/accounts/oidc/p/login/callback/");
            provider.openid_configuration_url().unwrap()
        };
        let expected = "https://a.example/.well-known/openid-configuration";
        assert_eq!(url("https://a.example"), expected);
        assert_eq!(url("https://a.example/"), expected);
        assert_eq!(url(expected), expected);
        assert_eq!(one("provider = 'github'\nclient_id = 'c'").unwrap().openid_configuration_url(), None);
    }

    #[test]
    fn secrets_do_not_print() {
        let text = "provider = 'apple'\nclient_id = 'c'\nsecret = 'hush1'\nkey = 'hush2'\nsettings.certificate_key = 'hush3'";
        assert!(!format!("{:?}", one(text).unwrap()).contains("hush"));
    }
}

//! An app of the configuration with its entry of the catalogue.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::Url;
use vestibule_base::config::App;
use vestibule_base::outbound::Endpoint;

use crate::app_settings::AppSettings;
use crate::callback_page::CallbackPage;
use crate::catalogue::entry::{Entry, Protocol, RedirectUri};
use crate::error::ProviderError;
use crate::identity::Identity;
use crate::login::Callback;
use crate::quirks::{self, Quirk};
use crate::template::Values;
use crate::world::World;
use crate::{display, mapping};

/// The parameter of a callback that says that what its page asks for was posted.
pub const POSTED: &str = "posted";

/// A provider that people can use.
pub struct Provider {
    app: App,
    entry: Entry,
    settings: AppSettings,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Settings may hold keys.
        f.debug_struct("Provider").field("app", &self.app).finish_non_exhaustive()
    }
}

impl Provider {
    pub(crate) fn new(app: App, entry: Entry, settings: AppSettings) -> Self {
        Self { app, entry, settings }
    }

    /// What names it in URLs and answers: the app's `provider_id`, else [`Provider::kind`].
    #[must_use]
    pub fn id(&self) -> &str {
        self.app.id()
    }

    /// Its id in the catalogue.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.app.provider
    }

    /// What people are shown.
    #[must_use]
    pub fn name(&self) -> &str {
        if self.app.name.is_empty() { &self.entry.name } else { &self.app.name }
    }

    /// How the provider knows us.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.app.client_id
    }

    /// What clients are told of [`Provider::client_id`]: those of OAuth 2.0 may need it.
    #[must_use]
    pub fn shown_client_id(&self) -> Option<&str> {
        let shown = matches!(self.entry.protocol, Protocol::OAuth2 | Protocol::Oidc);
        shown.then_some(self.app.client_id.as_str())
    }

    /// Whether a token must say for which client it is.
    #[must_use]
    pub fn has_client(&self) -> bool {
        !self.app.client_id.is_empty()
    }

    /// Whether this is the client that a token is for, or one of several (a list with commas).
    #[must_use]
    pub fn has_client_id(&self, client_id: &str) -> bool {
        self.app.client_id == client_id || self.client_ids().iter().any(|own| own == client_id)
    }

    /// What a callback names its flow by: our `state`, or the request token of OAuth 1.0a, also where it was denied.
    #[must_use]
    pub fn flow_name<'a>(&self, callback: &'a Callback) -> Option<&'a str> {
        let names: &[&str] = match self.entry.protocol {
            Protocol::OAuth1 => &["oauth_token", "denied", "state"],
            _ => &["state"],
        };
        names.iter().find_map(|name| callback.get(name))
    }

    /// The page that the callback shows in place of going on, if it must ask the browser for more.
    #[must_use]
    pub fn callback_page(&self, callback: &Callback) -> Option<CallbackPage> {
        if callback.get(POSTED).is_some() {
            return None;
        }
        match self.entry.quirk.as_deref() {
            Some("telegram") => Some(CallbackPage::telegram()),
            Some("dummy") => Some(CallbackPage::dummy()),
            _ => None,
        }
    }

    /// Whether a login can begin by redirect.
    #[must_use]
    pub fn supports_redirect(&self) -> bool {
        self.entry.supports_redirect
    }

    /// Whether clients may bring its tokens.
    #[must_use]
    pub fn supports_token(&self) -> bool {
        self.entry.supports_token
    }

    /// Whether it is left out where people choose.
    #[must_use]
    pub fn hidden(&self) -> bool {
        self.settings.hidden
    }

    /// Whether its verified addresses log in to the account that has them; `None`: as for all providers.
    #[must_use]
    pub fn email_authentication(&self) -> Option<bool> {
        self.settings.email_authentication
    }

    /// Where an OpenID Connect provider describes itself; `None` for others.
    #[must_use]
    pub fn openid_configuration_url(&self) -> Option<String> {
        let server = self.entry.discovery.as_ref()?.text(&self.plain_values())?;
        Some(if server.contains("/.well-known/") {
            server
        } else {
            format!("{}/.well-known/openid-configuration", server.trim_end_matches('/'))
        })
    }

    /// The path of the callback, below the site.
    #[must_use]
    pub fn callback_path(&self, world: &World) -> String {
        callback_path(&self.entry, self.kind(), self.id(), &world.oidc_prefix)
    }

    /// The URL of the callback: what is registered at the provider.
    #[must_use]
    pub fn redirect_uri(&self, world: &World) -> String {
        let site = world.site.as_str().trim_end_matches('/');
        let url = format!("{site}{}", self.callback_path(world));
        let forced = self.entry.authorize.as_ref().map(|authorize| authorize.redirect_uri);
        match url.strip_prefix("http://") {
            Some(rest) if forced == Some(RedirectUri::Https) => format!("https://{rest}"),
            _ => url,
        }
    }

    /// What people are shown of an account there, made of what was kept of it.
    #[must_use]
    pub fn display(&self, extra_data: &Value, uid: &str) -> String {
        let made = self.quirk().and_then(|quirk| quirk.display(extra_data));
        made.unwrap_or_else(|| {
            let values = self.values_of(uid);
            display::text(&self.entry.display, extra_data, &values).unwrap_or_else(|| self.name().to_owned())
        })
    }

    /// A picture of the person: an http or https URL.
    #[must_use]
    pub fn avatar_url(&self, extra_data: &Value, uid: &str) -> Option<String> {
        self.quirk()
            .and_then(|quirk| quirk.avatar_url(self, extra_data))
            .or_else(|| display::url(self.entry.avatar_url.as_ref()?, extra_data, &self.values_of(uid)))
    }

    /// A page about the person: an http or https URL.
    #[must_use]
    pub fn profile_url(&self, extra_data: &Value, uid: &str) -> Option<String> {
        self.quirk()
            .and_then(|quirk| quirk.profile_url(self, extra_data))
            .or_else(|| display::url(self.entry.profile_url.as_ref()?, extra_data, &self.values_of(uid)))
    }

    /// The app.
    pub(crate) fn app(&self) -> &App {
        &self.app
    }

    /// What the catalogue says, with the endpoints that the app's settings put in place of its own.
    pub(crate) fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Our secret there; empty where there is none.
    pub(crate) fn secret(&self) -> &str {
        self.app.secret.as_ref().map_or("", |secret| secret.expose_secret())
    }

    /// The quirk of its entry.
    pub(crate) fn quirk(&self) -> Option<&'static dyn Quirk> {
        self.entry.quirk.as_deref().and_then(quirks::named)
    }

    /// All settings, with the catalogue's defaults.
    pub(crate) fn settings(&self) -> &Map<String, Value> {
        &self.settings.all
    }

    /// A setting.
    pub(crate) fn setting(&self, name: &str) -> Option<&Value> {
        self.settings.all.get(name)
    }

    /// A setting that is a text.
    pub(crate) fn setting_text(&self, name: &str) -> Option<&str> {
        self.setting(name).and_then(Value::as_str)
    }

    /// The key that signs our proofs at the token endpoint (PEM), for `private_key_jwt`.
    pub(crate) fn private_key(&self) -> Option<&SecretString> {
        self.settings.private_key.as_ref()
    }

    /// The scopes to ask for.
    pub(crate) fn scopes(&self, world: &World) -> Vec<String> {
        let Some(authorize) = &self.entry.authorize else { return Vec::new() };
        // A list of the app's own says all.
        let all = self.settings.scope.clone().or_else(|| self.quirk()?.scopes(self));
        if let Some(all) = all {
            return all;
        }
        let mut scopes = authorize.scopes.clone();
        let further =
            [(world.query_email, &authorize.email_scopes), (world.store_tokens, &authorize.token_scopes)];
        for (wanted, more) in further {
            if wanted {
                scopes.extend(more.iter().filter(|scope| !authorize.scopes.contains(scope)).cloned());
            }
        }
        scopes
    }

    /// Further parameters of the authorization request, as the app's settings say.
    pub(crate) fn auth_params(&self) -> &[(String, String)] {
        &self.settings.auth_params
    }

    /// Whether `code_challenge` is sent.
    pub(crate) fn pkce(&self) -> bool {
        self.settings.pkce.unwrap_or(self.entry.pkce)
    }

    /// Whether `nonce` is sent, and must come back in ID tokens.
    pub(crate) fn nonce(&self) -> bool {
        self.settings.nonce.unwrap_or(true)
    }

    /// Our names there: the first is told to the provider. Where there are ID tokens there may be several, with commas
    /// between them (an app of ours may have a client of its own): tokens may be for any of them.
    pub(crate) fn client_ids(&self) -> Vec<String> {
        let ids = self.app.client_id.as_str();
        if self.entry.protocol != Protocol::Oidc && self.entry.id_token.is_none() {
            return vec![ids.to_owned()];
        }
        ids.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect()
    }

    /// What templates see of the app and the server. The flow adds what it knows: `code`, `access_token`, the answers.
    pub(crate) fn values(&self, world: &World) -> Values<'_> {
        let mut values = self.plain_values();
        values.named.insert("redirect_uri", self.redirect_uri(world));
        values.named.insert("site", world.site.as_str().trim_end_matches('/').to_owned());
        if world.query_email {
            values.named.insert("query_email", "true".to_owned());
        }
        values
    }

    /// Who it is, by what the provider said (selected, renamed and added to as the entry wants): the mapping, then the quirk.
    ///
    /// # Errors
    /// [`ProviderError::Answer`] without a uid, and what the quirk refuses.
    pub(crate) fn identity(&self, data: &Value) -> Result<Identity, ProviderError> {
        let mut identity =
            mapping::identity(&self.entry, data, &self.settings.verified_email, self.plain_values())?;
        if let Some(quirk) = self.quirk() {
            quirk.identity(self, data, &mut identity)?;
        }
        Ok(identity)
    }

    /// A URL that may be called. Where the operator wrote its origin it may be anywhere; elsewhere it must be public.
    ///
    /// # Errors
    /// [`ProviderError::Outbound`] if it may not.
    pub(crate) fn endpoint(&self, world: &World, url: &str) -> Result<Endpoint, ProviderError> {
        let is_written = Url::parse(url).is_ok_and(|url| self.settings.written.contains(&url.origin()));
        let endpoint =
            if is_written { world.outbound.configured(url)? } else { world.outbound.learned(url)? };
        Ok(endpoint.within(world.patience))
    }

    fn plain_values(&self) -> Values<'_> {
        let mut named =
            BTreeMap::from([("client_id", self.app.client_id.clone()), ("app_name", self.name().to_owned())]);
        for (name, secret) in [("client_secret", &self.app.secret), ("key", &self.app.key)] {
            if let Some(secret) = secret {
                named.insert(name, secret.expose_secret().to_owned());
            }
        }
        Values {
            settings: Cow::Borrowed(&self.settings.all),
            derived: &self.entry.derived,
            named,
            before: &Value::Null,
            token: &Value::Null,
            first: &Value::Null,
            discovery: &Value::Null,
            callback: &[],
            query: &[],
        }
    }

    fn values_of(&self, uid: &str) -> Values<'_> {
        let mut values = self.plain_values();
        values.named.insert("uid", uid.to_owned());
        values
    }
}

/// The path of the callback of the provider `kind`; with OpenID Connect, of its app `id`.
pub(crate) fn callback_path(entry: &Entry, kind: &str, id: &str, oidc_prefix: &str) -> String {
    let end = match (&entry.callback, entry.protocol) {
        (Some(end), _) => end.as_str(),
        (None, Protocol::OpenId2) => "callback",
        (None, _) => "login/callback",
    };
    match entry.protocol {
        Protocol::Oidc => format!("/accounts/{oidc_prefix}/{id}/{end}/"),
        _ => format!("/accounts/{}/{end}/", entry.slug.as_deref().unwrap_or(kind)),
    }
}

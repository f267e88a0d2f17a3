//! What an app's `settings` say, read into types: those that every provider has, and those of its entry.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::{Host, Origin, Url};
use vestibule_base::config::App;

use crate::catalogue::entry::{Authorize, ClientAuth, Entry};
use crate::catalogue::nearest;
use crate::template::Template;

/// The settings of an app.
#[derive(Default)]
pub(crate) struct AppSettings {
    /// All that templates may name, with the catalogue's defaults.
    pub(crate) all: Map<String, Value>,
    pub(crate) scope: Option<Vec<String>>,
    pub(crate) auth_params: Vec<(String, String)>,
    pub(crate) pkce: Option<bool>,
    pub(crate) nonce: Option<bool>,
    pub(crate) verified_email: VerifiedEmail,
    pub(crate) email_authentication: Option<bool>,
    pub(crate) hidden: bool,
    pub(crate) private_key: Option<SecretString>,
    /// The origins that the operator wrote.
    pub(crate) written: Vec<Origin>,
}

/// Whose addresses count as verified, whatever the provider says.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum VerifiedEmail {
    All(bool),
    Domains(Vec<String>),
}

impl Default for VerifiedEmail {
    fn default() -> Self {
        Self::All(false)
    }
}

/// What every app can set: name, and what it may be.
pub(crate) const COMMON: &[(&str, &str)] = &[
    ("scope", "a list of texts: the scopes to ask for, in place of the catalogue's"),
    ("auth_params", "a table of texts: further parameters of the authorization request"),
    ("oauth_pkce_enabled", "true or false: whether `code_challenge` is sent"),
    ("oauth_nonce_enabled", "false: for a provider that does not repeat `nonce` in its ID tokens"),
    (
        "verified_email",
        "true, or a list of domains: addresses that count as verified whatever the provider says",
    ),
    ("email_authentication", "true or false: `socialaccount.email_authentication` for this app"),
    ("hidden", "true or false: whether it is left out where people choose"),
    ("authorize_url", "where people are sent"),
    ("token_url", "the token endpoint"),
    ("profile_url", "where the profile is fetched"),
    ("emails_url", "where addresses are fetched, if that is a request of its own"),
    ("jwks_url", "where the keys of ID tokens are fetched"),
    ("allow_http", "true: endpoints may be plain http anywhere, not only on this machine"),
    ("token_auth_method", "`client_secret_post`, `client_secret_basic`, `private_key_jwt` or `none`"),
    ("private_key", "the key (PEM) for `private_key_jwt`"),
];

/// Reads the settings of an app, and puts the endpoints that they name into its entry. `is_own`: the entry is the operator's.
///
/// # Errors
/// One line for each setting that is not known, missing, or of the wrong type.
pub(crate) fn read(app: &App, entry: &mut Entry, is_own: bool) -> Result<AppSettings, Vec<String>> {
    let mut complaints = Vec::new();
    let mut all = Map::new();
    for (name, value) in &app.settings {
        match serde_json::to_value(value) {
            Ok(value) => {
                complaints.extend(judge(entry, name, &value));
                all.insert(name.clone(), value);
            }
            Err(error) => complaints.push(format!("settings.{name}: {error}")),
        }
    }
    let written = written(app, entry, &all, is_own);
    for (name, setting) in &entry.settings {
        if setting.required && all.get(name).is_none_or(|value| value.as_str() == Some("")) {
            let about = setting.about.as_ref().map(|about| format!(" ({about})")).unwrap_or_default();
            complaints.push(format!("settings.{name} is needed{about}"));
        }
        if let (false, Some(default)) = (all.contains_key(name), &setting.default) {
            all.insert(name.clone(), default.clone());
        }
    }
    if !complaints.is_empty() {
        return Err(complaints);
    }
    let mut reader = Reader { all: &all, complaints };
    let settings = AppSettings {
        scope: reader.take("scope"),
        auth_params: reader
            .take::<BTreeMap<String, String>>("auth_params")
            .unwrap_or_default()
            .into_iter()
            .collect(),
        pkce: reader.take("oauth_pkce_enabled"),
        nonce: reader.take("oauth_nonce_enabled"),
        verified_email: reader.take("verified_email").unwrap_or_default(),
        email_authentication: reader.take("email_authentication"),
        hidden: reader.take("hidden").unwrap_or_default(),
        private_key: reader.take("private_key"),
        all: Map::new(),
        written: Vec::new(),
    };
    reader.override_endpoints(entry);
    let allow_http = reader.take("allow_http").unwrap_or(false);
    if let (false, Some(origin)) = (allow_http, written.iter().find(|origin| !is_safe(origin))) {
        reader.complaints.push(format!(
            "{} is plain http: write https, or settings.allow_http = true",
            origin.ascii_serialization()
        ));
    }
    if !reader.complaints.is_empty() {
        return Err(reader.complaints);
    }
    Ok(AppSettings { all, written, ..settings })
}

/// The origins that the operator wrote.
fn written(app: &App, entry: &Entry, all: &Map<String, Value>, is_own: bool) -> Vec<Origin> {
    let mut written = origins(all);
    // At one provider the key is a URL.
    written.extend(app.key.iter().filter_map(|key| origin(key.expose_secret())));
    // Some settings are the host alone.
    let hosts = entry.urls().filter_map(Template::host_name).filter_map(|name| all.get(name)?.as_str());
    written.extend(hosts.filter_map(|host| origin(&format!("https://{host}"))));
    if is_own {
        written.extend(entry.written_origins());
    }
    written
}

/// The origins of all URLs in the settings, however deep.
fn origins(all: &Map<String, Value>) -> Vec<Origin> {
    all.values().flat_map(origins_in).collect()
}

/// Whether nobody on the way can read what is sent there.
fn is_safe(origin: &Origin) -> bool {
    match origin {
        Origin::Tuple(scheme, host, _) if scheme == "http" => match host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(ip) => ip.is_loopback(),
            Host::Ipv6(ip) => ip.is_loopback(),
        },
        _ => true,
    }
}

fn origin(url: &str) -> Option<Origin> {
    let url = Url::parse(url).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.origin())
}

fn origins_in(value: &Value) -> Vec<Origin> {
    match value {
        Value::String(text) => origin(text).into_iter().collect(),
        Value::Array(list) => list.iter().flat_map(origins_in).collect(),
        Value::Object(object) => origins(object),
        _ => Vec::new(),
    }
}

/// What is wrong with a setting, if anything.
fn judge(entry: &Entry, name: &str, value: &Value) -> Option<String> {
    let Some(setting) = entry.settings.get(name) else {
        let common = COMMON.iter().map(|(name, _)| *name);
        if common.clone().any(|known| known == name) {
            return None;
        }
        let known = common.chain(entry.settings.keys().map(String::as_str));
        return Some(format!("settings.{name} is not known{}", nearest(name, known)));
    };
    let (expected, fits) = match &setting.default {
        Some(Value::Bool(_)) => ("true or false", value.is_boolean()),
        Some(Value::Number(_)) => ("a number", value.is_number()),
        Some(Value::Array(_)) => ("a list", value.is_array()),
        Some(Value::Object(_)) => ("a table", value.is_object()),
        _ => ("a text", value.is_string()),
    };
    (!fits).then(|| format!("settings.{name} must be {expected}"))
}

struct Reader<'a> {
    all: &'a Map<String, Value>,
    complaints: Vec<String>,
}

impl Reader<'_> {
    fn take<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let value = self.all.get(name)?;
        match T::deserialize(value) {
            Ok(value) => Some(value),
            Err(_) => {
                let expected =
                    COMMON.iter().find(|(known, _)| *known == name).map_or("", |(_, about)| *about);
                self.complaints.push(format!("settings.{name} must be {expected}"));
                None
            }
        }
    }

    /// A URL, where the entry has no setting of that name with a meaning of its own.
    fn url(&mut self, entry: &Entry, name: &str) -> Option<Template> {
        if entry.settings.contains_key(name) {
            return None;
        }
        let text: String = self.take(name)?;
        match Url::parse(&text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                Some(Template::literal(&text))
            }
            _ => {
                self.complaints.push(format!("settings.{name} must be an http or https URL"));
                None
            }
        }
    }

    fn override_endpoints(&mut self, entry: &mut Entry) {
        let not_there = |name: &str| format!("settings.{name}: this provider has no such endpoint");
        if let Some(url) = self.url(entry, "authorize_url") {
            match &mut entry.authorize {
                Some(Authorize { url: present, .. }) => *present = url,
                None => self.complaints.push(not_there("authorize_url")),
            }
        }
        if let Some(url) = self.url(entry, "token_url") {
            match &mut entry.token {
                Some(token) => token.url = url,
                None => self.complaints.push(not_there("token_url")),
            }
        }
        for (name, is_emails) in [("profile_url", false), ("emails_url", true)] {
            if let Some(url) = self.url(entry, name) {
                match entry.profile.iter_mut().find(|step| step.when.query_email == is_emails) {
                    Some(step) => step.url = url,
                    None => self.complaints.push(not_there(name)),
                }
            }
        }
        if let Some(url) = self.url(entry, "jwks_url") {
            match &mut entry.id_token {
                Some(id_token) => id_token.keys = url,
                None => self.complaints.push(not_there("jwks_url")),
            }
        }
        if let Some(method) = self.take::<ClientAuth>("token_auth_method") {
            if method == ClientAuth::PrivateKeyJwt && !self.all.contains_key("private_key") {
                self.complaints.push("settings.private_key is needed for private_key_jwt".to_owned());
            }
            match &mut entry.token {
                Some(token) => token.client_auth = Some(method),
                None => self.complaints.push(not_there("token_auth_method")),
            }
        }
    }
}

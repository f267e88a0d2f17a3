//! The list of providers for people: `docs/providers.md`.

use std::fmt::Write;

use serde_json::Value;

use super::Catalogue;
use super::entry::{Credential, Entry, Protocol};
use crate::app_settings::COMMON;
use crate::provider::callback_path;

/// A provider of the builtin catalogue, as the manual shows it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What `provider` of an app names.
    pub id: String,
    /// What people are shown.
    pub name: String,
    /// What it speaks.
    pub protocol: &'static str,
    /// The path of its callback below `server.public_url`; `ID` stands for the app's `provider_id`.
    pub callback_path: String,
    /// What an app must have: `client_id`, `secret`, `key`.
    pub needs: Vec<&'static str>,
    /// What its `settings` can say, besides what all can.
    pub settings: Vec<ListedSetting>,
    /// Scopes that are asked for.
    pub scopes: Vec<String>,
    /// Scopes that are asked for in addition when addresses are.
    pub email_scopes: Vec<String>,
    /// Whether clients may bring its tokens.
    pub supports_token: bool,
}

/// A setting of one provider.
#[derive(Debug, Clone)]
pub struct ListedSetting {
    /// Its name.
    pub name: String,
    /// Its default.
    pub default: Option<Value>,
    /// Whether an app must have it.
    pub required: bool,
    /// What it is.
    pub about: Option<String>,
}

/// All providers of the builtin catalogue, by name.
///
/// # Errors
/// A line that says where the catalogue is wrong; a test rules that out.
pub fn catalogue() -> Result<Vec<Listed>, String> {
    let catalogue = Catalogue::read(None)?;
    let mut listed: Vec<_> = catalogue.builtin.iter().map(|(id, entry)| listed(id, entry)).collect();
    listed.sort_by_key(|provider| (provider.name.to_lowercase(), provider.id.clone()));
    Ok(listed)
}

/// The manual's page about providers, as Markdown.
///
/// # Errors
/// As [`catalogue`].
pub fn catalogue_markdown() -> Result<String, String> {
    let providers = catalogue()?;
    let mut page = INTRODUCTION.replace("COUNT", &providers.len().to_string());
    for (name, about) in COMMON {
        let _ = writeln!(page, "| `{name}` | {about} |");
    }
    page.push_str(TABLE);
    for provider in &providers {
        let _ = writeln!(
            page,
            "| {} | `{}` | {} | `{}` | {} | {} |",
            provider.name,
            provider.id,
            provider.protocol,
            provider.callback_path,
            cell(provider.needs.iter().map(|need| format!("`{need}`"))),
            scopes(provider),
        );
    }
    let by_token = providers.iter().filter(|provider| provider.supports_token);
    let by_token = cell(by_token.map(|provider| provider.name.clone()));
    let _ = writeln!(page, "\nClients may also bring tokens that they have already, of {by_token}.");
    page.push_str(SETTINGS);
    for provider in providers.iter().filter(|provider| !provider.settings.is_empty()) {
        let _ = write!(page, "\n### {} (`{}`)\n\n", provider.name, provider.id);
        for setting in &provider.settings {
            let _ = writeln!(page, "{}", line(setting));
        }
    }
    Ok(page)
}

fn listed(id: &str, entry: &Entry) -> Listed {
    let settings = entry.settings.iter().map(|(name, setting)| ListedSetting {
        name: name.clone(),
        default: setting.default.clone(),
        required: setting.required,
        about: setting.about.clone(),
    });
    let scopes = |of: fn(&super::entry::Authorize) -> &Vec<String>| {
        entry.authorize.as_ref().map(of).cloned().unwrap_or_default()
    };
    Listed {
        id: id.to_owned(),
        name: entry.name.clone(),
        protocol: match entry.protocol {
            Protocol::OAuth2 => "OAuth 2.0",
            Protocol::Oidc => "OpenID Connect",
            Protocol::OAuth1 => "OAuth 1.0a",
            Protocol::OpenId2 => "OpenID 2.0",
            Protocol::Own => "its own",
        },
        callback_path: callback_path(entry, id, "ID", "oidc"),
        needs: entry.needs.iter().map(need).collect(),
        settings: settings.collect(),
        scopes: scopes(|authorize| &authorize.scopes),
        email_scopes: scopes(|authorize| &authorize.email_scopes),
        supports_token: entry.supports_token,
    }
}

fn need(credential: &Credential) -> &'static str {
    match credential {
        Credential::ClientId => "client_id",
        Credential::Secret => "secret",
        Credential::Key => "key",
    }
}

fn cell(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

fn scopes(provider: &Listed) -> String {
    let always = provider.scopes.iter().map(|scope| format!("`{scope}`"));
    let with_email = provider.email_scopes.iter().map(|scope| format!("`{scope}`\\*"));
    cell(always.chain(with_email))
}

fn line(setting: &ListedSetting) -> String {
    let mut line = format!("- `{}`", setting.name);
    if let Some(about) = &setting.about {
        let _ = write!(line, ": {about}");
    }
    match &setting.default {
        _ if setting.required => line.push_str(". Needed."),
        Some(default) => {
            let _ = write!(line, ". Default: `{default}`.");
        }
        None => line.push_str(". Not set by default."),
    }
    line
}

const INTRODUCTION: &str = "\
# Providers

Generated from `crates/providers/catalogue.toml`; edit that.

People can log in with COUNT providers, and with any other that speaks OAuth 2.0, as soon as the configuration has an app
for it. An app is what you get when you register with the provider; there you write its callback URL, which is
`server.public_url` followed by the path below.

```toml
[[socialaccount.apps]]
provider = \"github\"
client_id = \"...\"
secret = \"...\"
settings = { verified_email = [\"example.org\"] }
```

What the catalogue says of a provider can be read in `crates/providers/catalogue.toml`, whose head explains the format. A
file of your own in that format adds providers, or replaces what is said of one.

SAML is not among them. Whoever checks XML signatures by halves lets strangers in, and no maintained Rust library that
does it soundly was found; put an identity provider that speaks SAML and OpenID Connect in between.

## Settings of every provider

| setting | what it may be |
| --- | --- |
";

const TABLE: &str = "
PKCE (S256) is used with every provider of OAuth 2.0 unless it is switched off.

## All providers

`ID` in a path is the app's `provider_id`, and `oidc` there is `socialaccount.openid_connect_url_prefix`. Scopes with an
asterisk are asked for if `socialaccount.query_email` holds.

| provider | `provider` | protocol | callback path | an app needs | scopes |
| --- | --- | --- | --- | --- | --- |
";

const SETTINGS: &str = "
## Settings of single providers
";

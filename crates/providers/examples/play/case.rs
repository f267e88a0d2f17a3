//! The format of recorded logins: each is a case.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::mend::with_long_numbers;
use crate::rule::Used;

/// One login: what is configured, what happens, and what must come of it.
#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    pub(crate) case: String,
    #[serde(default)]
    pub(crate) origin: String,
    /// What to do where the recorded outcome is none to follow. Counts in place of `expect`.
    pub(crate) advice: Option<String>,
    pub(crate) flow: Flow,
    pub(crate) config: Config,
    #[serde(default)]
    pub(crate) app: Registration,
    pub(crate) authorize: Option<Authorize>,
    pub(crate) callback: Option<Return>,
    pub(crate) token_request: Option<TokenRequest>,
    pub(crate) assertion: Option<Value>,
    #[serde(default)]
    pub(crate) requests: Vec<Listed>,
    pub(crate) expect: Expect,
    /// What was not played as recorded.
    #[serde(skip)]
    pub(crate) mended: Used,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Flow {
    /// By redirect.
    Redirect,
    /// By redirect, from a login page of the reference's own; the same to us.
    Classic,
    /// By a token that a client brings.
    Token,
    /// Only what is made of a verified assertion.
    Mapping,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    pub(crate) query_email: bool,
    pub(crate) store_tokens: bool,
    /// For all apps of the provider, by the reference's names: upper case.
    #[serde(default)]
    pub(crate) provider_settings: Map<String, Value>,
}

/// How we are known at the provider.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Registration {
    #[serde(default)]
    pub(crate) client_id: String,
    pub(crate) secret: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) provider_id: Option<String>,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) settings: Map<String, Value>,
}

/// What the redirect to the provider must be.
#[derive(Debug, Deserialize)]
pub(crate) struct Authorize {
    /// 302, or that of an answer which sends nobody anywhere.
    pub(crate) status: u16,
    pub(crate) url: String,
    pub(crate) scope: Option<Vec<String>>,
    pub(crate) scope_delimiter: Option<String>,
    #[serde(default)]
    pub(crate) params: Map<String, Value>,
    #[serde(default)]
    pub(crate) redirect_endpoint_query: BTreeMap<String, String>,
}

/// What the browser brings back.
#[derive(Debug, Deserialize)]
pub(crate) struct Return {
    /// With a query, if one was part of it.
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) params: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) form: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TokenRequest {
    pub(crate) token: BroughtToken,
}

#[derive(Debug, Deserialize)]
pub(crate) struct BroughtToken {
    pub(crate) id_token: Option<String>,
    pub(crate) access_token: Option<String>,
}

/// A request that goes out, and how it is answered.
#[derive(Debug, Deserialize)]
pub(crate) struct Listed {
    pub(crate) method: String,
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) query: Map<String, Value>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Header>,
    pub(crate) body: Option<Body>,
    /// Nothing: the connection breaks.
    pub(crate) response: Option<Response>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Header {
    Text(String),
    /// An `Authorization` in its parts: `scheme`, and what belongs to it.
    Parts(BTreeMap<String, String>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Body {
    Form(Map<String, Value>),
    Json(Value),
}

#[derive(Debug, Deserialize)]
pub(crate) struct Response {
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// A text as it stands, or JSON.
    #[serde(default)]
    pub(crate) body: Value,
}

impl Response {
    /// The body as it goes over the wire.
    pub(crate) fn text(&self) -> String {
        match &self.body {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            value => with_long_numbers(&value.to_string()),
        }
    }

    /// The body as data, where it is JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        match &self.body {
            Value::String(text) => serde_json::from_str(text).ok(),
            value => Some(value.clone()),
        }
    }

    /// Whether it says by its status that the request failed.
    pub(crate) fn is_error(&self) -> bool {
        self.status >= 400
    }
}

/// What the reference made of it.
#[derive(Debug, Deserialize)]
pub(crate) struct Expect {
    pub(crate) outcome: Outcome,
    pub(crate) callback_response: Option<Redirect>,
    pub(crate) account: Option<Account>,
    #[serde(default)]
    pub(crate) user: Names,
    #[serde(default)]
    pub(crate) email_addresses: Vec<Address>,
    #[serde(default, deserialize_with = "phone")]
    pub(crate) phone: Option<String>,
    pub(crate) token: Option<Token>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Login,
    AuthError,
    Crash,
    Rejected,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Redirect {
    #[serde(default)]
    pub(crate) location: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Account {
    pub(crate) uid: String,
    pub(crate) provider: String,
    pub(crate) extra_data: Value,
    pub(crate) display: String,
    #[serde(deserialize_with = "url")]
    pub(crate) avatar_url: Option<String>,
    #[serde(deserialize_with = "url")]
    pub(crate) profile_url: Option<String>,
}

/// A number, or one with a flag.
fn phone<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value.as_str().or(value.get("phone").and_then(Value::as_str)).map(str::to_owned))
}

/// What is no text is no URL: some pictures of the reference are objects.
fn url<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_str().map(str::to_owned))
}

/// An empty text stands for nothing.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Names {
    #[serde(default)]
    pub(crate) username: String,
    #[serde(default)]
    pub(crate) email: String,
    #[serde(default)]
    pub(crate) first_name: String,
    #[serde(default)]
    pub(crate) last_name: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Address {
    pub(crate) email: String,
    pub(crate) verified: bool,
    pub(crate) primary: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Token {
    pub(crate) token: String,
    pub(crate) token_secret: String,
    pub(crate) expires: bool,
}

//! Shapes that several answers share.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value, json};
use vestibule_base::config::AuthenticatorType;
use vestibule_base::security::Millis;
use vestibule_base::storage::emails::Email;
use vestibule_base::storage::users::User;
use vestibule_core::account::address::shown;
use vestibule_core::visit::{Current, Record};

/// A user, as clients see them. What is not known is left out.
#[derive(Debug, Serialize)]
pub(super) struct UserShape<'a> {
    id: i64,
    display: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<Cow<'a, str>>,
    has_usable_password: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    /// What the application adds.
    #[serde(flatten)]
    fields: Map<String, Value>,
}

pub(super) fn user<'a>(user: &'a User, email: Option<&'a str>, fields: Map<String, Value>) -> UserShape<'a> {
    let named = user.username.as_deref().or(email).map(Cow::from);
    UserShape {
        id: user.id,
        display: named.unwrap_or_else(|| user.id.to_string().into()),
        email: email.map(shown),
        has_usable_password: user.password.is_some(),
        username: user.username.as_deref(),
        fields,
    }
}

/// Whoever is logged in, and how they proved who they are.
#[derive(Debug, Serialize)]
pub(super) struct CurrentShape<'a, F: Serialize> {
    user: UserShape<'a>,
    methods: Vec<RecordShape<'a>>,
    /// What they may do, if they are asked to do something.
    #[serde(skip_serializing_if = "Option::is_none")]
    flows: Option<F>,
}

pub(super) fn current<F: Serialize>(
    current: &Current,
    fields: Map<String, Value>,
    flows: Option<F>,
) -> CurrentShape<'_, F> {
    CurrentShape {
        user: user(&current.user, current.email.as_deref(), fields),
        methods: current.records.iter().map(record).collect(),
        flows,
    }
}

#[derive(Debug, Serialize)]
struct RecordShape<'a> {
    method: &'static str,
    at: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<AuthenticatorType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reauthenticated: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    passwordless: bool,
}

fn record(record: &Record) -> RecordShape<'_> {
    RecordShape {
        method: record.method.name(),
        at: seconds(record.at),
        email: record.email.as_deref(),
        username: record.username.as_deref(),
        phone: record.phone.as_deref(),
        provider: record.provider.as_ref().map(|(provider, _)| provider.as_str()),
        uid: record.provider.as_ref().map(|(_, uid)| uid.as_str()),
        kind: record.authenticator.map(|(kind, _)| kind),
        id: record.authenticator.map(|(_, id)| id),
        reauthenticated: record.reauthenticated,
        passwordless: record.passwordless,
    }
}

/// A moment as clients see it: seconds since 1970, with a fraction.
pub(super) fn seconds(at: Millis) -> f64 {
    at as f64 / 1000.0
}

/// The addresses of a user.
pub(super) fn emails(rows: &[Email]) -> Value {
    rows.iter()
        .map(|row| json!({ "email": shown(&row.email), "verified": row.verified, "primary": row.primary }))
        .collect()
}

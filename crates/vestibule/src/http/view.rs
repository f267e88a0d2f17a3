//! Shapes that several answers share.

use serde_json::{Map, Value, json};
use vestibule_base::storage::emails::Email;
use vestibule_base::storage::users::User;
use vestibule_core::account::address::shown;
use vestibule_core::visit::Record;

/// A user, as clients see them. What is not known is left out.
pub(super) fn user(user: &User, email: Option<&str>) -> Value {
    let mut shape = Map::new();
    shape.insert("id".into(), user.id.into());
    let display = user.username.as_deref().or(email).map_or_else(|| user.id.to_string(), str::to_owned);
    shape.insert("display".into(), display.into());
    if let Some(email) = email {
        shape.insert("email".into(), shown(email).into());
    }
    shape.insert("has_usable_password".into(), user.password.is_some().into());
    if let Some(username) = &user.username {
        shape.insert("username".into(), username.as_str().into());
    }
    Value::Object(shape)
}

/// Authentication records. Times are seconds since 1970, with a fraction.
pub(super) fn records(records: &[Record]) -> Value {
    records
        .iter()
        .map(|record| {
            let mut shape = Map::new();
            shape.insert("method".into(), record.method.name().into());
            shape.insert("at".into(), seconds(record.at));
            for (name, value) in
                [("email", &record.email), ("username", &record.username), ("phone", &record.phone)]
            {
                if let Some(value) = value {
                    shape.insert(name.into(), value.as_str().into());
                }
            }
            if record.reauthenticated {
                shape.insert("reauthenticated".into(), true.into());
            }
            Value::Object(shape)
        })
        .collect()
}

/// A moment as clients see it: seconds since 1970, with a fraction.
pub(super) fn seconds(at: vestibule_base::security::Millis) -> Value {
    (at as f64 / 1000.0).into()
}

/// The addresses of a user.
pub(super) fn emails(rows: &[Email]) -> Value {
    rows.iter()
        .map(|row| json!({ "email": shown(&row.email), "verified": row.verified, "primary": row.primary }))
        .collect()
}

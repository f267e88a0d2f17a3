//! What people are shown of an account at a provider.

use serde_json::Value;
use url::Url;

use crate::catalogue::entry::Display;
use crate::rule::Rule;
use crate::template::Values;

/// Keys of the generic rule, by kind. The first text that is not blank is shown.
const NAMES: [&[&str]; 4] = [
    &["username", "userName", "user_name", "login", "handle"],
    &["email", "Email", "mail", "email_address"],
    &["name", "display_name", "displayName", "displayname", "Display_Name", "nickname"],
    &["full_name", "fullName"],
];
/// Of these the last that is there counts.
const FIRST_NAMES: &[&str] =
    &["first_name", "firstname", "firstName", "First_Name", "given_name", "givenName"];
const LAST_NAMES: &[&str] =
    &["last_name", "lastname", "lastName", "Last_Name", "family_name", "familyName", "surname"];

/// The text to show, if the extra data gives any.
pub(crate) fn text(display: &Display, extra_data: &Value, values: &Values<'_>) -> Option<String> {
    let shown = |rule: &Rule| rule.find_text(extra_data, values).filter(|text| !text.trim().is_empty());
    display.first.iter().find_map(shown).or_else(|| {
        let root = display.root.iter().find_map(|root| root.find(extra_data, values));
        generic(root.unwrap_or(extra_data))
    })
}

/// What a rule gives, if it is an http or https URL: these become links.
pub(crate) fn url(rule: &Rule, extra_data: &Value, values: &Values<'_>) -> Option<String> {
    let text = rule.find_text(extra_data, values)?;
    let url = Url::parse(&text).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(text)
}

/// Finds what looks like a name.
fn generic(data: &Value) -> Option<String> {
    let there =
        |key: &&str| data.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let known = NAMES.iter().copied().flatten().find_map(there);
    known.map(str::to_owned).or_else(|| {
        let last = |keys: &[&str]| keys.iter().rev().find_map(there).unwrap_or_default();
        let full = format!("{} {}", last(FIRST_NAMES), last(LAST_NAMES));
        Some(full.trim().to_owned()).filter(|full| !full.is_empty())
    })
}

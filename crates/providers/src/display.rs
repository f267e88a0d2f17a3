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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::template::tests::values;

    fn shown(data: Value) -> Option<String> {
        text(&Display::default(), &data, &values(json!({})))
    }

    #[test]
    fn the_generic_rule_takes_names_in_order() {
        let all = json!({"name": "N", "email": "e@a.example", "login": "l", "full_name": "F"});
        assert_eq!(shown(all).as_deref(), Some("l"));
        assert_eq!(shown(json!({"name": "N", "mail": "e@a.example"})).as_deref(), Some("e@a.example"));
        assert_eq!(shown(json!({"username": "  ", "nickname": "Nick"})).as_deref(), Some("Nick"));
        assert_eq!(shown(json!({"name": {"first": "A"}, "fullName": "A B"})).as_deref(), Some("A B"));
        assert_eq!(
            shown(json!({"given_name": "A", "first_name": "B", "surname": "C"})).as_deref(),
            Some("A C")
        );
        assert_eq!(shown(json!({"username": 5})), None);
        assert_eq!(shown(json!("text")), None);
    }

    #[test]
    fn roots_are_tried_in_order_and_first_rules_go_before() {
        let display: Display = toml::from_str("root = ['/a', '/b']\nfirst = ['/nick']").unwrap();
        let none = values(json!({}));
        let show = |data: Value| text(&display, &data, &none);
        assert_eq!(show(json!({"b": {"name": "B"}, "name": "top"})).as_deref(), Some("B"));
        assert_eq!(show(json!({"name": "top"})).as_deref(), Some("top"));
        assert_eq!(show(json!({"nick": "n", "name": "top"})).as_deref(), Some("n"));
        assert_eq!(show(json!({"nick": " ", "name": "top"})).as_deref(), Some("top"));
    }

    #[test]
    fn links_are_http_or_https() {
        let rule: Rule = serde_json::from_value(json!("/u")).unwrap();
        let none = values(json!({}));
        assert!(url(&rule, &json!({"u": "https://a.example/1.png"}), &none).is_some());
        for bad in ["javascript:alert(1)", "data:text/html,x", "/relative", ""] {
            assert_eq!(url(&rule, &json!({ "u": bad }), &none), None, "{bad}");
        }
    }
}

//! LinkedIn: names are given in several languages.

use serde_json::Value;

use super::Quirk;
use crate::error::ProviderError;
use crate::identity::Identity;
use crate::provider::Provider;

pub(super) struct LinkedIn;

impl Quirk for LinkedIn {
    fn identity(
        &self,
        _provider: &Provider,
        data: &Value,
        identity: &mut Identity,
    ) -> Result<(), ProviderError> {
        identity.first_name = name(data, "firstName").map(str::to_owned);
        identity.last_name = name(data, "lastName").map(str::to_owned);
        Ok(())
    }

    fn display(&self, extra_data: &Value) -> Option<String> {
        let email = extra_data.get("emailAddress").and_then(Value::as_str).filter(|email| !email.is_empty());
        email.map(str::to_owned).or_else(|| {
            let names: Vec<_> =
                ["firstName", "lastName"].into_iter().filter_map(|it| name(extra_data, it)).collect();
            (!names.is_empty()).then(|| names.join(" "))
        })
    }
}

/// A name in the language that the person prefers, else in any; or as it stands, where it is a text.
fn name<'a>(data: &'a Value, part: &str) -> Option<&'a str> {
    let value = data.get(part)?;
    let localized = value.get("localized").and_then(Value::as_object);
    let localized = localized.and_then(|names| {
        let locale = value.get("preferredLocale");
        let says = |part: &str| locale.and_then(|locale| locale.get(part)).and_then(Value::as_str);
        let preferred = format!("{}_{}", says("language").unwrap_or("en"), says("country").unwrap_or("US"));
        names.get(&preferred).or_else(|| names.values().next())
    });
    localized.unwrap_or(value).as_str().map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_preferred_language_comes_first() {
        let data = json!({
            "firstName": {"localized": {"de_DE": "Hans", "en_US": "John"},
                "preferredLocale": {"language": "en", "country": "US"}},
            "lastName": {"localized": {"nl_NL": "Penners"}},
        });
        assert_eq!(name(&data, "firstName"), Some("John"));
        assert_eq!(name(&data, "lastName"), Some("Penners"));
        assert_eq!(LinkedIn.display(&data).unwrap(), "John Penners");
    }

    #[test]
    fn old_answers_hold_plain_texts_and_odd_ones_nothing() {
        assert_eq!(name(&json!({"firstName": "Kim"}), "firstName"), Some("Kim"));
        for odd in [json!({}), json!({"firstName": {}}), json!({"firstName": {"localized": {}}}), json!([])] {
            assert_eq!(name(&odd, "firstName"), None, "{odd}");
            assert_eq!(LinkedIn.display(&odd), None, "{odd}");
        }
    }
}

//! Patreon: the second version of its API has scopes of its own, and says what a person pledges, if they do.

use serde_json::{Map, Value, json};

use super::{Progress, Quirk};
use crate::error::ProviderError;
use crate::login::Memory;
use crate::provider::Provider;

const SCOPES: [&str; 4] = ["identity", "identity[email]", "campaigns", "campaigns.members"];

pub(super) struct Patreon;

impl Quirk for Patreon {
    fn settings(&self, _memory: &Memory, settings: &mut Map<String, Value>) {
        if is_second(settings) && !settings.contains_key("scope") {
            settings.insert("scope".to_owned(), json!(SCOPES));
        }
    }

    fn data(
        &self,
        provider: &Provider,
        _progress: Progress<'_>,
        data: &mut Value,
    ) -> Result<(), ProviderError> {
        if let (true, Value::Object(data)) = (is_second(provider.settings()), data) {
            data.entry("pledge_level").or_insert(Value::Null);
        }
        Ok(())
    }
}

fn is_second(settings: &Map<String, Value>) -> bool {
    settings.get("version").and_then(Value::as_str) == Some("v2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_scopes_of_its_own_and_the_operators_come_first() {
        let scope = |settings: Value| {
            let Value::Object(mut settings) = settings else { panic!("no object") };
            Patreon.settings(&Memory::default(), &mut settings);
            settings.get("scope").cloned()
        };
        assert_eq!(scope(json!({"version": "v1"})), None);
        assert_eq!(scope(json!({"version": "v2"})), Some(json!(SCOPES)));
        assert_eq!(scope(json!({"version": "v2", "scope": ["x"]})), Some(json!(["x"])));
    }
}

//! Dataporten: people have names of several kinds; the one that they log in with at their school or university counts.

use serde_json::Value;

use super::Quirk;
use crate::error::ProviderError;
use crate::identity::Identity;
use crate::provider::Provider;

pub(super) struct Dataporten;

impl Quirk for Dataporten {
    fn identity(
        &self,
        _provider: &Provider,
        data: &Value,
        identity: &mut Identity,
    ) -> Result<(), ProviderError> {
        identity.username = username(data).map(str::to_owned);
        Ok(())
    }
}

/// The local part of `feide:name@school`, else that of the address.
fn username(data: &Value) -> Option<&str> {
    let names = data.get("userid_sec").and_then(Value::as_array).into_iter().flatten();
    let feide = names.filter_map(Value::as_str).find_map(|name| name.strip_prefix("feide:"));
    let full = feide.or_else(|| data.get("email").and_then(Value::as_str))?;
    full.split('@').next().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn feides_name_comes_first() {
        let both = json!({"userid_sec": ["p:1", "feide:andreas@school.example"], "email": "a@mail.example"});
        assert_eq!(username(&both), Some("andreas"));
        assert_eq!(username(&json!({"userid_sec": [], "email": "a@mail.example"})), Some("a"));
        assert_eq!(username(&json!({"userid_sec": null})), None);
        assert_eq!(username(&json!({"userid_sec": ["feide:"]})), None);
    }
}

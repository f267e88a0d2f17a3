//! Patreon: the second version of its API has scopes of its own, and says what a person pledges, if they do.

use serde_json::Value;

use super::{Progress, Quirk};
use crate::error::ProviderError;
use crate::provider::Provider;

const SCOPES: [&str; 4] = ["identity", "identity[email]", "campaigns", "campaigns.members"];

pub(super) struct Patreon;

impl Quirk for Patreon {
    fn scopes(&self, provider: &Provider) -> Option<Vec<String>> {
        is_second(provider).then(|| SCOPES.map(str::to_owned).to_vec())
    }

    fn data(
        &self,
        provider: &Provider,
        _progress: Progress<'_>,
        data: &mut Value,
    ) -> Result<(), ProviderError> {
        if let (true, Value::Object(data)) = (is_second(provider), data) {
            data.entry("pledge_level").or_insert(Value::Null);
        }
        Ok(())
    }
}

fn is_second(provider: &Provider) -> bool {
    provider.setting_text("version") == Some("v2")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::login::{Callback, Start};
    use crate::oauth2;
    use crate::oidc::Oidc;
    use crate::rehearsal::{provider, world};

    #[tokio::test]
    async fn the_second_version_says_what_a_person_pledges() {
        let member = r#"{"data": {"id": "7", "attributes": {}, "relationships": {"memberships": {"data": [{"id": "m"}]}}}}"#;
        let pledge = r#"{"included": [{"attributes": {"title": "Gold"}}]}"#;
        let nobody = r#"{"data": {"id": "7", "attributes": {}}}"#;
        for (profile, calls, level) in [(member, 3, json!("Gold")), (nobody, 2, Value::Null)] {
            let (world, stage) = world(&[(200, r#"{"access_token": "at"}"#), (200, profile), (200, pledge)]);
            let app = "provider = 'patreon'\nclient_id = 'c'\nsecret = 's'\nsettings.version = 'v2'";
            let (provider, oidc) = (provider(&world, app), Oidc::default());
            let start = Start { state: "s", query: &[] };
            let departure = oauth2::begin(&world, &oidc, &provider, start).await.unwrap();
            assert!(departure.url.contains("scope=identity+identity%5Bemail%5D+campaigns"));
            let callback = Callback { params: vec![("code".to_owned(), "c".to_owned())] };
            let arrival =
                oauth2::complete(&world, &oidc, &provider, &departure.memory, &callback).await.unwrap();
            assert_eq!(arrival.identity.extra_data["pledge_level"], level);
            assert_eq!(stage.asked().len(), calls);
            assert_eq!(stage.asked()[1].url.path(), "/api/oauth2/v2/identity");
        }
    }
}

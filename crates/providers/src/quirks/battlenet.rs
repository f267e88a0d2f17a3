//! Battle.net: the request may name the region, and China has hosts and numbers of its own.

use serde_json::{Map, Value};

use super::Quirk;
use crate::error::ProviderError;
use crate::identity::Identity;
use crate::login::{Memory, Start};
use crate::provider::Provider;

const REGION: &str = "region";
const CHINA: &str = "cn";

pub(super) struct BattleNet;

impl Quirk for BattleNet {
    fn begin(
        &self,
        _provider: &Provider,
        start: Start<'_>,
        memory: &mut Memory,
    ) -> Result<(), ProviderError> {
        let named = start.query.iter().find(|(name, _)| name == REGION);
        if let Some(region) = named.and_then(|(_, value)| region(value)) {
            memory.0.insert(REGION.to_owned(), region.to_owned());
        }
        Ok(())
    }

    fn settings(&self, memory: &Memory, settings: &mut Map<String, Value>) {
        let configured = settings.get(REGION).and_then(Value::as_str).and_then(region);
        let region = memory.0.get(REGION).map(String::as_str).or(configured).unwrap_or("us");
        settings.insert(REGION.to_owned(), Value::from(region));
    }

    fn identity(
        &self,
        _provider: &Provider,
        data: &Value,
        identity: &mut Identity,
    ) -> Result<(), ProviderError> {
        // The same number is somebody else elsewhere.
        if data.get(REGION).and_then(Value::as_str) == Some(CHINA) {
            identity.uid.push_str("-cn");
        }
        Ok(())
    }
}

/// The region of that name. South-East Asia is served by the United States.
fn region(name: &str) -> Option<&'static str> {
    const REGIONS: [&str; 6] = ["apac", CHINA, "eu", "kr", "tw", "us"];
    let name = name.to_ascii_lowercase();
    if name == "sea" { Some("us") } else { REGIONS.into_iter().find(|known| *known == name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::Callback;
    use crate::oauth2;
    use crate::oidc::Oidc;
    use crate::rehearsal::{provider, world};
    use serde_json::json;

    #[test]
    fn a_region_is_one_of_theirs() {
        assert_eq!(region("CN"), Some("cn"));
        assert_eq!(region("sea"), Some("us"));
        assert_eq!(region("evil.example"), None);
    }

    #[test]
    fn the_region_of_the_request_comes_before_the_settings() {
        let settings = |memory: Memory, configured: &str| {
            let mut settings = Map::from_iter([(REGION.to_owned(), json!(configured))]);
            BattleNet.settings(&memory, &mut settings);
            settings.get(REGION).and_then(Value::as_str).unwrap().to_owned()
        };
        let remembered = Memory([(REGION.to_owned(), "cn".to_owned())].into());
        assert_eq!(settings(remembered, "eu"), "cn");
        assert_eq!(settings(Memory::default(), "eu"), "eu");
        assert_eq!(settings(Memory::default(), "nowhere"), "us");
    }

    #[tokio::test]
    async fn o4_a_number_in_china_is_another_account_than_the_same_number_elsewhere() {
        let app = "provider = 'battlenet'\nclient_id = 'c'\nsecret = 's'";
        let answers = [(200, r#"{"access_token": "at"}"#), (200, r#"{"id": 7, "battletag": "A#1"}"#)];
        for (query, host, uid) in [
            (vec![], "oauth.battle.net", "7"),
            (vec![("region".to_owned(), "cn".to_owned())], "oauth.battlenet.com.cn", "7-cn"),
        ] {
            let (world, stage) = world(&answers);
            let provider = provider(&world, app);
            let (oidc, start) = (Oidc::default(), Start { state: "s", query: &query });
            let departure = oauth2::begin(&world, &oidc, &provider, start).await.unwrap();
            assert!(departure.url.starts_with(&format!("https://{host}/authorize?")), "{}", departure.url);
            let callback = Callback { params: vec![("code".to_owned(), "c".to_owned())] };
            let arrival =
                oauth2::complete(&world, &oidc, &provider, &departure.memory, &callback).await.unwrap();
            assert_eq!(arrival.identity.uid, uid);
            assert!(stage.asked().iter().all(|asked| asked.url.host_str() == Some(host)));
        }
    }
}

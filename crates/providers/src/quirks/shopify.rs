//! Shopify: the host of all calls is that of a shop, which the request names. So it is checked, remembered, and has to be the
//! same when the browser comes back; Shopify signs what it sends back.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use url::form_urlencoded;

use super::{Progress, Quirk};
use crate::error::ProviderError;
use crate::login::{Callback, Memory, Start};
use crate::provider::Provider;

const DOMAIN: &str = ".myshopify.com";
const SHOP: &str = "shop";
const USER: &str = "associated_user";
const PERSON: &str = "person";

pub(super) struct Shopify;

impl Quirk for Shopify {
    fn begin(&self, provider: &Provider, start: Start<'_>, memory: &mut Memory) -> Result<(), ProviderError> {
        let named = start.query.iter().find(|(name, _)| name == SHOP).map(|(_, value)| value.as_str());
        let named = named.or_else(|| provider.setting_text(SHOP));
        let shop = named.and_then(shop).ok_or_else(|| {
            ProviderError::brought("shop: the query must name one, such as example.myshopify.com")
        })?;
        memory.0.insert(SHOP.to_owned(), shop.to_owned());
        Ok(())
    }

    fn settings(&self, memory: &Memory, settings: &mut Map<String, Value>) {
        if let Some(shop) = memory.0.get(SHOP) {
            settings.insert(SHOP.to_owned(), Value::from(shop.as_str()));
        }
    }

    fn callback(
        &self,
        provider: &Provider,
        memory: &Memory,
        callback: &Callback,
    ) -> Result<(), ProviderError> {
        let theirs = callback.get(SHOP).and_then(shop);
        if theirs.is_none() || theirs != memory.0.get(SHOP).map(String::as_str) {
            return Err(ProviderError::brought("shop: another than the login was begun with"));
        }
        if is_signed(&callback.params, provider.secret()) == Some(false) {
            return Err(ProviderError::brought("hmac: not Shopify's"));
        }
        Ok(())
    }

    fn data(
        &self,
        provider: &Provider,
        progress: Progress<'_>,
        data: &mut Value,
    ) -> Result<(), ProviderError> {
        // Whose accounts these are must be the operator's choice: a person could ask Shopify for the other kind, and the
        // numbers of shops and of people may be the same.
        if is_per_user(provider.auth_params()) {
            add_user(data, progress.token_answer)
        } else {
            add_shop(data);
            Ok(())
        }
    }
}

/// Whether logins are those of a shop's people, each their own, rather than of the shop.
fn is_per_user(auth_params: &[(String, String)]) -> bool {
    let options = auth_params.iter().find(|(name, _)| name == "grant_options[]");
    options.is_some_and(|(_, value)| value.trim().eq_ignore_ascii_case("per-user"))
}

/// The catalogue maps what is below `person`. Here it is one of the shop's people, of whom the token answer tells.
fn add_user(data: &mut Value, token_answer: &Value) -> Result<(), ProviderError> {
    let user = token_answer.get(USER).filter(|user| user.get("id").is_some());
    let user =
        user.ok_or_else(|| ProviderError::answer("it tells of no person, though per-user was asked for"))?;
    if let Value::Object(data) = data {
        data.insert(USER.to_owned(), user.clone());
        data.insert(PERSON.to_owned(), user.clone());
    }
    Ok(())
}

/// Here it is the shop. Nothing says that its address is verified.
fn add_shop(data: &mut Value) {
    if let Value::Object(data) = data {
        let known = |name: &str| data.get(SHOP).and_then(|shop| shop.get(name)).cloned();
        let person = json!({"id": known("id"), "email": known("email")});
        data.insert(PERSON.to_owned(), person);
    }
}

/// The shop's name, of that or of its host.
fn shop(text: &str) -> Option<&str> {
    let name = if text.contains('.') { text.strip_suffix(DOMAIN)? } else { text };
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (!name.is_empty() && name.len() <= 63 && !name.starts_with('-') && name.bytes().all(fits)).then_some(name)
}

/// Whether the parameters hold Shopify's signature over all others; `None` where they hold none.
fn is_signed(params: &[(String, String)], secret: &str) -> Option<bool> {
    let (_, theirs) = params.iter().find(|(name, _)| name == "hmac")?;
    let mut signed: Vec<_> =
        params.iter().filter(|(name, _)| !matches!(name.as_str(), "hmac" | "signature")).collect();
    signed.sort_unstable();
    let signed = form_urlencoded::Serializer::new(String::new()).extend_pairs(signed).finish();
    // A key may have any length.
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?.chain_update(signed);
    Some(hex::decode(theirs).is_ok_and(|theirs| mac.verify_slice(&theirs).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth2;
    use crate::oidc::Oidc;
    use crate::rehearsal::{provider, world};

    const APP: &str = "provider = 'shopify'\nclient_id = 'c'\nsecret = 'hush'";

    fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    #[test]
    fn o6_a_shop_is_a_name_below_shopifys_domain_and_nothing_else() {
        assert_eq!(shop("test"), Some("test"));
        assert_eq!(shop("test-1.myshopify.com"), Some("test-1"));
        for bad in [
            "",
            ".",
            "-test",
            "Test",
            "a.b",
            "a.b.myshopify.com",
            ".myshopify.com",
            "evil.example",
            "test.myshopify.com.evil.example",
            "evil.example/.myshopify.com",
            "evil.example#.myshopify.com",
            "a@b.myshopify.com",
            "test.myshopify.com\n",
            "test\n.myshopify.com",
            "tést.myshopify.com",
            "test.myshopify.com:8443",
        ] {
            assert_eq!(shop(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_callback_is_signed_by_the_apps_secret() {
        // The example of Shopify's documentation.
        let signature = "700e2dadb827fcc8609e9d5ce208b2e9cdaab9df07390d2cbca10d7c328fc4bf";
        let params = |code: &str, hmac: &str| -> Vec<_> {
            [
                ("code", code),
                ("hmac", hmac),
                ("shop", "some-shop.myshopify.com"),
                ("state", "0.6784241404160823"),
                ("timestamp", "1337178173"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
        };
        let code = "0907a61c0c8d55e99db179b68161bc00";
        assert_eq!(is_signed(&params(code, signature), "hush"), Some(true));
        assert_eq!(is_signed(&params("other", signature), "hush"), Some(false));
        assert_eq!(is_signed(&params(code, signature), "other"), Some(false));
        assert_eq!(is_signed(&params(code, "00"), "hush"), Some(false));
        assert_eq!(is_signed(&[], "hush"), None);
    }

    #[test]
    fn the_operator_chooses_whose_accounts_they_are() {
        let per_user = [("grant_options[]".to_owned(), " Per-User ".to_owned())];
        assert!(is_per_user(&per_user));
        assert!(!is_per_user(&[]));

        let answer = json!({"shop": {"id": 1, "email": "shop@mail.example", "email_verified": true}});
        let token_answer = json!({"associated_user": {"id": 1, "email": "kim@mail.example"}});
        let mut shop = answer.clone();
        add_shop(&mut shop);
        assert_eq!(shop["person"], json!({"id": 1, "email": "shop@mail.example"}));
        let mut user = answer.clone();
        add_user(&mut user, &token_answer).unwrap();
        assert_eq!(user["person"], token_answer["associated_user"]);
        assert!(add_user(&mut answer.clone(), &json!({})).is_err());
    }

    #[tokio::test]
    async fn o6_without_a_shop_of_shopifys_nobody_is_sent_anywhere() {
        let (world, _) = world(&[]);
        let (provider, oidc) = (provider(&world, APP), Oidc::default());
        for query in [vec![], pairs([("shop", "evil.example")])] {
            let start = Start { state: "s", query: &query };
            let refused = oauth2::begin(&world, &oidc, &provider, start).await.unwrap_err();
            assert!(matches!(refused, ProviderError::Brought(_)), "{refused:?}");
        }
    }

    #[tokio::test]
    async fn o1_who_comes_back_from_another_shop_or_unsigned_is_not_believed() {
        let (world, stage) = world(&[]);
        let (provider, oidc) = (provider(&world, APP), Oidc::default());
        let query = pairs([("shop", "test")]);
        let start = Start { state: "s", query: &query };
        let departure = oauth2::begin(&world, &oidc, &provider, start).await.unwrap();
        assert!(departure.url.starts_with("https://test.myshopify.com/admin/oauth/authorize?"));
        for params in [
            pairs([("code", "c")]),
            pairs([("code", "c"), ("shop", "other.myshopify.com")]),
            pairs([("code", "c"), ("shop", "test.myshopify.com"), ("hmac", "00")]),
        ] {
            let callback = Callback { params };
            let refused = oauth2::complete(&world, &oidc, &provider, &departure.memory, &callback).await;
            assert!(matches!(refused, Err(ProviderError::Brought(_))), "{refused:?}");
        }
        assert!(stage.asked().is_empty());
    }
}

//! A provider for trying things out: it believes whatever the person writes into a form of our own, so everybody can be
//! everybody. Never for a server that real people use.
//!
//! [`begin`] departs to the callback itself, with `state`. Got, it is a page with a form of the fields of [`cleaned`], which
//! posts them, or `action=cancel`, to its own URL. What was posted is what the provider says.

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::error::ProviderError;
use crate::login::{Arrival, Callback, Departure, Memory, Presented, Start};
use crate::provider::Provider;
use crate::world::World;

/// Sends the person to our own form.
///
/// # Errors
/// None.
pub(crate) async fn begin(
    world: &World,
    provider: &Provider,
    start: Start<'_>,
) -> Result<Departure, ProviderError> {
    let url = start.return_to(&provider.redirect_uri(world));
    Ok(Departure { url, memory: Memory::default(), known_by: None })
}

/// Believes what was written into the form.
///
/// # Errors
/// [`ProviderError::Cancelled`], or [`ProviderError::Brought`] if the form is not filled in.
pub(crate) async fn complete(
    _world: &World,
    provider: &Provider,
    _memory: &Memory,
    callback: &Callback,
) -> Result<Arrival, ProviderError> {
    if callback.get("action") == Some("cancel") {
        return Err(ProviderError::Cancelled);
    }
    arrival(provider, |name| callback.get(name).map(Value::from))
}

/// Believes an `id_token`, which is the form's content as JSON.
///
/// # Errors
/// [`ProviderError::Brought`] if it is none.
pub(crate) async fn verify_token(
    _world: &World,
    provider: &Provider,
    presented: &Presented,
) -> Result<Arrival, ProviderError> {
    let text = presented.id_token.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
    let fields: Value =
        serde_json::from_str(text).map_err(|_| ProviderError::brought("the id_token is no JSON"))?;
    arrival(provider, |name| fields.get(name).cloned())
}

fn arrival(provider: &Provider, field: impl Fn(&str) -> Option<Value>) -> Result<Arrival, ProviderError> {
    let data = cleaned(field)?;
    let identity = provider.identity(&data)?;
    if identity.email.is_none() && data.get("email").is_some_and(|email| email != "") {
        return Err(ProviderError::brought("the address is none"));
    }
    Ok(Arrival { identity, tokens: None, replay: None })
}

/// The form's fields: only `id` has to be there, a whole number.
fn cleaned(field: impl Fn(&str) -> Option<Value>) -> Result<Value, ProviderError> {
    let text = |name: &str| match field(name) {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let flag = |name: &str| match field(name) {
        Some(Value::Bool(flag)) => flag,
        // What a box that is ticked sends is up to the form.
        Some(Value::String(text)) => !matches!(text.trim(), "" | "0" | "false" | "False"),
        _ => false,
    };
    let id: i64 = text("id").parse().map_err(|_| ProviderError::brought("the id is no whole number"))?;
    Ok(json!({
        "id": id,
        "email": text("email"),
        "email_verified": flag("email_verified"),
        "username": text("username"),
        "first_name": text("first_name"),
        "last_name": text("last_name"),
        "phone": text("phone"),
        "phone_verified": flag("phone_verified"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::{provider, world};

    #[tokio::test]
    async fn the_form_is_what_the_provider_says() {
        let (mut world, _) = world(&[]);
        world.site = "http://localhost:8000".parse().unwrap();
        let provider = provider(&world, "provider = 'dummy'\nclient_id = ''");
        let start = Start { state: "s1", query: &[] };
        let departure = begin(&world, &provider, start).await.unwrap();
        assert_eq!(departure.url, format!("{}?state=s1", provider.redirect_uri(&world)));

        let complete = async |params: &[(&str, &str)]| {
            let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let callback = Callback { params: params.collect() };
            complete(&world, &provider, &departure.memory, &callback).await
        };
        let arrival = complete(&[("id", "5"), ("email", "five@dummy.example")]).await.unwrap();
        assert_eq!(arrival.identity.uid, "5");
        let cancelled = complete(&[("id", "5"), ("action", "cancel")]).await;
        assert!(matches!(cancelled, Err(ProviderError::Cancelled)));
        let refused = complete(&[("id", "5"), ("email", "nonsense")]).await;
        assert!(matches!(refused, Err(ProviderError::Brought(_))));
        for id_token in ["", "{}", "[5]", "5", "{\"email\": \"five@dummy.example\"}"] {
            let presented = Presented { id_token: Some(id_token.into()), access_token: None };
            let refused = verify_token(&world, &provider, &presented).await;
            assert!(matches!(refused, Err(ProviderError::Brought(_))), "{id_token}");
        }
        let presented = Presented { id_token: Some("{\"id\": 5}".into()), access_token: None };
        assert_eq!(verify_token(&world, &provider, &presented).await.unwrap().identity.uid, "5");
    }

    #[test]
    fn a_form_and_json_come_to_the_same() {
        let json = json!({"id": 5, "email": "five@dummy.example", "email_verified": true, "phone": null});
        let form = [("id", " 5 "), ("email", "five@dummy.example"), ("email_verified", "on")];
        let form =
            |name: &str| form.iter().find(|(key, _)| *key == name).map(|(_, value)| Value::from(*value));
        let expected = json!({
            "id": 5, "email": "five@dummy.example", "email_verified": true, "username": "", "first_name": "",
            "last_name": "", "phone": "", "phone_verified": false,
        });
        assert_eq!(cleaned(|name| json.get(name).cloned()).unwrap(), expected);
        assert_eq!(cleaned(form).unwrap(), expected);
    }

    #[test]
    fn without_a_whole_number_nobody_is_named() {
        for id in [
            json!(null),
            json!(""),
            json!("x"),
            json!(true),
            json!(1.5),
            json!([5]),
            json!("99999999999999999999"),
        ] {
            let refused = cleaned(|name| (name == "id").then(|| id.clone()));
            assert!(matches!(refused, Err(ProviderError::Brought(_))), "{id}");
        }
        assert!(cleaned(|_| None).is_err());
    }
}

//! People at the fake identity provider.

use serde_json::{Map, Value, json};

/// Somebody who has an account there.
#[derive(Debug, Clone)]
pub struct Person {
    /// What the provider says of them, in the words of OpenID Connect.
    pub(super) claims: Map<String, Value>,
}

impl Person {
    /// Somebody of whom nothing but the immutable name is told.
    #[must_use]
    pub fn new(sub: &str) -> Self {
        Self { claims: Map::from_iter([("sub".to_owned(), json!(sub))]) }
    }

    /// Somebody with a verified address.
    #[must_use]
    pub fn verified(sub: &str, email: &str) -> Self {
        Self::new(sub).claim("email", email).claim("email_verified", true)
    }

    /// Somebody with an address that the provider has not verified.
    #[must_use]
    pub fn unverified(sub: &str, email: &str) -> Self {
        Self::new(sub).claim("email", email).claim("email_verified", false)
    }

    /// Tells one thing more, or another one in its place.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn sub(&self) -> &str {
        self.claims["sub"].as_str().expect("a text")
    }

    fn told(&self, name: &str) -> Value {
        self.claims.get(name).cloned().unwrap_or_default()
    }

    /// The same in GitHub's words.
    pub(super) fn at_github(&self) -> Value {
        json!({ "id": self.sub(), "login": self.told("preferred_username"), "name": self.told("name"), "email": null })
    }

    /// GitHub's list of addresses.
    pub(super) fn emails_at_github(&self) -> Value {
        match self.claims.get("email") {
            Some(email) => {
                json!([{ "email": email, "primary": true, "verified": self.told("email_verified") }])
            }
            None => json!([]),
        }
    }

    /// The same in Facebook's words.
    pub(super) fn at_facebook(&self) -> Value {
        json!({ "id": self.sub(), "name": self.told("name"), "email": self.told("email") })
    }

    /// The same in the words of X, which is asked by OAuth 1.0a.
    pub(super) fn at_x(&self) -> Value {
        json!({ "id": self.sub(), "screen_name": self.told("preferred_username"), "name": self.told("name") })
    }
}

/// Lays `above` over `below`; null takes out what is below.
pub(super) fn over(mut below: Map<String, Value>, above: &Value) -> Map<String, Value> {
    for (name, value) in above.as_object().into_iter().flatten() {
        match value {
            Value::Null => drop(below.remove(name)),
            value => drop(below.insert(name.clone(), value.clone())),
        }
    }
    below
}

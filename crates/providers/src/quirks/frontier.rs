//! Frontier: the picture is the one that Gravatar has for the address.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Quirk;
use crate::provider::Provider;

pub(super) struct Frontier;

impl Quirk for Frontier {
    fn avatar_url(&self, _provider: &Provider, extra_data: &Value) -> Option<String> {
        extra_data.get("email").and_then(Value::as_str).filter(|email| !email.is_empty()).map(gravatar)
    }
}

fn gravatar(email: &str) -> String {
    let hash = hex::encode(Sha256::digest(email.to_lowercase()));
    format!("https://www.gravatar.com/avatar/{hash}?d=mp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_known_by_its_hash() {
        // `printf kim@mail.example | sha256sum`
        let hash = "18e7f8cfe9a67ba6e4bd695708a1489990fcc9dc052523130441409e78a5877a";
        assert_eq!(gravatar("Kim@mail.example"), format!("https://www.gravatar.com/avatar/{hash}?d=mp"));
    }
}

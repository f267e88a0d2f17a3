//! Snapchat: what is asked about a person is a text of GraphQL.

use serde_json::json;

use super::{Progress, Quirk};
use crate::error::ProviderError;
use crate::provider::Provider;
use crate::request::{Body, Request};

const BITMOJI: &str = "https://auth.snapchat.com/oauth2/api/user.bitmoji.avatar";

pub(super) struct Snapchat;

impl Quirk for Snapchat {
    fn profile_request(
        &self,
        _provider: &Provider,
        _step: usize,
        progress: Progress<'_>,
        request: &mut Request,
    ) -> Result<(), ProviderError> {
        request.body = Body::Json(json!({"query": query(progress.scopes)}));
        Ok(())
    }
}

fn query(scopes: &[String]) -> &'static str {
    if scopes.iter().any(|scope| scope == BITMOJI) {
        "{ me { externalId displayName bitmoji { avatar id } } }"
    } else {
        "{ me { externalId displayName } }"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_granted_is_asked_for() {
        assert!(!query(&[]).contains("bitmoji"));
        assert!(query(&[BITMOJI.to_owned()]).contains("bitmoji"));
    }
}

//! TikTok: asking for a field that no scope allows is an error.

use super::{Progress, Quirk};
use crate::error::ProviderError;
use crate::provider::Provider;
use crate::request::Request;

const FIELDS: &[(&str, &str)] = &[
    ("user.info.basic", "open_id,display_name,avatar_url"),
    ("user.info.profile", "username,profile_deep_link"),
];

pub(super) struct TikTok;

impl Quirk for TikTok {
    fn profile_request(
        &self,
        _provider: &Provider,
        _step: usize,
        progress: Progress<'_>,
        request: &mut Request,
    ) -> Result<(), ProviderError> {
        request.query([("fields", fields(progress.scopes).as_str())]);
        Ok(())
    }
}

fn fields(scopes: &[String]) -> String {
    let granted = FIELDS.iter().filter(|(scope, _)| scopes.iter().any(|it| it == scope));
    granted.map(|(_, fields)| *fields).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fields_of_the_scopes_are_asked_for() {
        let scopes = ["user.info.basic", "user.info.profile"].map(str::to_owned);
        assert_eq!(fields(&scopes), "open_id,display_name,avatar_url,username,profile_deep_link");
        assert_eq!(fields(&scopes[..1]), "open_id,display_name,avatar_url");
    }
}

//! MediaWiki: the page about a person is named as they are, with underscores.

use serde_json::Value;

use super::Quirk;
use crate::provider::Provider;

pub(super) struct MediaWiki;

impl Quirk for MediaWiki {
    fn profile_url(&self, provider: &Provider, extra_data: &Value) -> Option<String> {
        let username = extra_data.get("username").and_then(Value::as_str).filter(|it| !it.is_empty())?;
        Some(page(provider.setting_text("userpage_template")?, username))
    }
}

fn page(template: &str, username: &str) -> String {
    template.replace("{username}", &username.replace(' ', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_become_underscores() {
        let template = "https://meta.wikimedia.org/wiki/User:{username}";
        assert_eq!(page(template, "Kim A Ito"), "https://meta.wikimedia.org/wiki/User:Kim_A_Ito");
    }
}

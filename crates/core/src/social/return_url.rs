//! Where a front end wants its user back after a visit to a provider.

use url::Url;
use vestibule_base::config::Config;

/// The longest that is taken.
const LONGEST: usize = 2048;

/// A path of this site, or a URL of a listed origin (E4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnUrl(String);

impl ReturnUrl {
    /// Takes what a client asked for, if it leads nowhere else than to `server.public_url` or an origin that
    /// `csrf.trusted_origins` names in full. A wildcard there is for requests that come in, and lets nobody be sent away.
    #[must_use]
    pub fn parse(config: &Config, text: &str) -> Option<Self> {
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if !plain || text.is_empty() || text.len() > LONGEST {
            return None;
        }
        if text.starts_with('/') {
            return (!text.starts_with("//")).then(|| Self(text.to_owned()));
        }
        let url = Url::parse(text).ok()?;
        let clean = url.username().is_empty() && url.password().is_none();
        // The text as it stands must be what the parser understood, or a browser may understand something else.
        let origin = url.origin().ascii_serialization();
        let same = text.get(..origin.len()).is_some_and(|start| start.eq_ignore_ascii_case(&origin));
        let behind = text.get(origin.len()..).unwrap_or_default();
        let ends = behind.is_empty() || behind.starts_with(['/', '?', '#']);
        (clean && same && ends && allows(config, &origin)).then(|| Self(text.to_owned()))
    }

    /// One that was taken in before.
    pub(super) fn stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Where people go whose front end is not known any more: the page for that, else the portal's, else the site itself.
    #[must_use]
    pub fn fallback(config: &Config) -> Self {
        let own = if config.has_portal() { "/account/provider/callback" } else { "/" };
        let named = config.headless.frontend_urls.socialaccount_login_error.as_deref();
        Self(named.unwrap_or(own).to_owned())
    }

    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL, with what went wrong.
    #[must_use]
    pub fn with_error(&self, code: &str, process: &str) -> String {
        let (front, fragment) = match self.0.split_once('#') {
            Some((front, fragment)) => (front, Some(fragment)),
            None => (self.0.as_str(), None),
        };
        let sign = if front.contains('?') { '&' } else { '?' };
        let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
        format!("{front}{sign}error={code}&error_process={process}{fragment}")
    }
}

fn allows(config: &Config, origin: &str) -> bool {
    let own = Url::parse(&config.server.public_url).map(|url| url.origin().ascii_serialization());
    let listed = config.csrf.trusted_origins.iter().map(|listed| listed.trim_end_matches('/'));
    // A wildcard is no place to go to, not even to whoever writes it as it is listed.
    let mut listed = listed.filter(|listed| !listed.contains('*'));
    own.as_deref() == Ok(origin) || listed.any(|listed| listed.eq_ignore_ascii_case(origin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config() -> Config {
        Config::from_toml(
            "server.public_url = 'https://auth.example.org'\nemail.host = 'localhost'\n\
             csrf.trusted_origins = ['https://app.example.org', 'https://*.example.net', 'http://localhost:5173']",
        )
        .unwrap()
    }

    #[test]
    fn e4_people_come_back_to_listed_origins_only() {
        let config = config();
        for fine in [
            "/",
            "/done?x=1#y",
            "https://auth.example.org/done",
            "https://app.example.org",
            "https://app.example.org?x",
            "HTTPS://APP.example.org/done",
            "http://localhost:5173/cb",
        ] {
            assert_eq!(ReturnUrl::parse(&config, fine).map(|url| url.0).as_deref(), Some(fine));
        }
        for wrong in [
            "",
            "done",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/a\nb",
            "/\u{e9}",
            " /a",
            "https://evil.example/",
            "https://app.example.org.evil.example/",
            "https://app.example.org@evil.example/",
            "https://user@app.example.org/",
            "https:app.example.org/",
            "https:/app.example.org/",
            "https:///app.example.org/",
            "http://app.example.org/",
            "https://app.example.org:444/",
            "https://sub.example.net/",
            "https://*.example.net/",
            "javascript:alert(1)",
            "data:text/html,x",
            "app://callback",
            "https://app.example.org\u{3002}evil.example/",
        ] {
            assert_eq!(ReturnUrl::parse(&config, wrong), None, "{wrong}");
        }
        assert_eq!(ReturnUrl::parse(&config, &format!("/{}", "a".repeat(LONGEST))), None);
    }

    #[test]
    fn errors_join_the_query() {
        let back = |text: &str| ReturnUrl(text.to_owned()).with_error("unknown", "login");
        assert_eq!(back("/a"), "/a?error=unknown&error_process=login");
        assert_eq!(back("/a?x=1#f"), "/a?x=1&error=unknown&error_process=login#f");
    }

    proptest! {
        #[test]
        fn e4_nothing_else_comes_out(text in "(https?:)?[/\\\\]{0,3}[ -~]{0,30}") {
            if let Some(back) = ReturnUrl::parse(&config(), &text) {
                let base = Url::parse("https://auth.example.org/x").unwrap();
                let origin = base.join(back.as_str()).unwrap().origin().ascii_serialization();
                prop_assert!(
                    ["https://auth.example.org", "https://app.example.org", "http://localhost:5173"]
                        .contains(&origin.as_str()),
                    "{text} leads to {origin}"
                );
            }
        }
    }
}

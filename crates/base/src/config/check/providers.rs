//! Third parties: settings under which people would not find their way back. Whether an app fits its provider is judged
//! where the catalogue is.

use super::super::{Config, SameSite};
use super::Report;

pub(super) fn check(config: &Config, report: &mut Report) {
    let social = &config.socialaccount;
    if social.apps.is_empty() {
        if social.only {
            report.error("socialaccount.only", "nobody could log in: there are no socialaccount.apps");
        }
        return;
    }
    let prefix = &social.openid_connect_url_prefix;
    if prefix.is_empty()
        || !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    {
        report.error(
            "socialaccount.openid_connect_url_prefix",
            "it is one part of a path: letters, digits, and any of -._~",
        );
    }
    if !(1..=60).contains(&social.requests_timeout) {
        report.error("socialaccount.requests_timeout", "write 1 to 60 seconds");
    }
    if config.session.cookie_samesite == SameSite::Strict {
        report.error(
            "session.cookie_samesite",
            "with \"Strict\" nobody who comes back from a provider brings a session; write \"Lax\"",
        );
    }
    if !"/accounts/".starts_with(config.session.cookie_path.trim_end_matches('/')) {
        report.error(
            "session.cookie_path",
            "providers send people back to paths below /accounts/, where this cookie is not sent; write \"/\"",
        );
    }
    if config.headless.frontend_urls.socialaccount_login_error.is_none() && !config.has_portal() {
        report.warn(
            "headless.frontend_urls",
            "without socialaccount_login_error, a login at a provider that cannot be matched ends at \"/\"",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::expect;

    const APP: &str = "socialaccount.apps = [{ provider = \"github\", client_id = \"c\", secret = \"s\" }]\n";

    #[test]
    fn people_find_their_way_back() {
        expect("socialaccount.only = true", "socialaccount.only!");
        for (setting, expected) in [
            ("socialaccount.openid_connect_url_prefix = \"a/b\"", "socialaccount.openid_connect_url_prefix!"),
            ("socialaccount.requests_timeout = 0", "socialaccount.requests_timeout!"),
            ("session.cookie_samesite = \"Strict\"", "session.cookie_samesite!"),
            ("session.cookie_path = \"/_allauth\"", "session.cookie_path!"),
            ("portal.enabled = false", "headless.frontend_urls"),
        ] {
            expect(&format!("{APP}{setting}"), expected);
        }
    }
}

//! Addresses of the front end's pages, for links in mails. Built from the configuration only, never from a request.

use vestibule_base::config::Config;

/// The page that proves an address.
pub(super) fn confirm_email(config: &Config, key: &str) -> String {
    with_key(
        config,
        config.headless.frontend_urls.account_confirm_email.as_deref(),
        "/account/verify-email/{key}",
        key,
    )
}

/// The page that takes a new password.
pub(super) fn reset_password(config: &Config, key: &str) -> String {
    with_key(
        config,
        config.headless.frontend_urls.account_reset_password_from_key.as_deref(),
        "/account/password/reset/key/{key}",
        key,
    )
}

/// The page that asks for a reset.
pub(super) fn request_reset(config: &Config) -> Option<String> {
    page(config, config.headless.frontend_urls.account_reset_password.as_deref(), "/account/password/reset")
}

/// The page that signs people up.
pub(super) fn signup(config: &Config) -> Option<String> {
    page(config, config.headless.frontend_urls.account_signup.as_deref(), "/account/signup")
}

/// A page that there need not be: the front end's, or else the portal's.
fn page(config: &Config, named: Option<&str>, own: &str) -> Option<String> {
    let url = named.or_else(|| config.has_portal().then_some(own))?;
    Some(absolute(config, url.to_owned()))
}

/// Keys are base64url: they need no escaping in a path, a query or a fragment.
fn with_key(config: &Config, template: Option<&str>, fallback: &str, key: &str) -> String {
    absolute(config, template.unwrap_or(fallback).replace("{key}", key))
}

fn absolute(config: &Config, url: String) -> String {
    if url.contains("://") {
        return url;
    }
    let base = config.server.public_url.trim_end_matches('/');
    format!("{base}/{}", url.trim_start_matches('/'))
}

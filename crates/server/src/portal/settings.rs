//! `settings.json`: what the pages have to know and the API does not tell.

use serde_json::{Value, json};
use url::Url;
use vestibule_base::config::{Config, Presence, SignupField};

/// The whole document. It holds nothing that is not for everybody.
pub(super) fn json(config: &Config) -> Value {
    let prefix = config.headless.path_prefix.trim_end_matches('/');
    let portal = &config.portal;
    let account = &config.account;
    json!({
        "name": portal.name,
        "logo": logo(config),
        "links": portal.links,
        "home_url": portal.home_url.as_deref().unwrap_or("/account"),
        "languages": languages(config),
        "api": format!("{prefix}/browser/v1"),
        "csrf": { "cookie": config.csrf.cookie_name, "header": config.csrf.header_name },
        "return_origins": config.return_origins(),
        "signup_fields": account.signup_fields.iter().map(|(field, presence)| field_json(field, presence == Presence::Required)).collect::<Vec<_>>(),
        "honeypot": account.signup_form_honeypot_field,
        "provider_email_required": config.providers_email_required(),
        "passkey_signup": config.mfa.passkey_signup_enabled,
        "trusted_days": trusted_days(config),
        "resend": {
            "login_code": account.login_by_code_supports_resend > 0,
            "email": account.email_verification_supports_resend > 0,
            "phone": account.phone_verification_supports_resend > 0,
        },
        "change": {
            "email": account.email_verification_supports_change > 0,
            "phone": account.phone_verification_supports_change > 0,
        },
        "email": { "change": account.change_email, "max": account.max_email_addresses },
        "data": { "export": account.data_export_enabled, "delete": account.deletion_enabled },
        "mailbox": config.email.is_development().then_some("/_dev/mail"),
        "specification": config.headless.serve_specification.then(|| format!("{prefix}/openapi.html")),
    })
}

/// The tags of the languages to choose from; the first is for those who know none of them.
fn languages(config: &Config) -> Vec<&'static str> {
    let others = config.server.languages().iter().filter(|language| **language != config.server.language);
    std::iter::once(&config.server.language).chain(others).map(|language| language.code()).collect()
}

/// Whether the logo is a file on this machine.
pub(super) fn is_file(logo: &str) -> bool {
    !logo.contains("://")
}

/// The origin of a logo that is elsewhere.
pub(super) fn logo_origin(config: &Config) -> Option<String> {
    let logo = config.portal.logo.as_deref().filter(|logo| !is_file(logo))?;
    Some(Url::parse(logo).ok()?.origin().ascii_serialization())
}

fn logo(config: &Config) -> Option<&str> {
    config.portal.logo.as_deref().map(|logo| if is_file(logo) { "/_portal/logo" } else { logo })
}

fn field_json(field: SignupField, required: bool) -> Value {
    json!({ "name": field.name(), "required": required })
}

/// For how long a trusted browser is, in whole days.
fn trusted_days(config: &Config) -> i64 {
    config.mfa.trust_cookie_age / 86_400
}

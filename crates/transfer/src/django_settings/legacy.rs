//! Settings of older django-allauth that newer ones took the place of, and defaults that are not ours.

use toml::{Table, Value as Toml};

use super::draft::Draft;
use super::python::{Module, Value};

/// Names that are read here.
pub(super) const NAMES: &[&str] = &[
    "ACCOUNT_AUTHENTICATION_METHOD",
    "ACCOUNT_USERNAME_REQUIRED",
    "ACCOUNT_EMAIL_REQUIRED",
    "ACCOUNT_SIGNUP_EMAIL_ENTER_TWICE",
    "ACCOUNT_SIGNUP_PASSWORD_ENTER_TWICE",
    "ACCOUNT_SIGNUP_PASSWORD_VERIFICATION",
    "ACCOUNT_LOGIN_ATTEMPTS_LIMIT",
    "ACCOUNT_LOGIN_ATTEMPTS_TIMEOUT",
    "ACCOUNT_EMAIL_CONFIRMATION_COOLDOWN",
];

/// Sets what the project leaves at django-allauth's defaults where ours mean something else, and what it says in older
/// words.
pub(super) fn fill_in(module: &Module, draft: &mut Draft) {
    // Without django-allauth there is nothing that its defaults would say.
    if !module
        .settings
        .iter()
        .any(|setting| super::OURS.iter().any(|prefix| setting.name.starts_with(prefix)))
        && module.get("INSTALLED_APPS").is_none()
    {
        return;
    }
    let flag = |name: &str, default: bool| match module.get(name) {
        Some(Value::Bool(flag)) => *flag,
        _ => default,
    };
    let texts = |texts: &[&str]| Toml::Array(texts.iter().map(|text| Toml::from(*text)).collect());
    if !draft.has("account", "login_methods") {
        let method = module.get("ACCOUNT_AUTHENTICATION_METHOD").and_then(Value::text);
        let methods: &[&str] = match method {
            Some("email") => &["email"],
            Some("username_email") => &["username", "email"],
            _ => &["username"],
        };
        let whence = method.map_or("django-allauth's default", |_| "ACCOUNT_AUTHENTICATION_METHOD");
        let is_open =
            ["ACCOUNT_LOGIN_METHODS", "ACCOUNT_AUTHENTICATION_METHOD"].map(|name| module.is_open(name));
        let is_open = method.is_none() && is_open.contains(&true);
        draft.presume("account", "login_methods", texts(methods), whence, is_open);
    }
    if !draft.has("account", "signup_fields") {
        let email = flag("ACCOUNT_EMAIL_REQUIRED", false);
        let twice = flag("ACCOUNT_SIGNUP_PASSWORD_VERIFICATION", true);
        let fields: Vec<&str> = [
            (true, if email { "email*" } else { "email" }),
            (flag("ACCOUNT_SIGNUP_EMAIL_ENTER_TWICE", false), if email { "email2*" } else { "email2" }),
            (flag("ACCOUNT_USERNAME_REQUIRED", true), "username*"),
            (true, "password1*"),
            (flag("ACCOUNT_SIGNUP_PASSWORD_ENTER_TWICE", twice), "password2*"),
        ]
        .into_iter()
        .filter_map(|(asked, field)| asked.then_some(field))
        .collect();
        let older = NAMES.iter().filter(|name| name.contains("REQUIRED") || name.contains("SIGNUP"));
        let is_open =
            module.is_open("ACCOUNT_SIGNUP_FIELDS") || older.clone().any(|name| module.is_open(name));
        let older: Vec<&str> = older.copied().filter(|name| module.get(name).is_some()).collect();
        let whence = if older.is_empty() { "django-allauth's default".to_owned() } else { older.join(", ") };
        draft.presume("account", "signup_fields", texts(&fields), &whence, is_open);
    }
    if !draft.has("account", "email_verification") {
        let whence = "django-allauth's default. \"mandatory\" is safer: nobody holds an account under somebody else's address";
        let is_open = module.is_open("ACCOUNT_EMAIL_VERIFICATION");
        draft.presume("account", "email_verification", Toml::from("optional"), whence, is_open);
    }
    rate_limits(module, draft);
}

fn rate_limits(module: &Module, draft: &mut Draft) {
    let number = |name: &str, default: i64| match module.get(name) {
        Some(Value::Int(number)) => *number,
        Some(Value::None | Value::Bool(false)) => 0,
        _ => default,
    };
    let mut limits = match draft.value("account", "rate_limits") {
        Some(Toml::Table(table)) => table.clone(),
        Some(_) => return,
        None => Table::new(),
    };
    let mut whence = Vec::new();
    let mut lay = |action: &str, limit: String, name: &'static str| {
        if module.get(name).is_some() && !limits.contains_key(action) {
            limits.insert(action.to_owned(), Toml::String(limit));
            whence.push(name);
        }
    };
    let (amount, seconds) =
        (number("ACCOUNT_LOGIN_ATTEMPTS_LIMIT", 5), number("ACCOUNT_LOGIN_ATTEMPTS_TIMEOUT", 300));
    let failed =
        if amount > 0 && seconds > 0 { format!("10/m/ip,{amount}/{seconds}s/key") } else { String::new() };
    lay("login_failed", failed.clone(), "ACCOUNT_LOGIN_ATTEMPTS_LIMIT");
    lay("login_failed", failed, "ACCOUNT_LOGIN_ATTEMPTS_TIMEOUT");
    let wait = number("ACCOUNT_EMAIL_CONFIRMATION_COOLDOWN", 180);
    let wait = if wait > 0 { format!("1/{wait}s/key") } else { String::new() };
    lay("confirm_email", wait, "ACCOUNT_EMAIL_CONFIRMATION_COOLDOWN");
    if !whence.is_empty() {
        if module.get("ACCOUNT_RATE_LIMITS").is_some() {
            whence.insert(0, "ACCOUNT_RATE_LIMITS");
        }
        draft.set("account", "rate_limits", Toml::Table(limits), &whence.join(", "));
    }
}

use proptest::prelude::*;
use vestibule_base::config::{Config, DjangoName, Severity, check, django_names};

use super::*;

fn translated(source: &str) -> String {
    translate_settings(source, &|_| Vec::new()).unwrap()
}

/// A file that holds, and the settings in it.
fn table(source: &str) -> Table {
    let file = translated(source);
    let config = Config::from_toml(&file).unwrap_or_else(|error| panic!("{error} in\n{file}"));
    let errors: Vec<_> =
        check(&config).into_iter().filter(|found| found.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?} in\n{file}");
    file.parse().unwrap()
}

fn said(source: &str, section: &str, key: &str) -> String {
    table(source).get(section).and_then(|table| table.get(key)).map(ToString::to_string).unwrap_or_default()
}

#[test]
fn every_setting_that_has_a_name_in_django_is_dealt_with() {
    for DjangoName { django, section, key } in django_names() {
        // A value of no type that any setting has: it is told, with its reason, and the file still loads.
        let file = translated(&format!("{django} = something()\n"));
        assert!(Config::from_toml(&file).is_ok(), "{django}: {file}");
        let spoken_of = file.contains(django) || file.contains(&format!("{key} ="));
        assert!(spoken_of || django.starts_with("EMAIL_USE_"), "{django} ({section}.{key}): {file}");
    }
}

#[test]
fn what_is_not_translated_has_a_reason() {
    for name in [
        "ACCOUNT_ADAPTER",
        "ACCOUNT_FORMS",
        "MFA_ADAPTER",
        "SESSION_ENGINE",
        "SECRET_KEY",
        "ACCOUNT_WHATEVER",
    ] {
        let file = translated(&format!("\n{name} = 'x'\n"));
        assert!(file.contains(&format!("# - {name} (line 2): ")), "{file}");
    }
    assert!(!translated("STATIC_URL = '/static/'").contains("STATIC_URL"));
}

#[test]
fn defaults_of_django_allauth_are_written_down() {
    let source = "INSTALLED_APPS = ['allauth.account']";
    assert_eq!(said(source, "account", "login_methods"), "[\"username\"]");
    assert_eq!(
        said(source, "account", "signup_fields"),
        "[\"email\", \"username*\", \"password1*\", \"password2*\"]"
    );
    assert_eq!(said(source, "account", "email_verification"), "\"optional\"");
    assert_eq!(said(source, "mfa", "supported_types"), "[]");
}

#[test]
fn what_another_file_may_say_is_left_to_the_operator() {
    let sources = [
        "from .base import *\nINSTALLED_APPS += ['debug_toolbar']\n",
        "INSTALLED_APPS = ['allauth.account', *MORE]\nif MODERN:\n    ACCOUNT_LOGIN_METHODS = {'email'}\n\
             ACCOUNT_EMAIL_VERIFICATION = env('V')\nACCOUNT_SIGNUP_FIELDS = fields()\n",
    ];
    for source in sources {
        for (section, key) in [
            ("account", "login_methods"),
            ("account", "signup_fields"),
            ("account", "email_verification"),
            ("mfa", "supported_types"),
        ] {
            assert_eq!(said(source, section, key), "", "{source}");
            assert!(translated(source).contains(&format!("# {key} =")), "{key} in {source}");
        }
    }
    assert_eq!(said("from .base import *\nEMAIL_HOST = 'mail'\n", "email", "tls"), "");
}

#[test]
fn depth_is_bounded() {
    let keys = format!("A = {{}}\nA{} = 1\n", "['k']".repeat(100_000));
    let wrapped = format!("ALLOWED_HOSTS = []\n{}", "ALLOWED_HOSTS = [ALLOWED_HOSTS]\n".repeat(20_000));
    let brackets = format!("ALLOWED_HOSTS = {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    for source in [keys, wrapped, brackets] {
        assert!(Config::from_toml(&translated(&source)).is_ok());
    }
}

#[test]
fn older_words_mean_what_they_meant() {
    let source = "ACCOUNT_AUTHENTICATION_METHOD = 'username_email'\nACCOUNT_EMAIL_REQUIRED = True\n\
                  ACCOUNT_SIGNUP_PASSWORD_ENTER_TWICE = False\nACCOUNT_EMAIL_VERIFICATION = True\n\
                  ACCOUNT_LOGIN_ATTEMPTS_LIMIT = 3\nACCOUNT_EMAIL_CONFIRMATION_COOLDOWN = 60\n";
    assert_eq!(said(source, "account", "login_methods"), "[\"username\", \"email\"]");
    assert_eq!(said(source, "account", "signup_fields"), "[\"email*\", \"username*\", \"password1*\"]");
    assert_eq!(said(source, "account", "email_verification"), "\"mandatory\"");
    let limits = said(source, "account", "rate_limits");
    assert!(limits.contains("10/m/ip,3/300s/key") && limits.contains("1/60s/key"), "{limits}");
}

#[test]
fn openid_servers_of_old_are_apps() {
    let source = "SOCIALACCOUNT_PROVIDERS = {'openid_connect': {'SERVERS': [{'id': 'work', 'name': 'Work',\n\
                  'server_url': 'https://sso.example', 'APP': {'client_id': 'c', 'secret': 's'}}]}}";
    let app = &table(source)["socialaccount"]["apps"][0];
    assert_eq!((app["provider_id"].as_str(), app["client_id"].as_str()), (Some("work"), Some("c")));
    assert_eq!(app["settings"]["server_url"].as_str(), Some("https://sso.example"));
}

#[test]
fn values_that_vestibule_would_not_read_are_comments() {
    for source in
        ["ACCOUNT_EMAIL_VERIFICATION = 'sometimes'", "SESSION_COOKIE_AGE = 'long'", "CSRF_COOKIE_NAME = 7"]
    {
        let file = translated(source);
        assert!(Config::from_toml(&file).is_ok(), "{file}");
        let name = source.split(' ').next().unwrap();
        assert!(file.contains(&format!("# {name} (line 1): ")), "{file}");
    }
}

#[test]
fn no_text_becomes_a_setting() {
    let source = "EMAIL_HOST_USER = f('''\n[server]\nlisten = \"x\"''')\nACCOUNT_FANCY = 1\nEMAIL_HOST = 'a\\n[b]\\nc = 1'";
    let file = translated(source);
    assert!(Config::from_toml(&file).is_ok(), "{file}");
    assert!(!file.lines().any(|line| line.starts_with("listen") || line == "[b]"), "{file}");
}

proptest! {
    #[test]
    fn whatever_is_set_the_file_loads(
        name in "(ACCOUNT_RATE_LIMITS|ACCOUNT_LOGIN_METHODS|SOCIALACCOUNT_PROVIDERS|HEADLESS_FRONTEND_URLS|ALLOWED_HOSTS|EMAIL_HOST|DATABASES|LANGUAGES|AUTH_PASSWORD_VALIDATORS|INSTALLED_APPS|MFA_RATE_LIMITS)",
        value in "(\\{|\\}|\\[|\\]|\\(|\\)|,|:|'[a-z\"\\\\{}]{0,3}'|[0-9]|True|None|'APP'|'APPS'|'NAME'|'default'| ){0,30}"
    ) {
        if let Ok(file) = translate_settings(&format!("{name} = {value}\n"), &|_| Vec::new()) {
            prop_assert!(Config::from_toml(&file).is_ok(), "{}", file);
        }
    }
}

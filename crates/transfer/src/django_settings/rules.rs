//! Settings whose value is not ours as it stands.

use toml::{Table, Value as Toml};

use super::draft::{Draft, toml_of};
use super::python::{Assignment, Module, Value};
use super::{Judge, apps, legacy};

/// Settings that are looked at, though no setting of ours has their name.
const FURTHER: &[&str] = &[
    "ACCOUNT_PASSWORD_RESET_BY_CODE_CODE_FORMAT",
    "ACCOUNT_SESSION_COOKIE_AGE",
    "ALLAUTH_HEADLESS_ONLY",
    "ALLAUTH_SOCIALACCOUNT_ONLY",
    "AUTH_USER_MODEL",
    "CORS_ORIGIN_WHITELIST",
    "DATABASES",
    "EMAIL_BACKEND",
    "INSTALLED_APPS",
];

/// Whether a setting is looked at, though no setting of ours has its name.
pub(super) fn is_special(name: &str) -> bool {
    FURTHER.contains(&name) || legacy::NAMES.contains(&name)
}

/// The URL that the rest is judged by: the project does not say it, but often enough says its host.
pub(super) fn public_url(module: &Module, draft: &mut Draft) {
    let hosts = module.get("ALLOWED_HOSTS").map(Value::list).unwrap_or_default();
    let host =
        hosts.iter().filter_map(Value::text).map(|host| host.trim_start_matches('.')).find(|host| {
            !matches!(*host, "" | "*" | "localhost" | "127.0.0.1" | "[::1]") && host.contains('.')
        });
    match host {
        Some(host) => draft.set(
            "server",
            "public_url",
            Toml::String(format!("https://{host}")),
            "Where people reach it: guessed from ALLOWED_HOSTS. Passkeys and callbacks of providers depend on it",
        ),
        None => draft.mention("server", "public_url", "Where people reach it. Passkeys and callbacks of providers depend on it"),
    }
}

/// Translates a setting that is not simply its value; whether it was one.
pub(super) fn special(
    module: &Module,
    setting: &Assignment,
    at: &str,
    judge: Judge<'_>,
    draft: &mut Draft,
) -> bool {
    let Assignment { name, value, .. } = setting;
    let name = name.as_str();
    match name {
        "SOCIALACCOUNT_PROVIDERS" => apps::translate(value, at, judge, draft),
        "INSTALLED_APPS" => installed(module, value, at, draft),
        "DATABASES" => databases(value, at, draft),
        "AUTH_USER_MODEL" => user_model(value, at, draft),
        "ACCOUNT_EMAIL_VERIFICATION" => {
            let word = match value {
                Value::Bool(true) => Value::Text("mandatory".to_owned()),
                Value::Bool(false) => Value::Text("optional".to_owned()),
                other => other.clone(),
            };
            draft.take("account", "email_verification", &word, at);
        }
        "ACCOUNT_RATE_LIMITS" | "MFA_RATE_LIMITS" => {
            let section = if name.starts_with("MFA") { "mfa" } else { "account" };
            draft.take(section, "rate_limits", &limits(value), at);
        }
        "ACCOUNT_PASSWORD_RESET_BY_CODE_CODE_FORMAT" => {
            draft.take("account", "password_reset_by_code_format", value, at);
        }
        "ACCOUNT_SESSION_COOKIE_AGE" if module.get("SESSION_COOKIE_AGE").is_none() => {
            draft.take("session", "cookie_age", value, at);
        }
        "ALLAUTH_HEADLESS_ONLY" => draft.take("headless", "only", value, at),
        "ALLAUTH_SOCIALACCOUNT_ONLY" => draft.take("socialaccount", "only", value, at),
        "CORS_ORIGIN_WHITELIST" => draft.take("server", "cors_allowed_origins", value, at),
        "HEADLESS_TOKEN_STRATEGY" => token_strategy(value, at, draft),
        "HEADLESS_FRONTEND_URLS" => frontend_urls(value, at, draft),
        "LANGUAGE_CODE" => draft.take("server", "language", &language(value), at),
        "LANGUAGES" => languages(value, at, draft),
        "ALLOWED_HOSTS" => hosts(value, at, draft),
        "AUTH_PASSWORD_VALIDATORS" => validators(value, at, draft),
        "SECRET_KEY" | "SECRET_KEY_FALLBACKS" | "PASSWORD_HASHERS" => {
            draft.note(at, super::reasons::of(name).unwrap_or_default());
        }
        "EMAIL_BACKEND" => {
            if let Some(backend) = value.text().filter(|backend| !backend.ends_with(".smtp.EmailBackend")) {
                draft.note(
                    at,
                    &format!("{backend}: mails leave by SMTP here, or stay in the development mailbox"),
                );
            }
        }
        "EMAIL_USE_TLS" | "EMAIL_USE_SSL" => {}
        "EMAIL_HOST" => {
            draft.take("email", "host", value, at);
            encryption(module, draft);
        }
        "SESSION_COOKIE_SAMESITE" | "CSRF_COOKIE_SAMESITE" if *value == Value::Bool(false) => {
            draft.note(at, "browsers take a cookie without SameSite for Lax, which is the default");
        }
        _ if legacy::NAMES.contains(&name) => {}
        _ => return false,
    }
    true
}

/// `None` and `False` lift a limit; here that is written `false`.
fn limits(value: &Value) -> Value {
    let Value::Dict(entries) = value else { return value.clone() };
    let lifted = |value: &Value| if *value == Value::None { Value::Bool(false) } else { value.clone() };
    Value::Dict(entries.iter().map(|(action, limit)| (action.clone(), lifted(limit))).collect())
}

fn token_strategy(value: &Value, at: &str, draft: &mut Draft) {
    let class = value.text().and_then(|path| path.rsplit('.').next()).unwrap_or_default();
    match class {
        "SessionTokenStrategy" => draft.set("headless", "token_strategy", Toml::from("session"), at),
        "JWTTokenStrategy" => draft.set("headless", "token_strategy", Toml::from("jwt"), at),
        _ => draft.mention(
            "headless",
            "token_strategy",
            &format!("{at} is a program of your own; there are \"session\" and \"jwt\""),
        ),
    }
}

/// Paths become URLs of the site.
fn frontend_urls(value: &Value, at: &str, draft: &mut Draft) {
    let Ok(Toml::Table(urls)) = toml_of(value) else {
        return draft.take("headless", "frontend_urls", value, at);
    };
    let site = match draft.value("server", "public_url") {
        Some(Toml::String(url)) => url.clone(),
        _ => "http://localhost:8000".to_owned(),
    };
    let (mut taken, mut comment) = (Table::new(), at.to_owned());
    for (name, url) in urls {
        let url = match url.as_str() {
            Some(path) if path.starts_with('/') => Toml::String(format!("{site}{path}")),
            _ => url,
        };
        let alone = Table::from_iter([(name.clone(), url.clone())]);
        let alone = Table::from_iter([("frontend_urls".to_owned(), Toml::Table(alone))]);
        let alone = Table::from_iter([("headless".to_owned(), Toml::Table(alone))]);
        match vestibule_base::config::Config::from_toml(&alone.to_string()) {
            Ok(_) => drop(taken.insert(name, url)),
            Err(_) => comment.push_str(&format!("\n{name}: there is no such page here")),
        }
    }
    draft.set("headless", "frontend_urls", Toml::Table(taken), &comment);
}

/// `en-us` is `en` here.
fn language(value: &Value) -> Value {
    match value.text() {
        Some(code) => Value::Text(code.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase()),
        None => value.clone(),
    }
}

/// Pairs of code and name; those that Vestibule speaks.
fn languages(value: &Value, at: &str, draft: &mut Draft) {
    let known = vestibule_base::language::Language::ALL;
    let (mut codes, mut strange) = (Vec::new(), Vec::new());
    for pair in value.list() {
        let Some(Value::Text(code)) = pair.list().first().map(language) else {
            return draft.take("server", "languages", value, at);
        };
        let is_known = known.iter().any(|language| language.code() == code);
        let list = if is_known { &mut codes } else { &mut strange };
        if !list.contains(&code) {
            list.push(code);
        }
    }
    let mut comment = at.to_owned();
    if !strange.is_empty() {
        comment.push_str(&format!("; not spoken here: {}", strange.join(", ")));
    }
    draft.set("server", "languages", Toml::Array(codes.into_iter().map(Toml::String).collect()), &comment);
}

/// All but `*`.
fn hosts(value: &Value, at: &str, draft: &mut Draft) {
    let all = value.list();
    if !all.iter().any(|host| host.text() == Some("*")) {
        return draft.take("server", "allowed_hosts", value, at);
    }
    let rest: Vec<Value> = all.iter().filter(|host| host.text() != Some("*")).cloned().collect();
    draft.take(
        "server",
        "allowed_hosts",
        &Value::List(rest),
        &format!("{at}, without \"*\": hosts are listed one by one"),
    );
}

fn validators(value: &Value, at: &str, draft: &mut Draft) {
    const KNOWN: [&str; 4] = [
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    ];
    if !matches!(value, Value::List(_)) {
        return draft.take("passwords", "validators", value, at);
    }
    let (mut list, mut comment) = (Vec::new(), at.to_owned());
    for validator in value.list() {
        let path = validator.get("NAME").and_then(Value::text).unwrap_or_default();
        let name = path.rsplit('.').next().unwrap_or_default();
        if !KNOWN.contains(&name) {
            comment
                .push_str(&format!("\n{path}: there is no such validator here; rules of your own are hooks"));
            continue;
        }
        let option = match name {
            "MinimumLengthValidator" => "min_length",
            "UserAttributeSimilarityValidator" => "max_similarity",
            _ => "",
        };
        let set = validator
            .get("OPTIONS")
            .and_then(|options| options.get(option))
            .and_then(|set| toml_of(set).ok());
        list.push(match set {
            Some(set) => {
                let name = Toml::from(name);
                Toml::Table(Table::from_iter([("name".to_owned(), name), (option.to_owned(), set)]))
            }
            None => Toml::from(name),
        });
    }
    draft.set("passwords", "validators", Toml::Array(list), &comment);
}

/// Django speaks plainly unless it is told otherwise.
fn encryption(module: &Module, draft: &mut Draft) {
    let on = |name: &str| module.get(name) == Some(&Value::Bool(true));
    let open = ["EMAIL_USE_TLS", "EMAIL_USE_SSL"].into_iter().find(|name| module.is_open(name));
    if on("EMAIL_USE_SSL") {
        draft.set("email", "tls", Toml::from("tls"), "EMAIL_USE_SSL");
    } else if on("EMAIL_USE_TLS") {
        draft.set("email", "tls", Toml::from("starttls"), "EMAIL_USE_TLS");
    } else if let Some(name) = open {
        draft.mention("email", "tls", &format!("{name} is not known here: \"starttls\" is what is meant by EMAIL_USE_TLS, \"tls\" by EMAIL_USE_SSL"));
    } else {
        draft.set(
            "email",
            "tls",
            Toml::from("none"),
            "Neither EMAIL_USE_TLS nor EMAIL_USE_SSL: mails travel readable",
        );
    }
}

/// What is not installed is switched off.
fn installed(module: &Module, value: &Value, at: &str, draft: &mut Draft) {
    let apps: Vec<&str> = value.list().iter().filter_map(Value::text).collect();
    let has = |app: &str| apps.iter().any(|own| *own == app || own.starts_with(&format!("{app}.apps.")));
    if !has("allauth.mfa") && module.get("MFA_SUPPORTED_TYPES").is_none() {
        let comment = format!("{at} has no allauth.mfa");
        draft.presume(
            "mfa",
            "supported_types",
            Toml::Array(Vec::new()),
            &comment,
            module.is_open("INSTALLED_APPS"),
        );
    }
    if has("allauth.idp") || apps.iter().any(|app| app.starts_with("allauth.idp")) {
        draft.note(at, "allauth.idp: Vestibule is no identity provider for others");
    }
    let prefix = "allauth.socialaccount.providers.";
    let providers = module.get("SOCIALACCOUNT_PROVIDERS");
    for provider in apps.iter().filter_map(|app| app.strip_prefix(prefix)) {
        let there = providers.and_then(|all| all.get(provider));
        if there.is_none_or(|settings| {
            settings.get("APP").is_none()
                && settings.get("APPS").is_none()
                && settings.get("SERVERS").is_none()
        }) {
            draft.note(&format!("{prefix}{provider}"), "its client_id and secret are in the table socialaccount_socialapp: write them as [[socialaccount.apps]]");
        }
    }
}

fn databases(value: &Value, at: &str, draft: &mut Draft) {
    let Some(default) = value.get("default") else {
        return draft.note(at, "give the URL of the database to `vestibule import django --from`");
    };
    let text = |key: &str| default.get(key).and_then(Value::text).unwrap_or_default();
    let engine = text("ENGINE").rsplit('.').next().unwrap_or_default();
    let hint = match engine {
        "sqlite3" => format!("sqlite://{}", if text("NAME").is_empty() { "PATH" } else { text("NAME") }),
        "postgresql" | "postgis" | "postgresql_psycopg2" => {
            let or = |key: &str, word: &'static str| match text(key) {
                "" => word.to_owned(),
                known => known.to_owned(),
            };
            let port = match default.get("PORT") {
                Some(Value::Int(port)) => format!(":{port}"),
                Some(Value::Text(port)) if !port.is_empty() => format!(":{port}"),
                _ => String::new(),
            };
            // The password stays where it is.
            format!(
                "postgres://{}:PASSWORD@{}{port}/{}",
                or("USER", "USER"),
                or("HOST", "localhost"),
                or("NAME", "NAME")
            )
        }
        "" => "URL".to_owned(),
        _ => return draft.note(
            at,
            &format!(
                "{engine} cannot be read: load the data into SQLite or PostgreSQL first (dumpdata, loaddata)"
            ),
        ),
    };
    draft.note(at, &format!("of Django's data: `vestibule import django --from {hint}`. Vestibule has a database of its own ([database])"));
}

/// `accounts.User` is the table `accounts_user`.
fn user_model(value: &Value, at: &str, draft: &mut Draft) {
    let table = value.text().unwrap_or("APP.MODEL").to_ascii_lowercase().replace('.', "_");
    draft.note(
        at,
        &format!(
            "of the import: `vestibule import django --user-table {table}`, unless the model says db_table"
        ),
    );
}

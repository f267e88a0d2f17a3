//! From a file and the environment to a [`Config`], or one line that says what is wrong and where.

use std::path::PathBuf;
use toml::{Table, Value};

use super::rate_limits::RateLimits;
use super::{Config, describe};

/// Where settings come from.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The TOML file, if there is one.
    pub file: Option<PathBuf>,
    /// The environment. Variables named `VESTIBULE_SECTION__KEY` count, go before the file, and hold a TOML value or
    /// plain text; an empty one counts as not set. `VESTIBULE_SECTION__KEY_FILE` names a file that holds it, as those
    /// who hand out secrets have them.
    pub env: Vec<(String, String)>,
}

/// Why settings could not be read: one line that names the place and, for an unknown key, the nearest known one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl Config {
    /// Reads settings from a file and the environment. They are not yet checked against each other:
    /// `check` does that.
    ///
    /// # Errors
    /// [`ConfigError`] if the file cannot be read or is no TOML, or for an unknown key or a value of a wrong type in
    /// either.
    pub fn load(source: Source) -> Result<Self, ConfigError> {
        let mut places = Places::default();
        if let Some(path) = source.file {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(&path)
                .map_err(|error| ConfigError(format!("{name}: the file cannot be read: {error}")))?;
            places.file = Some((name, text));
        }
        let mut table = places.parse_file()?;
        places.env = source.env.into_iter().filter_map(|(name, text)| Variable::read(name, text)).collect();
        places.read_files()?;
        places.env.iter().try_for_each(|variable| variable.put(&mut table, variable.value()))?;
        places.check_env_names()?;
        read(table, &places)
    }

    /// Reads settings from the text of a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`] if it is no TOML, or has an unknown key or a value of a wrong type.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let places = Places { file: Some(("configuration".to_owned(), text.to_owned())), env: Vec::new() };
        read(places.parse_file()?, &places)
    }
}

impl Source {
    /// Where `setting` (`"account.login_methods"`) was written: `"vestibule.toml:12"` or the variable. `None` if it is
    /// at its default, or the file cannot be read again.
    #[must_use]
    pub fn place(&self, setting: &str) -> Option<String> {
        let path: Vec<String> = setting.split('.').map(str::to_owned).collect();
        let variables = self.env.iter().filter_map(|(name, text)| Variable::read(name.clone(), text.clone()));
        let env: Vec<Variable> = variables.filter(|v| v.path == path).collect();
        let file = self.file.as_ref().and_then(|file| {
            let text = std::fs::read_to_string(file).ok()?;
            Some((file.display().to_string(), text))
        });
        let in_file = file.as_ref().is_some_and(|(_, text)| offset_of(text, &path).1 == path.len());
        if env.is_empty() && !in_file { None } else { Places { file, env }.place(&path) }
    }
}

/// Where each setting was written.
#[derive(Default)]
struct Places {
    /// Name and text.
    file: Option<(String, String)>,
    env: Vec<Variable>,
}

/// A variable of the environment that names a setting.
struct Variable {
    name: String,
    path: Vec<String>,
    /// What the setting is to be; before [`Places::read_files`], the path of the file where it `is_in_file`.
    text: String,
    is_in_file: bool,
}

/// How the name of a variable ends that names a file. No setting's own name may end so.
const IN_FILE: &str = "_file";

/// `setting` is copied from `from` where it is left out.
pub(super) struct Follows {
    pub(super) setting: &'static str,
    from: &'static str,
}

/// Settings of `[account]` that take another one's value when left out.
pub(super) const FOLLOWS: [Follows; 4] = [
    Follows { setting: "email_verification_by_code_format", from: "user_code_format" },
    Follows { setting: "login_by_code_format", from: "user_code_format" },
    Follows { setting: "password_reset_by_code_format", from: "user_code_format" },
    Follows { setting: "phone_verification_code_format", from: "user_code_format" },
];

fn read(mut table: Table, places: &Places) -> Result<Config, ConfigError> {
    let mut first = None;
    // A number may be meant as text (a password of digits). Only the type of the setting can tell, so that a variable
    // that did not fit as a value is tried as text, once each.
    for _ in 0..=places.env.len() {
        let mut complete = table.clone();
        fill_in(&mut complete);
        let error = match serde_path_to_error::deserialize(complete) {
            Ok(config) => return Ok(config),
            Err(error) => error,
        };
        let path = segments(error.path());
        let variable = places.env.iter().find(|v| path.starts_with(&v.path) && !v.value().is_str());
        first = first.or_else(|| Some(places.explain(&path, error.inner().message())));
        match variable {
            Some(variable) => variable.put(&mut table, Value::String(variable.text.clone()))?,
            None => break,
        }
    }
    Err(first.unwrap_or_else(|| ConfigError("the settings cannot be read".to_owned())))
}

/// Defaults that depend on what else is set.
fn fill_in(table: &mut Table) {
    let Some(Value::Table(account)) = table.get_mut("account") else { return };
    for Follows { setting, from } in FOLLOWS {
        if let (None, Some(value)) = (account.get(setting), account.get(from)) {
            account.insert(setting.to_owned(), value.clone());
        }
    }
    if account.get("email_verification_by_code_enabled") == Some(&Value::Boolean(true)) {
        let limits = account.entry("rate_limits").or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(limits) = limits {
            limits.entry("confirm_email").or_insert_with(|| RateLimits::CONFIRM_EMAIL_BY_CODE.into());
        }
    }
}

impl Places {
    fn parse_file(&self) -> Result<Table, ConfigError> {
        let Some((name, text)) = &self.file else { return Ok(Table::new()) };
        text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            ConfigError(format!("{name}:{line}: {}", one_line(error.message())))
        })
    }

    /// Puts the content of files in the place of their names.
    fn read_files(&mut self) -> Result<(), ConfigError> {
        let (files, plain): (Vec<_>, Vec<_>) = self.env.iter().partition(|variable| variable.is_in_file);
        if let Some((file, other)) =
            files.iter().find_map(|file| Some((file, plain.iter().find(|other| other.path == file.path)?)))
        {
            let names = format!("{} and {}", other.name, file.name);
            return Err(ConfigError(format!("environment variables {names}: set one of them")));
        }
        for variable in self.env.iter_mut().filter(|variable| variable.is_in_file) {
            let refuse = |what: &str| {
                ConfigError(format!("environment variable {}: {}: {what}", variable.name, variable.text))
            };
            let text = std::fs::read_to_string(&variable.text)
                .map_err(|error| refuse(&format!("the file cannot be read: {error}")))?;
            // Editors and shells end files with a newline that is no part of a secret.
            let text = text.trim_end_matches(['\r', '\n']).to_owned();
            if text.is_empty() {
                return Err(refuse("the file is empty"));
            }
            variable.text = text;
        }
        Ok(())
    }

    /// A single underscore where there should be two would otherwise be passed over in silence.
    fn check_env_names(&self) -> Result<(), ConfigError> {
        for variable in &self.env {
            let [name] = variable.path.as_slice() else { continue };
            return Err(ConfigError(format!(
                "environment variable {}: write {}{}, with two underscores after the section",
                variable.name,
                name.to_uppercase(),
                if variable.is_in_file { "_FILE" } else { "" }
            )));
        }
        Ok(())
    }

    fn explain(&self, path: &[String], message: &str) -> ConfigError {
        let message = one_line(message);
        let names = message.strip_prefix("unknown field ").map(quoted).unwrap_or_default();
        // Tables that are read by hand fail after the key, and leave it out of the path.
        let unread = names.first().filter(|&&name| path.last().is_none_or(|last| last != name));
        let path: Vec<String> = path.iter().cloned().chain(unread.map(|&name| name.to_owned())).collect();
        let place = self.place(&path).unwrap_or_else(|| "configuration".to_owned());
        let key = path.join(".");
        ConfigError(match names.split_first() {
            Some((_, known)) => format!("{place}: unknown key {key}{}", hint(&path, known)),
            None if key.is_empty() => format!("{place}: {message}"),
            None => format!("{place}: {key}: {message}"),
        })
    }

    /// Where the setting at `path`, or the deepest table on the way to it, was written.
    fn place(&self, path: &[String]) -> Option<String> {
        if let Some(variable) =
            self.env.iter().find(|v| path.starts_with(&v.path) || v.path.starts_with(path))
        {
            return Some(format!("environment variable {}", variable.name));
        }
        self.file.as_ref().map(|(name, text)| format!("{name}:{}", line_of(text, offset_of(text, path).0)))
    }
}

impl Variable {
    fn read(name: String, text: String) -> Option<Self> {
        let key = name.strip_prefix("VESTIBULE_")?;
        let mut path: Vec<String> = if key.contains("__") {
            key.split("__").map(str::to_lowercase).collect()
        } else {
            vec![meant(key)?]
        };
        let last = path.last_mut()?;
        let is_in_file = last.ends_with(IN_FILE);
        last.truncate(last.len() - if is_in_file { IN_FILE.len() } else { 0 });
        (!text.is_empty()).then_some(Self { name, path, text, is_in_file })
    }

    fn value(&self) -> Value {
        self.text.parse().unwrap_or_else(|_| Value::String(self.text.clone()))
    }

    /// Writes `value` where this variable points, making the tables on the way.
    fn put(&self, table: &mut Table, value: Value) -> Result<(), ConfigError> {
        let Some((last, way)) = self.path.split_last() else { return Ok(()) };
        let refuse = || ConfigError(format!("environment variable {}: it leads to no table", self.name));
        let mut at = table;
        let mut way = way.iter();
        while let Some(step) = way.next() {
            at = match at.entry(step.as_str()).or_insert_with(|| Value::Table(Table::new())) {
                Value::Table(table) => table,
                Value::Array(items) => {
                    let index: usize = way.next().and_then(|s| s.parse().ok()).ok_or_else(refuse)?;
                    items.get_mut(index).and_then(Value::as_table_mut).ok_or_else(refuse)?
                }
                _ => return Err(refuse()),
            };
        }
        at.insert(last.clone(), value);
        Ok(())
    }
}

/// For `SERVER_LISTEN`, which is nearly a setting: how the variable is really called.
fn meant(key: &str) -> Option<String> {
    let key = key.to_lowercase();
    describe::sections().iter().find_map(|section| {
        let name = key.strip_prefix(section.name)?.strip_prefix('_')?;
        section.settings.iter().find(|s| s.name == name.strip_suffix(IN_FILE).unwrap_or(name))?;
        Some(format!("vestibule_{}__{name}", section.name))
    })
}

fn segments(path: &serde_path_to_error::Path) -> Vec<String> {
    use serde_path_to_error::Segment;
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Map { key } => Some(key.clone()),
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

/// The names in backticks in one of serde's messages.
fn quoted(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

/// Where else the key is known, or which known key is spelt nearly so.
fn hint(path: &[String], known: &[&str]) -> String {
    let Some(name) = path.last() else { return String::new() };
    let sections = describe::sections();
    let elsewhere = sections.iter().find(|s| s.settings.iter().any(|setting| setting.name == name));
    if let (Some(section), 2) = (elsewhere, path.len()) {
        return format!("; it belongs in [{}]", section.name);
    }
    let likeness = |word: &str| strsim::normalized_damerau_levenshtein(word, name);
    let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest {
        Some(word) if likeness(word) > 0.5 => format!("; did you mean {word}?"),
        _ => format!("; known here: {}", known.join(", ")),
    }
}

/// Where the deepest known part of `path` stands in `text`, and how deep that is.
fn offset_of(text: &str, path: &[String]) -> (usize, usize) {
    use toml::de::{DeTable, DeValue};
    let (document, _) = DeTable::parse_recoverable(text);
    let mut offset = 0;
    let mut at = &DeValue::Table(document.into_inner());
    for (depth, step) in path.iter().enumerate() {
        let next = match at {
            DeValue::Table(table) => table
                .iter()
                .find(|(key, _)| key.get_ref() == step.as_str())
                .map(|(key, value)| (key.span(), value)),
            DeValue::Array(items) => {
                step.parse::<usize>().ok().and_then(|index| items.get(index)).map(|item| (item.span(), item))
            }
            _ => None,
        };
        let Some((span, value)) = next else { return (offset, depth) };
        offset = span.start;
        at = value.get_ref();
    }
    (offset, path.len())
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&b| b == b'\n').count()
}

fn one_line(message: &str) -> String {
    message.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::*;
    use secrecy::ExposeSecret;

    fn refusal(text: &str) -> String {
        let line = Config::from_toml(text).unwrap_err().to_string();
        assert!(!line.contains('\n'), "{line}");
        line
    }

    fn from_env(env: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let env = env.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect();
        Config::load(Source { file: None, env })
    }

    #[test]
    fn an_unknown_key_is_refused_with_line_and_nearest_key() {
        assert_eq!(
            refusal("[account]\nchange_email = true\nlogin_method = [\"email\"]\n"),
            "configuration:3: unknown key account.login_method; did you mean login_methods?"
        );
        assert_eq!(refusal("[acount]\n"), "configuration:1: unknown key acount; did you mean account?");
        assert_eq!(
            refusal("[account.rate_limits]\n\nlogin_fail = \"1/m\"\n"),
            "configuration:3: unknown key account.rate_limits.login_fail; did you mean login_failed?"
        );
        assert_eq!(
            refusal("[server]\nfrontend_urls = {}\n"),
            "configuration:2: unknown key server.frontend_urls; it belongs in [headless]"
        );
        assert!(refusal("[usersessions]\nx = 1\n").ends_with("; known here: track_activity"));
    }

    #[test]
    fn a_wrong_type_is_refused_with_line_and_key() {
        assert_eq!(
            refusal("[account]\n\nunique_email = \"yes\"\n"),
            "configuration:3: account.unique_email: invalid type: string \"yes\", expected a boolean"
        );
        let wrong_element = refusal("[account]\nlogin_methods = [\n  \"email\",\n  \"mail\",\n]\n");
        assert!(wrong_element.starts_with("configuration:"), "{wrong_element}");
        assert!(wrong_element.contains("unknown variant `mail`"), "{wrong_element}");
        let app = refusal("[[socialaccount.apps]]\nprovider = \"github\"\n");
        assert_eq!(app, "configuration:1: socialaccount.apps.0: missing field `client_id`");
    }

    #[test]
    fn what_is_no_toml_is_refused_with_its_line() {
        assert!(refusal("[account]\nchange_email = yes\n").starts_with("configuration:2: "));
        assert!(refusal("[account]\n[account]\n").starts_with("configuration:2: "));
    }

    /// X3: no error, `Debug` or serialised output holds a secret.
    #[test]
    fn secrets_are_not_quoted_in_errors_nor_printed() {
        let line = refusal("[email]\npassword = 918273\n");
        assert_eq!(line, "configuration:2: email.password: expected a text in quotes");
        let text = r#"
            server.secret_key = "s3cret-1"
            server.secret_key_fallbacks = ["s3cret-2"]
            database.url = "postgres://u:s3cret-3@h/d"
            email.password = "s3cret-4"
            sms.secret = "s3cret-5"
            headless.jwt_private_key = "s3cret-6"
            [[socialaccount.apps]]
            provider = "apple"
            client_id = "c"
            secret = "s3cret-7"
            key = "s3cret-8"
            settings = { certificate_key = "s3cret-9" }
        "#;
        let config = Config::from_toml(text).unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
        assert!(!toml::to_string(&config).unwrap().contains("s3cret"));
        assert_eq!(config.database_url().expose_secret(), "postgres://u:s3cret-3@h/d");
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vestibule.toml");
        std::fs::write(&file, "[account]\nlogin_methods = [\"email\"]\nusername_min_length = 3\n").unwrap();
        let env = vec![
            ("VESTIBULE_ACCOUNT__LOGIN_METHODS".to_owned(), "[\"username\"]".to_owned()),
            ("VESTIBULE_ACCOUNT__RATE_LIMITS__LOGIN".to_owned(), "7/m/ip".to_owned()),
            ("VESTIBULE_CONFIG".to_owned(), "elsewhere.toml".to_owned()),
            ("HOME".to_owned(), "/".to_owned()),
        ];
        let config = Config::load(Source { file: Some(file.clone()), env }).unwrap();
        assert_eq!(config.account.login_methods, [LoginMethod::Username]);
        assert_eq!(config.account.username_min_length, 3);
        assert_eq!(config.account.rate_limits.rates(Action::Login)[0].amount, 7);

        std::fs::write(&file, "\n[account]\nnonsense = 1\n").unwrap();
        let refused =
            Config::load(Source { file: Some(file.clone()), env: Vec::new() }).unwrap_err().to_string();
        assert!(
            refused.starts_with(&format!("{}:3: unknown key account.nonsense", file.display())),
            "{refused}"
        );
    }

    #[test]
    fn settings_can_be_located_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vestibule.toml");
        std::fs::write(&file, "[account]\n\nchange_email = true\n").unwrap();
        let env = vec![("VESTIBULE_EMAIL__HOST".to_owned(), "mx".to_owned())];
        let source = Source { file: Some(file.clone()), env };
        assert_eq!(source.place("account.change_email"), Some(format!("{}:3", file.display())));
        assert_eq!(source.place("account.unique_email"), None);
        assert_eq!(source.place("email.host").as_deref(), Some("environment variable VESTIBULE_EMAIL__HOST"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let source = Source { file: Some("no/such.toml".into()), env: Vec::new() };
        assert!(
            Config::load(source)
                .unwrap_err()
                .to_string()
                .starts_with("no/such.toml: the file cannot be read")
        );
    }

    #[test]
    fn variables_hold_toml_or_text() {
        let config = from_env(&[
            ("VESTIBULE_EMAIL__PASSWORD", "123456"),
            ("VESTIBULE_EMAIL__HOST", "mail.example.org"),
            ("VESTIBULE_EMAIL__SUBJECT_PREFIX", "true"),
            ("VESTIBULE_EMAIL__USERNAME", ""),
            ("VESTIBULE_EMAIL__PORT", "2525"),
            ("VESTIBULE_HEADLESS__FRONTEND_URLS__ACCOUNT_SIGNUP", "https://example.org/join"),
        ])
        .unwrap();
        assert_eq!(config.email.password.unwrap().expose_secret(), "123456");
        assert_eq!(config.email.host.as_deref(), Some("mail.example.org"));
        assert_eq!(config.email.subject_prefix, "true");
        assert_eq!(config.email.username, None);
        assert_eq!(config.email.port, Some(2525));
        assert_eq!(config.headless.frontend_urls.account_signup.as_deref(), Some("https://example.org/join"));
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let refused = |name, text| from_env(&[(name, text)]).unwrap_err().to_string();
        assert_eq!(
            refused("VESTIBULE_ACCOUNT__CHANGE_MAIL", "true"),
            "environment variable VESTIBULE_ACCOUNT__CHANGE_MAIL: unknown key account.change_mail; did you mean change_email?"
        );
        assert_eq!(
            refused("VESTIBULE_EMAIL__PORT", "many"),
            "environment variable VESTIBULE_EMAIL__PORT: email.port: invalid type: string \"many\", expected u16"
        );
        assert_eq!(
            refused("VESTIBULE_ACCOUNT__UNIQUE_EMAIL", "1"),
            "environment variable VESTIBULE_ACCOUNT__UNIQUE_EMAIL: account.unique_email: invalid type: integer `1`, expected a boolean"
        );
        assert_eq!(
            refused("VESTIBULE_SERVER_LISTEN", "0.0.0.0:80"),
            "environment variable VESTIBULE_SERVER_LISTEN: write VESTIBULE_SERVER__LISTEN, with two underscores after the section"
        );
        assert!(refused("VESTIBULE_ACOUNT__X", "1").contains("did you mean account?"));
    }

    #[test]
    fn a_variable_may_name_a_file_that_holds_the_setting() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let key = file("key", "0123456789 0123456789 0123456789\n");
        let config = from_env(&[
            ("VESTIBULE_SERVER__SECRET_KEY_FILE", &key),
            ("VESTIBULE_SERVER__SECRET_KEY_FALLBACKS_FILE", &file("old", "['one',\n 'two']\n")),
            ("VESTIBULE_EMAIL__PASSWORD_FILE", &file("password", "123456\r\n")),
        ])
        .unwrap();
        let secret = config.server.secret_key.unwrap();
        assert_eq!(secret.expose_secret(), "0123456789 0123456789 0123456789");
        assert_eq!(config.server.secret_key_fallbacks[1].expose_secret(), "two");
        assert_eq!(config.email.password.unwrap().expose_secret(), "123456");

        let refused = |env: &[(&str, &str)]| from_env(env).unwrap_err().to_string();
        let name = "VESTIBULE_SERVER__SECRET_KEY_FILE";
        let said = refused(&[(name, "/no/such/key")]);
        assert!(
            said.starts_with(&format!("environment variable {name}: /no/such/key: the file cannot")),
            "{said}"
        );
        let said = refused(&[(name, &file("empty", "\n"))]);
        assert!(said.ends_with("empty: the file is empty"), "{said}");
        assert_eq!(
            refused(&[(name, &key), ("VESTIBULE_SERVER__SECRET_KEY", "x")]),
            format!("environment variables VESTIBULE_SERVER__SECRET_KEY and {name}: set one of them")
        );
        assert_eq!(
            refused(&[("VESTIBULE_SERVER_SECRET_KEY_FILE", &key)]),
            format!(
                "environment variable VESTIBULE_SERVER_SECRET_KEY_FILE: write {name}, with two underscores after the section"
            )
        );
        let source = Source { file: None, env: vec![(name.to_owned(), key)] };
        assert_eq!(source.place("server.secret_key"), Some(format!("environment variable {name}")));
        let mut settings = describe::sections().into_iter().flat_map(|section| section.settings);
        assert!(
            settings.all(|setting| !setting.name.ends_with(IN_FILE)),
            "it could not be set by a variable"
        );
    }

    #[test]
    fn secrets_of_apps_may_come_from_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vestibule.toml");
        std::fs::write(&file, "[[socialaccount.apps]]\nprovider = \"github\"\nclient_id = \"c\"\n").unwrap();
        let env = vec![("VESTIBULE_SOCIALACCOUNT__APPS__0__SECRET".to_owned(), "shh".to_owned())];
        let config = Config::load(Source { file: Some(file), env }).unwrap();
        assert_eq!(config.socialaccount.apps[0].secret.as_ref().unwrap().expose_secret(), "shh");
        assert!(from_env(&[("VESTIBULE_SERVER__LISTEN__PORT", "1")]).is_err());
    }
}

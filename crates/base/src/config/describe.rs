//! The manual of settings, made from the sections themselves: `docs/settings.md` and `vestibule config default`.

use serde::Serialize;
use std::fmt::Write;
use toml::{Table, Value};

use super::load::FOLLOWS;
use super::settings::{Section, Setting};
use super::{
    Account, Admin, Csrf, Database, Email, Events, Headless, Hooks, Mfa, Passwords, Portal, Server, Session,
    Sms, SocialAccount, Telemetry, UserSessions,
};

/// A section as the manual shows it.
pub(super) struct Described {
    pub(super) name: &'static str,
    pub(super) settings: &'static [Setting],
    about: &'static str,
    defaults: fn() -> Table,
}

/// Every section, in the order of the manual.
pub(super) fn sections() -> [Described; 17] {
    [
        describe::<Server>("server"),
        describe::<Telemetry>("telemetry"),
        describe::<Database>("database"),
        describe::<Session>("session"),
        describe::<Csrf>("csrf"),
        describe::<Account>("account"),
        describe::<Mfa>("mfa"),
        describe::<SocialAccount>("socialaccount"),
        describe::<UserSessions>("usersessions"),
        describe::<Headless>("headless"),
        describe::<Portal>("portal"),
        describe::<Admin>("admin"),
        describe::<Email>("email"),
        describe::<Sms>("sms"),
        describe::<Passwords>("passwords"),
        describe::<Events>("events"),
        describe::<Hooks>("hooks"),
    ]
}

/// Every setting with default, environment variable and meaning, as Markdown.
#[must_use]
pub fn reference_markdown() -> String {
    let mut page = String::from(MARKDOWN_INTRODUCTION);
    for section in sections() {
        let defaults = (section.defaults)();
        let _ = write!(page, "\n## [{}]\n\n{}\n", section.name, paragraphs(section.about).join("\n\n"));
        for setting in section.settings {
            let variable = format!("VESTIBULE_{}__{}", section.name, setting.name).to_uppercase();
            let default = match defaults.get(setting.name) {
                Some(value) => format!("`{value}`"),
                None => "not set".to_owned(),
            };
            let _ = write!(
                page,
                "\n### {}.{}\n\n{}\n\nDefault: {default}. Environment: `{variable}`.\n",
                section.name,
                setting.name,
                paragraphs(setting.doc).join("\n\n"),
            );
        }
    }
    page
}

/// A configuration file with every setting at its default under its meaning. What has no default, or follows another
/// setting as long as it is left out, is commented out.
#[must_use]
pub fn default_toml() -> String {
    let mut file = String::from(TOML_INTRODUCTION);
    for section in sections() {
        let defaults = (section.defaults)();
        let _ = write!(file, "\n{}[{}]\n", commented(section.about), section.name);
        let mut tables = String::new();
        for setting in section.settings {
            let doc = commented(setting.doc);
            let name = setting.name;
            match defaults.get(name) {
                Some(Value::Table(table)) if table.len() > 3 => {
                    let _ = write!(tables, "\n{doc}[{}.{name}]\n", section.name);
                    for (key, value) in table {
                        let hidden = if key == "confirm_email" { "# " } else { "" };
                        let _ = writeln!(tables, "{hidden}{key} = {value}");
                    }
                }
                Some(value) => {
                    let hidden = if is_empty(value) || follows(name) { "# " } else { "" };
                    let _ = write!(file, "\n{doc}{hidden}{name} = {value}\n");
                }
                None => {
                    let _ = write!(file, "\n{doc}# {name} =\n");
                }
            }
        }
        file.push_str(&tables);
    }
    file
}

/// A setting that Django or one of its packages has, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DjangoName {
    /// Its name there, such as `ACCOUNT_LOGIN_METHODS`.
    pub django: &'static str,
    /// The section of ours.
    pub section: &'static str,
    /// The key in it.
    pub key: &'static str,
}

/// The settings that have a name in Django, django-allauth or django-cors-headers, as their manual entries say, in the
/// order of the manual.
#[must_use]
pub fn django_names() -> Vec<DjangoName> {
    let mut names = Vec::new();
    for section in sections() {
        for setting in section.settings {
            let tail = ["allauth: ", "Django: ", "django-cors-headers: "]
                .iter()
                .find_map(|whose| setting.doc.get(setting.doc.find(whose)?..));
            let words = tail.unwrap_or_default().split('`').skip(1).step_by(2);
            let is_name = |word: &&str| {
                word.contains('_')
                    && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
            };
            names.extend(words.filter(is_name).map(|django| DjangoName {
                django,
                section: section.name,
                key: setting.name,
            }));
        }
    }
    names
}

const MARKDOWN_INTRODUCTION: &str = "\
# Settings

Generated from `crates/base/src/config`; edit the doc comments there.

Settings stand in a TOML file, one table a section. Each can come from the environment instead, which goes before the
file: `VESTIBULE_SECTION__KEY`, with two underscores between the parts, holding a TOML value or plain text; an empty
variable counts as not set. `VESTIBULE_SECTION__KEY_FILE` holds the path of a file that holds the value, as secrets of
containers and services are handed out. Durations are whole seconds. An unknown key or a value of a wrong type stops the
start with one line that says where it stands. `vestibule config check` tells of settings that contradict each other, and
`vestibule config default` prints a file with all of this in it.
";

const TOML_INTRODUCTION: &str = "\
# Every setting of Vestibule at its default. Keep what you change; what is left out stays at its default.
# Each can come from the environment instead: VESTIBULE_SECTION__KEY, such as VESTIBULE_SERVER__LISTEN; or from a file that
# the environment names: VESTIBULE_SECTION__KEY_FILE.
";

fn describe<S: Section + Default + Serialize>(name: &'static str) -> Described {
    // Sections are tables of plain values, which always serialise; the tests below would show one that does not.
    let defaults = || Table::try_from(S::default()).unwrap_or_default();
    Described { name, settings: S::SETTINGS, about: S::ABOUT, defaults }
}

/// A list or table without anything in it. TOML lets nobody add `[[x.y]]` to a `y = []` further up.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Table(table) => table.is_empty(),
        _ => false,
    }
}

fn follows(name: &str) -> bool {
    FOLLOWS.iter().any(|follows| follows.setting == name)
}

/// The paragraphs of a doc comment, each on one line.
fn paragraphs(doc: &str) -> Vec<String> {
    let lines: Vec<&str> = doc.lines().map(str::trim).collect();
    lines
        .split(|line| line.is_empty())
        .filter(|lines| !lines.is_empty())
        .map(|lines| lines.join(" "))
        .collect()
}

/// A doc comment as comments of a TOML file.
fn commented(doc: &str) -> String {
    doc.lines().map(|line| format!("# {}", line.trim()).trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_sections_are_those_of_the_configuration() {
        let mut described: Vec<_> = sections().iter().map(|section| section.name).collect();
        described.sort_unstable();
        let config = Table::try_from(Config::default()).unwrap();
        assert_eq!(described, config.keys().map(String::as_str).collect::<Vec<_>>());
        for section in sections() {
            assert_eq!(
                Some((section.defaults)()).as_ref(),
                config[section.name].as_table(),
                "{}",
                section.name
            );
        }
    }

    #[test]
    fn the_default_file_loads_back_as_the_defaults() {
        let loaded = Config::from_toml(&default_toml()).unwrap();
        assert_eq!(format!("{loaded:?}"), format!("{:?}", Config::default()));
        for section in sections() {
            for setting in section.settings {
                assert!(default_toml().contains(setting.name), "{}.{}", section.name, setting.name);
            }
        }
    }

    #[test]
    fn names_of_django_are_found_in_the_manual() {
        let names = django_names();
        let of = |section: &str, key: &str| -> Vec<&str> {
            names.iter().filter(|n| n.section == section && n.key == key).map(|n| n.django).collect()
        };
        assert_eq!(of("account", "login_methods"), ["ACCOUNT_LOGIN_METHODS"]);
        assert_eq!(of("email", "tls"), ["EMAIL_USE_TLS", "EMAIL_USE_SSL"]);
        assert_eq!(of("socialaccount", "apps"), ["SOCIALACCOUNT_PROVIDERS"]);
        assert_eq!(of("server", "cors_allowed_origins"), ["CORS_ALLOWED_ORIGINS"]);
        assert_eq!(of("server", "listen"), [""; 0]);
        assert!(names.len() > 120, "{}", names.len());
    }

    #[test]
    fn the_manual_names_every_setting_once() {
        let page = reference_markdown();
        for section in sections() {
            for setting in section.settings {
                let heading = format!("\n### {}.{}\n", section.name, setting.name);
                assert_eq!(page.matches(&heading).count(), 1, "{heading}");
            }
        }
        assert!(page.contains("Default: `[\"email\"]`. Environment: `VESTIBULE_ACCOUNT__LOGIN_METHODS`."));
    }
}

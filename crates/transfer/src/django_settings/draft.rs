//! The file that comes of it. A value goes in only if Vestibule would read it.

use std::fmt::Write;

use toml::{Table, Value as Toml};
use vestibule_base::config::{Config, Severity, check};

use super::python::Value;

/// Sections in the order in which they are written.
const SECTIONS: [&str; 11] = [
    "server",
    "session",
    "csrf",
    "account",
    "mfa",
    "socialaccount",
    "usersessions",
    "headless",
    "email",
    "passwords",
    "database",
];

/// What is known of the file so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    lines: Vec<Line>,
    apps: Vec<App>,
    notes: Vec<String>,
}

#[derive(Debug)]
struct Line {
    section: String,
    key: String,
    /// `None`: it is only spoken of.
    value: Option<Toml>,
    comment: String,
}

/// A registration at a provider, with what is to be said of it.
#[derive(Debug, Default)]
pub(super) struct App {
    pub(super) table: Table,
    pub(super) comments: Vec<String>,
    /// It would not do as it is: it is written as a comment.
    pub(super) is_spoken_of: bool,
}

/// Why a value of Python is none of TOML.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Why {
    /// It comes from the environment: how it is written.
    Env(String),
    /// Only running the program would show it: how it is written.
    Unknown(String),
    /// There is no `None`: what is not set is left out.
    Nothing,
    /// Keys are no texts.
    Keys,
}

impl Draft {
    /// Sets what a setting of Django says, or says why not. `at` names that setting and its line.
    pub(super) fn take(&mut self, section: &str, key: &str, value: &Value, at: &str) {
        match toml_of(value) {
            Ok(value) => self.set(section, key, value, at),
            Err(Why::Nothing) => {}
            Err(why) => self.mention(section, key, &explained(&why, section, key, at)),
        }
    }

    /// Sets a key, if Vestibule reads the value; else says what is wrong with it.
    pub(super) fn set(&mut self, section: &str, key: &str, value: Toml, comment: &str) {
        let mut inner = Table::new();
        inner.insert(key.to_owned(), value.clone());
        let table = Table::from_iter([(section.to_owned(), Toml::Table(inner))]);
        match Config::from_toml(&table.to_string()) {
            Ok(_) => self.put(section, key, Some(value), comment),
            Err(error) => {
                let error = error.to_string();
                let reason = error.split_once(": ").map_or(error.as_str(), |(_, reason)| reason);
                self.mention(section, key, &format!("{comment}: {reason}"));
            }
        }
    }

    /// Sets a key to what the lack of a setting means; only speaks of it where that lack is not certain (`is_open`).
    pub(super) fn presume(&mut self, section: &str, key: &str, value: Toml, comment: &str, is_open: bool) {
        if is_open {
            let value = inline(&value);
            self.mention(
                section,
                key,
                &format!("{comment}: {value}, unless what is not read here says otherwise"),
            );
        } else {
            self.set(section, key, value, comment);
        }
    }

    /// Speaks of a key without setting it.
    pub(super) fn mention(&mut self, section: &str, key: &str, comment: &str) {
        self.put(section, key, None, comment);
    }

    fn put(&mut self, section: &str, key: &str, value: Option<Toml>, comment: &str) {
        self.lines.retain(|line| !(line.section == section && line.key == key));
        let (section, key, comment) = (section.to_owned(), key.to_owned(), comment.to_owned());
        self.lines.push(Line { section, key, value, comment });
    }

    /// Whether a key is set or spoken of.
    pub(super) fn has(&self, section: &str, key: &str) -> bool {
        self.lines.iter().any(|line| line.section == section && line.key == key)
    }

    /// What a key is set to.
    pub(super) fn value(&self, section: &str, key: &str) -> Option<&Toml> {
        self.lines.iter().find(|line| line.section == section && line.key == key)?.value.as_ref()
    }

    pub(super) fn app(&mut self, app: App) {
        self.apps.push(app);
    }

    /// How many apps are set so far: what the next one is called in variables of the environment.
    pub(super) fn apps(&self) -> usize {
        self.apps.iter().filter(|app| !app.is_spoken_of).count()
    }

    /// Sets two keys together or not at all: one is no good without the other.
    pub(super) fn pair(&mut self, section: &str, keys: [&str; 2]) {
        let [one, other] = keys.map(|key| self.value(section, key).is_some());
        if one == other {
            return;
        }
        let key = if one { keys[0] } else { keys[1] };
        for line in self.lines.iter_mut().filter(|line| line.section == section && line.key == key) {
            let value = line.value.take().map(|value| inline(&value)).unwrap_or_default();
            line.comment = format!(
                "{}: {value}; to be set together with {section}.{}",
                line.comment,
                keys[usize::from(one)]
            );
        }
    }

    /// Says what was not taken, and why.
    pub(super) fn note(&mut self, at: &str, reason: &str) {
        self.notes.push(format!("{at}: {reason}"));
    }

    /// The file.
    pub(super) fn finish(self) -> String {
        let body = self.body();
        let mut file = String::from(INTRODUCTION);
        if let Ok(config) = Config::from_toml(&body) {
            let errors: Vec<_> =
                check(&config).into_iter().filter(|found| found.severity == Severity::Error).collect();
            if !errors.is_empty() {
                file.push_str("#\n# Before it starts, Vestibule wants to have settled:\n");
            }
            for found in errors {
                comment(&mut file, &format!("- {}", found.message));
            }
        }
        file.push_str(&body);
        if !self.notes.is_empty() {
            file.push_str("\n# What is not in this file, and why:\n");
        }
        for note in &self.notes {
            comment(&mut file, &format!("- {note}"));
        }
        file
    }

    fn body(&self) -> String {
        let mut body = String::new();
        for section in SECTIONS {
            let lines: Vec<&Line> = self.lines.iter().filter(|line| line.section == section).collect();
            if !lines.is_empty() {
                let _ = write!(body, "\n[{section}]\n");
            }
            for line in lines {
                comment(&mut body, &line.comment);
                let _ = match &line.value {
                    Some(value) => writeln!(body, "{} = {}", line.key, inline(value)),
                    None => writeln!(body, "# {} =", line.key),
                };
            }
            if section == "socialaccount" {
                for app in &self.apps {
                    body.push('\n');
                    for text in &app.comments {
                        comment(&mut body, text);
                    }
                    let mark = if app.is_spoken_of { "# " } else { "" };
                    let _ = writeln!(body, "{mark}[[socialaccount.apps]]");
                    for (key, value) in &app.table {
                        let _ = writeln!(body, "{mark}{key} = {}", inline(value));
                    }
                }
            }
        }
        body
    }
}

const INTRODUCTION: &str = "\
# Settings of Vestibule, from those of a Django project. Above each stands the one that it comes from.
# Look through the comments, then ask `vestibule config check`.
";

/// A value on one line.
fn inline(value: &Toml) -> String {
    value.to_string().replace('\n', "\\n")
}

/// Whatever is in the text, no line of it is read as a setting.
fn comment(file: &mut String, text: &str) {
    for line in text.lines() {
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let _ = writeln!(file, "# {}", line.trim_end());
    }
}

/// A value of Python in TOML.
pub(super) fn toml_of(value: &Value) -> Result<Toml, Why> {
    Ok(match value {
        Value::None => return Err(Why::Nothing),
        Value::Bool(flag) => Toml::Boolean(*flag),
        Value::Int(number) => Toml::Integer(*number),
        Value::Float(number) => Toml::Float(*number),
        Value::Text(text) => Toml::String(text.clone()),
        Value::List(items) => Toml::Array(items.iter().map(toml_of).collect::<Result<_, _>>()?),
        Value::Dict(entries) => {
            let mut table = Table::new();
            for (key, value) in entries {
                let key = key.text().ok_or(Why::Keys)?;
                match toml_of(value) {
                    Err(Why::Nothing) => {}
                    value => drop(table.insert(key.to_owned(), value?)),
                }
            }
            Toml::Table(table)
        }
        Value::Env(env) => return Err(Why::Env(env.text.clone())),
        Value::Unknown(text) => return Err(Why::Unknown(text.clone())),
    })
}

/// What to do about it.
pub(super) fn explained(why: &Why, section: &str, key: &str, at: &str) -> String {
    let variable = format!("VESTIBULE_{section}__{key}").to_uppercase();
    match why {
        Why::Env(text) => format!("{at} is {text}: set {variable} in the environment, or write it here"),
        Why::Unknown(text) => format!("{at} is not known without running it: {text}"),
        Why::Nothing => format!("{at} is None"),
        Why::Keys => format!("{at} has keys that are no texts"),
    }
}

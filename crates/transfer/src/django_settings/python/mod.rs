//! A reader of Python modules of settings. It reads literals, and what is put together of them in the ways that settings
//! are written; it runs nothing. What it cannot know stays as the text that it is.

mod parse;
mod token;

pub use token::SyntaxError;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// A list, tuple or set.
    List(Vec<Value>),
    /// In the order of the source.
    Dict(Vec<(Value, Value)>),
    /// What comes from the environment.
    Env(Env),
    /// What only running the program would show: its text, on one line.
    Unknown(String),
}

/// A look into the environment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Env {
    /// The variable.
    pub(super) variable: String,
    /// How it is written.
    pub(super) text: String,
}

/// A setting.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) value: Value,
    /// Where it stands; where it stood last, if several times.
    pub(super) line: usize,
}

/// A module of settings.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Module {
    /// Settings that are set whatever happens, in their order.
    pub(super) settings: Vec<Assignment>,
    /// Assignments that depend on something (inside of `if`, `try`, ...), by name and line: not followed.
    pub(super) conditional: Vec<(String, usize)>,
    /// Lines with `from … import *`, and what they say: not followed.
    pub(super) imports: Vec<(String, usize)>,
}

impl Module {
    /// Reads a module.
    ///
    /// # Errors
    /// [`SyntaxError`] if it cannot be one.
    pub(super) fn read(source: &str) -> Result<Self, SyntaxError> {
        Ok(parse::module(source, &token::lines(source)?))
    }

    /// Whether the program may end up with something else than what is read here: what it says depends on something, or
    /// it may say it in a file that is not followed.
    pub(super) fn is_open(&self, name: &str) -> bool {
        let value = self.get(name);
        self.conditional.iter().any(|(conditional, _)| conditional == name)
            || value.is_some_and(Value::is_open)
            || value.is_none() && !self.imports.is_empty()
    }

    /// What a setting is.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.settings.iter().find(|setting| setting.name == name).map(|setting| &setting.value)
    }
}

impl Value {
    /// Whether it, or a part of a list, is not known here.
    fn is_open(&self) -> bool {
        match self {
            Self::Env(_) | Self::Unknown(_) => true,
            Self::List(items) => items.iter().any(Self::is_open),
            _ => false,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> &[Value] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// What a dictionary has under a text.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Dict(entries) => {
                entries.iter().rev().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

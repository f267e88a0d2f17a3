//! From a file and the environment to a [`Config`], or one line that says what is wrong and where.

use std::path::PathBuf;

use super::Config;

/// Where settings come from.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The TOML file, if there is one.
    pub file: Option<PathBuf>,
    /// The environment; variables named `VESTIBULE_SECTION__KEY` count, and go before the file.
    pub env: Vec<(String, String)>,
}

/// Why settings could not be read: one line that names the place and, for an unknown key, the nearest known one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl Config {
    /// Reads settings from the text of a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`] if it is no TOML, or has an unknown key or a value of a wrong type.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|e| ConfigError(e.to_string()))
    }
}

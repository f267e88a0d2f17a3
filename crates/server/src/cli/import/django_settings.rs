//! The settings of a Django project. Touches neither database nor data folder.

use std::path::PathBuf;

use clap::Args;
use toml::{Table, Value};
use vestibule_base::config::Config;
use vestibule_transfer::translate_settings;

use super::Failure;
use crate::output;

#[derive(Debug, Args)]
pub(super) struct Command {
    /// The file: settings.py. It is read, not run.
    file: PathBuf,
}

pub(super) fn run(command: &Command) -> Result<(), Failure> {
    let name = command.file.display();
    let source = std::fs::read_to_string(&command.file)
        .map_err(|error| Failure::Settings(format!("{name}: the file cannot be read: {error}")))?;
    let translated = translate_settings(&source, &complaints)
        .map_err(|error| Failure::Settings(format!("{name}: {error}")))?;
    output::text(&translated);
    Ok(())
}

/// What is wrong with a registration at a provider.
fn complaints(app: &Table) -> Vec<String> {
    let apps = Value::Array(vec![Value::Table(app.clone())]);
    let section = Value::Table(Table::from_iter([("apps".to_owned(), apps)]));
    let config = Table::from_iter([("socialaccount".to_owned(), section)]);
    let config = match Config::from_toml(&config.to_string()) {
        Ok(config) => config,
        Err(error) => return vec![error.to_string()],
    };
    match vestibule::check_providers(&config) {
        Ok(()) => Vec::new(),
        Err(error) => error.to_string().lines().map(str::to_owned).collect(),
    }
}

//! The command line. Each command is a file; all of them say what went wrong in one line and exit with 1.

mod backup;
mod config;
mod events;
mod export;
mod health;
mod import;
mod keys;
mod migrate;
mod office;
mod restore;
mod serve;
mod users;
mod webhooks;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use secrecy::ExposeSecret;
use vestibule_base::config::{Config, ConfigError, Finding, Severity, Source, check};
use vestibule_base::security::Keyring;
use vestibule_base::storage::{BackupError, Db, RestoreError, StorageError};

use crate::output;
use crate::secrets::{self, SecretsError};
use vestibule::{AdminError, BuildError, Fault, NotTaken, ProviderFailure, check_secret_key};

/// A headless authentication server.
#[derive(Debug, Parser)]
#[command(name = "vestibule", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve (also what happens without a command).
    Serve(Settings),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(config::Command),
    /// Ask the running server whether it is well; exit with 1 if not.
    Health(health::Command),
    /// Bring the database up to this version. `serve` does so too.
    Migrate(Settings),
    /// Copy a SQLite database, beside a running server.
    Backup(backup::Command),
    /// Go back to a backup, and end the sessions and codes that it holds. Stop the server first.
    Restore(restore::Command),
    /// Take accounts in: from a file, or from another system. Running it again adds nothing twice.
    Import(import::Command),
    /// Write all accounts down as JSON lines, with their secrets, for `vestibule import`.
    Export(export::Command),
    /// Change the secret key.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Create, list and change users.
    #[command(subcommand)]
    Users(users::Command),
    /// List or follow what happens to accounts.
    Events(events::Command),
    /// Look after the services that are told of events.
    #[command(subcommand)]
    Webhooks(webhooks::Command),
}

/// Where the settings come from.
#[derive(Debug, Args)]
struct Settings {
    /// Configuration file (TOML). Without it: vestibule.toml in the working directory, if there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What commands that answer have in common.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    settings: Settings,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

/// Why a command ended with 1. Its text is the one line that is printed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(transparent)]
    Provider(#[from] ProviderFailure),
    #[error(transparent)]
    Remote(#[from] office::RemoteError),
    #[error("no token is kept: the user has no such account, or socialaccount.store_tokens is off")]
    NoToken,
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    #[error("there is no dead letter of this id")]
    NoDeadLetter,
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Restore(#[from] RestoreError),
    #[error(transparent)]
    Import(#[from] vestibule_transfer::ImportError),
    #[error(transparent)]
    Read(#[from] vestibule_transfer::ReadError),
    #[error(transparent)]
    Export(#[from] vestibule_transfer::ExportError),
    #[error("{path}: {1}", path = .0.display())]
    File(PathBuf, std::io::Error),
    #[error("{0}")]
    Settings(String),
    #[error("{0}")]
    Catalogue(String),
    #[error("{0}")]
    Misused(&'static str),
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(transparent)]
    Health(#[from] health::HealthError),
    #[error(transparent)]
    Serve(#[from] serve::ServeError),
    #[error(transparent)]
    Portal(#[from] crate::portal::PortalError),
    #[error("telemetry.otlp_endpoint: {0}")]
    Traces(#[from] vestibule_base::outbound::OutboundError),
    #[error("{first}{}", more(*others))]
    Findings { first: String, others: usize },
    #[error("the configuration has {0} error(s)")]
    Checked(usize),
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
    #[error("cannot read the password from standard input: {0}")]
    PasswordInput(std::io::Error),
    #[error("password: {0}")]
    Password(#[from] vestibule::PasswordError),
    #[error(transparent)]
    NoEntropy(#[from] vestibule_base::security::NoEntropy),
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    let command = cli.command.unwrap_or(Command::Serve(cli.settings));
    let result = match command {
        Command::Config(command) => config::run(command),
        Command::Serve(settings) => blocking(serve::run(settings)),
        Command::Health(command) => health::run(&command),
        Command::Migrate(settings) => blocking(migrate::run(settings)),
        Command::Backup(command) => blocking(backup::run(command)),
        Command::Restore(command) => blocking(restore::run(command)),
        Command::Import(command) => blocking(import::run(command)),
        Command::Export(command) => blocking(export::run(command)),
        Command::Keys(command) => blocking(keys::run(command)),
        Command::Users(command) => blocking(users::run(command)),
        Command::Events(command) => blocking(events::run(command)),
        Command::Webhooks(command) => blocking(webhooks::run(command)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(failure);
            ExitCode::FAILURE
        }
    }
}

impl Settings {
    /// The settings of the file and the environment, and where they stand.
    fn load(&self) -> Result<(Source, Config), Failure> {
        let beside = PathBuf::from("vestibule.toml");
        let file = self.config.clone().or_else(|| beside.exists().then_some(beside));
        let env = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let source = Source { file, env };
        Ok((source.clone(), Config::load(source)?))
    }

    /// Settings without errors, and what is doubtful about them, a line each.
    fn judged(&self) -> Result<(Config, Vec<String>), Failure> {
        let (source, config) = self.load()?;
        let findings = check(&config);
        let (errors, doubts): (Vec<_>, Vec<_>) =
            findings.iter().partition(|finding| finding.severity == Severity::Error);
        if let Some((first, others)) = errors.split_first() {
            return Err(Failure::Findings { first: placed(first, &source), others: others.len() });
        }
        let doubts = doubts.into_iter().map(|doubt| placed(doubt, &source)).collect();
        Ok((config, doubts))
    }

    /// Settings without errors. Whoever serves is told of doubts, and who asks for them (`config check`); nobody else.
    fn checked(&self) -> Result<Config, Failure> {
        Ok(self.judged()?.0)
    }

    /// Settings that can be worked with.
    fn prepare(&self) -> Result<Config, Failure> {
        furnished(self.checked()?)
    }
}

/// Makes the data folder and the secret key where settings without errors give none.
fn furnished(mut config: Config) -> Result<Config, Failure> {
    if config.server.secret_key.is_none() {
        secrets::make_folder(&config.server.data_dir)?;
        config.server.secret_key = Some(secrets::key_in(&config.server.data_dir)?.into());
    } else if config.database.url.is_none() {
        secrets::make_folder(&config.server.data_dir)?;
    }
    Ok(config)
}

/// The database of settings that were prepared, up to date, and the keys that its secrets are sealed with.
async fn open(config: &Config) -> Result<(Db, Keyring), Failure> {
    let secret = config.server.secret_key.as_ref().ok_or(BuildError::NoSecretKey)?;
    let former: Vec<&str> =
        config.server.secret_key_fallbacks.iter().map(ExposeSecret::expose_secret).collect();
    let keyring = Keyring::new(secret.expose_secret(), &former);
    let db = Db::open(config.database_url().expose_secret(), 2).await?;
    db.migrate().await?;
    check_secret_key(&db, &keyring).await?;
    Ok((db, keyring))
}

/// What was found, after the line or variable that it was found in.
fn placed(finding: &Finding, source: &Source) -> String {
    match source.place(finding.setting) {
        Some(place) => format!("{place}: {}", finding.message),
        None => finding.message.clone(),
    }
}

fn more(others: usize) -> String {
    if others == 0 { String::new() } else { format!(" (and {others} more: see vestibule config check)") }
}

fn blocking(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_serves() {
        let cli = Cli::parse_from(["vestibule", "--config", "x.toml"]);
        assert!(cli.command.is_none());
        assert_eq!(cli.settings.config, Some("x.toml".into()));
    }
}

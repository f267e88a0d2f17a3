//! `vestibule config`: checks and shows settings. Touches neither database nor data folder.

use clap::Subcommand;
use vestibule_base::config::{Severity, check, default_toml, reference_markdown};
use vestibule_base::security::SigningKeys;
use vestibule_providers::catalogue_markdown;

use super::{Failure, Settings, placed};
use crate::output;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say what is wrong or doubtful in the configuration; exit with 1 on errors.
    Check(Settings),
    /// Every setting with its default and meaning, as TOML.
    Default,
    /// Every setting with its default and meaning, as Markdown.
    #[command(hide = true)]
    Reference,
    /// Every provider that people can log in with, as Markdown: callback paths, what an app needs, settings, scopes.
    Providers,
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Check(settings) => report(&settings)?,
        Command::Default => output::text(&default_toml()),
        Command::Reference => output::text(&reference_markdown()),
        Command::Providers => output::text(&catalogue_markdown().map_err(Failure::Catalogue)?),
    }
    Ok(())
}

fn report(settings: &Settings) -> Result<(), Failure> {
    let (source, config) = settings.load()?;
    let findings = check(&config);
    for finding in &findings {
        let word = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        output::line(format_args!("{word}: {}", placed(finding, &source)));
    }
    let mut errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    // A secret that is kept in the data folder is not looked up here.
    if errors == 0
        && config.headless.jwt_private_key.is_some()
        && let Err(error) = SigningKeys::of(&config)
    {
        output::line(format_args!("error: {error}"));
        errors += 1;
    }
    for error in [vestibule::check_providers(&config), vestibule::check_webhooks(&config)]
        .into_iter()
        .filter_map(Result::err)
    {
        for line in error.to_string().lines() {
            output::line(format_args!("error: {line}"));
            errors += 1;
        }
    }
    match errors {
        0 => {
            output::line("The configuration is good.");
            Ok(())
        }
        errors => Err(Failure::Checked(errors)),
    }
}

//! `vestibule keys`: changing the secret key.

use clap::Subcommand;
use vestibule::Vestibule;

use super::{Failure, Settings};
use crate::output;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Encrypt with the present secret key what was encrypted with a former one.
    Reseal(Settings),
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    let Command::Reseal(settings) = command;
    crate::telemetry::start("warn");
    let vestibule = Vestibule::builder(settings.prepare()?).build().await?;
    let done = vestibule.reseal().await?;
    vestibule.close().await;
    output::line(format_args!("{done} secrets are encrypted with the present key."));
    Ok(())
}

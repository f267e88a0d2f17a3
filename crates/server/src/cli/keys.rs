//! `vestibule keys`: changing the secret key.

use clap::Subcommand;
use vestibule::Vestibule;

use super::{Failure, Settings};
use crate::output;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Encrypt with the present secret key what was encrypted with a former one.
    Reseal(Settings),
    /// Go on with the present secret key where the one that the database was used with is lost. Everybody is logged out,
    /// and second factors that were encrypted with the lost key work no more.
    Adopt(Settings),
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    crate::telemetry::start("warn");
    match command {
        Command::Reseal(settings) => {
            let vestibule = Vestibule::builder(settings.prepare()?).build().await?;
            let done = vestibule.reseal().await?;
            vestibule.close().await;
            output::line(format_args!("{done} secrets are encrypted with the present key."));
        }
        Command::Adopt(settings) => {
            let vestibule = Vestibule::builder(settings.prepare()?).adopt_secret_key().build().await?;
            vestibule.close().await;
            output::line("The database goes with the present secret key from now on.");
        }
    }
    Ok(())
}

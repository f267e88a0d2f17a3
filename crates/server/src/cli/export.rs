//! `vestibule export`: all accounts as JSON lines.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use vestibule_base::config::Config;
use vestibule_base::security::{Clock, SystemClock};
use vestibule_transfer::export;

use super::{Failure, Settings, open};
use crate::output;

/// A line of progress for so many accounts.
const TOLD_EVERY: u64 = 10_000;

/// The file holds the keys to every account: password hashes, TOTP secrets, recovery codes and tokens of providers, none of
/// them encrypted. Keep it as you keep the secret key, and remove it after use.
#[derive(Debug, Args)]
pub(super) struct Command {
    /// A file that does not exist yet, made readable by its owner only. Without it: standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    crate::telemetry::start("warn");
    let config = command.settings.prepare()?;
    let Some(file) = &command.output else {
        return write(&config, &mut BufWriter::new(io::stdout().lock())).await.map(drop);
    };
    let mut out = create(file).map(BufWriter::new).map_err(|error| Failure::File(file.clone(), error))?;
    let written = match write(&config, &mut out).await {
        Ok(count) => {
            out.get_ref().sync_all().map(|()| count).map_err(|error| Failure::File(file.clone(), error))
        }
        Err(failure) => Err(failure),
    };
    if written.is_err() {
        // Half of the accounts would pass for all of them.
        let _ = fs::remove_file(file);
    }
    output::line(format_args!("{} accounts are in {}.", written?, file.display()));
    Ok(())
}

async fn write(config: &Config, out: &mut impl Write) -> Result<u64, Failure> {
    let (db, keyring) = open(config).await?;
    let mut told = 0;
    let mut progress = |count: u64| {
        if count / TOLD_EVERY > told {
            told = count / TOLD_EVERY;
            output::complain(format_args!("{count} accounts"));
        }
    };
    let source = &config.server.public_url;
    let written = export(&db, &keyring, source, SystemClock.now(), out, &mut progress).await;
    db.close().await;
    Ok(written?)
}

fn create(file: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

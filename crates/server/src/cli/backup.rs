//! `vestibule backup`: a copy of the database, made beside a running server.

use std::path::PathBuf;

use clap::Args;
use secrecy::ExposeSecret;
use serde_json::json;
use vestibule_base::storage::{backup, sqlite_path};

use super::{Common, Failure};
use crate::output;

#[derive(Debug, Args)]
pub(super) struct Command {
    /// The copy: a file that does not exist yet.
    file: PathBuf,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    crate::telemetry::start("warn");
    // Makes nothing: in the wrong folder it would make, and copy, an empty database.
    let url = command.common.settings.checked()?.database_url();
    let Some(database) = sqlite_path(url.expose_secret()) else {
        return Err(Failure::Misused("vestibule backup copies SQLite; back PostgreSQL up with pg_dump"));
    };
    backup(database, &command.file).await?;
    if command.common.json {
        output::line(format_args!("{:#}", json!({ "database": database, "backup": command.file })));
    } else {
        output::line(format_args!("{} is copied to {}.", database.display(), command.file.display()));
    }
    Ok(())
}

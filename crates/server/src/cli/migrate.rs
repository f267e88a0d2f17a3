//! `vestibule migrate`: brings the database up to this version, without serving.

use secrecy::ExposeSecret;
use vestibule_base::storage::{Db, LATEST};

use super::{Failure, Settings};
use crate::output;

pub(super) async fn run(settings: Settings) -> Result<(), Failure> {
    crate::telemetry::start("warn");
    let config = settings.prepare()?;
    let db = Db::open(config.database_url().expose_secret(), 1).await?;
    db.migrate().await?;
    db.close().await;
    output::line(format_args!("The database has version {LATEST}."));
    Ok(())
}

//! `vestibule migrate`: brings the database up to this version, without serving.

use vestibule_base::storage::{Db, LATEST};

use super::{Failure, Settings};
use crate::output;

pub(super) async fn run(settings: Settings) -> Result<(), Failure> {
    let config = settings.prepare()?;
    let db = Db::open(&config.database.url, 1).await?;
    db.migrate().await?;
    db.close().await;
    output::line(format_args!("The database has version {LATEST}."));
    Ok(())
}

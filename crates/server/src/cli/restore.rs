//! `vestibule restore`: goes back to a backup, and ends what that held open. SQLite is restored here; for PostgreSQL the
//! operator has done that with `pg_restore`, and what remains is the ending.

use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::ExposeSecret;
use serde_json::json;
use vestibule_base::config::Config;
use vestibule_base::security::{Clock, SystemClock};
use vestibule_base::storage::{Db, Ended, LATEST, Restored, end_all, restore, schema_version, sqlite_path};

use super::{Common, Failure};
use crate::{output, secrets};

#[derive(Debug, Args)]
pub(super) struct Command {
    /// The backup, for SQLite. None for PostgreSQL: run this after pg_restore.
    file: Option<PathBuf>,
    /// Keep sessions, pending logins, codes, mailed links and queued messages as they were at the backup, rather than
    /// end them.
    #[arg(long)]
    keep_sessions: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    crate::telemetry::start("warn");
    let config = command.common.settings.checked()?;
    let url = config.database_url();
    let url = url.expose_secret();
    let restored = match (sqlite_path(url), &command.file) {
        (Some(database), Some(file)) => in_place(&config, database, file, command.keep_sessions).await?,
        (None, None) => afterwards(url, command.keep_sessions).await?,
        (Some(_), None) => return Err(Failure::Misused("name the backup: vestibule restore FILE")),
        (None, Some(_)) => {
            return Err(Failure::Misused(
                "restore PostgreSQL with pg_restore, then run vestibule restore without a file",
            ));
        }
    };
    if command.common.json {
        let Restored { ended, replaced } = restored;
        let answer = json!({ "version": LATEST, "ended": ended, "replaced": replaced });
        output::line(format_args!("{answer:#}"));
    } else {
        output::line(text(&restored));
    }
    Ok(())
}

async fn in_place(config: &Config, database: &Path, file: &Path, keep: bool) -> Result<Restored, Failure> {
    if config.database.url.is_none() {
        secrets::make_folder(&config.server.data_dir)?;
    }
    Ok(restore(database, file, keep, SystemClock.now()).await?)
}

async fn afterwards(url: &str, keep: bool) -> Result<Restored, Failure> {
    let db = Db::open(url, 2).await?;
    if schema_version(&db).await?.is_none() {
        return Err(Failure::Misused("the database is none of Vestibule: restore it with pg_restore first"));
    }
    db.migrate().await?;
    let ended = if keep {
        None
    } else {
        let mut tx = db.write().await?;
        let ended = end_all(&mut tx).await?;
        tx.commit().await?;
        Some(ended)
    };
    db.close().await;
    Ok(Restored { ended, replaced: None })
}

fn text(restored: &Restored) -> String {
    let mut text = format!("Restored. The database has version {LATEST}.");
    if let Some(replaced) = &restored.replaced {
        text += &format!("\nThe one before is kept: {}", replaced.display());
    }
    text += &match restored.ended {
        Some(Ended { sessions, logins, codes, links, messages, trusted_browsers }) => format!(
            "\nEnded: {sessions} session(s), {logins} pending login(s), {codes} code(s), {links} mailed link(s), \
             {messages} queued message(s), {trusted_browsers} trusted browser(s)."
        ),
        None => "\nSessions, codes and links are as they were at the backup.".to_owned(),
    };
    text
}

//! `vestibule import`: accounts from elsewhere, into the database itself. One file for each kind of source.

mod django;
mod django_settings;
mod file;

use clap::{Args, Subcommand};
use serde_json::json;
use vestibule_base::security::SystemClock;
use vestibule_transfer::{Ids, Importer, Note, Options, Report, Source, Watcher};

use super::{Common, Failure, open};
use crate::output;

/// A line of progress for so many accounts.
const TOLD_EVERY: u64 = 10_000;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Command {
    #[command(subcommand)]
    from: Option<From>,
    #[command(flatten)]
    file: file::FromFile,
}

/// Sources that are no files of accounts.
#[derive(Debug, Subcommand)]
enum From {
    /// Take over the users of a Django project with django-allauth, from its database. Nothing is changed there.
    Django(Box<django::Command>),
    /// Print a configuration file made of a Django project's settings, and what has no place in it.
    DjangoSettings(django_settings::Command),
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    crate::telemetry::start("warn");
    match command.from {
        Some(From::Django(command)) => django::run(*command).await,
        Some(From::DjangoSettings(command)) => django_settings::run(&command),
        None => file::run(command.file).await,
    }
}

/// What all sources have in common.
#[derive(Debug, Args)]
struct How {
    /// What the source is called. Within it an account is known by its id, whenever it comes again: give each source a
    /// name of its own, and the same one in every run.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Do everything and keep nothing of it: what would be taken, and what not?
    #[arg(long)]
    dry_run: bool,
    /// Give an account another id if its own is in use here. Else it is not taken.
    #[arg(long)]
    renumber: bool,
    /// Give every account a new id.
    #[arg(long, conflicts_with = "renumber")]
    new_ids: bool,
    /// Take accounts even if none of their second factors can be taken: a password alone then opens them.
    #[arg(long)]
    lose_second_factors: bool,
    /// How many accounts are taken in one transaction.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: u16,
    #[command(flatten)]
    common: Common,
}

/// Takes the accounts of `source`, which is called `name` unless the command line calls it something else; tells how it
/// went.
async fn take(how: &How, name: &str, source: &mut impl Source) -> Result<(), Failure> {
    let config = how.common.settings.prepare()?;
    let (db, keyring) = open(&config).await?;
    let name = how.source.as_deref().unwrap_or(name);
    let options = Options {
        ids: match (how.renumber, how.new_ids) {
            (_, true) => Ids::New,
            (true, false) => Ids::Renumber,
            (false, false) => Ids::Keep,
        },
        dry_run: how.dry_run,
        lose_second_factors: how.lose_second_factors,
        batch: usize::from(how.batch),
        ..Options::new(name)
    };
    let mut teller = Teller { json: how.common.json, dry_run: how.dry_run, told: 0 };
    let importer = Importer::new(&db, &keyring, &config, &SystemClock, options);
    let report = importer.run(source, &mut teller).await;
    db.close().await;
    let report = report?;
    if how.common.json {
        output::line(json!({ "dry_run": how.dry_run, "source": name, "report": report }));
    } else {
        output::line(summary(&report, name, how.dry_run));
    }
    Ok(())
}

fn summary(report: &Report, source: &str, dry_run: bool) -> String {
    let verb = if dry_run { "would be taken" } else { "taken" };
    let mut text = format!(
        "{} {verb} ({} of them not whole), {} already there, {} not taken.",
        report.taken, report.partial, report.already_there, report.skipped
    );
    for (reason, count) in &report.reasons {
        text.push_str(&format!("\n{count:>8}  {reason}"));
    }
    if report.already_there > 0 {
        text.push_str(&format!(
            "\nThose that were already there were taken before as accounts of \"{source}\". Are these others, of another \
             system? Then give it a name of its own: --source NAME."
        ));
    }
    text
}

/// Tells on standard error what goes on, in JSON on standard output.
struct Teller {
    json: bool,
    dry_run: bool,
    told: u64,
}

impl Watcher for Teller {
    fn note(&mut self, note: &Note) {
        if self.json {
            output::line(json!(note));
            return;
        }
        let fate = match note.user_id {
            None => "not taken".to_owned(),
            // Its id is made up.
            Some(_) if self.dry_run => "taken".to_owned(),
            Some(id) => format!("user {id}"),
        };
        output::complain(format_args!("{}: {fate}: {}", note.place, note.problems.join("; ")));
    }

    fn progress(&mut self, report: &Report) {
        let seen = report.taken + report.already_there + report.skipped;
        if seen / TOLD_EVERY > self.told {
            self.told = seen / TOLD_EVERY;
            output::complain(format_args!("{seen} accounts"));
        }
    }
}

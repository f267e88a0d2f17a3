//! Taking accounts in: batch by batch, each in one transaction, so that a run that broke off is finished by another.

use std::collections::BTreeMap;

use serde::Serialize;
use vestibule_base::config::Config;
use vestibule_base::security::{Clock, Keyring};
use vestibule_base::storage::{Db, StorageError};

use crate::source::{ReadError, Source};

/// What becomes of ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ids {
    /// Kept; an account whose id is in use is not taken.
    #[default]
    Keep,
    /// Kept; an account whose id is in use gets another one.
    Renumber,
    /// Every account gets a new one.
    New,
}

/// How accounts are taken in.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the source is called: within it, an account is known by its `source_id`, whenever it comes again.
    pub source: String,
    /// What becomes of ids.
    pub ids: Ids,
    /// Do everything, and keep nothing of it. One transaction: meanwhile nobody else writes to a SQLite database.
    pub dry_run: bool,
    /// Take an account even if none of its second factors can be taken: it is then open to whoever knows its password.
    pub lose_second_factors: bool,
    /// Accounts in a transaction, 500 unless there is a reason.
    pub batch: usize,
}

impl Options {
    /// The usual ones for the source of this name.
    #[must_use]
    pub fn new(source: impl Into<String>) -> Self {
        Self { source: source.into(), ids: Ids::Keep, dry_run: false, lose_second_factors: false, batch: 500 }
    }
}

/// What became of the accounts so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Taken in.
    pub taken: u64,
    /// Of those, not whole: something of them was left out.
    pub partial: u64,
    /// Taken in by an earlier run.
    pub already_there: u64,
    /// Not taken.
    pub skipped: u64,
    /// How often which reason stood in the way of an account or of a part of it.
    pub reasons: BTreeMap<&'static str, u64>,
}

/// What was not taken of an account, or not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Where it stands in the source.
    pub place: String,
    /// Its key there, if it could be read.
    pub source_id: Option<String>,
    /// Its id here; `None`: it was not taken.
    pub user_id: Option<i64>,
    /// What was not taken and why, each in a line. No secrets.
    pub problems: Vec<String>,
}

/// Is told how it goes.
pub trait Watcher: Send {
    /// Something was not taken as it was.
    fn note(&mut self, note: &Note);
    /// A batch is done, for good unless it is a dry run.
    fn progress(&mut self, report: &Report);
}

/// Looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Watcher for Quiet {
    fn note(&mut self, _: &Note) {}
    fn progress(&mut self, _: &Report) {}
}

/// Why not all accounts were gone through. Batches that were told to the watcher are there for good.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database does not take it.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// No random bytes to encrypt secrets with.
    #[error(transparent)]
    NoEntropy(#[from] vestibule_base::security::NoEntropy),
}

/// Takes accounts in.
#[derive(Debug)]
pub struct Importer<'a> {
    db: &'a Db,
    keyring: &'a Keyring,
    config: &'a Config,
    clock: &'a dyn Clock,
    options: Options,
}

impl<'a> Importer<'a> {
    /// Into `db`, which must have been migrated. `keyring` seals secrets; `config` has the rules of names and addresses.
    #[must_use]
    pub fn new(
        db: &'a Db,
        keyring: &'a Keyring,
        config: &'a Config,
        clock: &'a dyn Clock,
        options: Options,
    ) -> Self {
        Self { db, keyring, config, clock, options }
    }

    /// Takes what `source` gives. Running it again adds what is new, and nothing twice. Sends no mails.
    ///
    /// # Errors
    /// [`ImportError`]; then run it again, it goes on where it stood.
    pub async fn run(
        &self,
        source: &mut impl Source,
        watcher: &mut dyn Watcher,
    ) -> Result<Report, ImportError> {
        let mut report = Report::default();
        let _ = (self.db, self.keyring, self.config, self.clock);
        while !source.next(self.options.batch).await?.is_empty() {
            report.skipped += 1;
            watcher.progress(&report);
        }
        Ok(report)
    }
}

//! Taking accounts in: batch by batch, each in one transaction, so that a run that broke off is finished by another.

mod batch;
mod prepare;
mod reason;
mod rows;

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use serde::Serialize;
use vestibule_base::config::Config;
use vestibule_base::security::{Clock, Keyring, NoEntropy};
use vestibule_base::storage::{Db, StorageError};

use crate::source::{Item, ReadError, Source};
use batch::{Fate, MadeUp};
use prepare::Ready;
use reason::{Problem, Reason};

/// How often a batch is tried that meets what others do to the database at the same time.
const TRIES: usize = 3;
/// A breath between batches, in which a server gets its turn at writing to a SQLite database.
const BREATH: Duration = Duration::from_millis(10);

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
    NoEntropy(#[from] NoEntropy),
    /// A passkey cannot be written down: a mistake of ours.
    #[error("a passkey cannot be written down: {0}")]
    Written(#[from] serde_json::Error),
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
        let (mut report, mut seen) = (Report::default(), Seen::default());
        // A dry run is one transaction, so that accounts meet those of earlier batches as in a real one.
        let mut dry = match self.options.dry_run {
            true => Some((self.db.write().await?, MadeUp::new())),
            false => None,
        };
        loop {
            let items = source.next(self.options.batch.max(1)).await?;
            if items.is_empty() {
                // With the transaction, all that a dry run did is gone.
                return Ok(report);
            }
            let ready = self.prepare(items, &mut seen, &mut report, watcher);
            let fates = match &mut dry {
                Some((tx, made_up)) => batch::write(self, tx, &ready, Some(made_up)).await?,
                None => self.write(&ready).await?,
            };
            for (account, fate) in ready.into_iter().zip(fates) {
                report.count(account, fate, watcher);
            }
            watcher.progress(&report);
            if dry.is_none() {
                tokio::time::sleep(BREATH).await;
            }
        }
    }

    fn prepare(
        &self,
        items: Vec<Item>,
        seen: &mut Seen,
        report: &mut Report,
        watcher: &mut dyn Watcher,
    ) -> Vec<Ready> {
        let now = self.clock.now();
        let mut ready = Vec::with_capacity(items.len());
        for item in items {
            match prepare::prepare(self.config, now, item) {
                Ok(account) if seen.is_new(&account.source_id) => ready.push(account),
                // Were it taken for one of an earlier run, somebody would be missed by nobody.
                Ok(account) => {
                    let what = format!("source_id {:?}: came before in this source", account.source_id);
                    let fate = Fate::Skipped(vec![Reason::Twice.because(what)]);
                    report.count(account, fate, watcher);
                }
                Err(hopeless) => {
                    report.skipped += 1;
                    report.tell(hopeless.place, hopeless.source_id, None, hopeless.problems, watcher);
                }
            }
        }
        ready
    }

    /// One transaction, tried again if somebody else has just made what it meets.
    async fn write(&self, ready: &[Ready]) -> Result<Vec<Fate>, ImportError> {
        let mut tries = 1..TRIES;
        loop {
            let mut tx = self.db.write().await?;
            match batch::write(self, &mut tx, ready, None).await {
                Err(ImportError::Storage(StorageError::Taken)) if tries.next().is_some() => {}
                Err(error) => return Err(error),
                Ok(fates) => {
                    tx.commit().await?;
                    return Ok(fates);
                }
            }
        }
    }
}

/// The accounts that a run has met: eight bytes of each, by a hash that nobody can foresee.
#[derive(Debug, Default)]
struct Seen {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl Seen {
    fn is_new(&mut self, source_id: &str) -> bool {
        self.hashes.insert(self.hasher.hash_one(source_id))
    }
}

impl Report {
    fn count(&mut self, account: Ready, fate: Fate, watcher: &mut dyn Watcher) {
        let (user_id, problems) = match fate {
            Fate::AlreadyThere => {
                self.already_there += 1;
                return;
            }
            Fate::Taken { id, problems } => {
                self.taken += 1;
                self.partial += u64::from(!problems.is_empty());
                (Some(id), problems)
            }
            Fate::Skipped(problems) => {
                self.skipped += 1;
                (None, problems)
            }
        };
        self.tell(account.place, Some(account.source_id), user_id, problems, watcher);
    }

    fn tell(
        &mut self,
        place: String,
        source_id: Option<String>,
        user_id: Option<i64>,
        problems: Vec<Problem>,
        watcher: &mut dyn Watcher,
    ) {
        if problems.is_empty() {
            return;
        }
        for problem in &problems {
            *self.reasons.entry(problem.reason.name()).or_default() += 1;
        }
        let problems = problems.into_iter().map(|problem| problem.what).collect();
        watcher.note(&Note { place, source_id, user_id, problems });
    }
}

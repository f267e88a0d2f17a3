//! Migrations and every SQL statement. One set of statements serves SQLite and PostgreSQL.
//!
//! Times are [`Millis`](crate::security::Millis), flags are 0 or 1, JSON is text. A statement that finds nothing
//! gives `None`; a value that cannot be there gives [`StorageError::Broken`].
//!
//! A transaction takes its locks in one order, so that no two wait for each other: the limits of the request, the user,
//! the limits of what is sent to them, the session, after these what belongs to user or session, and last the limits of
//! text messages, of which a network's counts for all its users.

pub mod authenticators;
mod backup;
mod db;
pub mod deliveries;
pub mod emails;
pub mod events;
pub mod exports;
pub mod imports;
pub mod instances;
pub mod limits;
pub mod links;
pub mod logins;
pub mod mailbox;
mod migrate;
pub mod outbox;
pub mod phones;
pub mod processes;
pub mod profiles;
pub mod provider_flows;
mod readers;
mod restore;
pub mod search;
pub mod sessions;
pub mod social;
pub mod tokens;
pub mod trust;
pub mod users;

pub use backup::{BackupError, backup};
pub use db::{Conn, Db, Row, Val, sqlite_path};
pub use migrate::{LATEST, schema_version};
pub use readers::{Reader, Readers};
pub use restore::{Ended, RestoreError, Restored, end_all, restore};

/// Why a statement did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The database does not answer, or not in time. Worth another try later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A row with the same key exists.
    #[error("a row with this key exists already")]
    Taken,
    /// What a row belongs to is gone.
    #[error("what this row belongs to is gone")]
    Orphan,
    /// The database holds what cannot be.
    #[error("broken row: {0}")]
    Broken(String),
    /// The database was made by a newer Vestibule.
    #[error(
        "the database has version {found}, this binary knows versions up to {known}: start the newer binary, or restore a backup made before the upgrade"
    )]
    Newer {
        /// Version found in the database.
        found: i64,
        /// Newest version that this binary knows.
        known: i64,
    },
    /// The URL of the database is no good.
    #[error("database.url: {0}")]
    Url(String),
    /// A statement was refused: a mistake of ours.
    #[error("statement refused: {0}")]
    Refused(String),
}

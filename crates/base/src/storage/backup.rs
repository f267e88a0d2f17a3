//! A copy of a SQLite database, made while it is in use. PostgreSQL brings tools of its own for that.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::StorageError;
use super::db::BUSY;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Nothing to copy.
    #[error("there is no database at {path}: name the configuration that the server uses", path = .0.display())]
    NoDatabase(PathBuf),
    /// The copy would replace something.
    #[error("{path} exists already: name a new file", path = .0.display())]
    Exists(PathBuf),
    /// The copy's file or folder cannot be used.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The database could not be read, or the copy not be written.
    #[error("cannot copy the database: {0}")]
    Storage(#[from] StorageError),
}

/// Copies the SQLite database in the file `database` to the new file `copy`, readable by its owner only: the database
/// as it is at one moment, while others go on reading and writing it. When this returns, the copy is on the disk; until
/// then there is no file of this name that has anything in it.
///
/// # Errors
/// [`BackupError`]; then no copy is left.
pub async fn backup(database: &Path, copy: &Path) -> Result<(), BackupError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| BackupError::File { path, source }
    };
    if !database.try_exists().map_err(failed(database))? {
        return Err(BackupError::NoDatabase(database.to_owned()));
    }
    // Absolute: so that SQLite takes no name for a URI.
    let copy = std::path::absolute(copy).map_err(failed(copy))?;
    create_new(&copy).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(copy.clone()),
        _ => failed(&copy)(source),
    })?;
    let partial = beside(&copy, ".partial");
    let made = async {
        create_new(&partial).map_err(failed(&partial))?;
        vacuum(database, &partial).await?;
        File::open(&partial).and_then(|file| file.sync_all()).map_err(failed(&partial))?;
        put(&partial, &copy).map_err(failed(&copy))
    };
    let made = made.await;
    if made.is_err() {
        for file in [partial, copy] {
            let _ = fs::remove_file(file);
        }
    }
    made
}

async fn vacuum(database: &Path, copy: &Path) -> Result<(), BackupError> {
    let name = copy.to_str().ok_or_else(|| BackupError::File {
        path: copy.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidInput, "SQLite takes only names in UTF-8"),
    })?;
    let options =
        SqliteConnectOptions::new().filename(database).busy_timeout(BUSY).disable_statement_logging();
    let mut conn = options.connect().await.map_err(StorageError::from)?;
    sqlx::query("VACUUM INTO $1").bind(name).execute(&mut conn).await.map_err(StorageError::from)?;
    conn.close().await.map_err(StorageError::from)?;
    Ok(())
}

/// A new file, readable by its owner only.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Gives the file `from` the name `to` in the same folder, in place of what had it, for good.
pub(super) fn put(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    // So that the name survives a power cut.
    let folder = to.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// `path` with `suffix` after its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

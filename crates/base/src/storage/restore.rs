//! Going back to a backup. What it held open is ended: whoever was logged out, or used a code, after it was made would
//! be in again, or could use it again.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection};

use super::backup::{beside, create_new, put};
use super::db::BUSY;
use super::{Conn, Db, LATEST, StorageError, migrate};
use crate::security::{Millis, NoEntropy, random};
use crate::vals;

/// How many rows one statement removes, so that none takes long.
const AT_ONCE: i64 = 5000;
/// SQLite's primary codes of errors.
const IN_USE: u32 = 5;
const LOCKED: u32 = 6;
const CORRUPT: u32 = 11;
const NOT_A_DATABASE: u32 = 26;

/// How many of what was ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Ended {
    /// Sessions, and all that belongs to them: refresh tokens, what is counted below.
    pub sessions: i64,
    /// Logins that waited for a further step.
    pub logins: i64,
    /// Codes that were awaited.
    pub codes: i64,
    /// Keys in mailed links.
    pub links: i64,
    /// Messages that waited to be sent.
    pub messages: i64,
    /// Browsers that were not asked for a second factor.
    pub trusted_browsers: i64,
}

/// Ends everything that a backup held open. Users, addresses, numbers, passwords and the counters of limits stay.
///
/// Messages go without exception. Most hold a code or a key, which is dead now. The others are notices, which the server
/// that went on after the backup has sent long ago; and no message can be told from another without the secret key,
/// which need not be the one that it was sealed under.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn end_all(tx: &mut Conn) -> Result<Ended, StorageError> {
    let ended = Ended {
        sessions: count(tx, "SELECT count(*) FROM sessions").await?,
        logins: count(tx, "SELECT count(*) FROM logins").await?,
        codes: count(tx, "SELECT count(*) FROM processes").await?,
        links: count(tx, "SELECT count(*) FROM links").await?,
        messages: count(tx, "SELECT count(*) FROM outbox").await?,
        trusted_browsers: count(tx, "SELECT count(*) FROM trusts").await?,
    };
    // Logins, processes and refresh tokens belong to sessions, and go with them.
    for sql in [
        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions LIMIT $1)",
        "DELETE FROM links WHERE id IN (SELECT id FROM links LIMIT $1)",
        "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox LIMIT $1)",
        "DELETE FROM trusts WHERE id IN (SELECT id FROM trusts LIMIT $1)",
        // A backup that others may have read is restored under another secret key.
        "DELETE FROM key_mark WHERE id IN (SELECT id FROM key_mark LIMIT $1)",
        "DELETE FROM leases WHERE name IN (SELECT name FROM leases LIMIT $1)",
    ] {
        while tx.execute(sql, vals![AT_ONCE]).await? > 0 {}
    }
    Ok(ended)
}

async fn count(tx: &mut Conn, sql: &'static str) -> Result<i64, StorageError> {
    tx.maybe(sql, vec![]).await?.map_or(Ok(0), |row| row.int(0))
}

/// Why the database is still what it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup is something else.
    #[error("{path} is not a database of Vestibule", path = .0.display())]
    NotOurs(PathBuf),
    /// The backup has come to harm.
    #[error("{path} is damaged ({what}): take another backup", path = path.display())]
    Damaged {
        /// The backup.
        path: PathBuf,
        /// The first thing that is wrong with it.
        what: String,
    },
    /// The backup is a part of a database.
    #[error("{path} is a database in use, or a part of one: its latest writes are in {path}-wal. Make a backup of it with vestibule backup", path = .0.display())]
    Part(PathBuf),
    /// Somebody uses the database that is to be replaced.
    #[error("{path} is in use: stop the server, then restore", path = .0.display())]
    InUse(PathBuf),
    /// A file or folder cannot be used.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// A database cannot be used.
    #[error("{path}: {source}", path = path.display())]
    Storage {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        source: StorageError,
    },
    /// No random name for a file.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

/// What a restore has done.
#[derive(Debug)]
pub struct Restored {
    /// What was ended; `None` if it was to be kept.
    pub ended: Option<Ended>,
    /// Where the database that was replaced is now, if there was one.
    pub replaced: Option<PathBuf>,
}

/// Puts the SQLite database in the file `backup` in the place of `database`, brought up to this binary's version, and
/// with what it held open ended unless `keep`. `now` goes into the name under which the replaced one is kept.
///
/// Everything is done to a copy beside it, which then takes the place in one step: whatever happens, `database` is the
/// old one or the complete new one, and at no moment the backup with its sessions alive.
///
/// # Errors
/// [`RestoreError`]; then `database` holds what it held.
pub async fn restore(
    database: &Path,
    backup: &Path,
    keep: bool,
    now: Millis,
) -> Result<Restored, RestoreError> {
    // A link would be replaced itself, rather than the file that it leads to.
    let database = &database.canonicalize().unwrap_or_else(|_| database.to_owned());
    // Before anything is locked: to close a file drops all locks that this process has on it.
    let copy = Copy::of(backup, database)?;
    let mut present = Present::hold(database).await?;
    let highest = present.highest_ids().await;
    let ended = copy.prepare(backup, keep, highest).await?;
    let replaced = present.keep(now)?;
    put(&copy.0, database).map_err(failed(database))?;
    present.release().await;
    Ok(Restored { ended, replaced })
}

/// The copy of a backup, beside the database whose place it will take. Removed when dropped before that.
struct Copy(PathBuf);

impl Copy {
    fn of(backup: &Path, database: &Path) -> Result<Self, RestoreError> {
        if fs::metadata(beside(backup, "-wal")).is_ok_and(|wal| wal.len() > 0) {
            return Err(RestoreError::Part(backup.to_owned()));
        }
        let mut from = File::open(backup).map_err(failed(backup))?;
        let mark = u64::from_ne_bytes(random::bytes()?);
        let path = beside(database, &format!(".restoring-{mark:016x}"));
        let mut to = create_new(&path).map_err(failed(&path))?;
        let copy = Self(path);
        io::copy(&mut from, &mut to).map_err(failed(backup))?;
        Ok(copy)
    }

    /// Judges the copy and makes of it what is to be served.
    async fn prepare(
        &self,
        backup: &Path,
        keep: bool,
        highest: Vec<(String, i64)>,
    ) -> Result<Option<Ended>, RestoreError> {
        let of_backup = |source| RestoreError::Storage { path: backup.to_owned(), source };
        self.inspect(backup).await?;
        let db = Db::open(&format!("sqlite://{}", self.0.display()), 1).await.map_err(of_backup)?;
        let ended = async {
            match migrate::schema_version(&db).await.map_err(of_backup)? {
                None => return Err(RestoreError::NotOurs(backup.to_owned())),
                Some(found) if found > LATEST => {
                    return Err(of_backup(StorageError::Newer { found, known: LATEST }));
                }
                Some(_) => {}
            }
            let change = async {
                db.migrate().await?;
                let mut tx = db.write().await?;
                continue_ids(&mut tx, highest).await?;
                let ended = if keep { None } else { Some(end_all(&mut tx).await?) };
                tx.commit().await?;
                Ok(ended)
            };
            change.await.map_err(of_backup)
        };
        let ended = ended.await;
        // Takes what is in the -wal file into the database, and removes that.
        db.close().await;
        let ended = ended?;
        if beside(&self.0, "-wal").exists() {
            let source = StorageError::Unavailable("the log could not be taken into the database".into());
            return Err(RestoreError::Storage { path: self.0.clone(), source });
        }
        File::open(&self.0).and_then(|file| file.sync_all()).map_err(failed(&self.0))?;
        Ok(ended)
    }

    /// Refuses what is no sound database.
    async fn inspect(&self, backup: &Path) -> Result<(), RestoreError> {
        let path = backup.to_owned();
        let found = async {
            let options = SqliteConnectOptions::new().filename(&self.0).disable_statement_logging();
            let mut conn = options.connect().await?;
            let found: String = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut conn).await?;
            conn.close().await?;
            Ok(found)
        };
        match found.await {
            Ok(found) if found == "ok" => Ok(()),
            Ok(what) => Err(RestoreError::Damaged { path, what: what.replace('\n', " ") }),
            Err(error) => Err(match primary_code(&error) {
                Some(CORRUPT) => {
                    RestoreError::Damaged { path, what: "it is cut off, or was written over".into() }
                }
                Some(NOT_A_DATABASE) => RestoreError::NotOurs(path),
                _ => RestoreError::Storage { path, source: error.into() },
            }),
        }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(beside(&self.0, suffix));
        }
    }
}

/// Goes on with the ids where the replaced database stood. An application knows people by these, and would take
/// somebody new for the one who had the id after the backup was made.
async fn continue_ids(tx: &mut Conn, highest: Vec<(String, i64)>) -> Result<(), StorageError> {
    for (table, id) in highest {
        let raised = tx
            .execute(
                "UPDATE sqlite_sequence SET seq = max(seq, $2) WHERE name = $1",
                vals![table.as_str(), id],
            )
            .await?;
        if raised == 0 {
            tx.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)", vals![table, id]).await?;
        }
    }
    Ok(())
}

/// The database that is to be replaced, if there is one.
struct Present<'a> {
    path: &'a Path,
    /// Holds it to the exclusion of all others. `None`: nothing is there, or nothing that SQLite could open.
    lock: Option<SqliteConnection>,
}

impl<'a> Present<'a> {
    async fn hold(path: &'a Path) -> Result<Self, RestoreError> {
        if !path.try_exists().map_err(failed(path))? {
            return Ok(Self { path, lock: None });
        }
        // Only the sole connection can leave the mode WAL, and it takes the -wal file into the database. A server that
        // starts meanwhile has entered WAL again, which shows below, or waits for the lock and cannot enter it any
        // more: SQLite sees that the file's name has gone to another.
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Delete)
            .busy_timeout(BUSY)
            .disable_statement_logging();
        let lock = async {
            let mut conn = options.connect().await?;
            sqlx::query("BEGIN EXCLUSIVE").execute(&mut conn).await?;
            let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut conn).await?;
            Ok((mode == "delete").then_some(conn))
        };
        match lock.await {
            Ok(Some(conn)) => Ok(Self { path, lock: Some(conn) }),
            Ok(None) => Err(RestoreError::InUse(path.to_owned())),
            Err(error) => match primary_code(&error) {
                Some(IN_USE | LOCKED) => Err(RestoreError::InUse(path.to_owned())),
                // A reason to restore.
                Some(CORRUPT | NOT_A_DATABASE) => Ok(Self { path, lock: None }),
                _ => Err(RestoreError::Storage { path: path.to_owned(), source: error.into() }),
            },
        }
    }

    /// The highest id that each table has given.
    async fn highest_ids(&mut self) -> Vec<(String, i64)> {
        let Some(conn) = &mut self.lock else { return Vec::new() };
        let ids = sqlx::query_as("SELECT name, seq FROM sqlite_sequence").fetch_all(conn).await;
        // Without such a table it is none of ours, or an empty one.
        ids.unwrap_or_default()
    }

    /// Gives it a second name, under which it stays when the first goes to another; gives that name.
    fn keep(&self, now: Millis) -> Result<Option<PathBuf>, RestoreError> {
        if !self.path.try_exists().map_err(failed(self.path))? {
            return Ok(None);
        }
        let time = Timestamp::from_millisecond(now).unwrap_or_default().strftime("%Y%m%dT%H%M%S%.3fZ");
        let kept = beside(self.path, &format!(".before-restore-{time}"));
        // A link: so that at every moment there is a database in this place.
        fs::hard_link(self.path, &kept).map_err(failed(&kept))?;
        // Only a broken one still has these. Left behind, they would be taken for the new one's.
        for suffix in ["-wal", "-journal", "-shm"] {
            match fs::rename(beside(self.path, suffix), beside(&kept, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed(self.path)(error));
                }
                _ => {}
            }
        }
        Ok(Some(kept))
    }

    async fn release(self) {
        if let Some(conn) = self.lock {
            // It has changed nothing: what does not close politely is dropped.
            let _ = conn.close().await;
        }
    }
}

fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?;
    Some(code.parse::<u32>().ok()? & 0xff)
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> RestoreError + use<> {
    let path = path.to_owned();
    move |source| RestoreError::File { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::backup;

    /// Tables that a restore leaves as they are in the backup.
    const SURVIVE: &[&str] = &[
        "authenticators",
        "emails",
        "events",
        "imports",
        "limits",
        "mailbox",
        "phones",
        "profiles",
        "schema_version",
        "social_accounts",
        "social_tokens",
        "spent_proofs",
        "users",
        // Posted again, if they were; receivers tell repetitions by their ids.
        "webhook_deliveries",
    ];
    /// Tables whose rows it removes.
    const END: &[&str] = &[
        "key_mark",
        "leases",
        "links",
        "logins",
        "outbox",
        "processes",
        "provider_flows",
        "sessions",
        "tokens",
        "trusts",
    ];
    const NOW: Millis = 1_800_000_000_000;
    const KEPT: &str = "db.before-restore-20270115T080000.000Z";
    const FILL: &[&str] = &[
        "INSERT INTO users (id, username, password, created_at) VALUES (7, 'ada', 'hash', 1)",
        "INSERT INTO emails (user_id, email) VALUES (7, 'ada@example.org')",
        "INSERT INTO imports (source, source_id, user_id) VALUES ('s', '7', 7)",
        "INSERT INTO phones (user_id, phone) VALUES (7, '+31201234567')",
        "INSERT INTO profiles (user_id, fields) VALUES (7, '{}')",
        "INSERT INTO authenticators (user_id, kind, secret, created_at) VALUES (7, 'totp', 's', 1)",
        "INSERT INTO key_mark (id, mark) VALUES (1, 'm')",
        "INSERT INTO leases (name, until) VALUES ('sweep', 9)",
        "INSERT INTO trusts (token_hash, user_id, mark, expires_at) VALUES ('t', 7, 'm', 9)",
        "INSERT INTO limits (bucket, hits, expires_at) VALUES ('b', 'h', 9)",
        "INSERT INTO mailbox (channel, recipient, message, received_at) VALUES ('mail', 'ada', '{}', 1)",
        "INSERT INTO sessions (id, token_hash, client, ip, user_agent, created_at, last_seen_at, expires_at)
         VALUES (1, 'one', 'app', '', '', 1, 1, 9), (2, 'two', 'app', '', '', 1, 1, 9)",
        "INSERT INTO logins (session_id, user_id, stage, state, started_at) VALUES (1, 7, 's', '{}', 1)",
        "INSERT INTO processes (session_id, kind, address, attempts_left, state, expires_at)
         VALUES (1, 'k', 'a', 3, '{}', 9)",
        "INSERT INTO links (kind, key_hash, user_id, email, expires_at) VALUES ('k', 'h', 7, 'a', 9)",
        "INSERT INTO provider_flows (name_hash, session_id, provider, process, callback_url, memory, expires_at)
         VALUES ('n', 1, 'p', 'login', '/', 'm', 9)",
        "INSERT INTO social_accounts (id, user_id, provider, uid, extra_data, created_at, last_login_at)
         VALUES (1, 7, 'p', 'u', '{}', 1, 1)",
        "INSERT INTO social_tokens (account_id, access) VALUES (1, 'a')",
        "INSERT INTO spent_proofs (proof_hash, spent_at, expires_at) VALUES ('h', 1, 9)",
        "INSERT INTO outbox (channel, message, created_at, due_at) VALUES ('mail', 'm', 1, 1)",
        "INSERT INTO events (at, kind, user_id, actor, detail) VALUES (1, 'logged_in', 7, 'user', '')",
        "INSERT INTO webhook_deliveries (webhook, message_id, kind, body, created_at, due_at)
         VALUES ('w', 'm', 'logged_in', '{}', 1, 1)",
    ];

    async fn open(path: &Path) -> Db {
        let db = Db::open(&format!("sqlite://{}", path.display()), 2).await.unwrap();
        db.migrate().await.unwrap();
        db
    }

    async fn filled(path: &Path) -> Db {
        let db = open(path).await;
        let mut tx = db.write().await.unwrap();
        for sql in FILL {
            tx.execute(sql, vec![]).await.unwrap();
        }
        tx.commit().await.unwrap();
        db
    }

    async fn tables(db: &Db) -> Vec<(String, i64)> {
        let mut conn = db.read().await.unwrap();
        let list =
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name";
        let mut tables = Vec::new();
        for row in conn.all(list, vec![]).await.unwrap() {
            let name = row.text(0).unwrap();
            let sql: &'static str = format!("SELECT count(*) FROM {name}").leak();
            tables.push((name, count(&mut conn, sql).await.unwrap()));
        }
        tables
    }

    fn files(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn x7_what_is_open_ends_and_what_belongs_to_people_stays() {
        let folder = tempfile::tempdir().unwrap();
        let db = filled(&folder.path().join("db")).await;
        let mut tx = db.write().await.unwrap();
        let ended = end_all(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            ended,
            Ended { sessions: 2, logins: 1, codes: 1, links: 1, messages: 1, trusted_browsers: 1 }
        );
        for (table, rows) in tables(&db).await {
            let (survives, ends) = (SURVIVE.contains(&table.as_str()), END.contains(&table.as_str()));
            assert!(
                survives != ends,
                "decide in storage/restore.rs: does {table} survive a restore, or end?"
            );
            assert_eq!(rows > 0, survives, "{table} has {rows} rows");
        }
    }

    #[tokio::test]
    async fn x7_ids_given_after_the_backup_are_given_to_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("db"), folder.path().join("copy"));
        let db = filled(&path).await;
        backup(&path, &copy).await.unwrap();
        let mut tx = db.write().await.unwrap();
        tx.execute("INSERT INTO users (id, username, created_at) VALUES (40, 'bob', 1)", vec![])
            .await
            .unwrap();
        tx.commit().await.unwrap();
        db.close().await;
        restore(&path, &copy, false, NOW).await.unwrap();
        let db = open(&path).await;
        let mut tx = db.write().await.unwrap();
        let next = "INSERT INTO users (username, created_at) VALUES ('eve', 1) RETURNING id";
        assert_eq!(tx.maybe(next, vec![]).await.unwrap().unwrap().int(0).unwrap(), 41);
    }

    #[tokio::test]
    async fn x7_a_database_that_is_broken_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("db"), folder.path().join("copy"));
        filled(&path).await.close().await;
        backup(&path, &copy).await.unwrap();
        fs::write(&path, [b'x'; 9000]).unwrap();
        let kept = restore(&path, &copy, true, NOW).await.unwrap().replaced.unwrap();
        assert_eq!(kept, folder.path().canonicalize().unwrap().join(KEPT));
        assert_eq!(fs::read(&kept).unwrap(), [b'x'; 9000]);
        assert_eq!(files(folder.path()), ["copy", "db", KEPT]);
        assert!(tables(&open(&path).await).await.contains(&("sessions".to_owned(), 2)));
    }

    #[test]
    fn x7_the_log_of_a_broken_database_does_not_become_that_of_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        for suffix in ["", "-wal", "-shm", "-journal"] {
            fs::write(beside(&path, suffix), suffix).unwrap();
        }
        let kept = Present { path: &path, lock: None }.keep(NOW).unwrap().unwrap();
        assert_eq!(fs::read_to_string(beside(&kept, "-wal")).unwrap(), "-wal");
        assert!(path.exists(), "at every moment there is a database");
        assert_eq!(files(folder.path()).iter().filter(|name| name.starts_with("db-")).count(), 0);
    }

    #[tokio::test]
    async fn x7_who_opened_the_replaced_file_a_moment_before_cannot_write_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("db"), folder.path().join("copy"));
        filled(&path).await.close().await;
        backup(&path, &copy).await.unwrap();
        // A server that starts at this moment has opened the file, and waits for the lock to enter the mode WAL.
        let present = Present::hold(&path).await.unwrap();
        let mut late = SqliteConnectOptions::new()
            .filename(&path)
            .busy_timeout(std::time::Duration::ZERO)
            .connect()
            .await
            .unwrap();
        present.keep(NOW).unwrap();
        put(&copy, &path).unwrap();
        present.release().await;
        let refused = sqlx::query("PRAGMA journal_mode = WAL").execute(&mut late).await.unwrap_err();
        assert!(refused.to_string().contains("readonly"), "{refused}");
        assert_eq!(files(folder.path()), ["db", KEPT]);
    }
}

//! A database for each test, on every kind of database that Vestibule runs on.

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::Connection;
use tempfile::TempDir;
use tokio::sync::OnceCell;
use vestibule_base::storage::Db;

use crate::cluster::{Cluster, ClusterError, Durability};
use crate::scratch;

/// What folders of SQLite files are named after.
const SQLITE: &str = "vestibule-sqlite-";

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    /// SQLite, in a file.
    Sqlite,
    /// PostgreSQL, in a private cluster of this process.
    Postgres,
}

impl Backend {
    /// Those that tests run on here: both, or SQLite alone on a machine without PostgreSQL, which is then said
    /// past the test harness' capture.
    ///
    /// # Panics
    /// If there is no PostgreSQL and `VESTIBULE_TEST_REQUIRE_POSTGRES=1`, as on a build machine.
    #[must_use]
    pub fn all() -> &'static [Self] {
        static ALL: OnceLock<&[Backend]> = OnceLock::new();
        ALL.get_or_init(|| match shared() {
            Ok(_) => &[Self::Sqlite, Self::Postgres],
            Err(error) => {
                assert!(!postgres_is_required(), "VESTIBULE_TEST_REQUIRE_POSTGRES=1, but {error}");
                let _ = writeln!(std::io::stderr(), "NOT TESTED ON POSTGRESQL, only on SQLite: {error}");
                &[Self::Sqlite]
            }
        })
    }
}

/// A database with the current schema, for one test. Dropped, it is gone.
#[derive(Debug)]
pub struct TestDatabase {
    /// As in the setting `database.url`.
    pub url: String,
    _home: Home,
}

#[derive(Debug)]
enum Home {
    Folder { _folder: TempDir },
    Shared { cluster: &'static Cluster, name: String },
    Own { _cluster: Cluster },
}

impl TestDatabase {
    /// A database that loses what it was told last if the machine crashes.
    ///
    /// # Panics
    /// If there is none to be had; so for all below.
    pub async fn create(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => Self::sqlite(scratch::folder(SQLITE), true).await,
            Backend::Postgres => Self::postgres(true).await,
        }
    }

    /// The same without tables, for tests of the migrations.
    pub async fn empty(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => Self::sqlite(scratch::folder(SQLITE), false).await,
            Backend::Postgres => Self::postgres(false).await,
        }
    }

    /// A database that keeps what it has answered, in a cluster of its own. For crash tests and measurements.
    pub async fn durable(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => {
                let folder = tempfile::Builder::new().prefix(SQLITE).tempdir();
                Self::sqlite(folder, true).await
            }
            Backend::Postgres => {
                let cluster = Cluster::start(Durability::Durable).expect("a durable cluster");
                let url = cluster.create("test").await.expect("a database in it");
                Self { url, _home: Home::Own { _cluster: cluster } }
            }
        }
    }

    /// Runs a script of SQL in it, such as a dump of somebody else's tables.
    pub async fn run(&self, script: &'static str) {
        match &self._home {
            Home::Folder { .. } => {
                let url = format!("{}?mode=rwc", self.url);
                let mut conn = sqlx::SqliteConnection::connect(&url).await.expect("a file");
                sqlx::raw_sql(script).execute(&mut conn).await.expect("the script");
                conn.close().await.expect("a written file");
            }
            Home::Shared { .. } | Home::Own { .. } => {
                let mut conn = sqlx::PgConnection::connect(&self.url).await.expect("a connection");
                sqlx::raw_sql(script).execute(&mut conn).await.expect("the script");
            }
        }
    }

    async fn sqlite(folder: std::io::Result<TempDir>, migrated: bool) -> Self {
        let folder = folder.expect("a temporary folder");
        let path = folder.path().join("test.sqlite3");
        let url = format!("sqlite://{}", path.display());
        if migrated {
            static TEMPLATE: OnceCell<Vec<u8>> = OnceCell::const_new();
            let template = async {
                let db = Db::open(&url, 1).await.expect("a new file");
                db.migrate().await.expect("the schema");
                db.close().await;
                std::fs::read(&path).expect("the file just made")
            };
            let template = TEMPLATE.get_or_init(|| template).await;
            std::fs::write(&path, template).expect("a copy of the file");
        }
        Self { url, _home: Home::Folder { _folder: folder } }
    }

    async fn postgres(migrated: bool) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let cluster = shared().as_ref().unwrap_or_else(|error| panic!("{error}"));
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let made = if migrated { cluster.create(&name).await } else { cluster.create_empty(&name).await };
        let url = made.expect("a new database");
        Self { url, _home: Home::Shared { cluster, name } }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Self::Shared { cluster, name } = self {
            cluster.remove(name);
        }
    }
}

/// Runs the same test on every database, each on a runtime of its own, SQLite first.
///
/// ```no_run
/// # use vestibule_testkit::database::{on_both, TestDatabase};
/// on_both(async |backend| {
///     let database = TestDatabase::create(backend).await;
/// });
/// ```
///
/// # Panics
/// As the test does.
#[expect(clippy::print_stderr, reason = "captured with the test: a failure shows which database it was on")]
pub fn on_both(test: impl AsyncFn(Backend)) {
    for backend in Backend::all() {
        eprintln!("on {backend:?}");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime for the test").block_on(test(*backend));
    }
}

/// The cluster that this process' tests share, started at its first use.
fn shared() -> &'static Result<Cluster, ClusterError> {
    static SHARED: OnceLock<Result<Cluster, ClusterError>> = OnceLock::new();
    SHARED.get_or_init(|| Cluster::start(Durability::Fast))
}

#[expect(clippy::disallowed_methods, reason = "a switch of the test run, not a setting of the server")]
fn postgres_is_required() -> bool {
    std::env::var("VESTIBULE_TEST_REQUIRE_POSTGRES").is_ok_and(|value| value == "1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use vestibule_base::vals;

    #[test]
    fn databases_are_separate_and_have_the_schema() {
        on_both(async |backend| {
            let (one, two) = (TestDatabase::create(backend).await, TestDatabase::create(backend).await);
            let (one, two) = (Db::open(&one.url, 2).await.unwrap(), Db::open(&two.url, 2).await.unwrap());
            let mut tx = one.write().await.unwrap();
            tx.execute("INSERT INTO users (username, created_at) VALUES ($1, 1)", vals!["ann"])
                .await
                .unwrap();
            tx.commit().await.unwrap();
            for (db, users) in [(&one, 1), (&two, 0)] {
                let mut conn = db.read().await.unwrap();
                assert_eq!(conn.all("SELECT id FROM users", vals![]).await.unwrap().len(), users);
            }
        });
    }

    #[test]
    fn an_empty_database_can_be_migrated() {
        on_both(async |backend| {
            let database = TestDatabase::empty(backend).await;
            let db = Db::open(&database.url, 1).await.unwrap();
            assert!(db.read().await.unwrap().all("SELECT id FROM users", vals![]).await.is_err());
            db.migrate().await.unwrap();
        });
    }

    #[test]
    fn a_dropped_cluster_leaves_nothing_behind() {
        let Ok(cluster) = Cluster::start(Durability::Durable) else { return };
        let url = cluster.url("postgres");
        let folder = std::path::PathBuf::from(url.split_once("host=").unwrap().1);
        assert!(folder.exists());
        drop(cluster);
        assert!(!folder.exists());
    }
}

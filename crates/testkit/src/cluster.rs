//! A private PostgreSQL cluster, started from the installed programs and gone with the process that started it.
//!
//! A shell supervises it and waits for the end of a pipe that only this process holds. However this process ends,
//! by a panic or SIGKILL too, the pipe closes; the shell then stops the server and removes its folder.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sqlx::{Connection, PgConnection};
use tokio::sync::{OnceCell, mpsc, oneshot};
use vestibule_base::storage::{Db, StorageError};

use crate::scratch;

/// Whether what the cluster has answered survives a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It does not: nothing waits for the disk. For tests.
    Fast,
    /// It does, as in use. For crash tests and measurements.
    Durable,
}

/// Why there is no cluster or no database in it.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// `initdb`, `pg_ctl` and `postgres` are not together in any folder looked in.
    #[error(
        "PostgreSQL's programs (initdb, pg_ctl, postgres) are neither in PATH nor in /usr/lib/postgresql/*/bin"
    )]
    NotInstalled,
    /// They are, but did not bring up a server; with what they said.
    #[error("PostgreSQL did not start: {0}")]
    Start(String),
    /// The server refused a statement, or is gone.
    #[error("PostgreSQL: {0}")]
    Statement(String),
    /// The schema could not be made.
    #[error(transparent)]
    Schema(#[from] StorageError),
}

/// How a server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It ends all connections and their transactions, in good order.
    Fast,
    /// As if it had crashed: the next start recovers.
    Immediate,
}

/// A running cluster that listens on a Unix socket only. Dropped, or when the process ends, it is gone.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    /// Of the server, beside its socket.
    options: String,
    statements: mpsc::UnboundedSender<Statement>,
    /// Holds the database that new ones are copied from.
    template: OnceCell<()>,
    supervisor: Child,
}

/// The role that owns everything; the cluster trusts whoever reaches its socket.
const ROLE: &str = "vestibule";
const TEMPLATE: &str = "migrated";

/// Sets up and starts a cluster in the folder `$2` with the programs of `$1` and the server options `$3`, says
/// "ready" or "failed", and cleans up when its input ends. Signals for the tests' process group are not for it.
const SUPERVISE: &str = r#"
trap '' HUP INT TERM PIPE
cd "$2" &&
"$1/initdb" -D data -U vestibule --auth=trust --no-sync -E UTF8 --locale=C >log 2>&1 </dev/null &&
"$1/pg_ctl" start -D data -l log -w -t 60 -s -o "-k '$2' $3" >log.start 2>&1 </dev/null &&
echo ready || echo failed
cat >/dev/null
"$1/pg_ctl" stop -D data -m immediate -s >/dev/null 2>&1
cd / && rm -rf "$2"
"#;

impl Cluster {
    /// Sets up and starts a cluster: a second or two. Blocks.
    ///
    /// # Errors
    /// [`ClusterError::NotInstalled`] or [`ClusterError::Start`].
    pub fn start(durability: Durability) -> Result<Self, ClusterError> {
        let programs = programs().ok_or(ClusterError::NotInstalled)?;
        let start = |error: std::io::Error| ClusterError::Start(error.to_string());
        let folder = match durability {
            Durability::Fast => scratch::folder("vestibule-pg-"),
            Durability::Durable => tempfile::Builder::new().prefix("vestibule-pg-").tempdir(),
        };
        let folder = folder.map_err(start)?;
        let mut options = "-c listen_addresses='' -c max_connections=200".to_owned();
        if durability == Durability::Fast {
            options += " -c fsync=off -c synchronous_commit=off -c full_page_writes=off";
        }
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SUPERVISE, "vestibule-pg"]).arg(&programs).arg(folder.path()).arg(&options);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        if fs::metadata(folder.path()).map_err(start)?.uid() == 0 {
            // PostgreSQL refuses to run as root.
            let (user, group) = unprivileged().map_err(start)?;
            chown(folder.path(), Some(user), Some(group)).map_err(start)?;
            command.uid(user).gid(group);
        }
        let mut supervisor = command.spawn().map_err(start)?;
        // From here on the folder is the supervisor's to remove.
        let folder = folder.keep();
        let mut said = String::new();
        if let Some(output) = supervisor.stdout.take() {
            BufReader::new(output).read_line(&mut said).map_err(start)?;
        }
        let (statements, queue) = mpsc::unbounded_channel();
        let cluster = Self { folder, options, statements, template: OnceCell::new(), supervisor };
        if said != "ready\n" {
            return Err(ClusterError::Start(cluster.complaint()));
        }
        let url = cluster.url("postgres");
        std::thread::Builder::new()
            .name("pg-administrator".to_owned())
            .spawn(move || administrate(&url, queue))
            .map_err(start)?;
        Ok(cluster)
    }

    /// Stops the server; [`Cluster::go_on`] starts it again. No database can be made in it from then on.
    ///
    /// # Errors
    /// [`ClusterError::Start`] with what its programs said.
    pub fn stop(&self, how: Stop) -> Result<(), ClusterError> {
        let mode = match how {
            Stop::Fast => "fast",
            Stop::Immediate => "immediate",
        };
        self.control(&["stop", "-w", "-m", mode])
    }

    /// Starts a stopped server.
    ///
    /// # Errors
    /// [`ClusterError::Start`] with what its programs said.
    pub fn go_on(&self) -> Result<(), ClusterError> {
        let options = format!("-k '{}' {}", self.folder.display(), self.options);
        self.control(&["start", "-w", "-t", "60", "-l", "log", "-o", &options])
    }

    fn control(&self, arguments: &[&str]) -> Result<(), ClusterError> {
        let start = |error: std::io::Error| ClusterError::Start(error.to_string());
        let programs = programs().ok_or(ClusterError::NotInstalled)?;
        let mut command = Command::new(programs.join("pg_ctl"));
        command.args(arguments).args(["-D", "data", "-s"]).current_dir(&self.folder);
        // What it starts goes on, and must hold nothing of ours open.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let owner = fs::metadata(&self.folder).map_err(start)?;
        if owner.uid() != fs::metadata("/proc/self").map_or(owner.uid(), |this| this.uid()) {
            command.uid(owner.uid()).gid(owner.gid());
        }
        if command.status().map_err(start)?.success() {
            Ok(())
        } else {
            Err(ClusterError::Start(self.complaint()))
        }
    }

    /// The URL of a database of this cluster.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}@localhost/{database}?host={}", self.folder.display())
    }

    /// Makes an empty database and gives its URL. The name is letters, digits and underscores.
    ///
    /// # Errors
    /// [`ClusterError::Statement`].
    pub async fn create_empty(&self, database: &str) -> Result<String, ClusterError> {
        self.run(format!("CREATE DATABASE {database} TEMPLATE template0")).await?;
        Ok(self.url(database))
    }

    /// Makes a database with the current schema and gives its URL. The name is letters, digits and underscores.
    ///
    /// # Errors
    /// [`ClusterError::Statement`] or [`ClusterError::Schema`].
    pub async fn create(&self, database: &str) -> Result<String, ClusterError> {
        let template = async {
            let url = self.create_empty(TEMPLATE).await?;
            let db = Db::open(&url, 1).await?;
            db.migrate().await?;
            db.close().await;
            Ok::<_, ClusterError>(())
        };
        self.template.get_or_try_init(|| template).await?;
        self.run(format!("CREATE DATABASE {database} TEMPLATE {TEMPLATE}")).await?;
        Ok(self.url(database))
    }

    /// Removes a database, whoever still uses it, at some later moment.
    pub fn remove(&self, database: &str) {
        let sql = format!("DROP DATABASE {database} WITH (FORCE)");
        // The administrator is gone only when the cluster is.
        let _ = self.statements.send(Statement { sql, answer: None });
    }

    async fn run(&self, sql: String) -> Result<(), ClusterError> {
        let gone = || ClusterError::Statement("the cluster is gone".to_owned());
        let (answer, answered) = oneshot::channel();
        self.statements.send(Statement { sql, answer: Some(answer) }).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?.map_err(|error| ClusterError::Statement(error.to_string()))
    }

    /// What its programs said, when they did not start it.
    fn complaint(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        match ["log.start", "log"].map(read).concat() {
            said if said.is_empty() => format!("its user has no access to {}", self.folder.display()),
            said => said,
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
        // Only where its user may not: the supervisor has removed it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A statement that no database can run about itself, such as its creation.
struct Statement {
    sql: String,
    answer: Option<oneshot::Sender<Result<(), sqlx::Error>>>,
}

/// Runs statements until the cluster is dropped. On a thread with a runtime of its own, because each test has one
/// and a connection does not outlive the runtime that it was opened on.
fn administrate(url: &str, mut queue: mpsc::UnboundedReceiver<Statement>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime for the administrator");
    runtime.block_on(async {
        let mut connection = PgConnection::connect(url).await.expect("a connection for the administrator");
        while let Some(Statement { sql, answer }) = queue.recv().await {
            let result = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.map(drop);
            if let Some(answer) = answer {
                let _ = answer.send(result);
            }
        }
    });
}

/// The folder of PostgreSQL's programs: the first in PATH that has them all, else the newest version installed.
fn programs() -> Option<PathBuf> {
    let complete = |folder: &Path| ["initdb", "pg_ctl", "postgres"].iter().all(|p| folder.join(p).is_file());
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(folder) = std::env::split_paths(&path).find(|folder| complete(folder)) {
        return Some(folder);
    }
    fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|folder| complete(folder))
        .max_by_key(|folder| {
            let version = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
            version.and_then(|version| version.parse::<u32>().ok())
        })
}

/// The user and group to run as instead of root.
fn unprivileged() -> std::io::Result<(u32, u32)> {
    let users = BufReader::new(File::open("/etc/passwd")?).lines().collect::<Result<Vec<_>, _>>()?;
    let find = |name: &str| {
        users.iter().find_map(|line| {
            let mut fields = line.split(':');
            let is_it = fields.next() == Some(name);
            let (user, group) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            is_it.then_some((user, group))
        })
    };
    find("postgres").or_else(|| find("nobody")).ok_or_else(|| {
        std::io::Error::other(
            "this is root, which PostgreSQL refuses, and there is no user postgres or nobody",
        )
    })
}

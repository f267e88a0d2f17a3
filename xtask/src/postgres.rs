//! A private PostgreSQL cluster on a Unix socket, from the installed programs, for a task that needs one.
//!
//! A shell keeps it and waits for the end of a pipe that only this process holds, so that the cluster is stopped and
//! removed however this process ends.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// With the programs in `$1`, in the folder `$2`.
const KEEP: &str = r#"
trap '' HUP INT TERM PIPE
cd "$2" &&
"$1/initdb" -D data -U vestibule --auth=trust --no-sync -E UTF8 --locale=C >log 2>&1 </dev/null &&
"$1/pg_ctl" start -D data -l log -w -t 60 -s >>log 2>&1 </dev/null -o "-k '$2' -c listen_addresses='' -c max_connections=200 -c fsync=off -c synchronous_commit=off -c full_page_writes=off" &&
echo ready || { echo failed; cat log >&2; }
cat >/dev/null
"$1/pg_ctl" stop -D data -m immediate -s >/dev/null 2>&1
cd / && rm -rf "$2"
"#;

/// Where the programs are when they are not in `PATH`.
const INSTALLED: &str = "/usr/lib/postgresql";

/// A running cluster that forgets everything when it is dropped.
pub(crate) struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
    keeper: Child,
}

impl Cluster {
    /// Starts one: a second or two.
    pub(crate) fn start() -> Result<Self, String> {
        let programs =
            programs().ok_or("PostgreSQL's programs (initdb, pg_ctl, createdb) are not installed")?;
        let folder = std::env::temp_dir().join(format!("vestibule-x-{}", std::process::id()));
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        std::fs::create_dir(&folder).map_err(failed)?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", KEEP, "postgres"]).arg(&programs).arg(&folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        if std::fs::metadata(&folder).map_err(failed)?.uid() == 0 {
            // PostgreSQL refuses to run as root; its package makes this user.
            let (user, group) = (id("-u")?, id("-g")?);
            chown(&folder, Some(user), Some(group)).map_err(failed)?;
            command.uid(user).gid(group);
        }
        let mut keeper = command.spawn().map_err(|error| format!("sh: {error}"))?;
        let mut said = String::new();
        if let Some(output) = keeper.stdout.take() {
            BufReader::new(output).read_line(&mut said).map_err(failed)?;
        }
        let cluster = Self { programs, folder, keeper };
        if said == "ready\n" { Ok(cluster) } else { Err("PostgreSQL did not start".to_owned()) }
    }

    /// The URL of a database in it.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://vestibule@localhost/{database}?host={}", self.folder.display())
    }

    /// A command for a shell that creates a database in it.
    pub(crate) fn create_command(&self, database: &str) -> String {
        let (program, socket) = (self.programs.join("createdb"), self.folder.display());
        format!("'{}' -h '{socket}' -U vestibule {database}", program.display())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        // Only where its user may not.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The folder of the programs: the first in `PATH` that has them all, else the newest version installed.
fn programs() -> Option<PathBuf> {
    let complete =
        |folder: &Path| ["initdb", "pg_ctl", "createdb"].iter().all(|name| folder.join(name).is_file());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut versions: Vec<PathBuf> = std::fs::read_dir(INSTALLED)
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    std::env::split_paths(&path).chain(versions.into_iter().rev()).find(|folder| complete(folder))
}

/// The number of PostgreSQL's user or group, as `id` says it.
fn id(which: &str) -> Result<u32, String> {
    let said =
        Command::new("id").args([which, "postgres"]).output().map_err(|error| format!("id: {error}"))?;
    let number = String::from_utf8_lossy(&said.stdout).trim().parse();
    number.map_err(|_| "this is root, which PostgreSQL refuses, and there is no user postgres".to_owned())
}

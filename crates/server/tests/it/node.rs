//! Packages of npm, for tests that need what only Node or a browser runs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// The lock file of npm, by which is known what a folder holds.
const LOCK: &str = "package-lock.json";

/// A folder below `target/` that holds `files`, by their names, and the packages that the lock file among them lists, which
/// the first run installs. Nothing, but said aloud, with what is `skipped`, where Node or the packages are not to be had.
pub(crate) fn packages(name: &str, files: &[(&str, &str)], skipped: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    match install(&folder, files) {
        Ok(()) => Some(folder),
        Err(lack) => {
            let required = variable("VESTIBULE_TEST_REQUIRE_NODE") == "1";
            assert!(!required, "VESTIBULE_TEST_REQUIRE_NODE=1, but {lack}");
            // Past the capture of the test runner, which would keep it to itself.
            let _ = writeln!(std::io::stderr(), "SKIPPED: {skipped} ({lack})");
            None
        }
    }
}

/// Puts files and packages into a folder, unless an earlier run did.
fn install(folder: &Path, files: &[(&str, &str)]) -> Result<(), String> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock();
    let node = Command::new("node").arg("--version").output();
    node.map_err(|error| format!("node: {error}"))?;
    fs::create_dir_all(folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    // A copy of the list says that they are all there.
    let wanted = files.iter().find(|(name, _)| *name == LOCK).unwrap().1;
    let note = folder.join("node_modules/installed");
    if fs::read_to_string(&note).is_ok_and(|present| present == wanted) {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--fetch-retries=1"]).current_dir(folder);
    let output = npm.stdin(Stdio::null()).output().map_err(|error| format!("npm: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("npm: {}", said.lines().find(|line| line.contains("error")).unwrap_or("failed")));
    }
    fs::write(note, wanted).unwrap();
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "about the test run, no setting of the server")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

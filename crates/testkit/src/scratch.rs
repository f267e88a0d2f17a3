//! Where files go that need not survive: into memory if the machine has room there, which makes a new PostgreSQL
//! database some seven times faster than a disk.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// Free space below which memory is left alone; containers often have 64 MiB there.
const ROOM_KIB: u64 = 1024 * 1024;

/// A folder in memory, or else in the system's temporary folder.
///
/// # Errors
/// If it cannot be made.
pub(crate) fn folder(prefix: &str) -> std::io::Result<TempDir> {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    let place = PLACE.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        if free_kib(memory) >= Some(ROOM_KIB) { memory.to_owned() } else { std::env::temp_dir() }
    });
    tempfile::Builder::new().prefix(prefix).tempdir_in(place)
}

/// Asks `df`, as the standard library cannot say.
fn free_kib(folder: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg(folder).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

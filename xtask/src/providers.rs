//! Recorded logins at third parties, played through the engine. The large collection is no part of this repository: it is
//! looked for beside it.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::{Outcome, cargo, root, say};

/// Plays a folder of cases: the one that `arguments` begin with, else the collection, else the repository's own.
pub(crate) fn run(arguments: &[OsString]) -> Outcome {
    let is_option = |argument: &OsString| argument.to_string_lossy().starts_with('-');
    let (folder, options): (OsString, &[OsString]) = match arguments.split_first() {
        Some((folder, options)) if !is_option(folder) => {
            // Cargo runs elsewhere.
            let folder =
                std::path::absolute(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            (folder.into(), options)
        }
        _ => (cases().into(), arguments),
    };
    say(&format!("Logins recorded in {}\n", folder.display()));
    let options: Vec<_> = std::iter::once(folder).chain(options.iter().cloned()).collect();
    cargo(&["run", "--quiet", "--package", "vestibule-providers", "--example", "play", "--"], &options)
}

fn cases() -> PathBuf {
    let collection = root().join("../shared/providers/fixtures");
    if collection.is_dir() { collection } else { root().join("crates/providers/cases") }
}

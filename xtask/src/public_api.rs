//! What the library promises: its public items, a line each, as rustdoc sees them.
//!
//! rustdoc writes JSON on nightly alone. The pinned stable one can, too, if told so; what it writes then changes with the
//! toolchain, and with it the version of the crate that reads it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::{cargo_program, root, run, target};

/// The list of today.
pub(crate) fn list() -> Result<String, String> {
    let rustdoc = target().join("rustdoc-json");
    allow_json(&rustdoc).map_err(|error| format!("{}: {error}", rustdoc.display()))?;
    run(Command::new(cargo_program())
        .args(["rustdoc", "--quiet", "--package", "vestibule", "--lib"])
        .args(["--", "-Z", "unstable-options", "--output-format", "json"])
        .env("RUSTDOC", &rustdoc)
        .current_dir(root()))?;
    let api = public_api::Builder::from_rustdoc_json(target().join("doc/vestibule.json"))
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .map_err(|error| format!("the public items of vestibule: {error}"))?;
    Ok(api.to_string())
}

/// For rustdoc alone: cargo would build all dependencies anew for a compiler that is told so.
fn allow_json(path: &Path) -> std::io::Result<()> {
    fs::write(path, "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\"\n")?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

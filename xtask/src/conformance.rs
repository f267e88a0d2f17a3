//! The black-box suite that plays recorded scenarios. It is no part of this repository: it is looked for beside it.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::postgres::Cluster;
use crate::{Outcome, cargo, root, say, target};

/// What the product stands on: a database, or three instances over one.
const FOUNDATIONS: [&str; 3] = ["sqlite", "postgres", "instances"];

/// Plays everything, or what `arguments` choose, on all of these, or on the one after `--on`.
pub(crate) fn run(arguments: &[OsString]) -> Outcome {
    let Some(suite) = suite()? else {
        say("SKIPPED: there is no ../shared/conformance, so the conformance suite was not played \
             (CONFORMANCE_DIR names another place).\n");
        return Ok(());
    };
    let (foundations, arguments) = foundations(arguments)?;
    // The build of the tests: an optimised one would take longer to make than it saves.
    cargo(&["build"], &[])?;
    set_up(&suite)?;
    // All are played, so that one report tells of both.
    let mut failed = Vec::new();
    for foundation in foundations {
        say(&format!("Conformance on {foundation}\n"));
        if let Err(error) = play(&suite, foundation, &arguments) {
            failed.push(format!("{foundation}: {error}"));
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

fn play(suite: &Path, foundation: &str, arguments: &[OsString]) -> Outcome {
    let program = target().join("debug/vestibule");
    let mut command = Command::new(suite.join("run"));
    let server = if foundation == "instances" {
        let this = std::env::current_exe().map_err(|error| format!("xtask: {error}"))?;
        format!("'{}' balanced '{}' {{config}}", this.display(), program.display())
    } else {
        format!("'{}' serve --config {{config}}", program.display())
    };
    command.args(["--quiet", "--cmd", &server]);
    command.args(arguments).env("RUST_LOG", "warn");
    let cluster = if foundation == "sqlite" { None } else { Some(Cluster::start()?) };
    if let Some(cluster) = &cluster {
        command.arg("--database").arg(cluster.url("conformance_{n}"));
        command.arg("--before").arg(cluster.create_command("conformance_{n}"));
    }
    judge(&mut command)
}

/// Runs the suite. A scenario may fail if `docs/compatibility.md` names it: there we depart on purpose.
fn judge(command: &mut Command) -> Outcome {
    let departures = std::fs::read_to_string(root().join("docs/compatibility.md"))
        .map_err(|error| format!("docs/compatibility.md: {error}"))?;
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| format!("the suite: {error}"))?;
    let output = child.stdout.take().ok_or("the suite: no output")?;
    let mut unexpected = Vec::new();
    let mut ended = false;
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| format!("the suite: {error}"))?;
        say(&format!("{line}\n"));
        ended |= line.ends_with(" failed") && line.contains(" passed, ");
        let Some(name) = line.strip_prefix("FAIL ").and_then(|rest| rest.split(['[', ' ']).next()) else {
            continue;
        };
        if departures.contains(&format!("`{name}`")) {
            say("    (a departure that docs/compatibility.md names)\n");
        } else {
            unexpected.push(name.to_owned());
        }
    }
    child.wait().map_err(|error| format!("the suite: {error}"))?;
    match (ended, unexpected.as_slice()) {
        (false, _) => Err("the suite did not come to its end".to_owned()),
        (true, []) => Ok(()),
        (true, names) => Err(format!("{} scenarios differ: {}", names.len(), names.join(", "))),
    }
}

/// The folder of the suite, if there is one.
fn suite() -> Result<Option<PathBuf>, String> {
    if let Some(named) = std::env::var_os("CONFORMANCE_DIR") {
        let folder = PathBuf::from(named);
        return if folder.join("run").is_file() {
            Ok(Some(folder))
        } else {
            Err(format!("CONFORMANCE_DIR: there is no suite in {}", folder.display()))
        };
    }
    let beside = root().join("../shared/conformance");
    Ok(beside.join("run").is_file().then_some(beside))
}

/// Lets the suite install what it needs, unless it runs already.
fn set_up(suite: &Path) -> Outcome {
    let runs = Command::new(suite.join("run")).arg("--list").output();
    if runs.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    say("Setting up the conformance suite\n");
    crate::run(Command::new(suite.join("run")).arg("setup"))
}

/// Takes `--on FOUNDATION` out of the arguments.
fn foundations(arguments: &[OsString]) -> Result<(Vec<&'static str>, Vec<OsString>), String> {
    let mut rest = arguments.to_vec();
    let Some(at) = rest.iter().position(|argument| argument == "--on") else {
        return Ok((FOUNDATIONS.to_vec(), rest));
    };
    let chosen = FOUNDATIONS.into_iter().find(|name| rest.get(at + 1).is_some_and(|given| given == name));
    rest.drain(at..rest.len().min(at + 2));
    chosen
        .map(|name| (vec![name], rest))
        .ok_or_else(|| format!("--on takes one of {}", FOUNDATIONS.join(", ")))
}

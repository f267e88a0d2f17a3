//! The task runner: `cargo x TASK`. Every task that people or the build machine run is here, in one command.

mod balanced;
mod conformance;
mod dist;
mod examples;
mod http;
mod postgres;
mod providers;
mod screenshots;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "\
Usage: cargo x TASK [ARGUMENTS]

  run [ARGUMENTS]          serve on http://localhost:8000, optimised (arguments go to vestibule)
  fmt                      format the code
  lint                     formatting, clippy and the libraries' documentation, warnings are errors
  test [ARGUMENTS]         all tests (arguments go to cargo test)
  docs [--check]           write docs/settings.md and docs/providers.md from the program; --check only
                           compares
  deny                     licences, sources and doubles of dependencies, with cargo-deny
  conformance [ARGUMENTS]  the black-box suite on SQLite, on PostgreSQL, and on three instances behind a
                           balancer (--on sqlite|postgres|instances for one; other arguments go to the
                           suite)
  balanced PROGRAM CONFIG  these three instances, by themselves
  providers [DIR] [ARGUMENTS]
                           logins recorded at third parties, a line for each (--only PROVIDER, --verbose)
  screenshots              take the pictures of the portal in docs/images, with Chromium
  examples                 the examples of backends that verify tokens, in Python and Node
  bench [ARGUMENTS]        the load benchmark
  dist [TARGET]            the static binary of a release, tried out, with checksum and list of components,
                           in target/dist
  check                    what the build machine runs: lint, test, docs --check, deny,
                           examples, providers, conformance
";

/// What a task ends with: nothing, or one line that says what went wrong.
type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let task = arguments.next().unwrap_or_default();
    let rest: Vec<OsString> = arguments.collect();
    let outcome = match task.to_str().unwrap_or_default() {
        "run" => cargo(&["run", "--release", "--"], &rest),
        "fmt" => cargo(&["fmt", "--all"], &rest),
        "lint" => lint(),
        "test" => cargo(&["test", "--workspace"], &rest),
        "docs" => docs(rest.iter().any(|argument| argument == "--check")),
        "deny" => deny(),
        "examples" => examples::run(),
        "balanced" => balanced::run(&rest),
        "conformance" => conformance::run(&rest),
        "providers" => providers::run(&rest),
        "screenshots" => screenshots::run(),
        "bench" => {
            cargo(&["run", "--release", "--package", "vestibule-testkit", "--bin", "bench", "--"], &rest)
        }
        "dist" => dist::run_task(&rest),
        "check" => check(),
        "" | "help" | "--help" | "-h" => {
            say(USAGE);
            Ok(())
        }
        other => Err(format!("no task {other}\n\n{USAGE}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(io::stderr(), "xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn lint() -> Outcome {
    cargo(&["fmt", "--all", "--check"], &[])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"], &[])?;
    // The libraries alone: the program has the name of one of them.
    let libraries =
        ["vestibule", "vestibule-core", "vestibule-providers", "vestibule-base", "vestibule-transfer"];
    let mut arguments = vec!["doc", "--no-deps", "--config", "build.rustdocflags=['--deny','warnings']"];
    arguments.extend(libraries.iter().flat_map(|library| ["--package", library]));
    cargo(&arguments, &[])
}

fn docs(only_compare: bool) -> Outcome {
    for (page, command) in [("docs/settings.md", "reference"), ("docs/providers.md", "providers")] {
        let program = Command::new(cargo_program())
            .args(["run", "--quiet", "--", "config", command])
            .current_dir(root())
            .output()
            .map_err(|error| format!("cargo: {error}"))?;
        if !program.status.success() {
            return Err(String::from_utf8_lossy(&program.stderr).into_owned());
        }
        let path = root().join(page);
        if !only_compare {
            std::fs::write(&path, program.stdout).map_err(|error| format!("{page}: {error}"))?;
        } else if !std::fs::read(&path).is_ok_and(|present| present == program.stdout) {
            return Err(format!("{page} is stale: run cargo x docs"));
        }
    }
    Ok(())
}

fn deny() -> Outcome {
    let there = Command::new(cargo_program()).args(["deny", "--version"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        say("SKIPPED: cargo-deny is not installed, so licences and sources were not checked.\n");
        return Ok(());
    }
    cargo(&["deny", "check", "bans", "licenses", "sources"], &[])?;
    // The list of advisories lives elsewhere and may be out of reach: that is no fault of the change at hand.
    let fetched = cargo(&["deny", "fetch", "db"], &[]);
    if let Err(error) = fetched {
        say(&format!("SKIPPED: advisories were not checked, their list is out of reach ({error}).\n"));
        return Ok(());
    }
    cargo(&["deny", "check", "advisories"], &[])
}

fn check() -> Outcome {
    lint()?;
    cargo(&["test", "--workspace"], &[])?;
    docs(true)?;
    deny()?;
    examples::run()?;
    providers::run(&[])?;
    conformance::run(&[])
}

/// Runs cargo in the workspace; its output is the task's output.
fn cargo(fixed: &[&str], more: &[OsString]) -> Outcome {
    run(Command::new(cargo_program()).args(fixed).args(more).current_dir(root()))
}

/// Runs a command to its end.
fn run(command: &mut Command) -> Outcome {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} ended with {status}")),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

fn cargo_program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The folder of the workspace.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Where cargo puts what it builds.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |target| root().join(target))
}

fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

//! Plays recorded logins through the engine, and prints what came of them: a line for each provider. Each recording holds
//! what goes over the wire and who comes of it; nothing leaves this process.

mod advice;
mod app;
mod case;
mod difference;
mod expectation;
mod keys;
mod mend;
mod oauth1;
mod placeholder;
mod play;
mod report;
mod request;
mod rule;
mod script;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use vestibule_base::outbound::Outbound;

use crate::keys::Keys;
use crate::report::Report;

const USAGE: &str = "\
Usage: play DIR [--only PROVIDER] [--verbose]

Plays every case of every DIR/*.json. --only plays one provider, --verbose shows all that differs and not only the first.
";

struct Arguments {
    folder: PathBuf,
    only: Option<String>,
    verbose: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        let _ = io::stderr().write_all(USAGE.as_bytes());
        return ExitCode::from(2);
    };
    match run(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "play: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Option<Arguments> {
    let (mut folder, mut only, mut verbose) = (None, None, false);
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--only" => only = Some(given.next()?),
            "--verbose" => verbose = true,
            _ if argument.starts_with('-') || folder.is_some() => return None,
            _ => folder = Some(PathBuf::from(argument)),
        }
    }
    Some(Arguments { folder: folder?, only, verbose })
}

async fn run(arguments: &Arguments) -> Result<bool, String> {
    let keys = Arc::new(Keys::read(&arguments.folder)?);
    let outbound = Outbound::new().map_err(|error| error.to_string())?;
    let mut report = Report::new(arguments.verbose);
    for path in files(&arguments.folder)? {
        let file = mend::read(&path)?;
        if arguments.only.as_ref().is_some_and(|only| *only != file.provider) {
            continue;
        }
        report.provider(&file.provider);
        for case in &file.cases {
            let (verdict, used) = play::play(&file.provider, case, &file.cases, &keys, &outbound).await;
            report.case(case, &verdict, &used);
        }
        for (name, error) in &file.unreadable {
            report.unreadable(name, error);
        }
    }
    report.write(&mut io::stdout().lock()).map_err(|error| error.to_string())
}

/// The files of cases, in the order of their names.
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let wrong = |error: io::Error| format!("{}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        let is_keys = path.file_name().is_some_and(|name| name == "test_keys.json");
        if path.extension().is_some_and(|extension| extension == "json") && !is_keys {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

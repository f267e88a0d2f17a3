//! Measures the product beside bare servers of the same framework, in one run: see `--help`.
//!
//! It loads nothing but processes that it started itself, on 127.0.0.1, from a bounded number of connections.

mod bare;
mod hashing;
mod load;
mod report;
mod rounds;
mod scenarios;
mod server;
mod sizes;
mod tokens;

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use hyper::StatusCode;
use vestibule_base::storage::StorageError;
use vestibule_testkit::database::Backend;

use rounds::Timing;
use scenarios::{Plan, Scenario};

/// Measures `vestibule` beside a bare server that answers the same bytes, one that adds a primary-key SELECT, and
/// the password hash alone. Build the product first: `cargo build --release`. Targets that are missed are marked
/// and do not change the exit code.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Options {
    /// Short slices: a look, not a measurement.
    #[arg(long)]
    quick: bool,
    /// Only this scenario; may be given again.
    #[arg(long, value_enum)]
    only: Vec<Scenario>,
    /// Only this database.
    #[arg(long, value_enum)]
    database: Option<DatabaseKind>,
    /// The product's program; by default the one built beside this one.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Connections of each load.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=512))]
    connections: u16,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DatabaseKind {
    Sqlite,
    Postgres,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// A bare server, which this program starts for itself.
    #[command(hide = true)]
    Bare,
}

/// Why there are no numbers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error("cannot start: {0}")]
    Start(String),
    #[error("an answer was {got} instead of {expected}: {body}")]
    Answer { expected: StatusCode, got: StatusCode, body: String },
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Hash(#[from] argon2::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let result = match options.part {
        Some(Part::Bare) => bare().await,
        None => Box::pin(measure(options)).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(options: Options) -> Result<(), Error> {
    let binary = match options.binary {
        Some(binary) => binary,
        None => std::env::current_exe()?.with_file_name("vestibule"),
    };
    if !binary.is_file() {
        let advice = "build it first (cargo build --release) or name it with --binary";
        return Err(Error::Start(format!("{} is not there: {advice}", binary.display())));
    }
    let (warm, slice, rounds) = if options.quick { (300, 500, 3) } else { (3000, 1000, 5) };
    let (warm, slice) = (Duration::from_millis(warm), Duration::from_millis(slice));
    let plan = Plan {
        timing: Timing { warm, slice, rounds },
        connections: options.connections.into(),
        binary,
        scenarios: if options.only.is_empty() { Scenario::value_variants().to_vec() } else { options.only },
    };
    let mut output = std::io::stdout();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    writeln!(
        output,
        "{} connections, {rounds} interleaved rounds of {slice:?} after {warm:?} of warming up.\n\
         The generator, the servers and PostgreSQL share {processors} processors; rates are what is left to each. \
         CPU is the server process' own, without PostgreSQL's.",
        plan.connections
    )?;
    let chosen = |backend: &Backend| match options.database {
        None => true,
        Some(DatabaseKind::Sqlite) => *backend == Backend::Sqlite,
        Some(DatabaseKind::Postgres) => *backend == Backend::Postgres,
    };
    let mut lines = Vec::new();
    for backend in Backend::all().iter().filter(|backend| chosen(backend)) {
        lines.extend(Box::pin(scenarios::run(&plan, *backend)).await?);
    }
    write!(output, "\n{}", report::table(&lines))?;
    Ok(())
}

/// Serves as ordered by the first line of the input, until the input ends.
async fn bare() -> Result<(), Error> {
    let mut order = String::new();
    std::io::stdin().lock().read_line(&mut order)?;
    let order = serde_json::from_str(&order).map_err(|error| Error::Start(error.to_string()))?;
    let end =
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()));
    tokio::select! {
        result = bare::serve(order) => result,
        _ = end => Ok(()),
    }
}

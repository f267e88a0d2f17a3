//! Files of accounts: JSON lines, JSON and CSV.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Failure, How};

#[derive(Debug, Args)]
pub(super) struct Command {
    /// The file: what `vestibule export` wrote, or a list of accounts in JSON or CSV.
    #[arg(required = true)]
    file: PathBuf,
    /// What the file is. Without it, the end of its name tells: .jsonl, .json or .csv.
    #[arg(long)]
    format: Option<Format>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// An account a line, as `vestibule export` writes them.
    Jsonl,
    /// A list of accounts, or of flat objects with the columns of CSV.
    Json,
    /// An account a line, columns named by the first one.
    Csv,
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    let Command { file: _, format: _, how: _ } = command;
    Err(Failure::Misused("not yet"))
}

//! Files of accounts: JSON lines, JSON and CSV.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use vestibule_transfer::{Csv, JsonLines, JsonList, ReadError};

use super::{Failure, How, take};

#[derive(Debug, Args)]
pub(super) struct FromFile {
    /// The file: what `vestibule export` wrote, or a list of accounts in JSON or CSV.
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// What the file is. Without it, the end of its name tells: .jsonl, .json or .csv.
    #[arg(long)]
    format: Option<Format>,
    /// Columns of CSV to pass over, with commas between them.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    ignore_columns: Vec<String>,
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

pub(super) async fn run(command: FromFile) -> Result<(), Failure> {
    let FromFile { file, format, ignore_columns, how } = command;
    let file = file.ok_or(Failure::Misused("name a file"))?;
    let format = format.or_else(|| format_of(&file)).ok_or(Failure::Misused(
        "the name of the file does not end in .jsonl, .json or .csv: say what it is by --format",
    ))?;
    let name = file.display().to_string();
    let reader = File::open(&file)
        .map(BufReader::new)
        .map_err(|error| ReadError { place: name.clone(), reason: error.to_string() })?;
    match format {
        Format::Jsonl => {
            let mut lines = JsonLines::open(reader, &name)?;
            let source = lines.source().unwrap_or("jsonl").to_owned();
            take(&how, &source, &mut lines).await
        }
        Format::Json => take(&how, "json", &mut JsonList::open(reader, &name)?).await,
        Format::Csv => take(&how, "csv", &mut Csv::open(reader, &name, &ignore_columns)?).await,
    }
}

fn format_of(file: &Path) -> Option<Format> {
    Format::from_str(file.extension()?.to_str()?, true).ok()
}

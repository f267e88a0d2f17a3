//! JSON lines: an account a line. What [`export`](crate::export()) writes begins with a line that says so.

use std::io::{BufRead, Read};

use serde_json::Value;

use crate::flat;
use crate::source::{Item, ReadError, Source};

/// The member of the first line that names the format's version.
pub(crate) const FORMAT: &str = "vestibule_accounts";
/// The version that is written, and read.
pub(crate) const VERSION: u64 = 1;
/// Bytes that a line may have.
const LONGEST: usize = 16 * 1024 * 1024;

/// Reads JSON lines. A line is an [`Account`](crate::Account), or an object with the columns of [`Csv`](crate::Csv).
#[derive(Debug)]
pub struct JsonLines<R> {
    reader: R,
    name: String,
    line: u64,
    source: Option<String>,
    first: Option<Vec<u8>>,
}

impl<R: BufRead> JsonLines<R> {
    /// Begins to read the file called `name`.
    ///
    /// # Errors
    /// [`ReadError`] if it says that it is of a later version.
    pub fn open(reader: R, name: &str) -> Result<Self, ReadError> {
        let mut lines = Self { reader, name: name.to_owned(), line: 0, source: None, first: None };
        let Some(first) = lines.read()? else { return Ok(lines) };
        let head: Value = serde_json::from_slice(&first).unwrap_or_default();
        match head.get(FORMAT) {
            Some(version) if version.as_u64() == Some(VERSION) => {
                lines.source = head.get("source").and_then(Value::as_str).map(str::to_owned);
            }
            Some(version) => {
                return Err(
                    lines.error(format!("version {version} of the format, this binary knows {VERSION}"))
                );
            }
            None => lines.first = Some(first),
        }
        Ok(lines)
    }

    /// Where it comes from, if it says so.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// The next line that is not blank.
    fn read(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        loop {
            let mut line = Vec::new();
            self.line += 1;
            let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX);
            let read = self.reader.by_ref().take(limit).read_until(b'\n', &mut line);
            match read {
                Err(error) => return Err(self.error(error.to_string())),
                Ok(0) => return Ok(None),
                Ok(length) if length == LONGEST => {
                    return Err(self.error("a line of 16 MiB or more".to_owned()));
                }
                Ok(_) if line.trim_ascii().is_empty() => {}
                Ok(_) => return Ok(Some(line)),
            }
        }
    }

    fn error(&self, reason: String) -> ReadError {
        ReadError { place: format!("{}, line {}", self.name, self.line), reason }
    }
}

impl<R: BufRead + Send> Source for JsonLines<R> {
    async fn next(&mut self, most: usize) -> Result<Vec<Item>, ReadError> {
        let mut items = Vec::new();
        while items.len() < most {
            let line = match self.first.take() {
                Some(line) => Some(line),
                None => self.read()?,
            };
            let Some(line) = line else { break };
            let place = format!("line {}", self.line);
            items.push(Item::new(place, flat::account_in(&line)));
        }
        Ok(items)
    }
}

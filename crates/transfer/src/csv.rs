//! CSV (RFC 4180): an account a line, columns named by the first one.

use std::io::BufRead;

use crate::flat::{self, COLUMNS};
use crate::source::{Item, ReadError, Source};

/// Bytes that a line may have. A quotation mark that is never closed makes one of all that follows.
const LONGEST: usize = 1024 * 1024;

/// Reads CSV: `source_id`, `id`, `username`, `email`, `email_verified`, `phone`, `phone_verified`, `password_hash`,
/// `is_active`, `created_at`, `last_login_at`, `totp_secret`, in any order, each of which may be missing.
#[derive(Debug)]
pub struct Csv<R> {
    reader: R,
    name: String,
    /// Their names; one that is ignored has none.
    columns: Vec<String>,
    separator: u8,
    /// Lines that were read.
    line: u64,
}

impl<R: BufRead> Csv<R> {
    /// Reads the first line of the file called `name`. Columns in `ignored` are passed over.
    ///
    /// # Errors
    /// [`ReadError`] names all columns that are neither known nor ignored.
    pub fn open(reader: R, name: &str, ignored: &[String]) -> Result<Self, ReadError> {
        let mut csv = Self { reader, name: name.to_owned(), columns: Vec::new(), separator: b',', line: 0 };
        let mut head = csv.text()?.unwrap_or_default();
        if head.starts_with("\u{feff}") {
            head.drain(..'\u{feff}'.len_utf8());
        }
        // What spreadsheets write where the comma is a decimal sign.
        if !head.contains(',') && head.contains(';') {
            csv.separator = b';';
        }
        let columns = cells(&head, csv.separator).map_err(|why| csv.error(why.to_owned()))?;
        csv.columns = columns.iter().map(|column| column.trim().to_lowercase()).collect();
        let names = |name: &str, column: &str| name.trim().to_lowercase() == column;
        let unknown = |column: &&String| {
            !COLUMNS.contains(&column.as_str()) && !ignored.iter().any(|name| names(name, column))
        };
        let unknown: Vec<&str> = csv.columns.iter().filter(unknown).map(String::as_str).collect();
        if !unknown.is_empty() {
            let reason = format!(
                "unknown columns {}: rename or ignore them; known are {}",
                unknown.join(", "),
                COLUMNS.join(", ")
            );
            return Err(csv.error(reason));
        }
        if (1..csv.columns.len()).any(|at| csv.columns[..at].contains(&csv.columns[at])) {
            return Err(csv.error("a column comes twice".to_owned()));
        }
        for column in csv.columns.iter_mut().filter(|column| ignored.iter().any(|name| names(name, column))) {
            column.clear();
        }
        Ok(csv)
    }

    /// The next record with its line breaks in quotation marks; `None`: that was all.
    fn text(&mut self) -> Result<Option<String>, ReadError> {
        let mut text = Vec::new();
        loop {
            let read =
                self.reader.read_until(b'\n', &mut text).map_err(|error| self.error(error.to_string()))?;
            self.line += u64::from(read > 0);
            if text.len() > LONGEST {
                return Err(
                    self.error("a record of more than 1 MiB: is a quotation mark not closed?".to_owned())
                );
            }
            let open = text.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
            if read == 0 || !open {
                break;
            }
        }
        // What is not UTF-8 shows, and is refused where it matters.
        Ok((!text.is_empty())
            .then(|| String::from_utf8_lossy(&text).trim_end_matches(['\r', '\n']).to_owned()))
    }

    fn error(&self, reason: String) -> ReadError {
        ReadError { place: format!("{}, line {}", self.name, self.line.max(1)), reason }
    }

    fn account(&self, text: &str) -> Result<crate::Account, String> {
        if text.contains('\u{fffd}') {
            return Err("not UTF-8".to_owned());
        }
        let cells = cells(text, self.separator)?;
        if cells.len() != self.columns.len() {
            return Err(format!("{} columns, the first line names {}", cells.len(), self.columns.len()));
        }
        flat::account(self.columns.iter().map(String::as_str).zip(cells.iter().map(String::as_str)))
    }
}

impl<R: BufRead + Send> Source for Csv<R> {
    async fn next(&mut self, most: usize) -> Result<Vec<Item>, ReadError> {
        let mut items = Vec::new();
        while items.len() < most {
            let line = self.line + 1;
            let Some(text) = self.text()? else { break };
            if !text.trim().is_empty() {
                items.push(Item::new(format!("line {line}"), self.account(&text)));
            }
        }
        Ok(items)
    }
}

/// The cells of a record.
fn cells(text: &str, separator: u8) -> Result<Vec<String>, &'static str> {
    let separator = char::from(separator);
    let (mut found, mut rest) = (Vec::new(), text);
    loop {
        let Some(quoted) = rest.strip_prefix('"') else {
            let (cell, behind) = rest.split_at(rest.find(separator).unwrap_or(rest.len()));
            if cell.contains('"') {
                return Err("a quotation mark inside a cell without them");
            }
            found.push(cell.to_owned());
            match behind.strip_prefix(separator) {
                Some(behind) => rest = behind,
                None => return Ok(found),
            }
            continue;
        };
        let (cell, behind) = unquote(quoted).ok_or("a quotation mark that is not closed")?;
        found.push(cell);
        match behind.strip_prefix(separator) {
            Some(behind) => rest = behind,
            None if behind.is_empty() => return Ok(found),
            None => return Err("something between a quotation mark and the end of its cell"),
        }
    }
}

/// The cell up to its closing quotation mark, and what follows.
fn unquote(text: &str) -> Option<(String, &str)> {
    let (mut cell, mut rest) = (String::new(), text);
    loop {
        let (before, behind) = rest.split_once('"')?;
        cell.push_str(before);
        // Two stand for one.
        match behind.strip_prefix('"') {
            Some(behind) => {
                cell.push('"');
                rest = behind;
            }
            None => return Some((cell, behind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_column_says_nothing_even_if_its_name_is_known() {
        let table = "email,email_verified,totp_secret\na@example.org,yes,MZXW6YTBOIMZXW6YTBOI\n";
        let ignored = ["Email_Verified".to_owned(), "totp_secret".to_owned()];
        let mut csv = Csv::open(table.as_bytes(), "u.csv", &ignored).unwrap();
        let line = csv.text().unwrap().unwrap();
        let account = csv.account(&line).unwrap();
        assert_eq!((account.emails[0].verified, account.totp.is_none()), (false, true));
        // Twice is still once too often.
        let twice = "email,email\n";
        assert!(Csv::open(twice.as_bytes(), "u.csv", &["email".to_owned()]).is_err());
    }

    #[test]
    fn cells_are_cut_as_rfc_4180_says() {
        for (text, expected) in [
            ("", vec![""]),
            ("a,b,", vec!["a", "b", ""]),
            ("\"a,b\",\"say \"\"hi\"\"\",c", vec!["a,b", "say \"hi\"", "c"]),
            ("\"\",\"two\nlines\"", vec!["", "two\nlines"]),
        ] {
            assert_eq!(cells(text, b',').unwrap(), expected, "{text}");
        }
        for wrong in ["a\"b", "\"a", "\"a\"b,c"] {
            assert!(cells(wrong, b',').is_err(), "{wrong}");
        }
    }
}

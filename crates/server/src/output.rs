//! What the command line says: results on standard output, complaints on standard error.
//!
//! A reader that went away (`vestibule users list | head`) is not an error.

use std::fmt::Display;
use std::io::Write;

/// One line (or several, if `text` has them) on standard output.
pub(crate) fn line(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// `text` as it is, on standard output.
pub(crate) fn text(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// One line on standard error, in the program's name.
pub(crate) fn complain(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "vestibule: {text}");
}

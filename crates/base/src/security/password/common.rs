//! The list of common passwords, compressed in the binary and unpacked when it is first asked for.

use std::io::Read;
use std::sync::LazyLock;

/// Django's list; origin and licence in `data/README.md`.
const PACKED: &[u8] = include_bytes!("../../../data/common-passwords.txt.gz");

static LIST: LazyLock<List> = LazyLock::new(|| List::unpack(PACKED));

/// Whether this is one of the most used passwords, whatever its case and the blanks around it.
pub(super) fn is_common(password: &str) -> bool {
    LIST.contains(password.to_lowercase().trim())
}

/// Lines of one text, found by halving: about a quarter of what a set of strings would take.
struct List {
    text: String,
    /// Where each line begins and ends, in the order of the lines' words.
    lines: Vec<(u32, u32)>,
}

impl List {
    fn unpack(packed: &[u8]) -> Self {
        let mut text = String::new();
        if let Err(error) = flate2::read::GzDecoder::new(packed).read_to_string(&mut text) {
            tracing::error!(%error, "the list of common passwords is damaged");
        }
        let mut lines = Vec::new();
        let mut begin = 0;
        for line in text.split_inclusive('\n') {
            let end = begin + line.trim_end().len();
            if let (Ok(from), Ok(to)) = (u32::try_from(begin), u32::try_from(end))
                && from < to
            {
                lines.push((from, to));
            }
            begin += line.len();
        }
        lines.sort_unstable_by(|a, b| line_at(&text, *a).cmp(line_at(&text, *b)));
        lines.shrink_to_fit();
        text.shrink_to_fit();
        Self { text, lines }
    }

    fn contains(&self, word: &str) -> bool {
        self.lines.binary_search_by(|line| line_at(&self.text, *line).cmp(word)).is_ok()
    }
}

fn line_at(text: &str, (from, to): (u32, u32)) -> &str {
    let place = usize::try_from(from).ok().zip(usize::try_from(to).ok());
    place.and_then(|(from, to)| text.get(from..to)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole_and_every_word_is_found() {
        assert_eq!(LIST.lines.len(), 19_640);
        for line in LIST.text.lines() {
            assert!(is_common(line), "{line}");
        }
    }

    #[test]
    fn p5_common_passwords_are_found_in_any_case() {
        for common in ["123456", "password", "PassWord", " qwerty\t", "QWERTY123"] {
            assert!(is_common(common), "{common}");
        }
        for rare in ["", "correct horse battery staple", "passwor", "password\u{0}"] {
            assert!(!is_common(rare), "{rare}");
        }
    }

    #[test]
    fn a_damaged_list_is_no_panic() {
        assert!(List::unpack(b"not gzip").lines.is_empty());
    }
}

//! JSON, with whole numbers as they stand.

use std::borrow::Cow;

use serde_json::Value;

/// Reads JSON as it is, but for whole numbers that 64 bits cannot hold: these are read as texts. Some providers number
/// people so, and a number that loses digits would make one person of two.
///
/// # Errors
/// It is no JSON.
pub(crate) fn parse(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(&quoted(text))
}

/// Puts quotes around long numbers outside texts.
fn quoted(json: &str) -> Cow<'_, str> {
    let mut quoted = String::new();
    let mut copied = 0;
    let mut rest = json;
    while let Some(first) = rest.bytes().next() {
        let length = match first {
            b'"' => text_length(rest),
            b'-' | b'0'..=b'9' => number_length(rest),
            _ => rest.bytes().take_while(|byte| !matches!(byte, b'"' | b'-' | b'0'..=b'9')).count(),
        };
        let (part, after) = rest.split_at(length);
        let start = json.len() - rest.len();
        // A key is no number, and no JSON: it stays none.
        if is_too_long(part) && !after.trim_start().starts_with(':') {
            quoted.push_str(json.get(copied..start).unwrap_or_default());
            quoted.push_str(&format!("\"{part}\""));
            copied = start + length;
        }
        rest = after;
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    quoted.push_str(json.get(copied..).unwrap_or_default());
    Cow::Owned(quoted)
}

fn is_too_long(part: &str) -> bool {
    let digits = part.strip_prefix('-').unwrap_or(part);
    digits.len() > 18
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0')
        && part.parse::<u64>().is_err()
        && part.parse::<i64>().is_err()
}

/// The length of the text that JSON begins with, quotes included.
fn text_length(json: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in json.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    json.len()
}

fn number_length(json: &str) -> usize {
    json.bytes().take_while(|byte| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_would_lose_digits_becomes_a_text() {
        let text = r#"{"108204268033311374519": [108204268033311374519, "\\\"108204268033311374519", 18446744073709551615,
            -9223372036854775808, -9223372036854775809, 1.5, 1e300, 0, -1]}"#;
        let expected = json!({"108204268033311374519": ["108204268033311374519", "\\\"108204268033311374519",
            18_446_744_073_709_551_615_u64, i64::MIN, "-9223372036854775809", 1.5, 1e300,
            0, -1]});
        assert_eq!(parse(text).unwrap(), expected);
        for wrong in [
            "",
            "{",
            "\"",
            "\"\\",
            "-",
            "0108204268033311374519",
            "108204268033311374519x",
            "{108204268033311374519: 1}",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_no_json_stays_none_and_all_else_stays_as_it_is(text in "[\"\\\\\\[\\],0-9.eE:{}a-]{0,60}") {
            prop_assert_eq!(parse(&text).is_ok(), serde_json::from_str::<Value>(&text).is_ok());
        }
    }
}

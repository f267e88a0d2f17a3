//! What new users are asked for beyond what a login needs (`account.extra_signup_fields`).

use serde_json::{Map, Number, Value};
use url::Url;
use vestibule_base::config::{ExtraField, ExtraFieldKind as Kind};

use super::address::EmailAddress;
use crate::refusal::Problem;

/// Days that a month has in a leap year.
const DAYS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Reads the fields out of what was sent; gives those that hold something, and what is wrong with the others.
pub fn read<'a>(
    fields: &[ExtraField],
    sent: impl Fn(&str) -> Option<&'a Value>,
) -> (Map<String, Value>, Vec<Problem>) {
    let mut read = Map::new();
    let mut problems = Vec::new();
    for field in fields {
        match value(field, sent(&field.name).unwrap_or(&Value::Null)) {
            Ok(Some(value)) => drop(read.insert(field.name.clone(), value)),
            Ok(None) if field.required => problems.push(Problem::required().on(field.name.clone())),
            Ok(None) => {}
            Err(problem) => problems.push(problem.on(field.name.clone())),
        }
    }
    (read, problems)
}

fn value(field: &ExtraField, sent: &Value) -> Result<Option<Value>, Problem> {
    if field.kind == Kind::Boolean {
        let flag = flag(sent)?;
        // Whoever must agree has not by saying no.
        return Ok(flag.filter(|flag| *flag || !field.required).map(Value::Bool));
    }
    let Some(text) = text(sent)? else { return Ok(None) };
    Ok(Some(match field.kind {
        Kind::Text | Kind::Boolean => Value::String(fitting(field, text)?),
        Kind::Email => {
            let email = EmailAddress::parse(&text, field.longest() as usize);
            Value::String(email.ok_or_else(Problem::invalid_email)?.as_str().to_owned())
        }
        Kind::Url => {
            let text = fitting(field, text)?;
            let fine = Url::parse(&text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
            Value::String(if fine { text } else { return Err(Problem::invalid_url()) })
        }
        Kind::Choice if field.choices.contains(&text) => Value::String(text),
        Kind::Choice => return Err(Problem::invalid_choice()),
        Kind::Date if is_day(&text) => Value::String(text),
        Kind::Date => return Err(Problem::invalid_date()),
        Kind::Integer => {
            let whole: i64 = text.parse().map_err(|_| Problem::invalid_integer())?;
            within(field, whole as f64)?;
            Value::Number(whole.into())
        }
        Kind::Number => {
            let number: f64 = text.parse().map_err(|_| Problem::invalid_number())?;
            within(field, number)?;
            Value::Number(Number::from_f64(number).ok_or_else(Problem::invalid_number)?)
        }
    }))
}

/// A line of text without the blanks around it; `None` if there is none. Numbers count as text.
fn text(sent: &Value) -> Result<Option<String>, Problem> {
    let text = match sent {
        Value::Null => return Ok(None),
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => return Err(Problem::invalid()),
    };
    if text.contains('\0') {
        return Err(Problem::null_characters_not_allowed());
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn fitting(field: &ExtraField, text: String) -> Result<String, Problem> {
    let length = text.chars().count();
    if length > field.longest() as usize {
        return Err(Problem::max_length(field.longest()));
    }
    match field.min_length {
        Some(least) if length < least as usize => Err(Problem::min_length(least)),
        _ => Ok(text),
    }
}

fn within(field: &ExtraField, number: f64) -> Result<(), Problem> {
    if field.min.is_some_and(|min| number < min) {
        return Err(Problem::too_small());
    }
    if field.max.is_some_and(|max| number > max) {
        return Err(Problem::too_large());
    }
    Ok(())
}

/// Yes or no, in the words that forms have for it.
fn flag(sent: &Value) -> Result<Option<bool>, Problem> {
    if let Value::Bool(flag) = sent {
        return Ok(Some(*flag));
    }
    let Some(word) = text(sent)? else { return Ok(None) };
    match word.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" => Ok(Some(true)),
        "false" | "0" | "off" => Ok(Some(false)),
        _ => Err(Problem::invalid()),
    }
}

/// Whether a text is a day of the calendar, as `2001-12-31`.
fn is_day(text: &str) -> bool {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else { return false };
    let digits = |digits: &[u8]| -> Option<usize> { std::str::from_utf8(digits).ok()?.parse().ok() };
    let all_digits = [y1, y2, y3, y4, m1, m2, d1, d2].iter().all(u8::is_ascii_digit);
    let (Some(year), Some(month), Some(day), true) =
        (digits(&[y1, y2, y3, y4]), digits(&[m1, m2]), digits(&[d1, d2]), all_digits)
    else {
        return false;
    };
    let leaps = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let most = month.checked_sub(1).and_then(|month| DAYS.get(month)).copied().unwrap_or(0);
    year > 0 && (1..=usize::from(most)).contains(&day) && (leaps || (month, day) != (2, 29))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use vestibule_base::config::Config;

    fn field(text: &str) -> ExtraField {
        let text = format!("account.extra_signup_fields = [{{ name = 'f', {text} }}]");
        Config::from_toml(&text).unwrap().account.extra_signup_fields.remove(0)
    }

    fn one(settings: &str, sent: &Value) -> Result<Option<Value>, String> {
        let (read, problems) = read(&[field(settings)], |name| Some(sent).filter(|_| name == "f"));
        match problems.as_slice() {
            [] => Ok(read.get("f").cloned()),
            [problem] => {
                assert_eq!(problem.param.as_deref(), Some("f"));
                Err(problem.code.to_string())
            }
            more => panic!("{more:?}"),
        }
    }

    #[test]
    fn each_type_takes_what_it_holds() {
        for (settings, sent, kept) in [
            ("type = 'text'", json!("  Ada "), json!("Ada")),
            ("type = 'text'", json!(7), json!("7")),
            ("type = 'integer', min = 0, max = 10", json!("10"), json!(10)),
            ("type = 'integer'", json!(-3), json!(-3)),
            ("type = 'number'", json!(1.5), json!(1.5)),
            ("type = 'boolean'", json!(false), json!(false)),
            ("type = 'boolean', required = true", json!("on"), json!(true)),
            ("type = 'date'", json!("2024-02-29"), json!("2024-02-29")),
            ("type = 'choice', choices = ['a', 'b']", json!("b"), json!("b")),
            ("type = 'email'", json!("Ada@Example.org"), json!("ada@example.org")),
            ("type = 'url'", json!("https://example.org/x"), json!("https://example.org/x")),
        ] {
            assert_eq!(one(settings, &sent), Ok(Some(kept)), "{settings} {sent}");
        }
        for nothing in [json!(null), json!(""), json!(" ")] {
            assert_eq!(one("type = 'text'", &nothing), Ok(None));
            assert_eq!(one("type = 'text', required = true", &nothing), Err("required".into()));
        }
    }

    #[test]
    fn each_type_refuses_what_it_does_not_hold() {
        for (settings, sent, code) in [
            ("type = 'text'", json!(["x"]), "invalid"),
            ("type = 'text'", json!("a\0b"), "null_characters_not_allowed"),
            ("type = 'text', max_length = 2", json!("äöü"), "max_length"),
            ("type = 'text', min_length = 2", json!("a"), "min_length"),
            ("type = 'text'", json!("x".repeat(256)), "max_length"),
            ("type = 'integer'", json!(1.5), "invalid"),
            ("type = 'integer', min = 0", json!(-1), "min_value"),
            ("type = 'integer', max = 1", json!(2), "max_value"),
            ("type = 'number'", json!("NaN"), "invalid"),
            ("type = 'number'", json!("1e999"), "invalid"),
            ("type = 'boolean'", json!("perhaps"), "invalid"),
            ("type = 'boolean', required = true", json!(false), "required"),
            ("type = 'date'", json!("2023-02-29"), "invalid"),
            ("type = 'date'", json!("1900-02-29"), "invalid"),
            ("type = 'date'", json!("2023-13-01"), "invalid"),
            ("type = 'date'", json!("2023-1-01"), "invalid"),
            ("type = 'date'", json!("+023-01-01"), "invalid"),
            ("type = 'choice', choices = ['a']", json!("b"), "invalid_choice"),
            ("type = 'email'", json!("ada"), "invalid"),
            ("type = 'url'", json!("javascript:alert(1)"), "invalid"),
        ] {
            assert_eq!(one(settings, &sent), Err(code.into()), "{settings} {sent}");
        }
    }
}

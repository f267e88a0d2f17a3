//! Flat records: what fits into a table, by the names of its columns. CSV has nothing else, and objects in JSON may be such.

use secrecy::SecretString;
use serde_json::Value;
use vestibule_base::security::{Millis, token};

use crate::account::{Account, Email, Phone, Totp};

/// The columns that are known.
pub(crate) const COLUMNS: [&str; 12] = [
    "source_id",
    "id",
    "username",
    "email",
    "email_verified",
    "phone",
    "phone_verified",
    "password_hash",
    "is_active",
    "created_at",
    "last_login_at",
    "totp_secret",
];

/// The account in a line of JSON.
pub(crate) fn account_in(line: &[u8]) -> Result<Account, String> {
    account_of(serde_json::from_slice(line).map_err(reason)?)
}

/// The account in an object: one whose key in its source is named `source_id` and that has more than columns is an
/// [`Account`] as it is written.
pub(crate) fn account_of(value: Value) -> Result<Account, String> {
    let Value::Object(object) = value else { return Err("not an object".to_owned()) };
    let flat = object.contains_key("password_hash")
        || object.contains_key("email")
        || !object.contains_key("source_id");
    if !flat {
        return serde_json::from_value(Value::Object(object)).map_err(reason);
    }
    let mut cells = Vec::with_capacity(object.len());
    for (column, value) in object {
        let cell = match value {
            Value::Null => continue,
            Value::String(text) => text,
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Array(_) | Value::Object(_) => return Err(format!("{column}: neither text nor number")),
        };
        if !COLUMNS.contains(&column.as_str()) {
            return Err(format!("{column}: not a column that is known"));
        }
        cells.push((column, cell));
    }
    account(cells.iter().map(|(column, cell)| (column.as_str(), cell.as_str())))
}

/// The account in these cells; a blank cell is none.
pub(crate) fn account<'a>(cells: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Account, String> {
    let mut account = Account { is_active: true, ..Account::default() };
    let (mut email, mut phone) = (Email { primary: true, ..Email::default() }, Phone::default());
    for (column, cell) in cells {
        let cell = cell.trim();
        if cell.is_empty() {
            continue;
        }
        let named = |why: &str| format!("{column}: {why}");
        match column {
            "source_id" => account.source_id = cell.to_owned(),
            "id" => account.id = Some(cell.parse().map_err(|_| named("not a number"))?),
            "username" => account.username = Some(cell.to_owned()),
            "email" => email.email = cell.to_owned(),
            "email_verified" => email.verified = flag(cell).map_err(named)?,
            "phone" => phone.phone = cell.to_owned(),
            "phone_verified" => phone.verified = flag(cell).map_err(named)?,
            "password_hash" => account.password = Some(SecretString::from(cell)),
            "is_active" => account.is_active = flag(cell).map_err(named)?,
            "created_at" => account.created_at = Some(moment(cell).map_err(named)?),
            "last_login_at" => account.last_login_at = Some(moment(cell).map_err(named)?),
            "totp_secret" => {
                let secret = SecretString::from(cell);
                account.totp = Some(Totp { secret, last_step: 0, created_at: None, last_used_at: None });
            }
            _ => {}
        }
    }
    if account.source_id.is_empty() {
        account.source_id =
            key(account.id, [account.username.as_deref(), Some(&email.email), Some(&phone.phone)])
                .ok_or("neither id, username, email nor phone")?;
    }
    account.emails.extend(Some(email).filter(|email| !email.email.is_empty()));
    account.phone = Some(phone).filter(|phone| !phone.phone.is_empty());
    Ok(account)
}

/// What the account is known by when it comes again: its id, else the first of its names; that as a hash, since this is
/// kept even when the account is deleted.
fn key(id: Option<i64>, names: [Option<&str>; 3]) -> Option<String> {
    if let Some(id) = id {
        return Some(id.to_string());
    }
    let name = names.into_iter().flatten().find(|name| !name.is_empty())?;
    Some(format!("sha256:{}", hex::encode(token::digest(&name.to_lowercase()))))
}

fn flag(cell: &str) -> Result<bool, &'static str> {
    match cell.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "0" => Ok(false),
        _ => Err("neither true nor false"),
    }
}

/// RFC 3339, or a date, which is its beginning in UTC.
fn moment(cell: &str) -> Result<Millis, &'static str> {
    let day = if cell.len() == 10 { format!("{cell}T00:00:00Z") } else { cell.to_owned() };
    let at: jiff::Timestamp =
        day.parse().map_err(|_| "not a time as in RFC 3339, such as 2024-05-01T12:00:00Z")?;
    Ok(at.as_millisecond())
}

/// What is wrong, without what stands there: it may be a secret.
fn reason(error: serde_json::Error) -> String {
    let text = error.to_string();
    if error.is_data() && text.starts_with("invalid ") {
        let expected = text.split_once(", expected ").map_or("something else", |(_, expected)| expected);
        return format!("expected {expected}");
    }
    text
}

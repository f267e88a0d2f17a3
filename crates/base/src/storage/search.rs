//! Looking users up, and sessions: for operators. Index-friendly on a million users: what is typed is the beginning of an
//! address, a name or a number, hence a range.

use super::users::{self, User};
use super::{Conn, StorageError};
use crate::vals;

/// What users have to be like.
#[derive(Debug, Default, Clone)]
pub struct UserFilter {
    /// Ids above this one.
    pub after: i64,
    /// Whether they can log in.
    pub is_active: Option<bool>,
    /// Whether they have a second factor.
    pub has_mfa: Option<bool>,
    /// How one of what they are known by begins.
    pub beginning: Option<Beginning>,
    /// So many at most.
    pub limit: i64,
}

/// How an address, a name or a number begins; or an id.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// Of an address, in lower case.
    pub email: String,
    /// Of a name, in the form in which names are compared.
    pub username_key: String,
    /// Of a number, in E.164.
    pub phone: Option<String>,
    /// The whole id.
    pub id: Option<i64>,
}

/// A statement; `$more` is a further condition.
macro_rules! select {
    ($($more:expr)?) => {
        concat!(
            "SELECT u.id, u.username, u.password, u.is_active, u.created_at, u.last_login_at FROM users u
             WHERE u.id > $1 AND ($2 IS NULL OR u.is_active = $2)
               AND ($3 IS NULL OR $3 = CASE WHEN EXISTS (
                     SELECT 1 FROM authenticators a WHERE a.user_id = u.id AND a.kind <> 'recovery_codes'
                   ) THEN 1 ELSE 0 END)",
            $($more,)?
            " ORDER BY u.id LIMIT $4"
        )
    };
}

/// The same whose ranges go by bytes, in the words that its database has for that.
macro_rules! beginning {
    ($bytewise:literal) => {
        select!(concat!(
            " AND u.id IN (
                     SELECT user_id FROM emails WHERE email ",
            $bytewise,
            " >= $5 AND email ",
            $bytewise,
            " < $6 UNION SELECT id FROM users WHERE username_key ",
            $bytewise,
            " >= $7 AND username_key ",
            $bytewise,
            " < $8 UNION SELECT user_id FROM phones WHERE phone ",
            $bytewise,
            " >= $9 AND phone ",
            $bytewise,
            " < $10 UNION SELECT id FROM users WHERE id = $11)"
        ))
    };
}

/// The users that fit, in the order of their ids.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn users(conn: &mut Conn, filter: &UserFilter) -> Result<Vec<User>, StorageError> {
    let flag = |flag: Option<bool>| flag.map(i64::from);
    let mut values = vals![filter.after, flag(filter.is_active), flag(filter.has_mfa), filter.limit];
    let rows = match &filter.beginning {
        None => conn.all(select!(), values).await?,
        Some(beginning) => {
            let phone = beginning.phone.clone();
            for from in [beginning.email.clone(), beginning.username_key.clone()] {
                let to = behind(&from);
                values.extend(vals![from, to]);
            }
            // None: a range that holds nothing.
            let to = phone.as_deref().map_or_else(String::new, behind);
            values.extend(vals![phone.unwrap_or_default(), to, beginning.id.unwrap_or(0)]);
            let sql =
                if conn.is_postgres() { beginning!("COLLATE \"C\"") } else { beginning!("COLLATE BINARY") };
            conn.all(sql, values).await?
        }
    };
    rows.iter().map(users::read).collect()
}

/// The first text behind all that begin with `beginning`, by bytes.
fn behind(beginning: &str) -> String {
    let mut text = beginning.to_owned();
    while let Some(last) = text.pop() {
        // The scalar value after it; the surrogates in between are none.
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            text.push(next);
            return text;
        }
    }
    // Nothing is behind all texts; this is behind all that are stored.
    char::MAX.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_end_of_a_range_is_the_next_text_of_that_length_or_shorter() {
        assert_eq!(behind("ada"), "adb");
        assert_eq!(behind("ada@"), "adaA");
        assert_eq!(behind("\u{d7ff}"), "\u{e000}");
        assert_eq!(behind("a\u{10ffff}"), "b");
        assert_eq!(behind(""), "\u{10ffff}");
    }

    proptest! {
        #[test]
        fn a_range_holds_what_begins_so_and_nothing_else(beginning in "\\PC{1,4}", text in "\\PC{0,6}") {
            let within = |text: &str| *text >= *beginning && *text < *behind(&beginning);
            let longer = format!("{beginning}{text}");
            prop_assert!(within(&longer));
            prop_assert_eq!(within(&text), text.starts_with(&beginning));
        }
    }
}

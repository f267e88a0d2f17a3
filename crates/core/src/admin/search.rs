//! Looking for users by what is known of them.

use vestibule_base::storage::search::{self, Beginning, UserFilter};

use super::AdminError;
use crate::account::username;
use crate::context::Ctx;
use crate::dossier::{UserSummary, summary};

/// Which users to look for.
#[derive(Debug, Default, Clone)]
pub struct Search {
    /// How an address, a username or a phone number of theirs begins, or their id. Upper and lower case are the same.
    pub q: Option<String>,
    /// Whether they can log in.
    pub is_active: Option<bool>,
    /// Whether they have a second factor.
    pub has_mfa: Option<bool>,
    /// Ids above this one: the last of the page before.
    pub after: i64,
    /// So many at most.
    pub limit: u32,
}

/// The users that fit, in the order of their ids.
///
/// # Errors
/// [`AdminError::Fault`].
pub async fn search(ctx: &Ctx, search: &Search) -> Result<Vec<UserSummary>, AdminError> {
    let typed = search.q.as_deref().map(str::trim).filter(|typed| !typed.is_empty());
    let filter = UserFilter {
        after: search.after,
        is_active: search.is_active,
        has_mfa: search.has_mfa,
        beginning: typed.map(beginning),
        limit: i64::from(search.limit),
    };
    let mut conn = ctx.db.read().await?;
    let mut found = Vec::new();
    for user in search::users(&mut conn, &filter).await? {
        found.push(summary(&mut conn, user).await?);
    }
    Ok(found)
}

fn beginning(typed: &str) -> Beginning {
    let digits: String =
        typed.chars().filter(|sign| !matches!(sign, ' ' | '-' | '(' | ')' | '.' | '/')).collect();
    let is_number =
        digits.strip_prefix('+').is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    Beginning {
        email: typed.to_lowercase(),
        username_key: username::key(typed),
        phone: is_number.then_some(digits),
        id: typed.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_read_in_each_way_that_it_may_be_meant() {
        let number = beginning("+49 (171) 23");
        assert_eq!((number.phone.as_deref(), number.id), (Some("+4917123"), None));
        let id = beginning("17");
        assert_eq!((id.phone, id.id, id.email.as_str()), (None, Some(17), "17"));
        assert_eq!(beginning("Ada@Ex").email, "ada@ex");
        assert_eq!(beginning("Ada").username_key, "ada");
    }
}

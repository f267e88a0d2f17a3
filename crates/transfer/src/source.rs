//! Where accounts come from.

use crate::account::Account;

/// Gives accounts, in an order that is the same each time.
pub trait Source {
    /// The next accounts, `most` at most; none: that was all.
    ///
    /// # Errors
    /// [`ReadError`] if there is no going on. What is wrong with one account alone is told in its [`Item`].
    fn next(&mut self, most: usize) -> impl Future<Output = Result<Vec<Item>, ReadError>> + Send;
}

/// An account that was read, or what stood in its place.
#[derive(Debug)]
pub struct Item {
    /// Where it stands, for people: `line 17`, `auth_user 4`.
    pub place: String,
    /// The account, or why there is none.
    pub account: Result<Account, String>,
    /// What of it could not be read, and is left out.
    pub left_out: Vec<String>,
    /// Whether a second factor is among that: an account that has no other is then not taken (see
    /// [`Options::lose_second_factors`](crate::Options::lose_second_factors)).
    pub lost_factor: bool,
}

impl Item {
    /// What stands at this place, if all of it could be read.
    #[must_use]
    pub fn new(place: String, account: Result<Account, String>) -> Self {
        Self { place, account, left_out: Vec::new(), lost_factor: false }
    }
}

/// Why a source cannot be read on.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct ReadError {
    /// The file or database, and where in it.
    pub place: String,
    /// What is wrong.
    pub reason: String,
}

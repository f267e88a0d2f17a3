//! What an operator does with accounts: by the command line, and by the API for operators. Past the rules of signup, and
//! each act in one transaction with its event.

mod access;
mod credentials;
mod reset;
mod search;
mod sessions;
mod users;

pub use access::{MOST_REFUSALS, refused};
pub use credentials::{remove_authenticator, remove_authenticators, remove_provider, set_password};
pub use reset::send_reset;
pub use search::{Search, search};
pub use sessions::{SessionSearch, end_session, end_sessions, sessions};
pub use users::{NewUser, create, delete, details, find, list, set_active, verify_email};

use vestibule_base::storage::users::User;
use vestibule_base::storage::{Conn, StorageError};

use crate::account::password::forget_under_way;
use crate::refusal::{Fault, Refusal};

/// Why an operator's order was not carried out. One line each.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No such user.
    #[error("there is no user {0}")]
    Unknown(String),
    /// The user has no such thing.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The name or address is in use.
    #[error("an account with this {0} exists")]
    Taken(&'static str),
    /// An input is no good.
    #[error("{0}")]
    Invalid(String),
    /// The state of the account or the settings do not allow it.
    #[error("{0}")]
    Refused(&'static str),
    /// The server could not.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<StorageError> for AdminError {
    fn from(error: StorageError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<Refusal> for AdminError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Fault(fault) => Self::Fault(fault),
            other => Self::Invalid(other.to_string()),
        }
    }
}

/// Ends all sessions of a user, and what they have under way.
async fn close(tx: &mut Conn, id: i64) -> Result<(), AdminError> {
    vestibule_base::storage::sessions::end_of_user(tx, id, None).await?;
    Ok(forget_under_way(tx, id).await?)
}

/// The user of this id, whom nobody else changes until the transaction ends.
async fn locked(tx: &mut Conn, id: i64) -> Result<User, AdminError> {
    vestibule_base::storage::users::lock(tx, id).await?;
    required(vestibule_base::storage::users::find(tx, id).await?, &id.to_string())
}

fn required(user: Option<User>, who: &str) -> Result<User, AdminError> {
    user.ok_or_else(|| AdminError::Unknown(who.to_owned()))
}

fn invalid(typed: &str, what: &str) -> AdminError {
    AdminError::Invalid(format!("{typed:?}: {what}"))
}

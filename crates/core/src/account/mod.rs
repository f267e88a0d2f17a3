//! Users, their addresses, numbers and passwords: making them, proving them, changing and recovering them.

pub mod address;
pub mod deletion;
pub mod emails;
mod frontend;
pub mod password;
pub mod phones;
pub mod process;
pub mod profile;
pub mod reauthenticate;
pub mod recovery;
pub mod signup;
pub mod username;
pub mod verify_email;
pub mod verify_phone;

pub use address::{EmailAddress, PhoneNumber};

use vestibule_base::config::{EmailVerification, PreventEnumeration};
use vestibule_base::storage::users::User;
use vestibule_base::storage::{Conn, emails as rows, users};

use crate::context::Ctx;
use crate::refusal::Outcome;
use crate::visit::{Session, Visit};

/// Whether another account has an address, as far as this configuration lets one say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// It can be used.
    Free,
    /// It cannot, and that may be said.
    Taken,
    /// It cannot, and nobody must learn that.
    Secret,
}

/// Whether `email` can be used by a new account, or by `user`.
///
/// # Errors
/// [`Refusal::Fault`](crate::Refusal::Fault).
pub async fn availability(
    ctx: &Ctx,
    conn: &mut Conn,
    email: &EmailAddress,
    user: Option<i64>,
) -> Outcome<Availability> {
    let account = &ctx.config.account;
    if !account.unique_email {
        return Ok(Availability::Free);
    }
    let holders = rows::with_address(conn, email.as_str()).await?;
    if !holders.iter().any(|row| row.stands_for_account() && Some(row.user_id) != user) {
        return Ok(Availability::Free);
    }
    let waits = account.email_verification == EmailVerification::Mandatory;
    Ok(match account.prevent_enumeration {
        PreventEnumeration::Off => Availability::Taken,
        _ if waits => Availability::Secret,
        PreventEnumeration::Strict => Availability::Free,
        PreventEnumeration::On => Availability::Taken,
    })
}

/// The accounts that an address stands for: the one that proved it, else all that signed up with it. Inactive accounts
/// are not there.
///
/// # Errors
/// [`Refusal::Fault`](crate::Refusal::Fault).
pub async fn by_email(conn: &mut Conn, email: &EmailAddress) -> Outcome<Vec<User>> {
    let holders = rows::with_address(conn, email.as_str()).await?;
    let proved = holders.iter().any(|row| row.verified);
    let mut found = Vec::new();
    for row in holders.iter().filter(|row| row.verified || (!proved && row.stands_for_account())) {
        if let Some(user) = users::find(conn, row.user_id).await?.filter(|user| user.is_active) {
            found.push(user);
        }
    }
    Ok(found)
}

/// The primary address of a user.
///
/// # Errors
/// [`Refusal::Fault`](crate::Refusal::Fault).
pub async fn primary_email(conn: &mut Conn, user_id: i64) -> Outcome<Option<String>> {
    let found = rows::of_user(conn, user_id).await?;
    Ok(found.into_iter().find(|row| row.primary).map(|row| row.email))
}

/// Looks up the primary address of whoever is logged in again, after it may have changed.
///
/// # Errors
/// [`Refusal::Fault`](crate::Refusal::Fault).
pub async fn refresh_email(tx: &mut Conn, visit: &mut Visit) -> Outcome<()> {
    if let Session::User(current) = &mut visit.session {
        current.email = primary_email(tx, current.user.id).await?;
    }
    Ok(())
}

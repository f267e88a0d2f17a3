//! The phone number of an account: looking at it and changing it.

use vestibule_base::config::{Action, LoginMethod, PreventEnumeration, SignupField};
use vestibule_base::delivery::SmsKind;
use vestibule_base::storage::phones::{self, Phone};
use vestibule_base::storage::processes::Process;
use vestibule_base::storage::users::{self, User};

use super::address::PhoneNumber;
use super::process::{self, Again, Kind};
use super::{reauthenticate, verify_phone};
use crate::context::Ctx;
use crate::refusal::{Outcome, Problem, Refusal};
use crate::visit::Visit;

/// The number of whoever is logged in.
///
/// # Errors
/// [`Refusal::Unauthenticated`] if nobody is.
pub async fn get(ctx: &Ctx, visit: &Visit) -> Outcome<Option<Phone>> {
    let user_id = visit.current()?.user.id;
    let mut conn = ctx.db.read().await?;
    Ok(phones::of_user(&mut conn, user_id).await?)
}

/// The number that a user has proved. Where nobody is asked for one, none is looked up.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn proved(ctx: &Ctx, user_id: i64) -> Outcome<Option<String>> {
    let account = &ctx.config.account;
    let asked = account.signup_fields.get(SignupField::Phone).is_some();
    if !asked && !account.login_methods.contains(&LoginMethod::Phone) {
        return Ok(None);
    }
    let mut conn = ctx.db.read().await?;
    let row = phones::of_user(&mut conn, user_id).await?;
    Ok(row.filter(|row| row.verified).map(|row| row.phone))
}

/// Asks for another number: a code goes to it, and until it is typed the old number stays.
///
/// # Errors
/// [`Refusal::Invalid`] if it is the same, or taken where that may be said.
pub async fn change(ctx: &Ctx, visit: &mut Visit, phone: &PhoneNumber) -> Outcome<()> {
    let user = visit.current()?.user.clone();
    let mut conn = ctx.db.read().await?;
    let present = phones::of_user(&mut conn, user.id).await?.map(|row| row.phone);
    drop(conn);
    refuse_same_or_taken(ctx, Some(user.id), present.as_deref(), phone).await?;
    reauthenticate::require(ctx, visit).await?;
    let mut tx = ctx.db.write().await?;
    verify_phone::send(ctx, &mut tx, visit, Some(&user), phone.as_str()).await?;
    ctx.commit(tx).await
}

/// Whose number may be corrected while their signup waits for its code; nobody's, for a pretended one.
///
/// # Errors
/// [`Refusal::Conflict`] if it may not.
pub async fn changeable(ctx: &Ctx, process: &Process) -> Outcome<Option<User>> {
    if process.changes >= i64::from(ctx.config.account.phone_verification_supports_change) {
        return Err(Refusal::Conflict);
    }
    let Some(user_id) = process.user_id else { return Ok(None) };
    let mut conn = ctx.db.read().await?;
    let user = users::find(&mut conn, user_id).await?.filter(|user| user.last_login_at.is_none());
    user.map(Some).ok_or(Refusal::Conflict)
}

/// Corrects the number of such a signup.
///
/// # Errors
/// [`Refusal::Invalid`] if it is the same, or taken where that may be said.
pub async fn change_pending(
    ctx: &Ctx,
    visit: &mut Visit,
    process: Process,
    phone: &PhoneNumber,
) -> Outcome<()> {
    let taken = refuse_same_or_taken(ctx, process.user_id, Some(&process.address), phone).await?;
    let mut tx = ctx.db.write().await?;
    if let Some(user_id) = process.user_id {
        users::lock(&mut tx, user_id).await?;
    }
    ctx.limit(&mut tx, visit, Action::VerifyPhone, Some(phone.as_str())).await?;
    if let Some(user_id) = process.user_id.filter(|_| !taken) {
        let row = Phone { user_id, phone: phone.as_str().to_owned(), verified: false };
        phones::set(&mut tx, &row, false).await?;
    }
    let most = ctx.config.account.phone_verification_supports_change;
    let why = Again::Change { address: phone.as_str(), taken };
    let code = process::again(ctx, &mut tx, visit, Kind::VerifyPhone, &process, why, most).await?;
    let kind = if taken { SmsKind::AccountAlreadyExists } else { SmsKind::VerificationCode };
    ctx.text(&mut tx, visit, phone.as_str(), kind, code).await?;
    ctx.commit(tx).await
}

/// Whether another account has the number, where that must not be said.
async fn refuse_same_or_taken(
    ctx: &Ctx,
    user_id: Option<i64>,
    present: Option<&str>,
    phone: &PhoneNumber,
) -> Outcome<bool> {
    if present == Some(phone.as_str()) {
        return Err(Problem::same_as_current().on("phone").into());
    }
    let mut conn = ctx.db.read().await?;
    let holder = phones::holder(&mut conn, phone.as_str()).await?;
    let taken = holder.is_some_and(|holder| Some(holder.user_id) != user_id);
    if taken && ctx.config.account.prevent_enumeration == PreventEnumeration::Off {
        return Err(Problem::phone_taken().on("phone").into());
    }
    Ok(taken)
}

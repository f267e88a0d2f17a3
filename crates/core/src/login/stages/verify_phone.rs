//! A phone number that signup asks for must be proved.

use vestibule_base::config::{Presence, SignupField};
use vestibule_base::storage::{Conn, phones};

use crate::account::verify_phone;
use crate::context::Ctx;
use crate::login::pipeline::{Login, Verdict};
use crate::refusal::Outcome;
use crate::visit::Visit;

pub(in crate::login) async fn check(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &mut Visit,
    login: &Login,
) -> Outcome<Verdict> {
    let Some(presence) = ctx.config.account.signup_fields.get(SignupField::Phone) else {
        return Ok(Verdict::Pass);
    };
    let phone = match &login.user {
        None => login.state.phone.clone(),
        Some(user) => match phones::of_user(tx, user.id).await? {
            None if presence == Presence::Required => return Ok(Verdict::Refuse),
            None => None,
            Some(row) if row.verified || !ctx.config.account.phone_verification_enabled => None,
            Some(row) => Some(row.phone),
        },
    };
    let Some(phone) = phone else { return Ok(Verdict::Pass) };
    verify_phone::send(ctx, tx, visit, login.user.as_ref(), &phone).await?;
    Ok(Verdict::Hold)
}

//! A code that is asked for on top of another way in (`login_by_code_required`).

use vestibule_base::config::{Action, LoginByCodeRequired, SignupField};
use vestibule_base::storage::{Conn, phones};

use crate::account::primary_email;
use crate::context::Ctx;
use crate::login::entry::code::{Address, send};
use crate::login::pipeline::{Login, Verdict};
use crate::mfa::trust;
use crate::refusal::Outcome;
use crate::visit::{Method, Visit};

pub(in crate::login) async fn check(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &mut Visit,
    login: &Login,
) -> Outcome<Verdict> {
    if !required(ctx, login) {
        return Ok(Verdict::Pass);
    }
    if let Some(user) = login.user.as_ref().filter(|_| ctx.config.account.login_by_code_trust_enabled)
        && trust::is_trusted(ctx, tx, visit, user).await?
    {
        return Ok(Verdict::Pass);
    }
    let Some(address) = address(ctx, tx, login).await? else {
        // No way to reach the user: the requirement cannot be met.
        return Ok(Verdict::Refuse);
    };
    // What strangers ask to be sent to an address must not keep out its owner, who has given a first proof (C6).
    let key = match &login.user {
        Some(user) if !login.state.signup => format!("user:{}", user.id),
        _ => address.as_str().to_owned(),
    };
    ctx.limit(tx, visit, Action::RequestLoginCode, Some(&key)).await?;
    send(ctx, tx, visit, login.user.as_ref(), &address, login.state.signup).await?;
    Ok(Verdict::Hold)
}

fn required(ctx: &Ctx, login: &Login) -> bool {
    let required = &ctx.config.account.login_by_code_required;
    match login.state.records.last().map(|record| record.method) {
        Some(Method::Code) => false,
        Some(method) => required.after(method.name()),
        None => !matches!(required, LoginByCodeRequired::Never),
    }
}

async fn address(ctx: &Ctx, tx: &mut Conn, login: &Login) -> Outcome<Option<Address>> {
    if let Some(email) = &login.state.email {
        return Ok(Some(Address::Email(email.clone())));
    }
    let Some(user) = &login.user else { return Ok(login.state.phone.clone().map(Address::Phone)) };
    if let Some(email) = primary_email(tx, user.id).await? {
        return Ok(Some(Address::Email(email)));
    }
    if ctx.config.account.signup_fields.get(SignupField::Phone).is_none() {
        return Ok(None);
    }
    Ok(phones::of_user(tx, user.id).await?.map(|row| Address::Phone(row.phone)))
}

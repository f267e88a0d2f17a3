//! An email address must be proved before its account is entered, if verification is mandatory.

use vestibule_base::config::EmailVerification;
use vestibule_base::storage::{Conn, emails};

use crate::account::verify_email;
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
    let mandatory = match verification(ctx, login) {
        EmailVerification::None => return Ok(Verdict::Pass),
        EmailVerification::Optional => false,
        EmailVerification::Mandatory => true,
    };
    let Some(email) = unproved(tx, login).await? else { return Ok(Verdict::Pass) };
    if let Some(email) = email.filter(|_| mandatory || login.state.signup) {
        verify_email::send(ctx, tx, visit, login.user.as_ref(), &email, login.state.signup).await?;
    }
    Ok(if mandatory { Verdict::Hold } else { Verdict::Pass })
}

/// How the address is to be proved; after a login by a third party that may be another way.
fn verification(ctx: &Ctx, login: &Login) -> EmailVerification {
    let config = &ctx.config;
    let social = config.socialaccount.email_verification.filter(|_| login.state.provider);
    social.unwrap_or(config.account.email_verification)
}

/// `None` if there is nothing to prove; `Some(None)` if there is, and no address to do it with.
async fn unproved(tx: &mut Conn, login: &Login) -> Outcome<Option<Option<String>>> {
    let Some(user) = &login.user else { return Ok(Some(login.state.email.clone())) };
    let rows = emails::of_user(tx, user.id).await?;
    let named = login.state.email.as_deref();
    let proved = rows.iter().any(|row| row.verified && named.is_none_or(|email| row.email == email));
    if proved {
        return Ok(None);
    }
    let row = match named {
        Some(email) => rows.iter().find(|row| row.email == email),
        None => rows.iter().find(|row| row.primary).or(rows.first()),
    };
    Ok(Some(row.map(|row| row.email.clone())))
}

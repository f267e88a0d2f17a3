//! Resetting a password, which also logs in if `login_on_password_reset` is on.

use vestibule_base::config::ClientKind;
use vestibule_base::security::password::Password;

use crate::account::recovery::{self, Reset};
use crate::consult;
use crate::context::Ctx;
use crate::login::pipeline::{self, Login, State};
use crate::refusal::Outcome;
use crate::visit::{Change, Method, Record, Session, Visit};

/// Sets the new password, and logs in where that is configured. Every stage is passed as ever.
///
/// # Errors
/// [`Refusal::Invalid`](crate::Refusal::Invalid) for a weak password; as [`consult::before_login`] if it logs in: then the
/// password is not reset either.
pub async fn reset(ctx: &Ctx, visit: &mut Visit, reset: Reset, new: &Password) -> Outcome<()> {
    let logs_in = ctx.config.account.login_on_password_reset;
    let admitted = match logs_in {
        true => Some(consult::before_login(ctx, visit, &reset.user, Method::PasswordReset).await?),
        false => None,
    };
    let (done, mut tx) = recovery::finish(ctx, visit, reset, new).await?;
    let own = visit.session.user().is_some_and(|current| current.user.id == done.user.id);
    if own && (logs_in || visit.client == ClientKind::Browser) {
        // All sessions of the user have ended, this one too. An app is told at its next request, as the reference does.
        visit.session = Session::None;
        visit.change = Change::Ended;
    }
    if let Some(admitted) = &admitted {
        let record = Record { email: done.email.clone(), ..Record::new(Method::PasswordReset, visit.now) };
        let state = State { email: done.email, records: vec![record], ..State::default() };
        let login = Login { user: Some(done.user), state, ..Login::default() };
        pipeline::enter(ctx, &mut tx, visit, login, admitted).await?;
    }
    ctx.commit(tx).await
}

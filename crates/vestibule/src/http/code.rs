//! `auth/code/…`: logging in with a code that is sent to the user.

use axum::http::StatusCode;
use vestibule_base::config::LoginMethod;
use vestibule_core::Problem;
use vestibule_core::login::entry::code::{self, Requester};

use super::answer::Answer;
use super::door::{Call, Reply};

pub(super) fn request(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let account = &call.ctx.config.account;
        let by_phone = account.login_methods.contains(&LoginMethod::Phone);
        // Mail is offered beside names, too: who logs in by name has an address to be written to.
        let by_email = !by_phone || account.login_methods.contains(&LoginMethod::Email);
        let mut form = call.form()?;
        let email = if by_email { form.email("email", !by_phone, account.email_max_length) } else { None };
        let phone = if by_phone { form.phone("phone", !by_email) } else { None };
        let who = match (email, phone) {
            (Some(_), Some(_)) => {
                form.reject(Problem::select_only_one());
                None
            }
            (Some(email), None) => Some(Requester::Email(email)),
            (None, Some(phone)) => Some(Requester::Phone(phone)),
            (None, None) => None,
        };
        let who = form.finish_with(who)?;
        code::request(&call.ctx, &mut call.visit, &who).await?;
        call.authentication().await
    })
}

pub(super) fn confirm(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let waiting = code::awaited(&call.ctx, &call.visit).await?;
        let mut form = call.form()?;
        let typed = form.text("code", true);
        let typed = form.finish_with(typed)?;
        code::confirm(&call.ctx, &mut call.visit, waiting, &typed).await?;
        call.authentication().await
    })
}

pub(super) fn resend(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        code::resend(&call.ctx, &mut call.visit).await?;
        Ok(Answer::status(StatusCode::OK))
    })
}

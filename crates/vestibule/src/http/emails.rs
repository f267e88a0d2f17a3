//! `account/email`: the addresses of whoever is logged in, or of a signup that awaits its code.

use axum::http::StatusCode;
use vestibule_base::config::Action;
use vestibule_core::account::{EmailAddress, emails, verify_email};
use vestibule_core::{Outcome, Problem, Refusal};

use super::answer::Answer;
use super::door::{Call, Reply};
use super::view;

pub(super) fn get(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let user_id = call.visit.current()?.user.id;
        listed(call, user_id).await
    })
}

pub(super) fn post(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        if call.visit.session.user().is_none() {
            return correct(call).await;
        }
        let user_id = call.visit.current()?.user.id;
        call.limit(Action::ManageEmail).await?;
        let email = address(call)?;
        emails::add(&call.ctx, &mut call.visit, &email).await?;
        listed(call, user_id).await
    })
}

/// A signup that awaits its code may correct its address, where that is configured.
async fn correct(call: &mut Call) -> Outcome<Answer> {
    let (process, user) = verify_email::changeable(&call.ctx, &call.visit).await?;
    call.ctx.limit_user(&call.visit, Action::ManageEmail, user.id).await?;
    let email = address(call)?;
    verify_email::change(&call.ctx, &mut call.visit, process, &user, &email).await?;
    listed(call, user.id).await
}

pub(super) fn put(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let email = chosen(call).await?;
        let sent = emails::resend(&call.ctx, &mut call.visit, &email).await?;
        if sent { Ok(Answer::status(StatusCode::OK)) } else { Err(Refusal::Forbidden) }
    })
}

pub(super) fn patch(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let user_id = call.visit.current()?.user.id;
        call.limit(Action::ManageEmail).await?;
        let mut form = call.form()?;
        if form.value("primary").and_then(serde_json::Value::as_bool) != Some(true) {
            form.reject(Problem::required().on("primary"));
        }
        let email = form.email("email", true, call.ctx.config.account.email_max_length);
        let email = form.finish_with(email)?;
        emails::make_primary(&call.ctx, &call.visit, &email).await?;
        listed(call, user_id).await
    })
}

pub(super) fn delete(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let user_id = call.visit.current()?.user.id;
        let email = chosen(call).await?;
        emails::delete(&call.ctx, &call.visit, &email).await?;
        listed(call, user_id).await
    })
}

/// The address that a change is about.
async fn chosen(call: &Call) -> Outcome<EmailAddress> {
    call.visit.current()?;
    call.limit(Action::ManageEmail).await?;
    address(call)
}

fn address(call: &Call) -> Outcome<EmailAddress> {
    let mut form = call.form()?;
    let email = form.email("email", true, call.ctx.config.account.email_max_length);
    form.finish_with(email)
}

async fn listed(call: &Call, user_id: i64) -> Outcome<Answer> {
    Answer::data(view::emails(&emails::list(&call.ctx, &call.visit, user_id).await?))
}

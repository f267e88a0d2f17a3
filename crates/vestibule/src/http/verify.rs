//! `auth/email/verify` and `auth/phone/verify`: proving an address or a number.

use axum::http::StatusCode;
use serde_json::{Map, json};
use vestibule_core::Problem;
use vestibule_core::account::address::shown;
use vestibule_core::account::{verify_email, verify_phone};
use vestibule_core::login::entry::verification;

use super::answer::Answer;
use super::door::{Call, Reply};
use super::envelope::Meta;
use super::view;

pub(super) fn look(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let waiting = verification::email_stage(&call.ctx, &call.visit).await?;
        let awaited = verify_email::awaited(&call.ctx, &call.visit).await?;
        let key = call.header("x-email-verification-key");
        if key.is_empty() {
            return Err(Problem::required().on("key").into());
        }
        let proof = verify_email::look(&call.ctx, &call.visit, awaited, &key).await?;
        let data = json!({ "email": shown(&proof.email), "user": view::user(&proof.user, proof.primary.as_deref(), Map::new()) });
        let meta = Meta { is_authenticating: Some(waiting.is_some()), ..Meta::default() };
        Answer::envelope(StatusCode::OK, data, meta)
    })
}

pub(super) fn email(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let waiting = verification::email_stage(&call.ctx, &call.visit).await?;
        let awaited = verify_email::awaited(&call.ctx, &call.visit).await?;
        let mut form = call.form()?;
        let key = form.text("key", true);
        let key = form.finish_with(key)?;
        let proof = verify_email::look(&call.ctx, &call.visit, awaited, &key).await?;
        verification::email(&call.ctx, &mut call.visit, waiting, proof).await?;
        call.authentication().await
    })
}

pub(super) fn resend_email(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        verify_email::resend(&call.ctx, &mut call.visit).await?;
        Ok(Answer::status(StatusCode::OK))
    })
}

pub(super) fn phone(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let awaited = verification::phone_awaited(&call.ctx, &call.visit).await?;
        let mut form = call.form()?;
        let code = form.text("code", true);
        let code = form.finish_with(code)?;
        verification::phone(&call.ctx, &mut call.visit, awaited, &code).await?;
        call.authentication().await
    })
}

pub(super) fn resend_phone(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let process = verification::phone_stage(&call.ctx, &call.visit).await?;
        verify_phone::resend(&call.ctx, &call.visit, &process).await?;
        Ok(Answer::status(StatusCode::OK))
    })
}

//! `auth/password/request`, `auth/password/reset` and `account/password/change`.

use axum::http::StatusCode;
use serde_json::{Map, json};
use vestibule_base::config::Action;
use vestibule_core::Problem;
use vestibule_core::account::password::{self, Change};
use vestibule_core::account::recovery;
use vestibule_core::login::entry;

use super::answer::Answer;
use super::door::{Call, Reply};
use super::view;

pub(super) fn request(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let mut form = call.form()?;
        let email = form.email("email", true, call.ctx.config.account.email_max_length);
        let email = form.finish_with(email)?;
        recovery::request(&call.ctx, &mut call.visit, &email).await?;
        if call.ctx.config.account.password_reset_by_code_enabled {
            return call.authentication().await;
        }
        Ok(Answer::status(StatusCode::OK))
    })
}

pub(super) fn look(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let awaited = recovery::awaited(&call.ctx, &call.visit).await?;
        let key = call.header("x-password-reset-key");
        if key.is_empty() {
            return Err(Problem::required().on("key").into());
        }
        let reset = recovery::look(&call.ctx, &call.visit, awaited, &key).await?;
        Answer::data(json!({ "user": view::user(&reset.user, reset.primary.as_deref(), Map::new()) }))
    })
}

pub(super) fn reset(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        call.limit(Action::ResetPasswordFromKey).await?;
        let awaited = recovery::awaited(&call.ctx, &call.visit).await?;
        let mut form = call.form()?;
        let key = form.text("key", true);
        let new = form.password("password", true);
        let reset = match key {
            Some(key) => recovery::look(&call.ctx, &call.visit, awaited, &key).await.map(Some)?,
            None => None,
        };
        let (reset, new) = form.finish_with(reset.zip(new))?;
        entry::recovery::reset(&call.ctx, &mut call.visit, reset, &new).await?;
        call.authentication().await
    })
}

pub(super) fn change(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let has_password = call.visit.current()?.user.password.is_some();
        call.limit(Action::ChangePassword).await?;
        let mut form = call.form()?;
        let current = form.password("current_password", has_password);
        let new = form.password("new_password", true);
        let new = form.finish_with(new)?;
        password::change(&call.ctx, &mut call.visit, Change { current, new }).await?;
        call.authentication().await
    })
}

//! `tokens/refresh`: the next access token for an app.

use axum::http::StatusCode;
use serde_json::json;
use vestibule_core::token;

use super::answer::Answer;
use super::door::{Call, Reply};
use super::envelope::Meta;

pub(super) fn refresh(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let mut form = call.form()?;
        let presented = form.text("refresh_token", true);
        let presented = form.finish_with(presented)?;
        let granted = token::refresh(&call.ctx, &call.visit, &presented).await?;
        let data = match &granted.refresh {
            Some(refresh) => json!({ "access_token": granted.access, "refresh_token": refresh }),
            None => json!({ "access_token": granted.access }),
        };
        Answer::envelope(StatusCode::OK, data, Meta::default())
    })
}

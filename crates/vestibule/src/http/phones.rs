//! `account/phone`: the number of whoever is logged in, or of a signup that awaits its code.

use axum::http::StatusCode;
use serde_json::json;
use vestibule_base::config::Action;
use vestibule_core::Outcome;
use vestibule_core::account::{PhoneNumber, phones};
use vestibule_core::login::entry::verification;

use super::answer::Answer;
use super::door::{Call, Reply};
use super::envelope::Meta;

pub(super) fn get(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let found = phones::get(&call.ctx, &call.visit).await?;
        let shape = found.into_iter().map(|row| json!({ "phone": row.phone, "verified": row.verified }));
        Answer::data(shape.collect::<Vec<_>>())
    })
}

pub(super) fn post(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let phone = if call.visit.session.user().is_some() {
            call.limit(Action::ChangePhone).await?;
            let phone = number(call)?;
            phones::change(&call.ctx, &mut call.visit, &phone).await?;
            phone
        } else {
            let process = verification::phone_stage(&call.ctx, &call.visit).await?;
            let user = phones::changeable(&call.ctx, &process).await?;
            // A pretended signup is counted by its session, as a real one is by its user.
            let whose = user.map_or(-process.session_id, |user| user.id);
            call.ctx.limit_user(&call.visit, Action::ChangePhone, whose).await?;
            let phone = number(call)?;
            phones::change_pending(&call.ctx, &mut call.visit, process, &phone).await?;
            phone
        };
        let data = json!([{ "phone": phone.as_str(), "verified": false }]);
        Answer::envelope(StatusCode::ACCEPTED, data, Meta::default())
    })
}

fn number(call: &Call) -> Outcome<PhoneNumber> {
    let mut form = call.form()?;
    let phone = form.phone("phone", true);
    form.finish_with(phone)
}

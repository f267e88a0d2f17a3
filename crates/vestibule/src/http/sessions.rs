//! `auth/sessions`: the sessions of whoever is logged in.

use serde_json::{Map, Value};
use vestibule_base::storage::sessions::Listed;
use vestibule_core::session::list;
use vestibule_core::{Outcome, Problem};

use super::answer::Answer;
use super::door::{Call, Reply};
use super::view;

pub(super) fn get(call: &mut Call) -> Reply<'_> {
    Box::pin(async move { listed(call).await })
}

pub(super) fn delete(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        call.visit.current()?;
        let mut form = call.form()?;
        let ids = form.ids("sessions", &Problem::unknown_session());
        let ids = form.finish_with(ids)?;
        list::end(&call.ctx, &mut call.visit, &ids).await?;
        if call.visit.session.user().is_none() {
            return call.authentication().await;
        }
        listed(call).await
    })
}

async fn listed(call: &Call) -> Outcome<Answer> {
    let own = call.visit.current()?.session_id;
    let tracks = call.ctx.config.usersessions.track_activity;
    let rows = list::list(&call.ctx, &call.visit).await?;
    Answer::data(rows.iter().map(|row| shape(row, own, tracks)).collect::<Vec<_>>())
}

fn shape(row: &Listed, own: i64, tracks: bool) -> Value {
    let mut shape = Map::new();
    shape.insert("user_agent".into(), row.user_agent.as_str().into());
    shape.insert("ip".into(), row.ip.as_str().into());
    shape.insert("created_at".into(), view::seconds(row.created_at).into());
    shape.insert("is_current".into(), (row.id == own).into());
    shape.insert("id".into(), row.id.into());
    if tracks {
        shape.insert("last_seen_at".into(), view::seconds(row.last_seen_at).into());
    }
    Value::Object(shape)
}

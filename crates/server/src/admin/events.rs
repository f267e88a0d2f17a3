//! `events`: what has happened.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;
use vestibule::EventQuery;
use vestibule_base::security::rfc_3339;

use super::Desk;
use super::answer::{self, Answer};
use super::input::Query;

pub(super) async fn list(State(desk): State<Arc<Desk>>, query: Query) -> Answer {
    query.only(&["user_id", "type", "since", "before", "limit"])?;
    let wanted = EventQuery {
        user_id: query.int("user_id")?,
        kind: query.parsed("type", "a type of events", |text| text.parse().ok())?,
        since: query.parsed("since", "a time of RFC 3339", rfc_3339::parse)?,
        before: query.int("before")?,
        limit: query.limit()?,
    };
    let events = desk.vestibule.events().list(&wanted).await?;
    let full = events.len() >= wanted.limit as usize;
    let before = events.first().map(|event| event.id).filter(|_| full);
    answer::json(StatusCode::OK, &json!({ "events": events, "before": before }))
}

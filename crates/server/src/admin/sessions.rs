//! `sessions`: who is in, and putting them out.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;
use vestibule::SessionSearch;

use super::Desk;
use super::answer::{self, Answer};
use super::input::{Id, Ids, Query};

type Here = State<Arc<Desk>>;

pub(super) async fn search(State(desk): Here, query: Query) -> Answer {
    query.only(&["user_id", "ip", "after", "limit"])?;
    let user_id = query.int("user_id")?;
    listed(&desk, &query, user_id).await
}

pub(super) async fn of_user(State(desk): Here, Id(id): Id, query: Query) -> Answer {
    query.only(&["ip", "after", "limit"])?;
    listed(&desk, &query, Some(id)).await
}

pub(super) async fn end(State(desk): Here, Id(id): Id) -> Answer {
    desk.vestibule.sessions().end(None, id).await?;
    answer::done()
}

pub(super) async fn end_of_user(State(desk): Here, Ids(user, id): Ids) -> Answer {
    desk.vestibule.sessions().end(Some(user), id).await?;
    answer::done()
}

pub(super) async fn end_all(State(desk): Here, Id(id): Id) -> Answer {
    desk.vestibule.users().end_sessions(id).await?;
    answer::done()
}

async fn listed(desk: &Desk, query: &Query, user_id: Option<i64>) -> Answer {
    let search = SessionSearch {
        user_id,
        ip: query.text("ip"),
        after: query.int("after")?.unwrap_or(0),
        limit: query.limit()?,
    };
    let (sessions, next) = desk.vestibule.sessions().search(&search).await?;
    answer::json(StatusCode::OK, &json!({ "sessions": sessions, "next": next }))
}

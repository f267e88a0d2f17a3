//! `users`: looking for them, making, changing and deleting them, and what they log in with.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use vestibule::{NewUser, Password, Search};

use super::Desk;
use super::answer::{self, Answer, Wrong};
use super::input::{Id, Ids, Json, Query};

type Here = State<Arc<Desk>>;

pub(super) async fn search(State(desk): Here, query: Query) -> Answer {
    query.only(&["q", "is_active", "has_mfa", "after", "limit"])?;
    let search = Search {
        q: query.text("q"),
        is_active: query.flag("is_active")?,
        has_mfa: query.flag("has_mfa")?,
        after: query.int("after")?.unwrap_or(0),
        limit: query.limit()?,
    };
    let users = desk.vestibule.users().search(&search).await?;
    let full = users.len() >= search.limit as usize;
    let next = users.last().map(|user| user.id).filter(|_| full);
    answer::json(StatusCode::OK, &json!({ "users": users, "next": next }))
}

/// A user to be made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    email: Option<String>,
    username: Option<String>,
    password: Option<String>,
    #[serde(default)]
    verified: bool,
}

pub(super) async fn create(State(desk): Here, Json(new): Json<New>) -> Answer {
    if new.email.is_none() && new.username.is_none() {
        return Err(Wrong::input("give an email, a username or both"));
    }
    let password = new.password.as_deref().map(password).transpose()?;
    let new = NewUser { email: new.email, username: new.username, password, verified: new.verified };
    answer::json(StatusCode::CREATED, &desk.vestibule.users().create(new).await?)
}

/// By id, and by address or name as well: whoever looks somebody up has one of those.
pub(super) async fn show(State(desk): Here, Path(who): Path<String>) -> Answer {
    if who.contains('\0') {
        return Err(Wrong::NO_PATH);
    }
    answer::json(StatusCode::OK, &desk.vestibule.users().details(&who).await?)
}

/// What can be changed of a user.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    is_active: bool,
}

pub(super) async fn change(State(desk): Here, Id(id): Id, Json(change): Json<Change>) -> Answer {
    let users = desk.vestibule.users();
    if change.is_active {
        users.activate(id).await?;
    } else {
        users.deactivate(id).await?;
    }
    answer::json(StatusCode::OK, &users.find(&id.to_string()).await?)
}

pub(super) async fn delete(State(desk): Here, Id(id): Id) -> Answer {
    desk.vestibule.users().delete(id).await?;
    answer::done()
}

/// An address that is taken for verified.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Address {
    email: String,
}

pub(super) async fn verify_email(State(desk): Here, Id(id): Id, Json(address): Json<Address>) -> Answer {
    answer::json(StatusCode::OK, &desk.vestibule.users().verify_email(id, &address.email).await?)
}

/// Another password, or none. The member has to be there: nobody loses a password by a slip.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    #[serde(deserialize_with = "Option::deserialize")]
    password: Option<String>,
}

pub(super) async fn set_password(State(desk): Here, Id(id): Id, Json(new): Json<NewPassword>) -> Answer {
    let users = desk.vestibule.users();
    match new.password.as_deref().map(password).transpose()? {
        Some(password) => users.set_password(id, password).await?,
        None => users.remove_password(id).await?,
    }
    answer::done()
}

pub(super) async fn send_reset(State(desk): Here, Id(id): Id) -> Answer {
    let sent_to = desk.vestibule.users().send_reset(id).await?;
    answer::json(StatusCode::ACCEPTED, &json!({ "sent_to": sent_to }))
}

pub(super) async fn remove_authenticators(State(desk): Here, Id(id): Id) -> Answer {
    desk.vestibule.users().remove_authenticators(id).await?;
    answer::done()
}

pub(super) async fn remove_authenticator(State(desk): Here, Ids(id, authenticator): Ids) -> Answer {
    desk.vestibule.users().remove_authenticator(id, authenticator).await?;
    answer::done()
}

pub(super) async fn remove_provider(State(desk): Here, Ids(id, account): Ids) -> Answer {
    desk.vestibule.users().remove_provider(id, account).await?;
    answer::done()
}

fn password(text: &str) -> Result<Password, Wrong> {
    if text.is_empty() {
        return Err(Wrong::input("password: it is empty; null is none"));
    }
    Password::parse(text).map_err(|error| Wrong::input(format!("password: {error}")))
}

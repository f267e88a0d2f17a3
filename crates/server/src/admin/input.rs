//! What operators send: ids in the path, a query, a JSON body. What is not understood is refused, not passed over.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::answer::Wrong;

/// The most that one page of a list holds.
const LONGEST_PAGE: u32 = 100;

/// The id in a path that has one.
pub(super) struct Id(pub(super) i64);

/// The ids of a user and of something that is theirs.
pub(super) struct Ids(pub(super) i64, pub(super) i64);

/// The members of a query, each there once.
pub(super) struct Query(BTreeMap<String, String>);

/// A JSON body.
pub(super) struct Json<T>(pub(super) T);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Wrong;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Wrong> {
        let path = Path::<i64>::from_request_parts(parts, state).await;
        path.map(|Path(id)| Self(id)).map_err(|_| Wrong::NO_PATH)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Ids {
    type Rejection = Wrong;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Wrong> {
        let path = Path::<(i64, i64)>::from_request_parts(parts, state).await;
        path.map(|Path((user, part))| Self(user, part)).map_err(|_| Wrong::NO_PATH)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Wrong;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Wrong> {
        Self::read(parts.uri.query().unwrap_or_default())
    }
}

impl Query {
    fn read(text: &str) -> Result<Self, Wrong> {
        let mut members = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            if value.contains('\0') || members.insert(name.clone().into_owned(), value.into_owned()).is_some()
            {
                return Err(Wrong::input(format!("{name:?} is given twice, or holds NUL")));
            }
        }
        Ok(Self(members))
    }

    /// Refuses members of other names.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Wrong> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(Wrong::input(format!("{name:?} is none of {}", known.join(", ")))),
            None => Ok(()),
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|text| !text.is_empty()).cloned()
    }

    pub(super) fn int(&self, name: &str) -> Result<Option<i64>, Wrong> {
        self.parsed(name, "a number", |text| text.parse().ok())
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Wrong> {
        self.parsed(name, "true or false", |text| text.parse().ok())
    }

    /// What `read` makes of a member, which has to be `what`.
    pub(super) fn parsed<T>(
        &self,
        name: &str,
        what: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Wrong> {
        let Some(text) = self.text(name) else { return Ok(None) };
        read(&text).map(Some).ok_or_else(|| Wrong::input(format!("{name}: {text:?} is not {what}")))
    }

    /// How many at most.
    pub(super) fn limit(&self) -> Result<u32, Wrong> {
        let read = |text: &str| text.parse().ok().filter(|limit| (1..=LONGEST_PAGE).contains(limit));
        Ok(self.parsed("limit", "a number from 1 to 100", read)?.unwrap_or(LONGEST_PAGE))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Wrong;

    async fn from_request(request: Request, state: &S) -> Result<Self, Wrong> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Wrong::input("the body is longer than 64 KiB")
            } else {
                Wrong::input("the body did not arrive whole")
            }
        })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| Wrong::input(explain(&error)))
    }
}

/// Where a body is wrong. The words of the error are passed on only where they name members, never values: those may be
/// passwords.
fn explain(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let names =
        ["missing field", "unknown field", "duplicate field"].iter().any(|start| said.starts_with(start));
    if names {
        return said;
    }
    let what = if error.is_data() { "not as the document says" } else { "no JSON" };
    format!("the body is {what}, at line {} column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_or_refused() {
        let query = Query::read("q=a%40b&is_active=true&after=7&empty=").ok().unwrap();
        assert_eq!(query.text("q").as_deref(), Some("a@b"));
        assert_eq!((query.text("empty"), query.limit().ok()), (None, Some(100)));
        assert!(matches!((query.flag("is_active"), query.int("after")), (Ok(Some(true)), Ok(Some(7)))));
        assert!(query.only(&["q", "is_active", "after", "empty"]).is_ok() && query.only(&["q"]).is_err());
        for wrong in ["a=1&a=2", "a=%00"] {
            assert!(Query::read(wrong).is_err(), "{wrong}");
        }
        for wrong in ["limit=0", "limit=101", "limit=x"] {
            assert!(Query::read(wrong).ok().unwrap().limit().is_err(), "{wrong}");
        }
    }

    #[test]
    fn x3_what_is_wrong_with_a_body_is_said_without_its_values() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Body {
            #[expect(dead_code, reason = "only its absence matters")]
            verified: bool,
        }
        let said = |text: &str| explain(&serde_json::from_str::<Body>(text).unwrap_err());
        assert!(!said(r#"{"verified":"hunter2"}"#).contains("hunter2"));
        assert!(said("{}").contains("missing field `verified`"));
        assert!(said(r#"{"name":"hunter2"}"#).contains("unknown field `name`"));
        assert!(said("{").starts_with("the body is no JSON"));
    }
}

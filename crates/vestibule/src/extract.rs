//! Extractors, by which the routes of an application learn who is calling.
//!
//! They work on any router whose state is a [`Vestibule`], or holds one ([`FromRef`]). A request may show what it would
//! show to the API: an app its session token or access token, a browser its cookie, and then, with a method that changes
//! something, the CSRF token in its header, too. A refused request gets the API's own answer, so that a client that knows
//! how to log in at the API knows what to do.

use std::fmt;

use axum::body::Body;
use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use vestibule_core::visit::Current;

use crate::Vestibule;

/// The user who is logged in. Refused with 401, in the API's form, if nobody is: [`Option<CurrentUser>`] is not.
///
/// ```
/// use axum::{Router, routing::get};
/// use vestibule::{CurrentUser, Vestibule};
///
/// async fn hello(user: CurrentUser) -> String {
///     format!("Hello, number {}", user.id)
/// }
///
/// fn application(vestibule: &Vestibule) -> Router {
///     Router::new().route("/hello", get(hello)).with_state(vestibule.clone()).merge(vestibule.router())
/// }
/// ```
///
/// # Errors
/// [`Rejection`]: 401 if nobody is logged in, 403 if a page elsewhere may have sent the request, 503 if the database does
/// not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CurrentUser {
    /// As in the API; never given twice.
    pub id: i64,
    /// Name.
    pub username: Option<String>,
    /// Primary address.
    pub email: Option<String>,
    /// Whether the user has proved that it is theirs.
    pub email_verified: bool,
    /// How this session was authenticated, as the API calls it: `password`, `mfa`, `socialaccount`, …; each once, in order.
    pub methods: Vec<&'static str>,
}

/// The user, if they proved just now who they are (`account.reauthentication_timeout`); for what a stolen session must
/// not do. Refused with 401 and the flows by which to prove it, as the API refuses.
///
/// # Errors
/// [`Rejection`], as for [`CurrentUser`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentlyAuthenticated(pub CurrentUser);

/// The API's answer to a request that an extractor refuses.
pub struct Rejection(Box<Response<Body>>);

impl Rejection {
    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rejection({})", self.status())
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response<Body> {
        *self.0
    }
}

impl From<Box<Response<Body>>> for Rejection {
    fn from(response: Box<Response<Body>>) -> Self {
        Self(response)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CurrentUser
where
    Vestibule: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let callers = Vestibule::from_ref(state).callers;
        let visit = callers.visit(parts).await?;
        Ok(callers.user(&visit).await?.into())
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for CurrentUser
where
    Vestibule: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Rejection> {
        let visit = Vestibule::from_ref(state).callers.visit(parts).await?;
        Ok(visit.session.user().map(Self::from))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RecentlyAuthenticated
where
    Vestibule: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let callers = Vestibule::from_ref(state).callers;
        let visit = callers.visit(parts).await?;
        Ok(Self(callers.recent(&visit).await?.into()))
    }
}

impl From<&Current> for CurrentUser {
    fn from(current: &Current) -> Self {
        let mut methods = Vec::new();
        for record in &current.records {
            if !methods.contains(&record.method.name()) {
                methods.push(record.method.name());
            }
        }
        Self {
            id: current.user.id,
            username: current.user.username.clone(),
            email: current.email.clone(),
            email_verified: current.email_verified,
            methods,
        }
    }
}

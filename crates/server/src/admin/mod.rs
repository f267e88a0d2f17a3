//! The API for operators, on a listener of its own: users, sessions, events. Described by `api/admin.yaml`.
//!
//! Whoever shows no right token gets one and the same answer at every path, so that nothing is learned here. There are no
//! cookies and no other origins: browsers have no business with it.

mod answer;
mod events;
mod input;
mod sessions;
mod spec;
#[cfg(test)]
mod tests;
mod users;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, Response, header};
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use axum::routing::{delete, get, post};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use vestibule::Vestibule;
use vestibule_base::config::Admin;
use vestibule_base::security::same;

use answer::Wrong;

/// More than a user to be made, or a password, needs.
const LONGEST_BODY: usize = 64 * 1024;
/// How long a request may take to be answered.
const PATIENCE: Duration = Duration::from_millis(4500);

/// Everything that is served to operators.
pub(crate) fn router(vestibule: &Vestibule, settings: &Admin) -> Router {
    let tokens = settings.tokens.iter().map(|token| hash(token.expose_secret())).collect();
    let desk = Arc::new(Desk { vestibule: vestibule.clone(), tokens });
    Router::new()
        .route("/_admin/openapi.yaml", get(spec::yaml))
        .route("/_admin/openapi.json", get(spec::json))
        .route("/_admin/v1/users", get(users::search).post(users::create))
        .route("/_admin/v1/users/{id}", get(users::show).patch(users::change).delete(users::delete))
        .route("/_admin/v1/users/{id}/emails/verify", post(users::verify_email))
        .route("/_admin/v1/users/{id}/password", post(users::set_password))
        .route("/_admin/v1/users/{id}/password-reset", post(users::send_reset))
        .route("/_admin/v1/users/{id}/authenticators", delete(users::remove_authenticators))
        .route("/_admin/v1/users/{id}/authenticators/{part}", delete(users::remove_authenticator))
        .route("/_admin/v1/users/{id}/providers/{part}", delete(users::remove_provider))
        .route("/_admin/v1/users/{id}/sessions", get(sessions::of_user).delete(sessions::end_all))
        .route("/_admin/v1/users/{id}/sessions/{part}", delete(sessions::end_of_user))
        .route("/_admin/v1/sessions", get(sessions::search))
        .route("/_admin/v1/sessions/{id}", delete(sessions::end))
        .route("/_admin/v1/events", get(events::list))
        .fallback(async || Wrong::NO_PATH)
        .method_not_allowed_fallback(async || Wrong::NO_METHOD)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(&desk), guard))
        .with_state(desk)
}

/// What handlers work with.
struct Desk {
    vestibule: Vestibule,
    /// Of tokens only hashes are compared, which are all of one length.
    tokens: Vec<[u8; 32]>,
}

impl Desk {
    /// Whether the one token that a request shows is right. Takes as long for each that is not.
    fn lets_in(&self, headers: &HeaderMap) -> bool {
        let mut shown = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (shown.next(), shown.next()) else { return false };
        let Some((scheme, token)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
            return false;
        };
        if !scheme.eq_ignore_ascii_case("bearer") {
            return false;
        }
        let token = hash(token.trim());
        self.tokens.iter().fold(false, |known, one| known | same(one, &token))
    }

    /// Turns away whoever shows none. A database that does not answer changes nothing about that.
    async fn turn_away(&self, address: Option<IpAddr>) -> Wrong {
        let Some(address) = address else { return Wrong::NO_TOKEN };
        match tokio::time::timeout(PATIENCE, self.vestibule.refused_operator(address)).await {
            Ok(Ok(false)) => Wrong::TOO_MANY,
            Ok(Ok(true)) | Err(_) => Wrong::NO_TOKEN,
            Ok(Err(error)) => {
                tracing::warn!(%error, "a refused operator could not be counted");
                Wrong::NO_TOKEN
            }
        }
    }
}

async fn guard(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response<Body> {
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let mut response = if desk.lets_in(request.headers()) {
        match tokio::time::timeout(PATIENCE, next.run(request)).await {
            Ok(response) => response,
            Err(_) => {
                tracing::warn!("an operator's request given up: the database took too long");
                Wrong::UNAVAILABLE.into_response()
            }
        }
    } else {
        desk.turn_away(address).await.into_response()
    };
    answer::dress(response.headers_mut());
    response
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

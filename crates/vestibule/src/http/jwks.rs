//! `/.well-known/jwks.json`: the keys that verify access tokens (RFC 7517), for whoever checks them by themselves.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use vestibule_base::security::SigningKeys;
use vestibule_base::security::token::digest;

use super::envelope;

/// A new key should be published this long before it signs. Longer would make key rotation slow, shorter would have
/// verifiers ask all the time.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300");

pub(super) fn routes(keys: &SigningKeys) -> Router {
    let body = Bytes::from(keys.public().to_owned());
    let tag: String = digest(keys.public()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let serve = move |headers: HeaderMap| {
        let response = answer(&headers, body.clone(), &format!("\"{tag}\""));
        async move { response }
    };
    Router::new().route("/.well-known/jwks.json", get(serve))
}

fn answer(headers: &HeaderMap, body: Bytes, tag: &str) -> Response<Body> {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut response = match known {
        Some(known) if known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag) => {
            let mut unchanged = Response::new(Body::empty());
            *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
            unchanged
        }
        _ => envelope::json(StatusCode::OK, body),
    };
    response.headers_mut().insert(header::CACHE_CONTROL, CACHE);
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

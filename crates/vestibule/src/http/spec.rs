//! The OpenAPI document, as YAML, JSON and a page that works offline.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use base64::Engine;
use sha2::Digest;

use super::envelope::bare;

const YAML: &str = include_str!("../../../../api/openapi.yaml");
const PAGE: &str = include_str!("../../../../api/openapi.html");

pub(super) fn routes(prefix: &str) -> Router {
    let prefix = prefix.trim_end_matches('/').to_owned();
    let yaml = YAML.replace("/_allauth/", &format!("{prefix}/"));
    let json = to_json(&yaml);
    Router::new()
        .route(
            &format!("{prefix}/openapi.yaml"),
            get(move || respond("application/vnd.oai.openapi", yaml.clone())),
        )
        .route(
            &format!("{prefix}/openapi.json"),
            get(move || {
                let json = json.clone();
                async move {
                    match json {
                        Some(json) => respond("application/vnd.oai.openapi+json", json).await,
                        None => bare(StatusCode::INTERNAL_SERVER_ERROR),
                    }
                }
            }),
        )
        .route(&format!("{prefix}/openapi.html"), get(page))
}

fn to_json(yaml: &str) -> Option<String> {
    let document: yaml_serde::Value =
        yaml_serde::from_str(yaml).inspect_err(|error| tracing::error!(%error, "api/openapi.yaml")).ok()?;
    serde_json::to_string(&document).ok()
}

async fn respond(kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The page runs its own script and style, and nothing else.
async fn page() -> Response<Body> {
    let mut response = respond("text/html; charset=utf-8", PAGE.to_owned()).await;
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; frame-ancestors 'none'",
        hash_of("script"),
        hash_of("style")
    );
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// How a Content Security Policy (Level 3, section 2.3.1) names the one element of this kind in the page.
fn hash_of(element: &str) -> String {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let content = PAGE
        .split_once(&open)
        .and_then(|(_, rest)| rest.split_once(&close))
        .map_or("", |(content, _)| content);
    format!("sha256-{}", base64::prelude::BASE64_STANDARD.encode(sha2::Sha256::digest(content)))
}

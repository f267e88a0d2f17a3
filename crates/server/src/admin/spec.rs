//! The document that describes this API.

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};

use super::answer::Wrong;

const YAML: &str = include_str!("../../../../api/admin.yaml");

pub(super) async fn yaml() -> Response<Body> {
    written("application/vnd.oai.openapi", YAML.to_owned())
}

pub(super) async fn json() -> Result<Response<Body>, Wrong> {
    let document: Result<serde_json::Value, _> = yaml_serde::from_str(YAML);
    match document {
        Ok(document) => Ok(written("application/vnd.oai.openapi+json", document.to_string())),
        Err(error) => {
            tracing::error!(%error, "api/admin.yaml");
            Err(Wrong::UNAVAILABLE)
        }
    }
}

fn written(kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

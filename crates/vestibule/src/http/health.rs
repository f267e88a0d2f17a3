//! Whether the server serves (`/healthz`), and whether its database answers too (`/readyz`).

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use axum::routing::get;
use vestibule_core::Ctx;

use super::envelope::bare;

pub(super) fn routes(ctx: Arc<Ctx>) -> Router {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).with_state(ctx)
}

async fn healthz() -> Response<Body> {
    bare(StatusCode::OK)
}

async fn readyz(State(ctx): State<Arc<Ctx>>) -> Response<Body> {
    match ctx.db.ping().await {
        Ok(()) => bare(StatusCode::OK),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            bare(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

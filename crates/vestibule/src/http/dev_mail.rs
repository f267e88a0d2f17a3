//! The development mailbox, as a page and as JSON (under a path of its own, or for whoever accepts that). It exists only while no mail server is configured.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use vestibule_base::delivery::mailbox::{self, StoredMessage};
use vestibule_core::Ctx;

use super::envelope::{bare, json};

const STYLE: &str = "body{font:16px/1.5 system-ui;max-width:46rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}\
article{border:1px solid #8886;border-radius:.5rem;padding:1rem;margin:1rem 0}h2{margin:0;font-size:1.1rem}\
pre{white-space:pre-wrap;overflow-wrap:anywhere}small{opacity:.7}";

pub(super) fn routes(ctx: &Arc<Ctx>) -> Router {
    Router::new()
        .route("/_dev/mail", get(page))
        .route("/_dev/mail.json", get(messages))
        .with_state(Arc::clone(ctx))
}

async fn messages(State(ctx): State<Arc<Ctx>>) -> Response<Body> {
    let Ok(found) = mailbox::list(&ctx.db).await else { return bare(StatusCode::SERVICE_UNAVAILABLE) };
    match serde_json::to_vec(&found) {
        Ok(body) => json(StatusCode::OK, body),
        Err(_) => bare(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

async fn page(State(ctx): State<Arc<Ctx>>, headers: HeaderMap) -> Response<Body> {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accepts.contains("application/json") {
        return messages(State(ctx)).await;
    }
    let Ok(found) = mailbox::list(&ctx.db).await else { return bare(StatusCode::SERVICE_UNAVAILABLE) };
    let mut response = Response::new(Body::from(render(&found)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    );
    response
}

fn render(found: &[StoredMessage]) -> String {
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"refresh\" content=\"5\"><title>Development mailbox</title><style>{STYLE}</style>\
         <h1>Development mailbox</h1><p>What would have been sent, newest first. The same as \
         <a href=\"/_dev/mail.json\">JSON</a>.</p>"
    );
    if found.is_empty() {
        out.push_str("<p>Nothing yet. Sign up, and look here again.</p>");
    }
    for message in found {
        let _ = write!(
            out,
            "<article><h2>{}</h2><small>to {}</small><pre>{}</pre></article>",
            escape(if message.content.subject.is_empty() {
                "Text message"
            } else {
                &message.content.subject
            }),
            escape(&message.to),
            escape(&message.content.text)
        );
    }
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

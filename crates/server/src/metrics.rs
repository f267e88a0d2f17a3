//! Numbers for Prometheus: requests, their times, logins by outcome. Served by a listener of their own.
//!
//! Labels come from the router and from short lists only, so that no stranger can make up new series.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Seconds. The lowest is a request that only reads, the highest one that nobody waits for.
const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Ways in: the path below the client and version, and the name in the metric.
const LOGINS: [(&str, &str); 3] =
    [("/auth/login", "password"), ("/auth/code/confirm", "code"), ("/auth/signup", "signup")];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoginLabels {
    way: &'static str,
    outcome: &'static str,
}

#[derive(Debug)]
struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    logins: Family<LoginLabels, Counter>,
}

/// Counts what passes through `router`. Gives it back with the counting in it, and the router that answers
/// `GET /metrics`.
pub(crate) fn measure(router: Router) -> (Router, Router) {
    let metrics = Arc::new(Metrics::new());
    let measured = router.layer(middleware::from_fn_with_state(Arc::clone(&metrics), count));
    (measured, Router::new().route("/metrics", get(show)).with_state(metrics))
}

impl Metrics {
    fn new() -> Self {
        let mut registry = Registry::with_prefix("vestibule");
        let requests = Family::default();
        let seconds: Family<_, _, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS));
        let in_flight = Gauge::default();
        let logins = Family::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register("http_request_seconds", "Time to the head of the answer", seconds.clone());
        registry.register("http_requests_in_flight", "Requests being worked on", in_flight.clone());
        registry.register("logins", "Answers of the ways in, by outcome", logins.clone());
        Self { registry, requests, seconds, in_flight, logins }
    }
}

/// Counts a request down again, also when its client went away and its future was dropped.
struct InFlight<'a>(&'a Gauge);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

async fn count(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = method_name(request.method());
    let began = Instant::now();
    metrics.in_flight.inc();
    let in_flight = InFlight(&metrics.in_flight);
    let response = next.run(request).await;
    drop(in_flight);
    let status = response.status();
    if method == "POST"
        && let Some((_, way)) = LOGINS.iter().find(|(path, _)| route.ends_with(path))
    {
        metrics.logins.get_or_create(&LoginLabels { way, outcome: outcome(status) }).inc();
    }
    metrics
        .seconds
        .get_or_create(&RouteLabels { route: route.clone() })
        .observe(began.elapsed().as_secs_f64());
    metrics.requests.get_or_create(&RequestLabels { method, route, status: status.as_u16() }).inc();
    response
}

async fn show(State(metrics): State<Arc<Metrics>>) -> Response {
    let mut text = String::new();
    if encode(&mut text, &metrics.registry).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// The method, or `other`: nobody can make up new ones.
pub(crate) fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn outcome(status: StatusCode) -> &'static str {
    match status {
        StatusCode::OK => "entered",
        // Neither in nor refused: a stage waits for a code, a link or a second factor.
        StatusCode::UNAUTHORIZED => "held",
        StatusCode::TOO_MANY_REQUESTS => "limited",
        status if status.is_server_error() => "failed",
        _ => "refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::routing::post;
    use tower::ServiceExt;

    async fn answer(router: &Router, method: &str, path: &str) -> (StatusCode, String) {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn requests_are_counted_by_template_and_logins_by_outcome() {
        let api = Router::new()
            .route("/things/{id}", get(async || "thing"))
            .route("/api/app/v1/auth/login", post(async || StatusCode::TOO_MANY_REQUESTS));
        let (measured, metrics) = measure(api);
        for path in ["/things/1", "/things/2"] {
            assert_eq!(answer(&measured, "GET", path).await.0, StatusCode::OK);
        }
        answer(&measured, "POST", "/api/app/v1/auth/login").await;
        let (status, text) = answer(&metrics, "GET", "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        for line in [
            r#"vestibule_http_requests_total{method="GET",route="/things/{id}",status="200"} 2"#,
            r#"vestibule_http_request_seconds_count{route="/things/{id}"} 2"#,
            r#"vestibule_logins_total{way="password",outcome="limited"} 1"#,
            "vestibule_http_requests_in_flight 0",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}

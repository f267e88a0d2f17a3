//! The spans of traces: one for each request, and below it one for each thing that it waits for. They are of a target
//! of their own, so that logs do without them, and as long as nobody collects them each costs one comparison.
//!
//! What is written into them leaves the house: routes, statements without their values, hosts that were called, numbers.
//! Never a path, a query, a header, a body or an address.

use tracing::{Span, field::Empty, trace_span};

/// The target of these spans, and of nothing else.
pub const TARGET: &str = "vestibule::trace";

/// The span of a request, by its method and the route that the router chose. `trace_id` and `parent_id` are hexadecimal;
/// the latter is empty where the trace begins here. Status and request id are recorded when they are known.
#[must_use]
pub fn request(method: &str, route: &str, trace_id: &str, parent_id: &str) -> Span {
    trace_span!(
        target: TARGET,
        "request",
        otel.name = format_args!("{method} {route}"),
        trace_id,
        parent_id,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        vestibule.request_id = Empty,
    )
}

/// The span of a statement, which lasts until it is dropped. The text has placeholders, and no values.
pub(crate) fn statement(sql: &'static str, postgres: bool) -> Span {
    trace_span!(
        target: TARGET,
        "statement",
        otel.name = sql.split_ascii_whitespace().next(),
        db.system.name = if postgres { "postgresql" } else { "sqlite" },
        db.query.text = sql,
    )
}

/// The span of a call to somebody else's server. Its status is recorded when it is known.
pub(crate) fn call(method: &str, host: Option<&str>) -> Span {
    trace_span!(
        target: TARGET,
        "call",
        otel.name = method,
        http.request.method = method,
        server.address = host,
        http.response.status_code = Empty,
        error.type = Empty,
    )
}

/// The span of a password that is hashed, with the time that it waits for its turn.
pub(crate) fn hash() -> Span {
    trace_span!(target: TARGET, "hash")
}

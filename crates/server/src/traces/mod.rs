//! Traces (OpenTelemetry), when `telemetry.otlp_endpoint` is set: requests become spans here, what they wait for in
//! [`vestibule_base::trace`]; spans are collected ([`collect`]) and posted ([`export`]). A request waits for none of it.

mod collect;
mod export;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderMap;
use axum::middleware::{self, Next};
use axum::response::Response;
use tracing::{Instrument, Span};
use vestibule_base::config::Config;
use vestibule_base::security::random;
use vestibule_base::trace;

pub(crate) use collect::{Collector, collector};
pub(crate) use export::Exporter;

/// Which requests are traced.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sampler {
    /// Trace ids whose first half is below are taken. Ids are random.
    below: u64,
    /// Whether traces are gone on with that a proxy of ours has begun.
    goes_on: bool,
}

/// Begins a trace for the requests that pass through `router`, or goes on with that of the proxy.
pub(crate) fn follow(router: Router, sampler: Sampler) -> Router {
    router.layer(middleware::from_fn_with_state(sampler, pass))
}

async fn pass(State(sampler): State<Sampler>, request: Request, next: Next) -> Response {
    let Some(span) = sampler.begin(&request) else { return next.run(request).await };
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    if let Some(id) = response.headers().get("x-request-id").and_then(|id| id.to_str().ok()) {
        span.record("vestibule.request_id", id);
    }
    response
}

impl Sampler {
    pub(crate) fn new(config: &Config) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "such casts saturate, and the share was checked to be from 0 to 1"
        )]
        let below = (config.telemetry.sample_ratio * u64::MAX as f64) as u64;
        Self { below, goes_on: config.telemetry.trust_traceparent }
    }

    /// The span of a request; `None` if it is not traced.
    fn begin(self, request: &Request) -> Option<Span> {
        // Asked every few seconds, by machines.
        if matches!(request.uri().path(), "/healthz" | "/readyz") {
            return None;
        }
        let given = if self.goes_on { Parent::read(request.headers()) } else { None };
        let parent = match given {
            Some(parent) if !parent.sampled => return None,
            Some(parent) => parent,
            None => self.root()?,
        };
        let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
        Some(trace::request(
            crate::metrics::method_name(request.method()),
            route,
            &parent.trace_id,
            &parent.span_id,
        ))
    }

    fn root(self) -> Option<Parent> {
        let id: [u8; 16] = random::bytes().ok()?;
        let first = u64::from_be_bytes(*id.first_chunk()?);
        (first <= self.below && self.below > 0).then(|| Parent {
            trace_id: hex::encode(id),
            span_id: String::new(),
            sampled: true,
        })
    }
}

/// What goes before a request in its trace (W3C Trace Context, `traceparent`).
#[derive(Debug, PartialEq, Eq)]
struct Parent {
    trace_id: String,
    /// Empty: nothing, the trace begins here.
    span_id: String,
    sampled: bool,
}

impl Parent {
    fn read(headers: &HeaderMap) -> Option<Self> {
        let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-');
        let (version, trace_id, span_id, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        // Later versions may have further parts, the present one has none.
        let known = is_hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
        let named = |text: &str| text.bytes().any(|byte| byte != b'0');
        if !known || !is_hex(trace_id, 32) || !is_hex(span_id, 16) || !named(trace_id) || !named(span_id) {
            return None;
        }
        let flags = u8::from_str_radix(flags, 16).ok().filter(|_| is_hex(flags, 2))?;
        Some(Self { trace_id: trace_id.to_owned(), span_id: span_id.to_owned(), sampled: flags & 1 == 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str) -> Option<Parent> {
        let headers = HeaderMap::from_iter([("traceparent".parse().unwrap(), header.parse().unwrap())]);
        Parent::read(&headers)
    }

    #[test]
    fn a_traceparent_is_read_as_it_is_written() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let parent = read(&format!("00-{trace}-b7ad6b7169203331-01")).unwrap();
        assert_eq!((parent.trace_id.as_str(), parent.span_id.as_str()), (trace, "b7ad6b7169203331"));
        assert!(parent.sampled);
        assert!(!read(&format!("00-{trace}-b7ad6b7169203331-00")).unwrap().sampled);
        assert!(read(&format!("01-{trace}-b7ad6b7169203331-03-more")).unwrap().sampled);
        for wrong in [
            String::new(),
            "00".to_owned(),
            format!("00-{trace}-b7ad6b7169203331-01-more"),
            format!("ff-{trace}-b7ad6b7169203331-01"),
            format!("00-{}-b7ad6b7169203331-01", trace.to_uppercase()),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{trace}-b7ad6b7169203331-+1"),
            format!("00-{}-b7ad6b7169203331-01", "ä".repeat(16)),
        ] {
            let headers = axum::http::HeaderValue::from_bytes(wrong.as_bytes()).unwrap();
            assert_eq!(
                Parent::read(&HeaderMap::from_iter([("traceparent".parse().unwrap(), headers)])),
                None,
                "{wrong}"
            );
        }
    }

    #[test]
    fn the_share_of_traced_requests_is_that_of_the_setting() {
        let share = |ratio: &str| {
            let config = Config::from_toml(&format!("telemetry.sample_ratio = {ratio}")).unwrap();
            let sampler = Sampler::new(&config);
            (0..1000).filter(|_| sampler.root().is_some()).count()
        };
        assert_eq!((share("0"), share("1.0")), (0, 1000));
        assert!((350..650).contains(&share("0.5")));
    }
}

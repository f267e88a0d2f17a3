//! Takes note of the spans of traces, and hands those that ended to the exporter. Nothing waits: where the exporter does
//! not keep up, spans are lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;
use vestibule_base::security::{Clock, SystemClock, random};
use vestibule_base::trace::TARGET;

/// Ended spans that wait to be posted, at most.
const QUEUE: usize = 4096;

/// The layer that collects spans.
#[derive(Debug)]
pub(crate) struct Collector {
    ended: mpsc::Sender<Ended>,
    lost: Arc<AtomicU64>,
}

/// Where ended spans come out.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(super) ended: mpsc::Receiver<Ended>,
    /// How many did not fit in.
    pub(super) lost: Arc<AtomicU64>,
}

/// A collector and its other end.
pub(crate) fn collector() -> (Collector, Collected) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let lost = Arc::<AtomicU64>::default();
    (Collector { ended: sender, lost: Arc::clone(&lost) }, Collected { ended: receiver, lost })
}

/// A span that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) open: Open,
    /// Nanoseconds since 1970.
    pub(super) until: u64,
}

/// A span as it is known so far.
#[derive(Debug)]
pub(super) struct Open {
    /// What it is called, unless a field says otherwise.
    pub(super) kind: &'static str,
    pub(super) trace_id: Arc<str>,
    pub(super) parent_id: String,
    pub(super) id: String,
    /// Nanoseconds since 1970.
    pub(super) from: u64,
    pub(super) attributes: Vec<(&'static str, Value)>,
    began: Moment,
}

/// What an attribute is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
}

/// One reading of both clocks at the beginning of a request: within a trace time does not jump.
#[derive(Debug, Clone, Copy)]
struct Moment {
    wall: u64,
    steady: Instant,
}

impl Moment {
    fn now() -> Self {
        let wall = u64::try_from(SystemClock.now()).unwrap_or_default() * 1_000_000;
        Self { wall, steady: Instant::now() }
    }

    /// Nanoseconds since 1970, at present.
    fn passed(self) -> u64 {
        self.wall + u64::try_from(self.steady.elapsed().as_nanos()).unwrap_or_default()
    }
}

impl Collector {
    /// Whether a span or event is for it.
    pub(crate) fn takes(metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Collector {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let given = fields.trace_id.take().zip(fields.parent_id.take());
        let above = span.scope().skip(1).find_map(|above| {
            let extensions = above.extensions();
            let open = extensions.get::<Open>()?;
            Some((Arc::clone(&open.trace_id), open.id.clone(), open.began))
        });
        // Work that no traced request waits for is in no trace.
        let Some((trace_id, parent_id, began)) =
            above.or_else(|| given.map(|(trace, parent)| (trace.into(), parent, Moment::now())))
        else {
            return;
        };
        let Ok(own) = random::bytes::<8>() else { return };
        span.extensions_mut().insert(Open {
            kind: span.name(),
            trace_id,
            parent_id,
            id: hex::encode(own),
            from: began.passed(),
            attributes: fields.attributes,
            began,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            open.attributes.append(&mut fields.attributes);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(open) = context.span(&id).and_then(|span| span.extensions_mut().remove::<Open>()) else {
            return;
        };
        let until = open.began.passed();
        if self.ended.try_send(Ended { open, until }).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[derive(Debug, Default)]
struct Fields {
    trace_id: Option<String>,
    parent_id: Option<String>,
    attributes: Vec<(&'static str, Value)>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "trace_id" => self.trace_id = Some(value.to_owned()),
            "parent_id" => self.parent_id = Some(value.to_owned()),
            name => self.attributes.push((name, Value::Text(value.to_owned()))),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record_i64(field, i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.attributes.push((field.name(), Value::Number(value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::prelude::*;
    use vestibule_base::trace;

    #[test]
    fn spans_know_what_is_above_them_and_work_of_nobody_is_in_no_trace() {
        let (collector, mut collected) = collector();
        let subscriber = tracing_subscriber::registry()
            .with(collector.with_filter(tracing_subscriber::filter::filter_fn(Collector::takes)));
        tracing::subscriber::with_default(subscriber, || {
            let inner = || drop(tracing::trace_span!(target: TARGET, "hash"));
            inner();
            tracing::trace_span!("of others", trace_id = "x", parent_id = "y").in_scope(inner);
            let request = trace::request("GET", "/things/{id}", &"ab".repeat(16), "");
            request.in_scope(|| tracing::info_span!("of others").in_scope(inner));
            request.record("http.response.status_code", 503_u16);
        });
        let (hash, request) = (collected.ended.try_recv().unwrap(), collected.ended.try_recv().unwrap());
        assert!(collected.ended.try_recv().is_err(), "two, and no more");
        assert_eq!((hash.open.kind, request.open.kind), ("hash", "request"));
        assert_eq!(hash.open.parent_id, request.open.id);
        assert_eq!(hash.open.trace_id, request.open.trace_id);
        assert!(request.open.from <= hash.open.from && hash.until <= request.until);
        assert!(request.open.attributes.contains(&("http.response.status_code", Value::Number(503))));
        assert!(request.open.attributes.contains(&("otel.name", Value::Text("GET /things/{id}".into()))));
    }

    #[test]
    fn what_does_not_fit_is_lost_and_counted() {
        let (collector, collected) = collector();
        let subscriber = tracing_subscriber::registry().with(collector);
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..QUEUE + 3 {
                drop(trace::request("GET", "/", &"ab".repeat(16), ""));
            }
        });
        assert_eq!(collected.lost.load(Ordering::Relaxed), 3);
    }
}

//! Posts ended spans to the collector, by OTLP over HTTP in JSON. One post at a time; what it does not take is lost.

use std::sync::atomic::Ordering;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value as Json, json};
use tokio::sync::{mpsc, oneshot};
use vestibule_base::config::Telemetry;
use vestibule_base::outbound::{Endpoint, Outbound, OutboundError};

use super::collect::{Collected, Ended, Value};

/// Spans in one post, at most.
const BATCH: usize = 512;
/// How long a post waits for more spans, if it is not full.
const PAUSE: Duration = Duration::from_secs(1);
/// What a post may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// What the last posts may take, when the server stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// Posts what was collected.
#[derive(Debug)]
pub(crate) struct Exporter {
    collected: Collected,
    endpoint: Endpoint,
    headers: Vec<SecretString>,
    resource: Json,
    /// Whether the last post was taken.
    well: bool,
}

impl Exporter {
    /// Posts to `endpoint` of the settings, which are checked.
    ///
    /// # Errors
    /// [`OutboundError`] if there is no client to post with.
    pub(crate) fn new(
        collected: Collected,
        endpoint: &str,
        settings: &Telemetry,
    ) -> Result<Self, OutboundError> {
        let name = Value::Text(settings.service_name.clone());
        let version = Value::Text(env!("CARGO_PKG_VERSION").to_owned());
        Ok(Self {
            collected,
            endpoint: Outbound::new()?.configured(endpoint)?.within(PATIENCE),
            headers: settings.otlp_headers.clone(),
            resource: json!({
                "attributes": [attribute("service.name", &name), attribute("service.version", &version)]
            }),
            well: true,
        })
    }

    /// Goes on until `stop`; what has ended by then is posted, if the collector answers in time.
    pub(crate) async fn run(mut self, stop: oneshot::Receiver<()>) {
        let mut batch = Vec::new();
        tokio::select! {
            _ = stop => {}
            () = self.go_on(&mut batch) => {}
        }
        self.collected.ended.close();
        let rest = async {
            while !batch.is_empty() || self.collected.ended.recv_many(&mut batch, BATCH).await > 0 {
                self.post(&mut batch).await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, rest).await;
    }

    async fn go_on(&mut self, batch: &mut Vec<Ended>) {
        while gather(&mut self.collected.ended, batch, PAUSE).await {
            self.post(batch).await;
        }
    }

    async fn post(&mut self, batch: &mut Vec<Ended>) {
        let spans: Vec<Json> = batch.drain(..).map(span).collect();
        let body = json!({
            "resourceSpans": [{
                "resource": self.resource,
                "scopeSpans": [{ "scope": { "name": "vestibule" }, "spans": spans }],
            }],
        });
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .filter_map(|header| header.expose_secret().split_once(':'))
            .map(|(name, value)| (name, value.trim()))
            .collect();
        let answer = self.endpoint.post_json(body.to_string(), &headers).await;
        let taken = answer.and_then(|answer| answer.success().map(drop));
        let lost = &self.collected.lost;
        match taken {
            Ok(()) => {
                let lost = lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    tracing::warn!(lost, "traces are taken again; some were lost");
                }
                self.well = true;
            }
            Err(error) => {
                lost.fetch_add(spans.len() as u64, Ordering::Relaxed);
                // Once, until it goes well again.
                if std::mem::replace(&mut self.well, false) {
                    tracing::warn!(%error, "telemetry.otlp_endpoint does not take traces; they are lost");
                }
            }
        }
    }
}

/// Waits for something to post, then for more: until the batch is full, for `pause` at most. `false`: there will be no more.
async fn gather<T>(ended: &mut mpsc::Receiver<T>, batch: &mut Vec<T>, pause: Duration) -> bool {
    let some = ended.recv_many(batch, BATCH).await > 0;
    let fill =
        async { while batch.len() < BATCH && ended.recv_many(batch, BATCH - batch.len()).await > 0 {} };
    let _ = tokio::time::timeout(pause, fill).await;
    some
}

/// A span in OTLP's JSON: ids in hexadecimal, large numbers as text.
fn span(ended: Ended) -> Json {
    let open = ended.open;
    let named = |name| open.attributes.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| value);
    let name = match named("otel.name") {
        Some(Value::Text(name)) => name,
        _ => open.kind,
    };
    let kind = match open.kind {
        "request" => 2,            // SPAN_KIND_SERVER
        "statement" | "call" => 3, // SPAN_KIND_CLIENT
        _ => 1,                    // SPAN_KIND_INTERNAL
    };
    let failed = named("error.type").is_some()
        || matches!(named("http.response.status_code"), Some(Value::Number(status)) if *status >= 500);
    let attributes: Vec<Json> = open
        .attributes
        .iter()
        .filter(|(key, _)| *key != "otel.name")
        .map(|(key, value)| attribute(key, value))
        .collect();
    json!({
        "traceId": &*open.trace_id,
        "spanId": open.id,
        "parentSpanId": open.parent_id,
        "name": name,
        "kind": kind,
        "startTimeUnixNano": open.from.to_string(),
        "endTimeUnixNano": ended.until.to_string(),
        "attributes": attributes,
        "status": if failed { json!({ "code": 2 }) } else { json!({}) },
    })
}

fn attribute(key: &str, value: &Value) -> Json {
    match value {
        Value::Text(text) => json!({ "key": key, "value": { "stringValue": text } }),
        Value::Number(number) => json!({ "key": key, "value": { "intValue": number.to_string() } }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_fills_a_post_is_not_kept_waiting() {
        let (sender, mut ended) = mpsc::channel(2 * BATCH);
        let never = Duration::from_secs(3600);
        sender.try_send(0).unwrap();
        let burst = async {
            tokio::task::yield_now().await;
            (1..=BATCH).for_each(|number| sender.try_send(number).unwrap());
        };
        let mut batch = Vec::new();
        let (more, ()) = tokio::join!(gather(&mut ended, &mut batch, never), burst);
        assert!(more && batch == (0..BATCH).collect::<Vec<_>>());
        // The last one has no company, and goes alone.
        batch.clear();
        assert!(gather(&mut ended, &mut batch, Duration::from_millis(1)).await);
        assert_eq!(batch, [BATCH]);
        drop(sender);
        batch.clear();
        assert!(!gather(&mut ended, &mut batch, never).await);
    }
}

//! `[telemetry]`: where traces go.

use secrecy::SecretString;

use super::read;
use super::settings::settings;

settings! {
    /// Traces (OpenTelemetry): what each request did and how long that took. Off, until `otlp_endpoint` is set.
    pub struct Telemetry {
        /// Where traces are posted, by OTLP over HTTP in JSON: the whole URL, such as
        /// `"http://127.0.0.1:4318/v1/traces"`. A collector that is away costs its traces and nothing else.
        pub otlp_endpoint: Option<String> = None,

        /// Further headers of these posts, such as `["Authorization: Bearer TOKEN"]`.
        #[serde(deserialize_with = "read::secrets", skip_serializing)]
        pub otlp_headers: Vec<SecretString> = Vec::new(),

        /// The name of this service in traces.
        pub service_name: String = "vestibule".to_owned(),

        /// The share of requests that are traced, from 0.0 to 1.0.
        pub sample_ratio: f64 = 1.0,

        /// Whether a request with a `traceparent` belongs to that trace, and is traced if it says so, whatever
        /// `sample_ratio` is. For proxies that set this header themselves: where strangers can, they say what is traced.
        pub trust_traceparent: bool = false,
    }
}

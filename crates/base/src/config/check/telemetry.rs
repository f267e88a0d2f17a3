//! Traces.

use secrecy::ExposeSecret;
use url::Url;

use super::super::Config;
use super::{Report, is_local};

pub(super) fn check(config: &Config, report: &mut Report) {
    let telemetry = &config.telemetry;
    if !(0.0..=1.0).contains(&telemetry.sample_ratio) {
        report.error("telemetry.sample_ratio", "write a share from 0.0 (none) to 1.0 (all)");
    }
    let malformed = |header: &str| {
        header.split_once(':').is_none_or(|(name, _)| {
            name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        }) || header.contains(char::is_control)
    };
    if telemetry.otlp_headers.iter().any(|header| malformed(header.expose_secret())) {
        report.error("telemetry.otlp_headers", "write each as \"Name: value\"");
    }
    let Some(endpoint) = &telemetry.otlp_endpoint else { return };
    match Url::parse(endpoint) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            if url.path() == "/" {
                report.warn("telemetry.otlp_endpoint", "collectors take traces at the path /v1/traces");
            }
            if url.scheme() == "http" && !is_local(&url) && !telemetry.otlp_headers.is_empty() {
                report
                    .warn("telemetry.otlp_endpoint", "without https, the headers cross the network readably");
            }
        }
        _ => report.error(
            "telemetry.otlp_endpoint",
            "write a URL with http or https, such as \"http://127.0.0.1:4318/v1/traces\"",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{expect, found};

    #[test]
    fn what_cannot_be_traced_is_found() {
        expect("telemetry.otlp_endpoint = \"collector:4317\"", "telemetry.otlp_endpoint!");
        expect("telemetry.otlp_endpoint = \"http://collector:4318\"", "telemetry.otlp_endpoint");
        expect("telemetry.sample_ratio = 1.5", "telemetry.sample_ratio!");
        for header in ["no header", "Two\\nLines: x", ": x"] {
            expect(&format!("telemetry.otlp_headers = [\"{header}\"]"), "telemetry.otlp_headers!");
        }
        let text = "telemetry.otlp_endpoint = \"http://127.0.0.1:4318/v1/traces\"\ntelemetry.otlp_headers = [\"X-Key: y\"]";
        assert!(!found(text).iter().any(|finding| finding.starts_with("telemetry")));
    }
}

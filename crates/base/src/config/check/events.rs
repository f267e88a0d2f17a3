//! The log of events, and the services that are told of it. Their keys and the names of events are checked where they
//! are known.

use std::collections::BTreeSet;

use url::Url;

use super::super::{Config, events::Webhook};
use super::Report;
use super::edge::is_local;

const WEBHOOKS: &str = "events.webhooks";
const LONGEST_NAME: usize = 64;
/// Days; more of them do not fit into the clock's range with ease.
const LONGEST: i64 = 36_500;

pub(super) fn check(config: &Config, report: &mut Report) {
    let events = &config.events;
    if !(0..=LONGEST).contains(&events.retention) {
        report.error("events.retention", format!("write a number of days up to {LONGEST}, or 0 for ever"));
    }
    let mut names = BTreeSet::new();
    for webhook in &events.webhooks {
        if !is_name(&webhook.name) {
            report.error(
                WEBHOOKS,
                format!(
                    "{:?}: write a name of letters, digits, - and _, {LONGEST_NAME} at most",
                    webhook.name
                ),
            );
        } else if !names.insert(webhook.name.as_str()) {
            report.error(WEBHOOKS, format!("{}: two have this name; give each its own", webhook.name));
        }
        address(webhook, report);
        if webhook.secrets.is_empty() {
            let how = "make a key with: echo whsec_$(openssl rand -base64 32)";
            report.error(WEBHOOKS, format!("{}: secrets is empty; {how}", webhook.name));
        }
        if !(1..=300).contains(&webhook.timeout) {
            report.error(WEBHOOKS, format!("{}: write a timeout of 1 to 300 seconds", webhook.name));
        }
    }
}

fn address(webhook: &Webhook, report: &mut Report) {
    let what = match Url::parse(&webhook.url) {
        Ok(url) if url.scheme() == "https" => return,
        Ok(url) if url.scheme() == "http" && (webhook.allow_http || is_local(&url)) => return,
        Ok(url) if url.scheme() == "http" => {
            "events would travel readable; write an https URL, or allow_http = true if nobody can listen"
        }
        _ => "write a whole URL, such as \"https://www.example.org/events\"",
    };
    report.error(WEBHOOKS, format!("{}: url: {what}", webhook.name));
}

fn is_name(text: &str) -> bool {
    let letters = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    letters && (1..=LONGEST_NAME).contains(&text.len())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{expect, found};

    #[test]
    fn receivers_of_events_are_checked() {
        let webhook =
            |more: &str| format!("[[events.webhooks]]\nname = 'audit'\nsecrets = ['whsec_x']\n{more}");
        let fine = webhook("url = 'https://www.example.org/events'");
        assert!(!found(&fine).iter().any(|setting| setting.starts_with("events")), "{:?}", found(&fine));
        expect("events.retention = -1", "events.retention!");
        expect(&format!("{fine}\n{fine}"), "events.webhooks!");
        expect(&fine.replace("audit", "a b"), "events.webhooks!");
        expect(&fine.replace("'whsec_x'", ""), "events.webhooks!");
        expect(&format!("{fine}\ntimeout = 0"), "events.webhooks!");
        for url in ["www.example.org", "ftp://www.example.org/", "http://www.example.org/"] {
            expect(&webhook(&format!("url = '{url}'")), "events.webhooks!");
        }
        for fine in ["url = 'http://127.0.0.1:9/'", "url = 'http://audit/'\nallow_http = true"] {
            assert!(!found(&webhook(fine)).contains(&"events.webhooks!".to_owned()), "{fine}");
        }
    }
}

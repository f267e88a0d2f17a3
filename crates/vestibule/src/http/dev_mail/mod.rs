//! The development mailbox, as a page and as JSON (under a path of its own, or for whoever accepts that). It exists only
//! while no mail server is configured.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use base64::Engine;
use sha2::Digest;
use vestibule_base::delivery::mailbox::{self, StoredMessage};
use vestibule_core::Ctx;

use super::envelope::{bare, json};

const STYLE: &str = include_str!("style.css");
/// Copies codes, writes times, and fetches the page again; all else is there without it.
const SCRIPT: &str = include_str!("script.js");

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
    let mut response = Response::new(Body::from(render(&found, ctx.config.has_portal())));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// How a Content Security Policy (Level 3, section 2.3.1) names an element by what is in it.
fn hash(content: &str) -> String {
    format!("sha256-{}", base64::prelude::BASE64_STANDARD.encode(sha2::Sha256::digest(content)))
}

fn render(found: &[StoredMessage], portal: bool) -> String {
    let way_back = if portal { "<a href=\"/account\">To the account portal</a>" } else { "" };
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Development mailbox</title>\n\
         <noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <header><h1>Development mailbox</h1><p>What would have been sent, newest first. It is here because \
         <code>email.host</code> is not set. The same as <a href=\"/_dev/mail.json\">JSON</a>.</p>{way_back}</header>\n\
         <p id=\"news\" role=\"status\"></p>\n<main>\n"
    );
    if found.is_empty() {
        out.push_str("<p class=\"empty\">Nothing yet. Sign up, and it arrives here.</p>\n");
    }
    for message in found {
        write_message(&mut out, message);
    }
    let _ = write!(out, "</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n");
    out
}

fn write_message(out: &mut String, message: &StoredMessage) {
    let content = &message.content;
    let (kind, subject) = match content.subject.as_str() {
        "" => ("SMS", "Text message"),
        subject => ("Email", subject),
    };
    let _ = write!(
        out,
        "<article data-id=\"{}\" aria-labelledby=\"m{0}\">\n<p class=\"about\"><span class=\"kind\">{kind}</span> to <b>{}</b> \
         <time data-at=\"{}\"></time></p>\n<h2 id=\"m{0}\">{}</h2>\n",
        message.id,
        escape(&message.to),
        message.received_at,
        escape(subject)
    );
    let link = content.link.as_deref().filter(|link| is_web(link));
    if content.code.is_some() || link.is_some() {
        out.push_str("<p class=\"act\">");
        if let Some(code) = &content.code {
            let code = escape(code);
            let _ = write!(
                out,
                "<output class=\"code\">{code}</output><button type=\"button\" data-copy=\"{code}\">Copy the code</button>"
            );
        }
        if let Some(link) = link {
            let _ = write!(out, "<a class=\"open\" href=\"{}\">Open the link</a>", escape(link));
        }
        out.push_str("</p>\n");
    }
    let _ = write!(out, "<pre>{}</pre>\n</article>\n", with_links(&content.text));
}

fn is_web(link: &str) -> bool {
    link.starts_with("https://") || link.starts_with("http://")
}

/// A text as HTML, in which URLs can be followed.
fn with_links(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive(char::is_whitespace) {
        let url = word.trim_end();
        let url = url.trim_end_matches(['.', ',', ')', '>']);
        if is_web(url) {
            let shown = escape(url);
            let _ = write!(out, "<a href=\"{shown}\">{shown}</a>");
            out.push_str(&escape(word.get(url.len()..).unwrap_or_default()));
        } else {
            out.push_str(&escape(word));
        }
    }
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use vestibule_base::delivery::mailbox::Content;

    #[test]
    fn what_a_mail_says_is_never_markup() {
        let content = Content {
            subject: "<script>".to_owned(),
            text: "Hello <b>,\nopen https://example.org/?a=1&b=\"2\".\n".to_owned(),
            html: None,
            code: Some("AB\"<".to_owned()),
            link: Some("javascript:alert(1)".to_owned()),
        };
        let message = StoredMessage {
            id: 7,
            channel: "mail".to_owned(),
            to: "<a@b>".to_owned(),
            content,
            received_at: 5,
        };
        let page = render(&[message], false);
        let (_, main) = page.split_once("<main>").unwrap();
        let (main, _) = main.split_once("</main>").unwrap();
        assert!(
            !main.contains("<script") && !main.contains("<b>,") && !main.contains("javascript:"),
            "{main}"
        );
        assert!(main.contains("<h2 id=\"m7\">&lt;script&gt;</h2>"), "{main}");
        assert!(main.contains("href=\"https://example.org/?a=1&amp;b=&quot;2&quot;\""), "{main}");
        assert!(main.contains("data-copy=\"AB&quot;&lt;\""), "{main}");
    }
}

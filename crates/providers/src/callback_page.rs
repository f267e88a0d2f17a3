//! Pages that a callback shows in place of going on, where it must ask the browser for more.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

/// A page that a callback shows. What it asks for, it posts to its own URL.
#[derive(Debug)]
pub struct CallbackPage {
    /// HTML, whole.
    pub html: String,
    /// The hash of its one script, as `script-src` of a Content Security Policy names it.
    pub script_hash: String,
}

impl CallbackPage {
    /// Takes what Telegram has put into the URL's fragment, which no server gets to see.
    pub(crate) fn telegram() -> Self {
        Self::new(
            "Back from Telegram",
            "<form method=\"post\"><input type=\"hidden\" name=\"tgAuthResult\"></form>\
             <noscript>This page needs JavaScript to take you back.</noscript>",
            "const found = location.hash.match(/tgAuthResult=([^&]*)/);\
             const form = document.forms[0];\
             form.elements.tgAuthResult.value = found ? decodeURIComponent(found[1]) : '';\
             form.submit();",
        )
    }

    /// Asks who one wants to be.
    pub(crate) fn dummy() -> Self {
        let field = |name: &str, kind: &str, label: &str| {
            format!("<p><label>{label} <input name=\"{name}\" type=\"{kind}\"></label></p>")
        };
        let fields = [
            field("id", "number", "Number of the account"),
            field("email", "email", "Email address"),
            field("email_verified", "checkbox", "The address is verified"),
            field("username", "text", "Username"),
            field("first_name", "text", "Given name"),
            field("last_name", "text", "Family name"),
            field("phone", "tel", "Phone number"),
        ];
        let form = format!(
            "<h1>Who do you want to be?</h1><form method=\"post\">{}\
             <button>Log in</button> <button name=\"action\" value=\"cancel\">Cancel</button></form>",
            fields.concat()
        );
        Self::new("Dummy provider", &form, "document.forms[0].elements.id.focus();")
    }

    fn new(title: &str, body: &str, script: &str) -> Self {
        let html = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
             <body>{body}<script>{script}</script></body></html>"
        );
        let script_hash = format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(script)));
        Self { html, script_hash }
    }
}

//! A page as its reader meets it: things are found by what a screen reader calls them, clicked where they are, and typed
//! into key by key. Whatever is looked for may take its time to come; what does not come fails the test with a picture.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::look::pictures;
use crate::devtools::Browser;

/// How long anything may take to appear.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long to wait until the next look.
const PAUSE: Duration = Duration::from_millis(15);

/// Says in the console whatever the Content-Security-Policy stopped.
const WATCHER: &str = "addEventListener('securitypolicyviolation', (event) => \
    console.error(`${event.violatedDirective} forbids ${event.blockedURI || event.sample || 'something inline'}`));";

/// A tab of a browser of its own, with a reader before it.
pub(super) struct Page {
    pub(super) browser: Browser,
    /// Where pages are, without a slash at the end.
    site: String,
    /// The window, in CSS pixels.
    pub(super) width: u32,
    /// The script by which pages are judged.
    pub(super) axe: Option<String>,
}

impl Page {
    /// An empty tab of a window `width` wide, whose reader speaks `languages`, as in `Accept-Language`.
    pub(super) fn open(
        mut browser: Browser,
        site: &str,
        width: u32,
        languages: &str,
        axe: Option<String>,
    ) -> Self {
        browser.define(WATCHER);
        browser.watch();
        let version = browser.command("Browser.getVersion", json!({}));
        let agent = json!({ "userAgent": version["userAgent"], "acceptLanguage": languages });
        browser.command("Emulation.setUserAgentOverride", agent);
        let clipboard = ["clipboardReadWrite", "clipboardSanitizedWrite"];
        browser.command("Browser.grantPermissions", json!({ "permissions": clipboard, "origin": site }));
        let mut page = Self { browser, site: site.to_owned(), width, axe };
        page.resize(width);
        page.darken(false);
        page
    }

    /// Goes to a page, by its path, as somebody who types its address.
    #[track_caller]
    pub(super) fn go(&mut self, path: &str) {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.site) };
        self.browser.go(&url);
        // Scripts draw what there is to see.
        self.until("a heading", |page| {
            let found = page.browser.run("document.querySelector('h1') !== null")?;
            (found == true).then_some(()).ok_or_else(|| "none".to_owned())
        });
        self.settle();
    }

    /// Clicks what has this role and this name.
    #[track_caller]
    pub(super) fn click(&mut self, role: &str, name: &str) {
        self.until(&format!("the {role} {name:?} to click"), |page| {
            page.drawn()?;
            let node = page.only(role, name)?;
            page.press(&node)
        });
    }

    /// Replaces what is in the field of this label.
    #[track_caller]
    pub(super) fn fill(&mut self, label: &str, text: &str) {
        self.until(&format!("the field {label:?}"), |page| {
            page.drawn()?;
            let node = page.only("textbox", label)?;
            page.press(&node)?;
            page.on(&node, "function () { this.select(); }")?;
            page.browser
                .attempt("Input.insertText", json!({ "text": text }))
                .map_err(|error| error.to_string())
        });
    }

    /// Whether the page is all there, or waits for what is done in a dialog: what is pressed before that is lost.
    fn drawn(&mut self) -> Result<(), String> {
        let drawn = "document.querySelector('dialog[open]') !== null
            || document.querySelector('#main[aria-busy=true]') === null";
        if self.browser.run(drawn)? == true { Ok(()) } else { Err("the page is being drawn".to_owned()) }
    }

    /// Types into whatever has the focus.
    pub(super) fn type_text(&mut self, text: &str) {
        self.browser.command("Input.insertText", json!({ "text": text }));
    }

    /// Presses a key: `Enter`, `Escape` or `Tab`.
    pub(super) fn key(&mut self, key: &str) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Tab" => (9, ""),
            _ => (27, ""),
        };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code,
                "text": if kind == "keyDown" { text } else { "" },
            });
            self.browser.command("Input.dispatchKeyEvent", event);
        }
    }

    /// Waits until a text can be read.
    #[track_caller]
    pub(super) fn see(&mut self, text: &str) {
        self.until(&format!("the text {text:?}"), |page| {
            let found = page.text().contains(text);
            found.then_some(()).ok_or_else(|| "not there".to_owned())
        });
    }

    /// Waits until a text cannot be read any more.
    #[track_caller]
    pub(super) fn miss(&mut self, text: &str) {
        self.until(&format!("the text {text:?} to go"), |page| {
            let found = page.text().contains(text);
            (!found).then_some(()).ok_or_else(|| "still there".to_owned())
        });
    }

    /// Waits until something of this role and name is there.
    #[track_caller]
    pub(super) fn meet(&mut self, role: &str, name: &str) {
        self.until(&format!("the {role} {name:?}"), |page| page.only(role, name).map(|_| ()));
    }

    /// Waits until the page of this path is there: the address, without the site, begins with it and goes on with a query, if
    /// at all.
    #[track_caller]
    pub(super) fn at(&mut self, path: &str) {
        let wanted = format!("{}{path}", self.site);
        self.until(&format!("the page {path}"), |page| {
            let url = page.url();
            let (start, _) = url.split_once('?').unwrap_or((&url, ""));
            (start == wanted || url == wanted).then_some(()).ok_or(url)
        });
        self.settle();
    }

    /// Waits until nothing of the page is still to come.
    #[track_caller]
    pub(super) fn settle(&mut self) {
        self.until("the page to be done", |page| {
            let busy = page.browser.run("document.querySelector('[aria-busy=true]')?.outerHTML ?? ''")?;
            (busy == "").then_some(()).ok_or_else(|| busy.to_string())
        });
    }

    /// The value of a property of an element, by a CSS selector, once there is such an element.
    #[track_caller]
    pub(super) fn property(&mut self, selector: &str, property: &str) -> String {
        let read = format!("String(document.querySelector({})[{}])", json!(selector), json!(property));
        self.until(selector, |page| {
            let value = page.browser.run(&read)?;
            value.as_str().map(str::to_owned).ok_or_else(|| "no text".to_owned())
        })
    }

    /// Where the tab is.
    pub(super) fn url(&mut self) -> String {
        let url = self.browser.run("location.href").unwrap_or_default();
        url.as_str().unwrap_or_default().to_owned()
    }

    /// What can be read.
    pub(super) fn text(&mut self) -> String {
        let text = self.browser.run("document.body?.innerText ?? ''").unwrap_or_default();
        // As the eye, which takes all spaces for one.
        text.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Waits until what has this role and name has the focus.
    #[track_caller]
    pub(super) fn focused(&mut self, role: &str, name: &str) {
        self.until(&format!("the focus on the {role} {name:?}"), |page| {
            let focus = page.focus().map_err(|error| error.to_string())?;
            (focus == (role.into(), name.into())).then_some(()).ok_or_else(|| format!("it is on {focus:?}"))
        });
    }

    /// The role and name of what has the focus.
    fn focus(&mut self) -> Result<(String, String), Value> {
        let evaluate = json!({ "expression": "document.activeElement", "objectGroup": "page" });
        let found = self.browser.attempt("Runtime.evaluate", evaluate)?;
        let query = json!({ "objectId": found["result"]["objectId"], "fetchRelatives": false });
        let tree = self.browser.attempt("Accessibility.getPartialAXTree", query)?;
        let part = |name: &str| tree["nodes"][0][name]["value"].as_str().unwrap_or_default().to_owned();
        Ok((part("role"), part("name")))
    }

    /// Gives the window another width; the height is that of a screen of such a width.
    pub(super) fn resize(&mut self, width: u32) {
        let height = if width < 600 { 740 } else { 900 };
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.browser.command("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Whether pages should be dark. Nothing moves, so that a picture is of something that stays.
    pub(super) fn darken(&mut self, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.browser.command("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// A picture of the whole page, in PNG.
    pub(super) fn picture(&mut self) -> Vec<u8> {
        let metrics = self.browser.command("Page.getLayoutMetrics", json!({}));
        let height = metrics["cssContentSize"]["height"].as_f64().unwrap_or(900.0);
        let screen = metrics["cssLayoutViewport"]["clientHeight"].as_f64().unwrap_or(900.0);
        let clip = json!({ "x": 0, "y": 0, "width": self.width, "height": height.max(screen), "scale": 1 });
        let shot = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let taken = self.browser.command("Page.captureScreenshot", shot);
        BASE64_STANDARD.decode(taken["data"].as_str().unwrap_or_default()).unwrap_or_default()
    }

    /// Tries until it succeeds; fails with the last error after a while.
    #[track_caller]
    pub(super) fn until<T>(
        &mut self,
        what: &str,
        mut attempt: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            match attempt(self) {
                Ok(value) => return value,
                Err(error) if Instant::now() > end => self.fail(what, &error),
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
    }

    /// Ends the test, with what is there instead of what was looked for.
    #[track_caller]
    fn fail(&mut self, what: &str, error: &str) -> ! {
        let url = self.url();
        let text = self.text();
        let controls: Vec<String> =
            self.nodes(None).iter().filter(|node| is_of_interest(node)).map(told).collect();
        let troubles = self.browser.troubles();
        let picture = pictures().join(format!("failed-{}.png", self.width));
        let _ = std::fs::create_dir_all(pictures()).and_then(|()| std::fs::write(&picture, self.picture()));
        panic!(
            "waited for {what} in vain ({error}) at {url}, where one reads:\n{text}\nand meets:\n{}\n\
             Troubles: {troubles:#?}\nA picture of it is {}",
            controls.join("\n"),
            picture.display()
        );
    }

    /// The one element of this role and name; the first one, if several links have it.
    fn only(&mut self, role: &str, name: &str) -> Result<Value, String> {
        let mut found = self.nodes(Some(name));
        found.retain(|node| node["role"]["value"] == role || (role == "textbox" && is_field(node)));
        match found.len() {
            1.. if role == "link" => Ok(found.remove(0)["backendDOMNodeId"].take()),
            1 => Ok(found.remove(0)["backendDOMNodeId"].take()),
            0 => Err("not there".to_owned()),
            several => Err(format!("{several} of them")),
        }
    }

    /// What a screen reader knows of the page; only what has this name, if one is given.
    fn nodes(&mut self, name: Option<&str>) -> Vec<Value> {
        let evaluate = json!({ "expression": "document", "objectGroup": "page" });
        let Ok(document) = self.browser.attempt("Runtime.evaluate", evaluate) else { return Vec::new() };
        let mut query = json!({ "objectId": document["result"]["objectId"] });
        if let Some(name) = name {
            query["accessibleName"] = json!(name);
        }
        let found = self.browser.attempt("Accessibility.queryAXTree", query);
        let mut nodes = found.unwrap_or_default()["nodes"].take();
        let nodes = nodes.as_array_mut().map(std::mem::take).unwrap_or_default();
        nodes.into_iter().filter(|node| node["ignored"] != true).collect()
    }

    /// Clicks in the middle of an element, if that is what is to be met there.
    fn press(&mut self, node: &Value) -> Result<(), String> {
        let said = |error: Value| error.to_string();
        let of = json!({ "backendNodeId": node });
        self.browser.attempt("DOM.scrollIntoViewIfNeeded", of.clone()).map_err(said)?;
        let quads = self.browser.attempt("DOM.getContentQuads", of).map_err(said)?;
        let corner = |at: usize| quads["quads"][0][at].as_f64().unwrap_or_default();
        let (x, y) = ((corner(0) + corner(4)) / 2.0, (corner(1) + corner(5)) / 2.0);
        let hit = "function (x, y) { const met = document.elementFromPoint(x, y); \
                   if (this.matches(':disabled, [aria-disabled=true]')) return 'disabled'; \
                   return this === met || this.contains(met) || met?.closest('label')?.control === this \
                   ? '' : `behind ${met?.outerHTML.slice(0, 120)}`; }";
        let object =
            self.browser.attempt("DOM.resolveNode", json!({ "backendNodeId": node })).map_err(said)?;
        let call = json!({
            "functionDeclaration": hit, "objectId": object["object"]["objectId"], "returnByValue": true,
            "arguments": [{ "value": x }, { "value": y }],
        });
        let met = self.browser.attempt("Runtime.callFunctionOn", call).map_err(said)?;
        match met["result"]["value"].as_str() {
            Some("") => (),
            Some(reason) => return Err(reason.to_owned()),
            None => return Err("gone".to_owned()),
        }
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.browser.attempt("Input.dispatchMouseEvent", event).map_err(said)?;
        }
        Ok(())
    }

    /// Calls a function with an element as `this`.
    fn on(&mut self, node: &Value, function: &str) -> Result<(), String> {
        let said = |error: Value| error.to_string();
        let object =
            self.browser.attempt("DOM.resolveNode", json!({ "backendNodeId": node })).map_err(said)?;
        let call = json!({ "functionDeclaration": function, "objectId": object["object"]["objectId"] });
        self.browser.attempt("Runtime.callFunctionOn", call).map_err(said)?;
        Ok(())
    }
}

fn is_field(node: &Value) -> bool {
    ["textbox", "searchbox", "spinbutton", "combobox"].iter().any(|role| node["role"]["value"] == *role)
}

/// Whether a reader can do something with it, or is guided by it.
fn is_of_interest(node: &Value) -> bool {
    let roles = ["button", "link", "heading", "checkbox", "radio", "alert", "status", "dialog", "tab"];
    is_field(node) || roles.iter().any(|role| node["role"]["value"] == *role)
}

fn told(node: &Value) -> String {
    format!("  {} {}", node["role"]["value"].as_str().unwrap_or_default(), node["name"]["value"])
}

//! What every page has to be, whatever it is for: readable by everybody (axe-core, WCAG 2.2 AA, light and dark), no wider
//! than the window, and free of errors. Pictures of it stay in `target/portal-screenshots/WIDTH`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::page::Page;
use crate::node;

/// The package axe-core, in `tests/axe`.
const FILES: [(&str, &str); 2] = [
    ("package.json", include_str!("../../axe/package.json")),
    ("package-lock.json", include_str!("../../axe/package-lock.json")),
];
/// The criteria of WCAG 2.2, levels A and AA.
const RULES: [&str; 5] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
/// Windows that nothing may overflow.
const NARROW: [u32; 2] = [320, 360];

/// The script of axe-core. Nothing, but said aloud, where npm or the package is not to be had.
pub(super) fn axe() -> Option<String> {
    let folder = node::packages("axe", &FILES, "pages were not judged by axe-core")?;
    Some(fs::read_to_string(folder.join("node_modules/axe-core/axe.min.js")).unwrap())
}

/// Where pictures are left.
pub(super) fn pictures() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("portal-screenshots")
}

impl Page {
    /// Looks at the page as it is now, under a name of its own for the pictures.
    #[track_caller]
    pub(super) fn look(&mut self, name: &str) {
        self.settle();
        let folder = pictures().join(self.width.to_string());
        fs::create_dir_all(&folder).unwrap();
        let mut faults = self.browser.troubles();
        self.browser.run("scrollTo(0, 0)").unwrap();
        // Nothing is lit up because the last click was there.
        let aside = json!({ "type": "mouseMoved", "x": 0, "y": 0 });
        self.browser.command("Input.dispatchMouseEvent", aside);
        for dark in [true, false] {
            self.darken(dark);
            let scheme = if dark { "dark" } else { "light" };
            fs::write(folder.join(format!("{name}-{scheme}.png")), self.picture()).unwrap();
            faults.extend(self.barriers().into_iter().map(|barrier| format!("{scheme}: {barrier}")));
        }
        for width in NARROW {
            self.resize(width);
            faults.extend(self.overflow(width));
        }
        self.resize(self.width);
        assert!(faults.is_empty(), "{name} at {}:\n{}", self.width, faults.join("\n"));
    }

    /// Violations that axe-core finds.
    fn barriers(&mut self) -> Vec<String> {
        let Some(axe) = &self.axe else { return Vec::new() };
        if self.browser.run("typeof axe") != Ok(json!("object")) {
            self.browser.run(&format!("{axe}; 0")).unwrap();
        }
        let options = json!({ "runOnly": { "type": "tag", "values": RULES }, "resultTypes": ["violations"] });
        let judged =
            self.browser.run(&format!("axe.run(document, {options}).then((found) => found.violations)"));
        let judged = judged.unwrap();
        let mut found = Vec::new();
        for violation in judged.as_array().unwrap() {
            for node in violation["nodes"].as_array().unwrap() {
                let text = |value: &Value| value.as_str().unwrap_or_default().replace('\n', " ");
                found.push(format!(
                    "{}: {} {}",
                    text(&violation["id"]),
                    text(&node["html"]),
                    text(&node["failureSummary"])
                ));
            }
        }
        found
    }

    /// What reaches out of a window of this width.
    fn overflow(&mut self, width: u32) -> Vec<String> {
        let measure = format!(
            "(() => {{ const inner = document.scrollingElement.scrollWidth; if (inner <= {width}) return ''; \
             const wide = [...document.querySelectorAll('body *')].filter((element) => \
             element.getBoundingClientRect().right > {width}); \
             return `${{inner}} px wide: ${{wide.slice(-3).map((element) => element.outerHTML.slice(0, 120)).join(' ')}}`; }})()"
        );
        let found = self.browser.run(&measure).unwrap();
        let found = found.as_str().unwrap_or_default();
        if found.is_empty() { Vec::new() } else { vec![format!("in a window of {width} px it is {found}")] }
    }
}

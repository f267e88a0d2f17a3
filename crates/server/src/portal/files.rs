//! The portal's files: those in the program, and those of a folder of the operator's, which go first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::answer::Served;

/// A table of files of `crates/server/portal`, by their paths in it.
macro_rules! embedded {
    ($($path:literal)+) => {
        pub(super) const EMBEDDED: &[(&str, &[u8])] = &[
            $(($path, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/portal/", $path)))),+
        ];
    };
}

// In the order of `LC_ALL=C sort`. A test compares this list with the folder.
embedded! {
    "icon.svg"
    "index.html"
    "js/afterwards.js"
    "js/api.js"
    "js/copy.js"
    "js/device.js"
    "js/dialog.js"
    "js/dom.js"
    "js/extra-fields.js"
    "js/failures.js"
    "js/flows.js"
    "js/form.js"
    "js/i18n.js"
    "js/layout.js"
    "js/main.js"
    "js/names.js"
    "js/next.js"
    "js/notice.js"
    "js/pages/data.js"
    "js/pages/emails.js"
    "js/pages/failed.js"
    "js/pages/login-code.js"
    "js/pages/login.js"
    "js/pages/logout.js"
    "js/pages/missing.js"
    "js/pages/overview.js"
    "js/pages/password.js"
    "js/pages/phone.js"
    "js/pages/provider-callback.js"
    "js/pages/provider-signup.js"
    "js/pages/providers.js"
    "js/pages/reset-code.js"
    "js/pages/reset-key.js"
    "js/pages/reset.js"
    "js/pages/second-factor.js"
    "js/pages/security.js"
    "js/pages/sessions.js"
    "js/pages/signup-passkey.js"
    "js/pages/signup.js"
    "js/pages/trust.js"
    "js/pages/verify-email-key.js"
    "js/pages/verify-email.js"
    "js/pages/verify-phone.js"
    "js/passkeys.js"
    "js/providers.js"
    "js/qr.js"
    "js/reauthenticate.js"
    "js/resetting.js"
    "js/router.js"
    "js/routes.js"
    "js/rows.js"
    "js/security/app.js"
    "js/security/codes.js"
    "js/security/keys.js"
    "js/security/made.js"
    "js/security/used.js"
    "js/shell.js"
    "js/state.js"
    "js/waiting.js"
    "js/webauthn.js"
    "locales/de.json"
    "locales/en.json"
    "locales/es.json"
    "locales/fr.json"
    "locales/nl.json"
    "mark.svg"
    "style.css"
    "vendor/uqr/LICENSE.txt"
    "vendor/uqr/uqr.mjs"
}

/// The longest file of an operator's that is served, in bytes.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Where files are found.
pub(super) struct Files {
    embedded: BTreeMap<&'static str, Served>,
    directory: Option<PathBuf>,
}

impl Files {
    pub(super) fn new(directory: Option<PathBuf>) -> Self {
        let served = |&(path, bytes): &(&'static str, &'static [u8])| {
            kind(Path::new(path)).map(|kind| (path, Served::new(kind, bytes)))
        };
        Self { embedded: EMBEDDED.iter().filter_map(served).collect(), directory }
    }

    /// The file at a path such as `js/main.js`.
    pub(super) async fn find(&self, path: &str) -> Option<Served> {
        if let Some(directory) = &self.directory
            && let Some(served) = read(directory, path).await
        {
            return Some(served);
        }
        self.embedded.get(path).cloned()
    }
}

/// The media type of a file by its name; `None` for what the portal has no use for, which is not served.
pub(super) fn kind(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match extension.as_str() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webp" => "image/webp",
        "jpg" | "jpeg" => "image/jpeg",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

async fn read(directory: &Path, path: &str) -> Option<Served> {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.contains(['\\', ':'])
            && !part.chars().any(char::is_control)
    };
    if !path.split('/').all(plain) {
        return None;
    }
    let path = directory.join(path);
    let kind = kind(&path)?;
    let read = move || {
        let found = std::fs::metadata(&path).ok()?;
        (found.is_file() && found.len() <= LONGEST).then(|| std::fs::read(&path).ok())?
    };
    let bytes = tokio::task::spawn_blocking(read).await.ok()??;
    Some(Served::new(kind, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_the_folder() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("portal");
        let mut found = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/"));
                }
            }
        }
        found.sort_unstable();
        let listed: Vec<&str> = EMBEDDED.iter().map(|(path, _)| *path).collect();
        assert_eq!(listed, found);
        assert_eq!(Files::new(None).embedded.len(), found.len(), "a file of a kind that is not served");
    }
}

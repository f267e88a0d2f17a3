//! Takes the pictures of the portal that the README shows, with the test that uses every page of it.

use std::fs;

use crate::{Outcome, cargo, root, target};

/// Where the README has them.
const IMAGES: &str = "docs/images";
/// Which they are: where the test leaves them, and how they are called there.
const SHOWN: [(&str, &str); 6] = [
    ("1280/login-light", "login"),
    ("1280/signup-light", "signup"),
    ("1280/overview-light", "overview"),
    ("1280/security-light", "security"),
    ("360/overview-dark", "overview-narrow-dark"),
    ("1280/mailbox-light", "mailbox"),
];
/// The largest that a reader is made to fetch, in bytes.
const LARGEST: u64 = 150 * 1024;

/// Takes all pictures, and copies those that are shown.
pub(crate) fn run() -> Outcome {
    let left = target().join("portal-screenshots");
    // So that none is of an earlier run.
    let _ = fs::remove_dir_all(&left);
    cargo(&["test", "--package", "vestibule-server", "--test", "it", "--", "portal_"], &[])?;
    let images = root().join(IMAGES);
    fs::create_dir_all(&images).map_err(|error| format!("{IMAGES}: {error}"))?;
    for (picture, name) in SHOWN {
        let from = left.join(format!("{picture}.png"));
        let size = fs::copy(&from, images.join(format!("{name}.png")))
            .map_err(|error| format!("{}: {error} (is Chromium installed?)", from.display()))?;
        if size > LARGEST {
            return Err(format!("{IMAGES}/{name}.png is too large: {size} bytes"));
        }
    }
    Ok(())
}

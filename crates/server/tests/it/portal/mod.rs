//! The account portal, page by page, in a real browser, as people use it. Skipped, aloud, where Chromium is not installed.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod look;
mod page;
mod world;

use world::World;

#[test]
fn portal_mailbox() {
    let Some(world) = World::start("") else { return };
    let mut page = world.browse(1280, "en");
    page.go("/_dev/mail");
    page.see("Nothing yet");
    page.look("mailbox", world.axe.as_deref());
}

//! People take along what is kept of them, and leave for good.

use super::ways::{log_in, prove};
use super::world::World;

const ADA: &str = "ada@example.org";

pub(super) fn take_along_and_leave(width: u32) {
    let settings = "deletion_enabled = true\ndata_export_enabled = true\n";
    let Some(world) = World::start(settings) else { return };
    let password = world.make(ADA);
    let mut page = world.browse(width, "en");
    page.go("/account/data");
    log_in(&mut page, ADA, &password);
    page.at("/account/data");
    page.look("data");

    page.click("button", "Download");
    prove(&mut page, &password);
    page.see("Your data is being downloaded.");

    // Not by one slip, nor by two.
    page.click("button", "Delete my account");
    page.until("the error", |page| {
        let wrong = page.browser.run("document.querySelector('#main [aria-invalid=true]') !== null")?;
        (wrong == true).then_some(()).ok_or_else(|| "none".to_owned())
    });
    page.click("checkbox", "I know that my account cannot be brought back.");
    page.click("button", "Delete my account");
    page.meet("dialog", "Delete your account?");
    page.look("data-delete");
    page.key("Escape");
    page.miss("Delete your account?");
    page.at("/account/data");

    page.click("button", "Delete my account");
    page.meet("dialog", "Delete your account?");
    page.focused("heading", "Delete your account?");
    page.key("Tab");
    page.key("Enter");
    page.at("/account/login");
    page.see("Your account was deleted.");
    log_in(&mut page, ADA, &password);
    page.see("or the password is not correct");
}

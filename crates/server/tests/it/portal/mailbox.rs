//! The development mailbox: messages come by themselves, with what is in them one click away.

use serde_json::json;

use super::world::World;

const ADA: &str = "ada@example.org";
const PHONE: &str = "+447700900123";

pub(super) fn read(width: u32) {
    let Some(mut world) = World::start("") else { return };
    let password = world.make(ADA);
    let mut page = world.browse(width, "en");
    page.go("/_dev/mail");
    page.see("Nothing yet.");
    page.look("mailbox-empty");

    world.ask("auth/code/request", &json!({ "email": ADA }));
    page.see("A message has arrived.");
    page.click("button", "Copy the code");
    page.see("Copied");
    let code = world.code(ADA);
    assert_eq!(page.browser.run("navigator.clipboard.readText()"), Ok(json!(code)));

    world.ask("auth/password/request", &json!({ "email": ADA }));
    let signup = json!({ "email": "grace@example.org", "password": password, "phone": PHONE });
    world.ask("auth/signup", &signup);
    page.see(PHONE);
    page.meet("link", "Open the link");
    page.look("mailbox");
    page.click("link", "Open the link");
    page.see("Set a new password");
    page.go("/_dev/mail");
    page.click("link", "To the account portal");
    page.at("/account/login");
}

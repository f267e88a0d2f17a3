//! A new password by a code that is mailed.

use super::page::Page;
use super::ways::log_out;
use super::world::World;

const ADA: &str = "ada@example.org";
const PASSWORD: &str = "staple battery horse correct";
/// In the words of the settings.
const BY_CODE: &str = "password_reset_by_code_enabled = true\n";

pub(super) fn recover(width: u32) {
    let Some(mut world) = World::start(BY_CODE) else { return };
    world.make(ADA);
    let mut page = world.browse(width, "en");
    is_tried_too_often(&mut world, &mut page);
    succeeds(&mut world, &mut page);
    is_for_nobody(&mut page);
    drop((page, world));

    let Some(mut world) = World::start(&format!("{BY_CODE}login_on_password_reset = true\n")) else { return };
    world.make(ADA);
    let mut page = world.browse(width, "en");
    logs_in(&mut world, &mut page);
}

fn is_tried_too_often(world: &mut World, page: &mut Page) {
    page.go("/account/password/reset/code");
    // There is none yet.
    page.at("/account/password/reset");
    page.look("reset-by-code");
    ask(page, ADA);
    page.see("a code is on its way there");
    page.look("reset-code");
    for _ in 0..3 {
        set(page, "AAAA-BBBB");
        page.see("This code is not correct.");
        page.focused("textbox", "Code");
    }
    page.look("reset-code-wrong");
    set(page, "AAAA-BBBB");
    page.at("/account/password/reset");
    page.see("The code was tried too often or is too old. Please begin again.");
    page.look("reset-code-over");
    // It was right, and is worth nothing any more.
    world.code(ADA);
}

fn succeeds(world: &mut World, page: &mut Page) {
    ask(page, ADA);
    let code = world.code(ADA);
    // As somebody does who has looked into the mail in this tab: it is still awaited.
    page.go("/account/password/reset/code");
    page.at("/account/password/reset/code");
    page.fill("Code", &code);
    page.fill("New password", "12345678");
    page.click("button", "Set the password");
    page.see("Many people use this password");
    page.focused("textbox", "New password");
    page.look("reset-code-weak");
    page.fill("New password", PASSWORD);
    page.click("button", "Set the password");
    page.at("/account/login");
    page.see("You can log in with it now.");
    page.look("reset-code-done");
    page.fill("Email address", ADA);
    page.fill("Password", PASSWORD);
    page.click("button", "Log in");
    page.at("/account");
    log_out(page);
}

/// Who has no account is told nothing else.
fn is_for_nobody(page: &mut Page) {
    page.go("/account/password/reset");
    ask(page, "nobody@example.org");
    page.see("a code is on its way there");
    set(page, "AAAA-BBBB");
    page.see("This code is not correct.");
}

fn logs_in(world: &mut World, page: &mut Page) {
    page.go("/account/password/reset");
    ask(page, ADA);
    set(page, &world.code(ADA));
    page.at("/account");
    page.see("Your password is changed.");
}

/// On the page that asks whose password it is.
fn ask(page: &mut Page, email: &str) {
    page.fill("Email address", email);
    page.click("button", "Send the code");
    page.at("/account/password/reset/code");
}

/// On the page of the code.
fn set(page: &mut Page, code: &str) {
    page.fill("Code", code);
    page.fill("New password", PASSWORD);
    page.click("button", "Set the password");
}

//! The ways in without a password: passkey, code, provider and phone.

use super::page::Page;
use super::world::World;
use crate::devtools::Authenticator;

const GRACE: &str = "grace@example.org";

pub(super) fn enter(width: u32) {
    let Some(mut world) = World::start("") else { return };
    let mut page = world.browse(width, "en");
    let key = page.browser.plug_in("internal");
    by_passkey(&mut world, &mut page, &key);
    by_code(&mut world, &mut page, &key);
    page.browser.unplug(&key);
    by_provider(&world, &mut page);
    with_a_phone(&mut world, &mut page);
}

fn by_passkey(world: &mut World, page: &mut Page, key: &Authenticator) {
    page.go("/account/signup");
    page.click("link", "Sign up with a passkey");
    page.at("/account/signup/passkey");
    page.look("signup-passkey");
    page.fill("Email address", GRACE);
    page.click("button", "Continue");
    page.at("/account/verify-email");
    page.fill("Code", &world.code(GRACE));
    page.click("button", "Confirm");
    page.see("Set up your passkey");
    page.look("signup-passkey-make");
    page.fill("Name of the passkey · optional", "Phone");
    page.click("button", "Set up a passkey");
    page.at("/account");
    assert_eq!(page.browser.credentials(key).len(), 1);

    page.browser.touch(key, false);
    log_out(page);
    page.browser.touch(key, true);
    page.click("button", "Use a passkey");
    page.at("/account");
    page.browser.touch(key, false);
    log_out(page);
}

/// And by passkey for second factor.
fn by_code(world: &mut World, page: &mut Page, key: &Authenticator) {
    page.click("link", "Send me a code");
    page.at("/account/login/code");
    page.look("login-code");
    page.fill("Email address", GRACE);
    page.click("button", "Send the code");
    page.see("a code is on its way there");
    page.look("login-code-sent");
    page.fill("Code", "AAAA-BBBB");
    page.click("button", "Log in");
    page.see("This code is not correct.");
    page.click("button", "Send the code again");
    world.code(GRACE);
    page.see("The code is on its way again.");
    page.fill("Code", &world.code(GRACE));
    page.click("button", "Log in");
    page.at("/account/2fa");
    page.look("second-factor-passkey");
    page.browser.touch(key, true);
    page.click("button", "Use a passkey or security key");
    page.at("/account/2fa/trust");
    page.look("trust");
    page.click("button", "Not now");
    page.at("/account");
    page.browser.touch(key, false);
    log_out(page);
}

fn by_provider(world: &World, page: &mut Page) {
    if world.provider.is_none() {
        return;
    }
    page.click("button", "Continue with Harbour");
    page.see("Harbour");
    page.fill("Name", "nobody");
    page.click("button", "Enter");
    page.at("/account/provider/callback");
    page.see("You cancelled the login there.");
    page.look("provider-cancelled");
    page.click("link", "To the login");
    page.click("button", "Continue with Harbour");
    page.fill("Name", "hedy");
    page.click("button", "Enter");
    page.at("/account");
    page.see("hedy");
    log_out(page);
    // Somebody whose address has an account.
    page.click("button", "Continue with Harbour");
    page.at("/account");
    log_out(page);
}

fn with_a_phone(world: &mut World, page: &mut Page) {
    page.click("link", "No account yet? Sign up");
    page.at("/account/signup");
    page.fill("Email address", "alan@example.org");
    page.fill("Password", "correct horse battery staple");
    page.fill("Phone number · optional", "12");
    page.click("button", "Sign up");
    page.see("Please enter a phone number");
    page.look("signup-wrong-phone");
    page.fill("Phone number · optional", "+44 7700 900123");
    page.click("button", "Sign up");
    page.at("/account/verify-phone");
    page.look("verify-phone");
    page.fill("Code", &world.code("+447700900123"));
    page.click("button", "Confirm");
    page.at("/account/verify-email");
    page.fill("Code", &world.code("alan@example.org"));
    page.click("button", "Confirm");
    page.at("/account");
    log_out(page);
}

/// On the login page.
pub(super) fn log_in(page: &mut Page, email: &str, password: &str) {
    page.fill("Email address", email);
    page.fill("Password", password);
    page.click("button", "Log in");
}

/// In the dialog that asks for a fresh proof.
pub(super) fn prove(page: &mut Page, password: &str) {
    page.meet("dialog", "Is it you?");
    page.fill("Password", password);
    page.key("Enter");
    page.miss("Is it you?");
}

/// From any page of the account.
pub(super) fn log_out(page: &mut Page) {
    page.click("link", "Log out");
    page.at("/account/logout");
    page.click("button", "Log out");
    page.at("/account/login");
    page.see("You are logged out.");
}

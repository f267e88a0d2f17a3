//! The life of an account with a password, from its signup on.

use serde_json::json;

use super::page::Page;
use super::ways::{log_in, log_out, prove};
use super::world::{App, World};

const ADA: &str = "ada@example.org";
/// The address that she mistypes at first.
const MISTYPED: &str = "ada@example.net";
const WORK: &str = "ada@work.example";
const PASSWORDS: [&str; 3] =
    ["correct horse battery staple", "staple battery horse correct", "an entirely different one"];

pub(super) fn live(width: u32) {
    let Some(mut world) = World::start("") else { return };
    let mut page = world.browse(width, "en");
    sign_up(&mut world, &mut page);
    change_emails(&mut world, &mut page);
    change_password(&mut page);
    let (mut app, recovery) = set_up_second_factor(&mut page);
    log_in_with_second_factor(&mut page, &mut app);
    let mut other = world.browse(width, "en");
    log_in_with_recovery_code(&mut other, &recovery);
    end_sessions(&mut page, &mut other, &recovery);
    reset_password(&mut world, &mut other, &mut app);
    drop(other);
    page.go("/account/login");
    log_in(&mut page, WORK, PASSWORDS[2]);
    // With the old password went all trust.
    page.at("/account/2fa");
    let code = app.code(&mut page);
    page.fill(SECOND_FACTOR, &code);
    page.click("button", "Continue");
    page.click("button", "Not now");
    page.at("/account");
    manage_passkeys(&mut page);
    connect(&world, &mut page);
    change_phone(&mut world, &mut page);
    remove_second_factor(&mut page);
}

fn sign_up(world: &mut World, page: &mut Page) {
    page.go("/");
    page.at("/account/login");
    page.look("login");
    page.click("link", "No account yet? Sign up");
    page.at("/account/signup");
    page.look("signup");
    page.click("button", "Sign up");
    page.see("Please fill this in.");
    page.focused("textbox", "Email address");
    page.look("signup-empty");
    page.fill("Email address", MISTYPED);
    page.fill("Password", "password");
    page.click("button", "Sign up");
    page.see("Many people use this password");
    page.look("signup-weak");
    page.fill("Password", PASSWORDS[0]);
    page.click("button", "Sign up");

    page.at("/account/verify-email");
    page.see(MISTYPED);
    page.look("verify-email");
    page.click("button", "Change the address");
    page.meet("dialog", "Change the address");
    page.look("verify-email-change");
    page.fill("Email address", ADA);
    page.click("button", "Send the mail");
    page.see("We have sent a code to ada@example.org");
    page.fill("Code", "AAAA-BBBB");
    page.click("button", "Confirm");
    page.see("This code is not correct.");
    page.look("verify-email-wrong");
    page.fill("Code", &world.code(ADA));
    page.click("button", "Confirm");
    page.at("/account");
    page.see("Worth doing");
    page.click("button", "Close");
    page.look("overview");
}

fn change_emails(world: &mut World, page: &mut Page) {
    page.click("link", "Email addresses");
    page.at("/account/emails");
    page.fill("Email address", WORK);
    page.click("button", "Add");
    page.at("/account/verify-email");
    page.look("verify-another-email");
    page.click("link", "Back");
    page.at("/account/emails");
    page.see("Not verified");
    page.look("emails");
    page.click("button", &format!("Verify: {WORK}"));
    page.at("/account/verify-email");
    // Only the second one counts.
    world.code(WORK);
    page.fill("Code", &world.code(WORK));
    page.click("button", "Confirm");
    page.at("/account/emails");
    page.see("Your email address is confirmed.");
    page.look("emails-verified");
    page.click("button", &format!("Make primary: {WORK}"));
    page.see("ada@work.example is your primary address now.");
    page.click("button", &format!("Remove: {ADA}"));
    page.meet("dialog", "Remove this address?");
    page.look("emails-remove");
    page.key("Escape");
    page.miss("will no longer belong");
    page.click("button", &format!("Remove: {ADA}"));
    page.click("button", "Remove");
    page.see("ada@example.org is removed.");
}

fn change_password(page: &mut Page) {
    page.click("link", "Password");
    page.at("/account/password");
    page.look("password");
    page.fill("Current password", "not this one");
    page.fill("New password", PASSWORDS[1]);
    page.click("button", "Change the password");
    page.focused("textbox", "Current password");
    page.look("password-wrong");
    page.fill("Current password", PASSWORDS[0]);
    page.click("button", "Change the password");
    page.see("Your password is changed.");
}

/// Gives the app and the recovery codes.
fn set_up_second_factor(page: &mut Page) -> (App, Vec<String>) {
    page.click("link", "Second factor");
    page.at("/account/security");
    page.look("security-before");
    page.click("button", "Set up an authenticator app");
    page.meet("dialog", "Set up an authenticator app");
    page.look("security-app");
    let mut app = App::new(&page.property(".secret code", "textContent"));
    page.fill("Code that the app shows", "000000");
    page.click("button", "Turn on");
    page.see("This code is not correct.");
    page.look("security-app-wrong");
    let code = app.code(page);
    page.fill("Code that the app shows", &code);
    page.click("button", "Turn on");
    page.meet("dialog", "Is it you?");
    page.look("reauthenticate");
    prove(page, PASSWORDS[1]);
    page.see("Your authenticator app is set up.");
    page.see("10 of 10 codes are left.");
    page.look("security-codes");
    let list = page.property(".codes", "innerText");
    let codes: Vec<String> = list.split_whitespace().map(str::to_owned).collect();
    assert_eq!(codes.len(), 10, "{list}");
    let folder = page.browser.downloads();
    page.click("button", "Download");
    page.until("the file", |_| {
        let text = std::fs::read_to_string(folder.join("recovery-codes.txt")).map_err(|it| it.to_string())?;
        codes.iter().all(|code| text.contains(code.as_str())).then_some(()).ok_or(text)
    });
    page.click("button", "Copy");
    page.see("Copied");
    assert_eq!(page.browser.run("navigator.clipboard.readText()"), Ok(json!(codes.join("\n"))));
    page.click("button", "Hide the codes");
    page.miss("Keep them where");
    page.click("button", "Close");
    page.look("security");
    (app, codes)
}

fn log_in_with_second_factor(page: &mut Page, app: &mut App) {
    log_out(page);
    page.look("logged-out");
    log_in(page, WORK, PASSWORDS[1]);
    page.at("/account/2fa");
    page.look("second-factor");
    page.fill(SECOND_FACTOR, "000000");
    page.click("button", "Continue");
    page.see("This code is not correct.");
    page.look("second-factor-wrong");
    let code = app.code(page);
    page.fill(SECOND_FACTOR, &code);
    page.click("button", "Continue");
    page.at("/account/2fa/trust");
    page.look("trust");
    page.click("button", "Trust this browser");
    page.at("/account");
    log_out(page);
    // Trusted, it is not asked again.
    log_in(page, WORK, PASSWORDS[1]);
    page.at("/account");
}

/// What the second factor is asked for by.
const SECOND_FACTOR: &str = "Code of your authenticator app, or a recovery code";

fn log_in_with_recovery_code(other: &mut Page, recovery: &[String]) {
    other.go("/account/login");
    log_in(other, WORK, PASSWORDS[1]);
    other.at("/account/2fa");
    other.fill(SECOND_FACTOR, &recovery[0]);
    other.click("button", "Continue");
    other.click("button", "Not now");
    other.at("/account");
}

fn end_sessions(page: &mut Page, other: &mut Page, recovery: &[String]) {
    page.click("link", "Sessions");
    page.see("Elsewhere");
    page.look("sessions");
    page.click("button", "End: Chrome on Linux");
    page.meet("dialog", "End this session?");
    page.look("sessions-end");
    page.click("button", "End");
    page.see("The session is ended.");
    page.see("You are logged in nowhere else.");
    // There, it is noticed with the next step.
    other.click("link", "Email addresses");
    other.at("/account/login");

    for codes in [&recovery[1..], &recovery[2..]] {
        // As in yet another browser.
        other.browser.command("Network.clearBrowserCookies", json!({}));
        log_in_with_recovery_code(other, codes);
    }
    page.click("link", "Overview");
    page.see("Worth doing");
    page.settle();
    page.click("link", "Sessions");
    page.click("button", "End all others");
    page.see("2 other sessions end.");
    page.look("sessions-end-all");
    page.click("button", "End all others");
    page.see("All other sessions are ended.");
    other.click("link", "Email addresses");
    other.at("/account/login");
}

fn reset_password(world: &mut World, other: &mut Page, app: &mut App) {
    other.click("link", "Forgot your password?");
    other.at("/account/password/reset");
    other.look("reset");
    other.fill("Email address", WORK);
    other.click("button", "Send the link");
    other.see("Look into your mail");
    other.look("reset-sent");
    let link = world.link(WORK);
    other.go(&link);
    other.see("Set a new password");
    // The key is not to be seen, nor in the history.
    other.at("/account/password/reset");
    other.look("reset-key");
    other.fill("New password", "12345678");
    other.click("button", "Set the password");
    other.see("Many people use this password");
    other.look("reset-key-weak");
    other.fill("New password", PASSWORDS[2]);
    other.click("button", "Set the password");
    other.at("/account/login");
    other.see("You can log in with it now.");
    log_in(other, WORK, PASSWORDS[2]);
    other.at("/account/2fa");
    let code = app.code(other);
    other.fill(SECOND_FACTOR, &code);
    other.click("button", "Continue");
    other.click("button", "Not now");
    other.at("/account");
    other.go(&link);
    other.see("This link was used already, or is too old.");
    other.look("reset-key-used");
}

fn manage_passkeys(page: &mut Page) {
    let key = page.browser.plug_in("internal");
    page.click("link", "Second factor");
    page.click("button", "Add a passkey or security key");
    page.meet("dialog", "Add a passkey or security key");
    page.look("security-key-add");
    page.fill("Name · optional", "Laptop");
    page.click("button", "Continue");
    page.meet("dialog", "Is it you?");
    page.look("reauthenticate-with-factor");
    prove(page, PASSWORDS[2]);
    page.see("The key is added.");
    page.see("Laptop");
    // The same device again.
    page.click("button", "Add a passkey or security key");
    page.click("button", "Continue");
    page.see("This device has a key of your account already.");
    page.click("button", "Cancel");
    page.look("security-key");
    page.click("button", "Rename: Laptop");
    page.meet("dialog", "Rename");
    page.look("security-key-rename");
    page.fill("Name", "Old laptop, with a name that is longer than anybody would think of");
    page.click("button", "Save");
    page.see("The key has its new name.");
    page.look("security-key-renamed");

    page.browser.touch(&key, false);
    log_out(page);
    page.browser.touch(&key, true);
    page.click("button", "Use a passkey");
    page.at("/account");
    page.click("link", "Second factor");
    page.click("button", "Rename: Old laptop, with a name that is longer than anybody would think of");
    page.key("Escape");
    page.click("button", "Remove: Old laptop, with a name that is longer than anybody would think of");
    page.meet("dialog", "Remove this key?");
    page.look("security-key-remove");
    page.click("button", "Remove");
    prove(page, PASSWORDS[2]);
    page.see("The key is removed.");
    page.browser.unplug(&key);
}

fn connect(world: &World, page: &mut Page) {
    if world.provider.is_none() {
        return;
    }
    page.click("link", "Connected accounts");
    page.at("/account/providers");
    page.look("providers-none");
    page.click("button", "Connect Harbour");
    page.fill("Name", "ada");
    page.click("button", "Enter");
    page.at("/account/providers");
    page.look("providers");
    page.click("button", "Disconnect: Harbour");
    page.meet("dialog", "Disconnect Harbour?");
    page.look("providers-disconnect");
    page.click("button", "Disconnect");
    page.see("Harbour is disconnected.");
}

fn change_phone(world: &mut World, page: &mut Page) {
    page.click("link", "Phone number");
    page.at("/account/phone");
    page.look("phone");
    for number in ["+447700900123", "+447700900456"] {
        page.fill("Phone number", number);
        page.click("button", "Text me a code");
        page.at("/account/verify-phone");
        page.look("verify-another-phone");
        page.fill("Code", &world.code(number));
        page.click("button", "Confirm");
        page.at("/account/phone");
        page.see(number);
    }
    page.look("phone-verified");
}

fn remove_second_factor(page: &mut Page) {
    page.click("link", "Second factor");
    page.click("button", "Remove: Authenticator app");
    page.meet("dialog", "Remove the authenticator app?");
    page.look("security-app-remove");
    page.click("button", "Remove");
    page.see("The authenticator app is removed.");
    log_out(page);
    log_in(page, WORK, PASSWORDS[2]);
    page.at("/account");
}

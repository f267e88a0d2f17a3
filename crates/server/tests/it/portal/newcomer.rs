//! Somebody new whom a provider vouches for, where the settings ask for more than it tells.

use super::page::Page;
use super::ways::log_out;
use super::world::World;

const TAKEN: &str = "ada@example.org";
/// What the provider says.
const KNOWN: &str = "hedy@example.org";
/// What she has instead.
const OWN: &str = "hedy@home.example";

pub(super) fn arrive(width: u32) {
    let settings = "prevent_enumeration = false\n\
                    [socialaccount]\n\
                    auto_signup = false\n";
    let Some(mut world) = World::start(settings) else { return };
    if world.provider.is_none() {
        return;
    }
    world.make(TAKEN);
    let mut page = world.browse(width, "en");
    changes_her_mind(&mut page);
    signs_up(&mut world, &mut page);
    takes_what_is_offered(&mut page);
}

/// Whoever cancels has no account, and can begin anew.
fn changes_her_mind(page: &mut Page) {
    page.go("/account/login");
    come_from_harbour(page, "hedy");
    page.see("You come from Harbour as hedy@example.org");
    page.look("provider-signup");
    page.click("button", "Cancel");
    page.at("/account/login");
    page.go("/account/provider/signup");
    page.at("/account/login");
}

fn signs_up(world: &mut World, page: &mut Page) {
    come_from_harbour(page, "hedy");
    assert_eq!(page.property("input[name=email]", "value"), KNOWN);
    page.fill("Email address", "");
    page.click("button", "Sign up");
    page.see("Please fill this in.");
    page.focused("textbox", "Email address");
    page.look("provider-signup-empty");
    page.fill("Email address", TAKEN);
    page.click("button", "Sign up");
    page.see("An account with this email address exists.");
    page.focused("textbox", "Email address");
    page.look("provider-signup-taken");
    page.fill("Email address", OWN);
    page.fill("Phone number · optional", "12");
    page.click("button", "Sign up");
    page.see("Please enter a phone number");
    page.focused("textbox", "Phone number · optional");
    page.look("provider-signup-wrong-phone");
    page.fill("Phone number · optional", "+44 7700 900123");
    page.click("button", "Sign up");
    page.at("/account/verify-phone");
    page.fill("Code", &world.code("+447700900123"));
    page.click("button", "Confirm");
    page.at("/account");
    log_out(page);
    // From now on nothing is asked.
    page.click("button", "Continue with Harbour");
    page.at("/account");
    page.click("link", "Email addresses");
    page.see(OWN);
    log_out(page);
}

fn takes_what_is_offered(page: &mut Page) {
    page.browser.command("Network.clearBrowserCookies", serde_json::json!({}));
    page.go("/account/login");
    come_from_harbour(page, "grace");
    page.click("button", "Sign up");
    page.at("/account");
    page.see("grace");
}

/// To the page on which something more is asked, from the login.
fn come_from_harbour(page: &mut Page, who: &str) {
    page.click("button", "Continue with Harbour");
    page.until("the harbour or what it leads to", |page| {
        let url = page.url();
        if url.contains("/account/provider/signup") {
            return Ok(());
        }
        let asks = page.text().contains("Harbour Name");
        if asks { Ok(()) } else { Err(url) }
    });
    if page.text().contains("Harbour Name") {
        page.fill("Name", who);
        page.click("button", "Enter");
    }
    page.at("/account/provider/signup");
}

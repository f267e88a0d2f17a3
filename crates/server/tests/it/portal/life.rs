//! The life of an account with a password, from its signup on.

use super::page::Page;
use super::world::World;

const ADA: &str = "ada@example.org";
const PASSWORD: &str = "correct horse battery staple";

pub(super) fn live(width: u32) {
    let Some(mut world) = World::start("") else { return };
    let mut page = world.browse(width, "en");
    sign_up(&mut world, &mut page);
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
    assert_eq!(page.focus(), ("textbox".to_owned(), "Email address".to_owned()));
    page.look("signup-empty");
    page.fill("Email address", ADA);
    page.fill("Password", "password");
    page.click("button", "Sign up");
    page.see("Many people use this password");
    page.look("signup-weak");
    page.fill("Password", PASSWORD);
    page.click("button", "Sign up");

    page.at("/account/verify-email");
    page.see(ADA);
    page.look("verify-email");
    page.click("button", "Change the address");
    page.meet("dialog", "Change the address");
    page.look("verify-email-change");
    page.fill("Email address", "ada@example.net");
    page.click("button", "Send the mail");
    page.see("ada@example.net");
    page.fill("Code", "AAAA-BBBB");
    page.click("button", "Confirm");
    page.see("This code is not correct.");
    page.look("verify-email-wrong");
    page.fill("Code", &world.code("ada@example.net"));
    page.click("button", "Confirm");
    page.at("/account");
}

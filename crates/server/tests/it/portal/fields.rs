//! A signup that asks for what the application wants to know besides.

use super::page::Page;
use super::world::World;

const ADA: &str = "ada@example.org";
const SESSION: &str = "fetch('/_allauth/browser/v1/auth/session').then((answer) => answer.json())
    .then(({ data: { user } }) => [user.given_name, user.born, user.team, user.seats, user.terms].join())";

pub(super) fn fill_in(width: u32) {
    let settings = "extra_signup_fields = [
        { name = 'given_name', type = 'text', label = 'Given name', required = true, min_length = 2 },
        { name = 'born', type = 'date', label = 'Date of birth' },
        { name = 'team', type = 'choice', label = 'Team', choices = ['red', 'blue'], required = true },
        { name = 'seats', type = 'integer', label = 'Seats', min = 1, max = 9 },
        { name = 'terms', type = 'boolean', label = 'I accept the terms', required = true },
    ]\n";
    let Some(mut world) = World::start(settings) else { return };
    let mut page = world.browse(width, "en");
    page.go("/account/signup");
    page.fill("Email address", ADA);
    page.fill("Password", "correct horse battery staple");
    page.look("signup-fields");
    page.click("button", "Sign up");
    page.see("Please fill this in.");
    page.focused("textbox", "Given name");
    assert_eq!(wrong(&mut page), "given_name,team,terms");
    page.look("signup-fields-empty");

    page.fill("Given name", "A");
    type_into(&mut page, "born", "1815-12-10");
    type_into(&mut page, "team", "blue");
    type_into(&mut page, "seats", "10");
    page.click("checkbox", "I accept the terms");
    page.click("button", "Sign up");
    page.focused("textbox", "Given name");
    assert_eq!(wrong(&mut page), "given_name,seats");
    page.look("signup-fields-wrong");
    page.fill("Given name", "Ada");
    type_into(&mut page, "seats", "7");
    page.click("button", "Sign up");
    page.at("/account/verify-email");
    page.fill("Code", &world.code(ADA));
    page.click("button", "Confirm");
    page.at("/account");
    assert_eq!(page.browser.run(SESSION).unwrap(), "Ada,1815-12-10,blue,7,true");
}

/// Sets a field that is no line of text.
fn type_into(page: &mut Page, name: &str, value: &str) {
    page.browser.run(&format!("document.querySelector('[name={name}]').value = '{value}'")).unwrap();
}

/// The fields that are marked as wrong, each of which has to say why.
fn wrong(page: &mut Page) -> String {
    let fields = "[...document.querySelectorAll('#main [aria-invalid=true]')]
        .filter((field) => field.getAttribute('aria-describedby')?.split(' ')
            .some((id) => document.getElementById(id)?.matches('.wrong:not([hidden]):not(:empty)')))
        .map((field) => field.name).join()";
    page.browser.run(fields).unwrap().as_str().unwrap().to_owned()
}

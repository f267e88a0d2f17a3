//! What pages do at the edges: addresses to return to, keys instead of a mouse, sessions that end, other languages, and a
//! fresh proof where the API asks for one.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use serde_json::json;

use super::page::Page;
use super::ways::{log_in, log_out};
use super::world::World;

const ADA: &str = "ada@example.org";
const PASSWORD: &str = "correct horse battery staple";
/// Seconds for which a proof counts.
const FRESH: u64 = 2;

pub(super) fn try_all(width: u32) {
    let elsewhere = somewhere_else();
    let settings = format!(
        "reauthentication_required = true\n\
         reauthentication_timeout = {FRESH}\n\
         [portal]\n\
         name = 'Lighthouse & Sons'\n\
         accent_color = '#8a2be2'\n\
         links = [{{ label = 'Imprint', url = '/imprint' }}]\n\
         [csrf]\n\
         trusted_origins = ['{elsewhere}']\n"
    );
    let Some(mut world) = World::start(&settings) else { return };
    let password = world.make(ADA);
    let mut page = world.browse(width, "en");
    returns(&mut page, &elsewhere, &password);
    by_keys(&mut page, &password);
    proves_again(&mut world, &mut page, &password);
    ends_everywhere(&mut page, &password);
    is_lost(&mut page);
    drop(page);
    speaks_german(&mut world, width);
}

/// People come back to where they wanted to go, if that is a place that may be gone to.
fn returns(page: &mut Page, elsewhere: &str, password: &str) {
    page.go("/account/emails?from=here");
    page.at("/account/login");
    page.look("login-branded");
    log_in(page, ADA, password);
    page.at("/account/emails?from=here");
    log_out(page);

    page.go(&format!("/account/login?next={elsewhere}/welcome"));
    log_in(page, ADA, password);
    page.see("Welcome elsewhere");
    page.go("/account");

    for refused in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "https:evil.example",
        "javascript:alert(1)",
        "%20//evil.example",
        "http://localhost.evil.example/",
    ] {
        log_out(page);
        page.go(&format!("/account/login?next={refused}"));
        page.settle();
        // Even if somebody goes to another page in between.
        page.click("link", "No account yet? Sign up");
        page.at("/account/signup");
        page.click("link", "You have an account? Log in");
        page.at("/account/login");
        log_in(page, ADA, password);
        page.at("/account");
    }
    log_out(page);
}

/// Everything can be done without a mouse, and the focus goes where people would look.
fn by_keys(page: &mut Page, password: &str) {
    page.go("/account/login");
    page.see("Forgot your password?");
    page.key("Tab");
    page.focused("link", "Skip to the content");
    page.key("Enter");
    page.focused("main", "");
    page.key("Tab");
    page.focused("textbox", "Email address");
    page.type_text(ADA);
    page.key("Tab");
    page.type_text("wrong");
    page.key("Enter");
    page.see("or the password is not correct");
    page.look("login-wrong");
    page.fill("Password", password);
    page.key("Enter");
    page.at("/account");
    page.click("link", "Sessions");
    page.at("/account/sessions");
    // A reader begins at the heading of the new page.
    page.focused("heading", "Sessions");
    assert_eq!(page.browser.run("document.title"), Ok(json!("Sessions · Lighthouse & Sons")));
    page.browser.run("history.back()").unwrap();
    page.at("/account");
}

/// A change asks once more who is there, and is made afterwards.
fn proves_again(world: &mut World, page: &mut Page, password: &str) {
    page.click("link", "Email addresses");
    page.at("/account/emails");
    std::thread::sleep(Duration::from_secs(FRESH + 1));
    page.fill("Email address", "ada@work.example");
    page.click("button", "Add");
    page.meet("dialog", "Is it you?");
    page.focused("textbox", "Password");
    page.fill("Password", "wrong");
    page.click("button", "Confirm");
    page.until("the error", |page| {
        let wrong = page.browser.run("document.querySelector('dialog [aria-invalid=true]') !== null")?;
        (wrong == true).then_some(()).ok_or_else(|| "none".to_owned())
    });
    page.look("reauthenticate-wrong");
    page.key("Escape");
    page.miss("Is it you?");
    page.click("button", "Add");
    page.fill("Password", password);
    page.click("button", "Confirm");
    page.at("/account/verify-email");
    page.fill("Code", &world.code("ada@work.example"));
    page.click("button", "Confirm");
    page.at("/account/emails");
}

/// A session that is over leads to the login, and back to the page that was wanted.
fn ends_everywhere(page: &mut Page, password: &str) {
    page.browser.command("Network.clearBrowserCookies", json!({}));
    page.click("link", "Sessions");
    page.at("/account/login");
    log_in(page, ADA, password);
    page.at("/account/sessions");
}

/// Pages that are none, links that are none, and steps that nobody is at.
fn is_lost(page: &mut Page) {
    page.go("/account/nowhere");
    page.see("There is no such page");
    page.look("missing");
    page.go("/account/verify-email/no-such-key");
    page.see("This link was used already, or is too old.");
    page.look("verify-email-broken");
    page.go("/account/provider/callback?error=unknown&error_process=login");
    page.see("The login with this provider did not work.");
    log_out(page);
    for step in ["/account/2fa", "/account/2fa/trust", "/account/provider/signup", "/account/emails"] {
        page.go(step);
        page.at("/account/login");
    }
}

fn speaks_german(world: &mut World, width: u32) {
    let mut page = world.browse(width, "de-CH,de;q=0.9,en;q=0.8");
    page.go("/account/signup");
    page.see("Registrieren");
    assert_eq!(page.property("html", "lang"), "de");
    page.look("signup-german");
    page.fill("E-Mail-Adresse", "nobody");
    page.fill("Passwort", "12345678");
    page.click("button", "Registrieren");
    // So does the API.
    page.see("gültige E-Mail-Adresse");
    page.look("signup-german-wrong");
    page.fill("E-Mail-Adresse", "grete@example.org");
    page.fill("Passwort", PASSWORD);
    page.click("button", "Registrieren");
    page.at("/account/verify-email");
    // And the mail.
    let mail = world.message("grete@example.org");
    assert!(mail["subject"].as_str().unwrap().contains("bestätigen"), "{mail:#}");
    page.fill("Code", mail["code"].as_str().unwrap());
    page.click("button", "Bestätigen");
    page.at("/account");
    page.look("overview-german");
    for room in ["emails", "phone", "password", "providers", "security", "sessions"] {
        page.go(&format!("/account/{room}"));
        page.look(&format!("{room}-german"));
    }
}

/// On the login page.
/// A site that has one page, under any path; gives its origin.
fn somewhere_else() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let page = "<!doctype html><link rel=\"icon\" href=\"data:,\"><title>Elsewhere</title><h1>Welcome elsewhere</h1>";
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
                page.len()
            );
        }
    });
    origin
}

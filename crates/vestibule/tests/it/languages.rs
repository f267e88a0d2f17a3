//! The language of messages, mails and text messages: what the client likes, of those that there are.

use axum::http::Method;
use serde_json::{Value, json};
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::{Client, Reply};
use vestibule_testkit::database::on_both;

const BY_CODE: &str = r#"
[account]
signup_fields = ["email*", "password1*"]
login_by_code_enabled = true
email_verification_by_code_enabled = true
email_notifications = true
"#;

async fn login(client: &mut Client, language: Option<&str>) -> Reply {
    post(client, "auth/login", language, &json!({"password": "x"})).await
}

async fn post(client: &mut Client, path: &str, language: Option<&str>, body: &Value) -> Reply {
    let call = client.call(Method::POST, path).json(body);
    let call = if let Some(language) = language { call.header("Accept-Language", language) } else { call };
    call.send().await
}

fn messages(reply: &Reply) -> Vec<&str> {
    let errors = reply.json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    errors.iter().filter_map(|error| error["message"].as_str()).collect()
}

fn varies_by_language(reply: &Reply) -> bool {
    reply.headers.get_all("vary").iter().any(|value| value == "Accept-Language")
}

#[test]
fn messages_are_in_the_language_that_the_client_likes_and_codes_stay() {
    on_both(async |backend| {
        let app = TestApp::start(backend, "").await;
        for (header, language, message) in [
            (None, "en", "This field is required."),
            (Some("en-GB,en;q=0.9"), "en", "This field is required."),
            (Some("de-AT,de;q=0.9,en;q=0.8"), "de", "Dieses Feld ist erforderlich."),
            (Some("pt, es;q=0.5"), "es", "Este campo es obligatorio."),
            (Some("en;q=0.5, fr"), "fr", "Ce champ est obligatoire."),
            (Some("nl"), "nl", "Dit veld is verplicht."),
            (Some("ja, zh;q=0.9"), "en", "This field is required."),
        ] {
            for mut client in [app.app(), app.browser()] {
                let reply = login(&mut client, header).await.expect(400);
                assert_eq!(messages(&reply), [message], "{header:?}");
                assert_eq!(reply.errors(), [("email", "required")]);
                assert_eq!(reply.header("content-language"), Some(language));
                assert!(varies_by_language(&reply));
            }
        }
    });
}

#[test]
fn every_message_of_an_answer_is_translated_with_its_number() {
    on_both(async |backend| {
        let app = TestApp::start(backend, BY_CODE).await;
        let body = json!({"email": "jane", "password": "12345"});
        let reply = post(&mut app.app(), "auth/signup", Some("de"), &body).await.expect(400);
        let expected = [
            "Bitte geben Sie eine gültige E-Mail-Adresse ein.",
            "Wählen Sie ein Passwort mit mindestens 8 Zeichen.",
            "Dieses Passwort wird von vielen verwendet: Wählen Sie ein anderes.",
        ];
        assert_eq!(messages(&reply), expected);
        let codes =
            [("email", "invalid"), ("password", "password_too_short"), ("password", "password_too_common")];
        assert_eq!(reply.errors(), codes);
    });
}

#[test]
fn headers_that_make_no_sense_do_no_harm() {
    on_both(async |backend| {
        let app = TestApp::start(backend, "").await;
        let long = "x-".repeat(2000);
        for header in ["", ",;,q=", "de;q=nonsense", "*;q=0", "de;q=2,,;;", &long] {
            let reply = login(&mut app.app(), Some(header)).await.expect(400);
            assert_eq!(reply.header("content-language"), Some("en"), "{header}");
        }
    });
}

#[test]
fn a_body_that_is_no_json_is_refused_in_the_language_of_the_client() {
    on_both(async |backend| {
        let app = TestApp::start(backend, "server.body_limit = 1000").await;
        for body in ["nonsense".to_owned(), "x".repeat(2000)] {
            let mut client = app.app();
            let call = client.call(Method::POST, "auth/login").header("Accept-Language", "nl");
            let reply = call.raw("application/json", body).send().await.expect(400);
            let message = "De inhoud van het verzoek moet één JSON-object van redelijke grootte zijn.";
            assert_eq!(messages(&reply), [message]);
        }
    });
}

#[test]
fn what_is_no_message_knows_no_language() {
    on_both(async |backend| {
        let app = TestApp::start(backend, "").await;
        let mut client = app.app();
        let reply = client.call(Method::GET, "auth/session").header("Accept-Language", "de").send().await;
        assert!(
            reply.status == 401 && reply.header("content-language").is_none() && !varies_by_language(&reply)
        );
        let call = client.call(Method::GET, "config").header("Accept-Language", "de");
        assert!(!varies_by_language(&call.send().await.expect(200)));
    });
}

#[test]
fn the_operator_says_which_languages_there_are_and_which_one_is_the_default() {
    on_both(async |backend| {
        let app =
            TestApp::start(backend, "server.language = \"fr\"\nserver.languages = [\"fr\", \"nl\"]").await;
        for (header, language) in
            [(None, "fr"), (Some("en"), "fr"), (Some("de, nl;q=0.1"), "nl"), (Some("*"), "fr")]
        {
            let reply = login(&mut app.app(), header).await.expect(400);
            assert_eq!(reply.header("content-language"), Some(language), "{header:?}");
        }
    });
}

#[test]
fn mails_are_in_the_language_of_the_request_that_causes_them() {
    on_both(async |backend| {
        let app = TestApp::start(backend, BY_CODE).await;
        for (header, subject, words) in [
            (Some("de"), "Willkommen: Bitte bestätigen Sie Ihre Adresse", "Geben Sie diesen Code ein"),
            (Some("es-MX"), "Le damos la bienvenida: confirme su dirección", "introduzca este código"),
            (Some("fr"), "Bienvenue\u{a0}: veuillez confirmer votre adresse", "saisissez ce code"),
            (Some("nl"), "Welkom: bevestig je adres", "vul deze code in"),
            (Some("ja"), "Welcome: please confirm your address", "enter this code"),
            (None, "Welcome: please confirm your address", "enter this code"),
        ] {
            let email = format!("{}@example.org", header.unwrap_or("none").to_lowercase());
            let (mut client, body) =
                (app.app(), json!({"email": email, "password": "correct horse battery"}));
            post(&mut client, "auth/signup", header, &body).await.expect(401);
            let mail = &app.messages_for(&email).await[0].content;
            assert_eq!(mail.subject, subject);
            assert!(mail.text.contains(words), "{}", mail.text);
            let html = mail.html.as_deref().unwrap_or_default();
            let language = header.map_or("en", |header| &header[..2]).replace("ja", "en");
            assert!(html.contains(words) && html.contains(&format!("<html lang=\"{language}\">")), "{html}");

            // The next mail goes by the next request.
            let body = json!({"key": app.code_for(&email).await});
            post(&mut client, "auth/email/verify", None, &body).await.expect(200);
            post(&mut app.app(), "auth/code/request", Some("nl"), &json!({"email": email})).await.expect(401);
            assert_eq!(app.messages_for(&email).await[0].content.subject, "Je inlogcode");
        }
    });
}

#[test]
fn notices_tell_time_and_device_in_words_of_their_language() {
    on_both(async |backend| {
        let app = TestApp::start(backend, BY_CODE).await;
        let (mut client, email) = (app.app(), "jane@example.org");
        let body = json!({"email": email, "password": "correct horse battery"});
        client.post("auth/signup", body).await.expect(401);
        let body = json!({"key": app.code_for(email).await});
        client.post("auth/email/verify", body).await.expect(200);
        let body =
            json!({"current_password": "correct horse battery", "new_password": "battery staple correct"});
        let call = client.call(Method::POST, "account/password/change").json(&body);
        let call = call.header("User-Agent", "Mozilla/5.0 (iPhone) Version/17 Safari/605");
        call.header("Accept-Language", "de").send().await.expect(200);
        let mail = &app.messages_for(email).await[0].content;
        assert_eq!(mail.subject, "Ihr Passwort wurde geändert");
        for words in ["Wann: 1. Januar 2030, 00:00 Uhr UTC", "mit Safari auf einem iPhone"] {
            assert!(mail.text.contains(words), "{}", mail.text);
        }
    });
}

#[test]
fn text_messages_too() {
    on_both(async |backend| {
        let settings =
            "account.signup_fields = [\"phone*\", \"password1*\"]\naccount.login_methods = [\"phone\"]";
        let app = TestApp::start(backend, settings).await;
        let body = json!({"phone": "+31612345678", "password": "correct horse battery"});
        post(&mut app.app(), "auth/signup", Some("nl-BE"), &body).await.expect(401);
        let sms = &app.messages_for("+31612345678").await[0].content;
        assert!(
            sms.text.ends_with("is je code om dit nummer bij localhost te bevestigen. Geef hem aan niemand.")
        );
    });
}

//! Accounts that move: out of one server and into another, and from files; what is not taken is told, and nothing is
//! taken twice.

#![expect(clippy::expect_used, reason = "a panic is how a test says that it failed")]

use serde_json::json;
use vestibule_base::config::Config;
use vestibule_base::security::{Clock, Keyring};
use vestibule_base::storage::imports::{self, Key};
use vestibule_base::vals;
use vestibule_testkit::app::TestApp;
use vestibule_testkit::authenticator::{Authenticator, Lie};
use vestibule_testkit::client::Reply;
use vestibule_testkit::database::{Backend, on_both};
use vestibule_testkit::idp::{Idp, Person};
use vestibule_testkit::totp::{AuthenticatorApp, PERIOD};
use vestibule_transfer::{
    Account, Csv, Email, Ids, Importer, Item, JsonLines, JsonList, Note, Options, Phone, ProviderAccount,
    ReadError, Report, Source, Watcher, export,
};

use super::codes::{PASSWORD, account, entered, login};
use super::mfa::{ADA, EVE, codes, enrol as enrol_totp, half_way, second_factor};
use super::social::{bring, connected, user};
use super::webauthn::{ORIGIN, SETTINGS, enrol, key, options, sent};

const KEY: &str = "the secret key of tests, known to all the world";
const OTHER_KEY: &str = "another secret key, of the server that they move to";
const LOGIN: &str = "auth/webauthn/login";

/// Keeps what it is told.
#[derive(Default)]
struct Kept {
    notes: Vec<Note>,
    batches: usize,
}

impl Watcher for Kept {
    fn note(&mut self, note: &Note) {
        self.notes.push(note.clone());
    }
    fn progress(&mut self, _: &Report) {
        self.batches += 1;
    }
}

impl Kept {
    /// Each note in a line.
    fn lines(&self) -> Vec<String> {
        let fate = |note: &Note| if note.user_id.is_some() { "taken" } else { "not" };
        self.notes
            .iter()
            .map(|note| format!("{} {}: {}", note.place, fate(note), note.problems.join("; ")))
            .collect()
    }
}

/// Gives these accounts, and breaks off behind `until` of them.
struct List {
    accounts: Vec<Account>,
    at: usize,
    until: usize,
}

impl List {
    fn of(accounts: Vec<Account>) -> Self {
        Self { accounts, at: 0, until: usize::MAX }
    }
}

impl Source for List {
    async fn next(&mut self, most: usize) -> Result<Vec<Item>, ReadError> {
        if self.at >= self.until {
            return Err(ReadError { place: "list".to_owned(), reason: "gone".to_owned() });
        }
        let some = self.accounts.iter().skip(self.at).take(most);
        let items: Vec<_> = some.map(|one| Item::new(one.source_id.clone(), Ok(one.clone()))).collect();
        self.at += items.len();
        Ok(items)
    }
}

async fn take(server: &TestApp, options: Options, source: &mut impl Source) -> (Report, Kept) {
    let mut kept = Kept::default();
    let report = run(server, KEY, options, source, &mut kept).await.expect("a report");
    (report, kept)
}

async fn run(
    server: &TestApp,
    key: &str,
    options: Options,
    source: &mut impl Source,
    kept: &mut Kept,
) -> Result<Report, vestibule_transfer::ImportError> {
    let (config, keyring) = (Config::from_toml("").expect("defaults"), Keyring::new(key, &[]));
    Importer::new(&server.db, &keyring, &config, &*server.clock, options).run(source, kept).await
}

async fn exported(server: &TestApp, key: &str) -> String {
    let mut out = Vec::new();
    let keyring = Keyring::new(key, &[]);
    let now = server.clock.now();
    export(&server.db, &keyring, "the old server", now, &mut out, &mut |_| {}).await.expect("an export");
    String::from_utf8(out).expect("JSON")
}

/// Rows of all that an import writes to.
async fn rows(server: &TestApp) -> Vec<i64> {
    let mut conn = server.db.read().await.expect("a connection");
    let mut found = Vec::new();
    for sql in [
        "SELECT count(*) FROM users",
        "SELECT count(*) FROM emails",
        "SELECT count(*) FROM phones",
        "SELECT count(*) FROM social_accounts",
        "SELECT count(*) FROM authenticators",
        "SELECT count(*) FROM imports",
    ] {
        found.push(conn.all(sql, vec![]).await.expect("a count")[0].int(0).expect("a number"));
    }
    found
}

fn other(backend: Backend) -> Backend {
    match backend {
        Backend::Sqlite if Backend::all().contains(&Backend::Postgres) => Backend::Postgres,
        _ => Backend::Sqlite,
    }
}

/// `count` accounts with names and addresses, from number `first` on.
fn people(first: i64, count: i64) -> Vec<Account> {
    (first..first + count).map(|number| person(number, &format!("p{number}@example.org"))).collect()
}

fn person(number: i64, email: &str) -> Account {
    Account {
        source_id: number.to_string(),
        id: Some(number),
        username: Some(format!("p{number}")),
        is_active: true,
        emails: vec![Email { email: email.to_owned(), verified: true, primary: true }],
        ..Account::default()
    }
}

#[test]
fn people_come_in_by_all_that_they_had() {
    on_both(async |backend| {
        let idp = Idp::default();
        let old = TestApp::start_with(backend, SETTINGS, &idp).await;
        let at_idp = Person::verified("ada-there", ADA);
        account(&old, ADA).await;
        let mut client = entered(&old, ADA).await;
        let mut passkey = key();
        enrol(&mut client, &mut passkey, "?passwordless").await;
        let totp = enrol_totp(&old, &mut client).await;
        let (spent, left) = {
            let all = codes(&mut client).await;
            (all[0].clone(), all[1].clone())
        };
        bring(&mut client, &idp, "connect", &at_idp).await.expect(200);
        let mut second = half_way(old.app(), ADA).await;
        second_factor(&mut second, &spent).await.expect(200);
        let seen = totp.code(&old);
        second_factor(&mut half_way(old.app(), ADA).await, &seen).await.expect(200);
        counted(&old, &mut passkey, 7).await.expect(200);

        let new = TestApp::start_with(
            other(backend),
            &format!("server.secret_key = {OTHER_KEY:?}\n{SETTINGS}"),
            &idp,
        )
        .await;
        // Somebody has Ada's id.
        account(&new, EVE).await;
        // A name that PostgreSQL could not keep costs nobody their passkey.
        let text = exported(&old, KEY).await.replace("\"name\":\"", "\"name\":\"\\u0000");
        assert!(text.contains("\\u0000"), "{text}");
        let mut lines = JsonLines::open(text.as_bytes(), "export").expect("an export");
        assert_eq!(lines.source(), Some("the old server"));
        let (options, mut kept) = (Options::new("old"), Kept::default());
        let report = run(&new, OTHER_KEY, options, &mut lines, &mut kept).await.expect("a report");
        assert_eq!((report.taken, report.skipped), (0, 1));
        assert_eq!(kept.lines(), ["line 2 not: id 1: in use"]);
        let mut lines = JsonLines::open(text.as_bytes(), "export").expect("an export");
        let options = Options { ids: Ids::Renumber, ..Options::new("old") };
        let report = run(&new, OTHER_KEY, options, &mut lines, &mut Kept::default()).await.expect("a report");
        assert_eq!((report.taken, report.partial), (1, 1));

        // Password and the code generator, whose step goes on where it stood.
        let mut client = half_way(new.app(), ADA).await;
        second_factor(&mut client, &seen).await.expect(400);
        new.pass(PERIOD);
        second_factor(&mut client, &totp.code(&new)).await.expect(200);
        assert_eq!(connected(&mut client).await, ["ada-there"]);
        let moved = user(&mut client).await;
        // Recovery codes, of which one was used over there.
        let mut client = half_way(new.app(), ADA).await;
        second_factor(&mut client, &spent).await.expect(400);
        second_factor(&mut client, &left).await.expect(200);
        // The passkey alone, which shows the old id, and whose counter goes on where it stood.
        counted(&new, &mut passkey, 7).await.expect(400);
        let reply = counted(&new, &mut passkey, 8).await;
        assert_eq!(reply.expect(200).data()["user"]["id"], moved);
        // The provider, then the passkey as a second factor.
        let mut client = new.app();
        bring(&mut client, &idp, "login", &at_idp).await.expect(401);
        let reply = client.get("auth/webauthn/authenticate").await.expect(200);
        let asked = reply.data()["request_options"].clone();
        let assertion = passkey.get(&asked, ORIGIN, &count(9));
        client.post("auth/webauthn/authenticate", sent(&assertion)).await.expect(200);
        assert_eq!(user(&mut client).await, moved);
        // And on it goes: what is exported again is the same but for the id.
        let again = exported(&new, OTHER_KEY).await;
        assert!(again.contains("\"user_handle\":\"MQ\""), "the handle of id 1 is kept: {again}");
    });
}

fn count(sign_count: u32) -> Lie {
    Lie { sign_count: Some(sign_count), ..Lie::default() }
}

/// Logs in by a passkey whose counter says so.
async fn counted(server: &TestApp, passkey: &mut Authenticator, sign_count: u32) -> Reply {
    let mut client = server.app();
    let asked = options(&mut client, LOGIN).await;
    let assertion = passkey.get(&asked, ORIGIN, &count(sign_count));
    client.post(LOGIN, sent(&assertion)).await
}

#[test]
fn fields_of_ones_own_come_along() {
    on_both(async |backend| {
        let settings = "account = { email_verification = 'none', rate_limits = false,
             extra_signup_fields = [{ name = 'given_name', type = 'text' }] }";
        let old = TestApp::start(backend, settings).await;
        let ada = json!({ "email": ADA, "password": PASSWORD, "given_name": "Ada" });
        old.app().post("auth/signup", ada).await.expect(200);
        let new = TestApp::start(other(backend), settings).await;
        let text = exported(&old, KEY).await;
        let mut lines = JsonLines::open(text.as_bytes(), "export").expect("an export");
        let (report, kept) = take(&new, Options::new("old"), &mut lines).await;
        assert_eq!((report.taken, report.partial), (1, 0), "{:?}", kept.lines());
        let reply = new.app().post("auth/login", json!({ "email": ADA, "password": PASSWORD })).await;
        assert_eq!(reply.expect(200).data()["user"]["given_name"], "Ada");
    });
}

#[test]
fn nothing_is_taken_twice_and_a_dry_run_takes_nothing() {
    on_both(async |backend| {
        let server = TestApp::start(backend, "").await;
        let mut everybody = people(1, 1203);
        for one in everybody.iter_mut().step_by(3) {
            one.phone =
                Some(Phone { phone: format!("+3161{:07}", one.id.unwrap_or_default()), verified: true });
        }
        let list = || List::of(everybody.clone());
        let before = rows(&server).await;
        let dry = Options { dry_run: true, ..Options::new("s") };
        let (report, kept) = take(&server, dry, &mut list()).await;
        assert_eq!((report.taken, report.skipped, kept.batches), (1203, 0, 3));
        assert_eq!(rows(&server).await, before);

        // It breaks off in the third batch, and is run again.
        let mut broken = List { until: 1000, ..list() };
        let mut kept = Kept::default();
        run(&server, KEY, Options::new("s"), &mut broken, &mut kept)
            .await
            .expect_err("a source that is gone");
        assert_eq!(rows(&server).await[0], 1000);
        let (report, _) = take(&server, Options::new("s"), &mut list()).await;
        assert_eq!((report.taken, report.already_there, report.skipped), (203, 1000, 0));
        assert_eq!(rows(&server).await, [1203, 1203, 401, 0, 0, 1203]);
        let (report, _) = take(&server, Options::new("s"), &mut list()).await;
        assert_eq!((report.taken, report.already_there), (0, 1203));
        // Two that are new among them; and one that was deleted here is not brought back.
        server.vestibule.users().delete(7).await.expect("user 7");
        everybody.extend(people(5000, 2));
        let (report, _) = take(&server, Options::new("s"), &mut List::of(everybody.clone())).await;
        assert_eq!((report.taken, report.already_there), (2, 1203));
        assert_eq!(rows(&server).await[0], 1204);
        // Ids go on above those that were brought along.
        assert!(account(&server, ADA).await > 5001);
        let (report, kept) = take(&server, Options::new("another"), &mut List::of(everybody)).await;
        assert_eq!((report.taken, report.skipped), (1, 1204), "the deleted one, under another name");
        assert_eq!(kept.notes[0].problems, ["id 1: in use"]);
    });
}

#[test]
fn h6_what_is_in_use_stays_with_whom_it_belongs_to() {
    on_both(async |backend| {
        let server = TestApp::start(backend, "").await;
        account(&server, ADA).await; // id 1, verified
        let mail = |email: &str, verified, primary| Email { email: email.to_owned(), verified, primary };
        let phone = |verified| Some(Phone { phone: "+31612345678".to_owned(), verified });
        let bare = |number: i64| Account { emails: Vec::new(), ..person(number, "") };
        let mut list = vec![
            person(10, "ADA@Example.org"),
            Account { username: Some("P10".to_owned()), ..person(11, "p11@example.org") },
            Account { username: Some("p10".to_owned()), ..person(12, "p12@example.org") },
            // An address that nobody proved gives way, first within a batch.
            Account { emails: vec![mail("both@example.org", false, true)], ..bare(13) },
            Account { emails: vec![mail("both@example.org", true, true)], ..bare(14) },
            Account {
                emails: vec![mail("p15@example.org", true, false), mail("both@example.org", true, false)],
                ..bare(15)
            },
            Account { phone: phone(false), ..bare(16) },
            Account { phone: phone(true), ..bare(17) },
            Account { phone: phone(false), ..bare(18) },
            Account { emails: vec![mail("mıke@example.org", true, true)], ..bare(19) },
            Account { username: Some("a b".to_owned()), ..bare(20) },
            Account { username: None, ..person(21, "p21@example.org") },
            Account { id: Some(1), ..person(22, "p22@example.org") },
            Account { password: Some("sha1$salt$00".into()), ..person(23, "p23@example.org") },
            Account { password: Some("!unusable".into()), ..person(24, "p24@example.org") },
        ];
        for (number, hopeless) in [(30, true), (31, false)] {
            let wire = json!({
                "source_id": number.to_string(), "username": format!("p{number}"),
                "totp": { "secret": if hopeless { "MZXW6" } else { "MZXW6YTBOIMZXW6YTBOI" } },
                "recovery_codes": { "codes": [{ "code": "1234-5678" }] },
                "passkeys": [{ "name": "old", "credential_id": "AQID", "public_key": "oA" }],
            });
            list.push(serde_json::from_value(wire).expect("an account"));
        }
        let (report, kept) = take(&server, Options::new("s"), &mut List::of(list.clone())).await;
        let expected = [
            "10 not: email ada@example.org: in use",
            "12 not: username \"p10\": in use",
            "15 taken: email both@example.org: in use",
            "18 taken: phone +31612345678: in use",
            "19 taken: email \"mıke@example.org\": no address that mails can be sent to",
            "20 not: username \"a b\": ",
            "22 not: id 1: in use",
            "23 taken: password: the stored password hash has an unknown format",
            "30 not: totp: the secret is no base 32 of 10 bytes or more; passkey \"old\": not a COSE key; its second factors cannot be taken",
            "31 taken: passkey \"old\": ",
        ];
        let lines = kept.lines();
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(expected), "{line}\n{expected}");
        }
        assert_eq!((report.taken, report.partial, report.skipped), (12, 5, 5));
        assert_eq!(report.reasons["email address in use"], 2);
        let mut tx = server.db.write().await.expect("a connection");
        let claimed = imports::claimed_emails(&mut tx, vec!["both@example.org".to_owned()]).await;
        assert_eq!(claimed.expect("claims"), [("both@example.org".to_owned(), true)]);
        let kinds = tx.all("SELECT kind FROM authenticators ORDER BY id", vals![]).await.expect("rows");
        let kinds: Vec<_> = kinds.iter().map(|row| row.text(0).expect("a kind")).collect();
        assert_eq!(kinds, ["totp", "recovery_codes"]);
        let ids = vec![16.into(), 17.into(), 10.into()];
        assert_eq!(imports::taken(&mut tx, Key::UserId, ids).await.expect("ids").len(), 2);
        drop(tx);
        // Whoever says that a password will do may have it so.
        let careless = Options { lose_second_factors: true, ..Options::new("s") };
        let (report, _) = take(&server, careless, &mut List::of(list)).await;
        assert_eq!((report.taken, report.already_there, report.skipped), (1, 12, 4));
    });
}

#[test]
fn what_no_database_can_hold_or_comes_twice_is_left_out_by_name() {
    on_both(async |backend| {
        let server = TestApp::start(backend, "").await;
        let abroad = |provider: &str, uid: &str| ProviderAccount {
            provider: provider.to_owned(),
            uid: uid.to_owned(),
            ..ProviderAccount::default()
        };
        let (nul, long) = ("a\0b", "x".repeat(501));
        let mut list = people(1, 12);
        list[0].source_id = nul.to_owned();
        list[1].source_id = long.clone();
        list[2].providers = vec![abroad("idp", nul), abroad("idp", "good")];
        list[3].providers = vec![abroad(nul, "1"), abroad("idp", &long)];
        list[4].password = Some(format!("md5$a\0b${}", "0".repeat(32)).into());
        list[5].username = Some(nul.to_owned());
        list[6].emails[0].email = format!("{nul}@example.org");
        list[7].phone = Some(Phone { phone: format!("+316123456{nul}"), verified: true });
        list[8].fields = serde_json::from_value(json!({ "note": nul })).expect("fields");
        // In another batch than the one that it repeats.
        list[11].source_id = "10".to_owned();
        let options = Options { batch: 5, ..Options::new("s") };
        let (report, kept) = take(&server, options, &mut List::of(list)).await;
        let expected = [
            "a\0b not: source_id: not 1 to 500 bytes",
            &format!("{long} not: source_id: not 1 to 500 bytes"),
            "3 taken: uid of a provider account: not 1 to 500 bytes",
            "4 taken: provider of a provider account: not 1 to 500 bytes of text without NUL; uid",
            "5 taken: password: ",
            "6 taken: username ",
            "7 taken: email ",
            "8 taken: phone ",
            "10 not: source_id \"10\": came before in this source",
        ];
        let lines = kept.lines();
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(expected), "{line}\n{expected}");
        }
        assert_eq!((report.taken, report.already_there, report.skipped), (9, 0, 3));
        assert_eq!(rows(&server).await[3], 1);
    });
}

#[test]
fn h6_what_nobody_proved_gives_way_to_who_has_also_when_it_is_there_already() {
    on_both(async |backend| {
        let settings = "account = { login_methods = ['email', 'phone'], signup_fields = ['email', 'phone', 'password1*'] }";
        let server = TestApp::start(backend, settings).await;
        let holding = |number: i64, verified| {
            let mut one = person(number, "both@example.org");
            one.emails[0].verified = verified;
            one.phone = Some(Phone { phone: "+31612345678".to_owned(), verified });
            one
        };
        for (name, number, verified) in [("first", 1, false), ("second", 2, true)] {
            let mut list = List::of(vec![holding(number, verified)]);
            let (report, kept) = take(&server, Options::new(name), &mut list).await;
            assert_eq!((report.taken, report.partial), (1, 0), "{:?}", kept.lines());
        }
        let (report, _) = take(&server, Options::new("third"), &mut List::of(vec![holding(3, true)])).await;
        assert_eq!(report.skipped, 1);
        let mut tx = server.db.write().await.expect("a connection");
        for sql in [
            "SELECT user_id FROM emails WHERE claim IS NOT NULL",
            "SELECT user_id FROM phones WHERE claim IS NOT NULL",
        ] {
            let holders = tx.all(sql, vals![]).await.expect("rows");
            let holders: Vec<i64> = holders.iter().map(|row| row.int(0).expect("a user")).collect();
            assert_eq!(holders, [2], "{sql}");
        }
    });
}

#[test]
fn two_imports_at_once_take_everybody_once() {
    on_both(async |backend| {
        let server = TestApp::start(backend, "").await;
        let one = async |name: &str| take(&server, Options::new(name), &mut List::of(people(1, 400))).await.0;
        let (a, b) = tokio::join!(one("a"), one("b"));
        assert_eq!((a.taken + b.taken, a.skipped + b.skipped), (400, 400), "{a:?} {b:?}");
        assert_eq!(rows(&server).await[0], 400);
    });
}

#[test]
fn a_table_says_who_may_come_in_and_by_what() {
    on_both(async |backend| {
        let settings = "account.rate_limits = false\naccount.login_methods = ['email', 'username']
             account.signup_fields = ['email*', 'username*', 'password1*']";
        let server = TestApp::start(backend, settings).await;
        account(&server, EVE).await;
        let mut conn = server.db.read().await.expect("a connection");
        let found = conn.all("SELECT password FROM users", vals![]).await.expect("rows");
        let hash = found[0].text(0).expect("a hash");
        drop(conn);
        let table = format!(
            "source_id;id;username;email;email_verified;phone;phone_verified;password_hash;is_active;created_at;last_login_at;totp_secret\n\
             a;70;Ada;{ADA};1;+31612345678;y;{hash};t;2020-02-29;2024-05-01T12:00:00+02:00;\n\
             b;71;off;off@example.org;true;;;{hash};0;;;\n\
             c;72;new;new@example.org;n;;;{hash};;;;\n\
             d;73;two;two@example.org;yes;;;{hash};yes;;;gezdgnbv gy3tqojq gezdgnbv gy3tqojq\n"
        );
        let mut csv = Csv::open(table.as_bytes(), "users.csv", &[]).expect("a table");
        let (report, kept) = take(&server, Options::new("csv"), &mut csv).await;
        assert_eq!((report.taken, report.partial), (4, 0), "{:?}", kept.lines());

        for name in [json!({ "email": ADA }), json!({ "username": "ada" })] {
            let mut typed = name;
            typed["password"] = PASSWORD.into();
            let reply = server.app().post("auth/login", typed).await.expect(200);
            assert_eq!(
                (&reply.data()["user"]["id"], &reply.data()["user"]["username"]),
                (&json!(70), &json!("Ada"))
            );
        }
        login(&mut server.app(), "off@example.org", PASSWORD).await.expect(400);
        let reply = login(&mut server.app(), "new@example.org", PASSWORD).await.expect(401);
        assert!(reply.is_pending("verify_email"), "{reply}");
        let mut client = half_way(server.app(), "two@example.org").await;
        let generator = AuthenticatorApp::new("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        second_factor(&mut client, &generator.wrong(&server)).await.expect(400);
        second_factor(&mut client, &generator.code(&server)).await.expect(200);
        let text = exported(&server, KEY).await;
        let ada = text.lines().find(|line| line.contains(ADA)).expect("Ada");
        for part in [
            r#""phone":{"phone":"+31612345678","verified":true}"#,
            r#""created_at":"2020-02-29T00:00:00.000Z""#,
            r#""username":"Ada""#,
        ] {
            assert!(ada.contains(part), "{part} in {ada}");
        }
    });
}

#[test]
fn files_are_read_and_each_bad_line_is_named() {
    on_both(async |backend| {
        let server = TestApp::start(backend, "account.rate_limits = false").await;
        let hash = "bcrypt-of-nothing";
        let table = format!(
            "\u{feff}username,email,email_verified,phone,password_hash,is_active,created_at\r\n\
             ada,{ADA},yes,+31612345678,\"$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$9kHaqa8QyJ9ab6ExNNa29hFkBRO2p3OqAOAPPKOhLYY\",true,2020-02-29\r\n\
             \"bo\"\"b\",bob@example.org,maybe,,,,\r\n\
             short,row\r\n\
             \r\n\
             \"two\nlines\",two@example.org,no,,,,\r\n\
             eve,{EVE},no,0612,{hash},no,yesterday\r\n\
             ,,,,,,\r\n\
             mallory,{EVE},0,0612,{hash},0,\r\n"
        );
        let mut csv = Csv::open(table.as_bytes(), "users.csv", &[]).expect("a table");
        let (report, kept) = take(&server, Options::new("csv"), &mut csv).await;
        let lines = kept.lines();
        let expected = [
            "line 3 not: email_verified: neither true nor false",
            "line 4 not: 2 columns, the first line names 7",
            "line 8 not: created_at: not a time",
            "line 9 not: neither id, username, email nor phone",
            "line 6 taken: username \"two\\nlines\"",
            "line 10 taken: password: the stored password hash has an unknown format; phone \"0612\": not in E.164",
        ];
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(expected), "{line}\n{expected}");
        }
        assert_eq!((report.taken, report.skipped), (3, 4));
        let mut csv = Csv::open(table.as_bytes(), "users.csv", &[]).expect("a table");
        assert_eq!(take(&server, Options::new("csv"), &mut csv).await.0.already_there, 3);

        let table = "email;first_name;Notes\na@example.org;A;x\n";
        let error = Csv::open(table.as_bytes(), "u.csv", &[]).expect_err("unknown columns").to_string();
        assert!(error.starts_with("u.csv, line 1: unknown columns first_name, notes: "), "{error}");
        let mut csv =
            Csv::open(table.as_bytes(), "u.csv", &["first_name".into(), "notes".into()]).expect("a table");
        assert_eq!(take(&server, Options::new("more"), &mut csv).await.0.taken, 1);

        let list = r#" [ {"id": 70, "email": "b@example.org", "email_verified": true},
            {"source_id": "x", "username": "xy", "emails": [{"email": "x@example.org"}]},
            {"email": "c@example.org", "plan": "free"}, {"source_id": "y", "password": 12345} ] "#;
        let mut json = JsonList::open(list.as_bytes(), "u.json").expect("a list");
        let (report, kept) = take(&server, Options::new("json"), &mut json).await;
        assert_eq!((report.taken, report.skipped), (2, 2));
        assert_eq!(
            kept.lines(),
            [
                "account 3 not: plan: not a column that is known",
                "account 4 not: expected a string at line 1 column 1"
            ]
            .map(|line| line.split(" at line").next().expect("a beginning").to_owned())
        );
        let mut broken =
            JsonList::open("[{\"email\": \"d@example.org\"} x".as_bytes(), "u.json").expect("a list");
        run(&server, KEY, Options::new("json"), &mut broken, &mut Kept::default())
            .await
            .expect_err("no list");
        let newer = JsonLines::open("{\"vestibule_accounts\": 2}".as_bytes(), "e").expect_err("a newer one");
        assert!(newer.to_string().contains("version 2"), "{newer}");
    });
}

#[test]
fn a_password_of_another_system_logs_in() {
    on_both(async |backend| {
        let server =
            TestApp::start(backend, "account.rate_limits = false\naccount.email_verification = 'none'").await;
        account(&server, EVE).await;
        let mut conn = server.db.read().await.expect("a connection");
        let hash =
            conn.all("SELECT password FROM users", vals![]).await.expect("rows")[0].text(0).expect("a hash");
        drop(conn);
        // As Spring writes it.
        let ada = Account { password: Some(format!("{{argon2}}{hash}").into()), ..person(70, ADA) };
        assert!(!format!("{ada:?}").contains("argon2"), "x3: it does not print");
        let (report, kept) = take(&server, Options::new("s"), &mut List::of(vec![ada])).await;
        assert_eq!((report.taken, kept.notes.len()), (1, 0));
        let mut client = server.app();
        login(&mut client, ADA, PASSWORD).await.expect(200);
        assert_eq!(user(&mut client).await, 70);
    });
}

//! Logging in at a real OpenID Connect provider: the package `oidc-provider` of npm, in a process of Node. People are sent
//! there, their account is connected with it, and an application brings its ID tokens; in the middle it changes its keys.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::cli::{Server, run, vestibule};
use crate::http::{Answer, ask};
use crate::node;

/// What the provider consists of, in `tests/oidc-provider`.
const SCRIPT: [(&str, &str); 3] = [
    ("package.json", include_str!("../oidc-provider/package.json")),
    ("package-lock.json", include_str!("../oidc-provider/package-lock.json")),
    ("server.mjs", include_str!("../oidc-provider/server.mjs")),
];
/// The registrations of Vestibule there, each with the name that the app has here. The first has a secret and is told of
/// people in tokens signed by RSA, the second has a key and is by ECDSA.
pub(crate) const BY_SECRET: &str = "by-secret";
const BY_KEY: &str = "by-key";
pub(crate) const SECRET: &str = "the secret of Vestibule";
/// Where an application of the first registration gets its codes.
const APPLICATION: &str = "https://app.example.org/signed-in";
/// A verifier of PKCE and its challenge, from RFC 7636, appendix B.
const PKCE: (&str, &str) =
    ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
/// What is said on the standard error of each process; shown if the test fails.
const LOGS: [&str; 2] = ["provider.log", "vestibule.log"];
/// Whoever has this name declines at the provider.
const NOBODY: &str = "nobody";

#[test]
fn people_log_in_at_a_real_provider_which_changes_its_keys_in_between() {
    let Some(packages) = packages() else { return };
    let world = World::start(&packages);

    // Somebody new, by each kind of proof of who Vestibule is.
    let ada = world.enters(BY_SECRET, "ada");
    assert_eq!((&ada["email"], &ada["has_usable_password"]), (&json!("ada@example.org"), &json!(false)));
    let alan = world.enters(BY_KEY, "alan");
    assert_eq!(alan["email"], "alan@example.org");
    // The same person is the same user.
    assert_eq!(world.enters(BY_SECRET, "ada"), ada);
    assert_eq!(world.enters(BY_KEY, "alan"), alan);

    // Somebody who declines is nobody here.
    let mut browser = Browser::new(&world);
    assert_eq!(browser.visit(BY_SECRET, "login", NOBODY), "/done?error=cancelled&error_process=login");
    assert_eq!(browser.call("GET", "auth/session", None).status, 401);

    an_account_with_a_password_is_connected(&world);

    // An application brings what it got itself.
    assert_eq!(world.brings(&world.id_token("ada")), Ok(ada.clone()));
    assert_eq!(world.brings(&world.id_token("edsger")).unwrap()["email"], "edsger@example.org");

    // These would be as good as the former, by the keys that are about to go.
    let old = ["ada", "edsger"].map(|who| world.id_token(who));
    world.provider.rotate();
    let new = world.id_token("ada");
    assert_ne!(part(&old[0], 0), part(&new, 0), "another key is named");

    // All of it works again at once.
    assert_eq!(world.brings(&new), Ok(ada.clone()));
    assert_eq!(world.enters(BY_SECRET, "ada"), ada);
    assert_eq!(world.enters(BY_KEY, "alan"), alan);
    assert_eq!(world.enters(BY_KEY, "barbara")["email"], "barbara@example.org");
    // What the former keys signed is worth nothing any more.
    for token in &old {
        assert_eq!(world.brings(token), Err("invalid_token".to_owned()));
    }
    refuses_what_is_tampered_with(&world);
}

fn an_account_with_a_password_is_connected(world: &World) {
    let made = run(
        world.folder.path(),
        &["users", "create", "--email", "grace@navy.example", "--verified", "--json"],
    );
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let mut browser = Browser::new(world);
    let body = json!({ "email": "grace@navy.example", "password": made["generated_password"] });
    assert_eq!(browser.call("POST", "auth/login", Some(&body)).status, 200);
    assert_eq!(browser.visit(BY_SECRET, "connect", NOBODY), "/done?error=cancelled&error_process=connect");
    assert_eq!(browser.call("GET", "account/providers", None).json()["data"], json!([]));
    assert_eq!(browser.visit(BY_SECRET, "connect", "grace"), "/done");
    let connected = &browser.call("GET", "account/providers", None).json()["data"];
    assert_eq!((&connected[0]["uid"], &connected[0]["provider"]["id"]), (&json!("grace"), &json!(BY_SECRET)));

    // From now on it is a way in.
    let entered = world.enters(BY_SECRET, "grace");
    assert_eq!((&entered["id"], &entered["has_usable_password"]), (&made["id"], &json!(true)));
    // And of no use to anybody else.
    let mut browser = Browser::new(world);
    assert_eq!(browser.visit(BY_SECRET, "login", "heidi"), "/done");
    // She logs out there.
    browser.cookies.retain(|name, _| !name.starts_with("_session"));
    let refused = browser.visit(BY_SECRET, "connect", "grace");
    assert_eq!(refused, "/done?error=connected_other&error_process=connect");
}

/// One letter is another in each part in turn; a token without any change gets through afterwards.
fn refuses_what_is_tampered_with(world: &World) {
    let good = world.id_token("mallory");
    for place in 0..3 {
        let mut parts: Vec<String> = good.split('.').map(str::to_owned).collect();
        let middle = parts[place].len() / 2;
        let other = if parts[place][middle..].starts_with('A') { "B" } else { "A" };
        parts[place].replace_range(middle..=middle, other);
        assert_eq!(world.brings(&parts.join(".")), Err("invalid_token".to_owned()), "part {place}");
    }
    assert_eq!(world.brings(&good).unwrap()["email"], "mallory@example.org");
}

fn part(token: &str, place: usize) -> &str {
    token.split('.').nth(place).unwrap()
}

/// Vestibule and the provider.
struct World {
    site: String,
    address: SocketAddr,
    provider: Provider,
    _server: Server,
    folder: TempDir,
}

impl World {
    fn start(packages: &Path) -> Self {
        let folder = TempDir::new().unwrap();
        let log = |name| File::create(folder.path().join(name)).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let site = format!("http://{address}");
        let provider = Provider::start(packages, &site, log(LOGS[0]));
        fs::write(folder.path().join("vestibule.toml"), settings(&site, &provider)).unwrap();
        let mut command = vestibule(folder.path(), &["serve"]);
        let server = Server::start_at(address, command.stderr(log(LOGS[1])));
        Self { site, address, provider, _server: server, folder }
    }

    /// Somebody logs in with a browser of their own; gives the user that they are.
    #[track_caller]
    fn enters(&self, app: &str, who: &str) -> Value {
        let mut browser = Browser::new(self);
        assert_eq!(browser.visit(app, "login", who), "/done");
        let session = browser.call("GET", "auth/session", None);
        assert_eq!(session.status, 200, "{}", session.body);
        session.json()["data"]["user"].take()
    }

    /// An ID token that an application gets when somebody logs in to it.
    fn id_token(&self, who: &str) -> String {
        let claims = json!({ "id_token": { "email": null, "email_verified": null, "name": null } });
        let mut url = Url::parse(&format!("{}/auth", self.provider.issuer)).unwrap();
        url.query_pairs_mut().extend_pairs([
            ("client_id", BY_SECRET),
            ("response_type", "code"),
            ("redirect_uri", APPLICATION),
            ("scope", "openid email profile"),
            // Else they are only to be had with the access token.
            ("claims", &claims.to_string()),
            ("code_challenge", PKCE.1),
            ("code_challenge_method", "S256"),
            ("login_hint", who),
        ]);
        let back = Browser::new(self).follow(url, |url| url.as_str().starts_with(APPLICATION));
        let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        let body = form(&[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", APPLICATION),
            ("code_verifier", PKCE.0),
        ]);
        let secret = form(&[(BY_SECRET, SECRET)]).replace('=', ":");
        let proof = format!("Basic {}", BASE64_STANDARD.encode(secret));
        let headers = [("Content-Type", FORM), ("Authorization", &*proof)];
        let answer = ask(self.provider.address(), "POST", "/token", &headers, &body).json();
        answer["id_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// An application brings an ID token; gives the user who is logged in, or the code of the refusal.
    fn brings(&self, id_token: &str) -> Result<Value, String> {
        let token = json!({ "client_id": BY_SECRET, "id_token": id_token });
        let body = json!({ "provider": BY_SECRET, "process": "login", "token": token }).to_string();
        let headers = [("Content-Type", "application/json")];
        let answer = ask(self.address, "POST", "/_allauth/app/v1/auth/provider/token", &headers, &body);
        let mut said = answer.json();
        match answer.status {
            200 => Ok(said["data"]["user"].take()),
            400 => Err(said["errors"][0]["code"].as_str().unwrap().to_owned()),
            status => panic!("{status} {said}"),
        }
    }
}

impl Drop for World {
    #[expect(
        clippy::print_stderr,
        reason = "the test runner shows it under the name of the test that failed"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            for log in LOGS {
                eprintln!("{log}:\n{}", fs::read_to_string(self.folder.path().join(log)).unwrap());
            }
        }
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

fn form(fields: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A browser. Everybody here is one host to it, so its cookies go to all.
struct Browser<'a> {
    world: &'a World,
    cookies: BTreeMap<String, String>,
}

impl<'a> Browser<'a> {
    /// With the token that a page needs to change something.
    fn new(world: &'a World) -> Self {
        let mut browser = Self { world, cookies: BTreeMap::new() };
        browser.call("GET", "config", None);
        browser
    }

    /// Goes to the provider, is `who` there, and comes back; gives where the front end is called in the end.
    #[track_caller]
    fn visit(&mut self, app: &str, process: &str, who: &str) -> String {
        let csrf = self.cookies["csrftoken"].clone();
        let body = form(&[
            ("provider", app),
            ("process", process),
            ("callback_url", "/done"),
            ("csrfmiddlewaretoken", &csrf),
        ]);
        let path = "/_allauth/browser/v1/auth/provider/redirect";
        let answer = self.send(self.world.address, "POST", path, &[("Content-Type", FORM)], &body);
        assert_eq!(answer.status, 302, "{}", answer.body);
        let mut url = Url::parse(&answer.headers["location"]).unwrap();
        assert_eq!(url.origin().ascii_serialization(), self.world.provider.issuer, "{url}");
        // Instead of typing it there.
        url.query_pairs_mut().append_pair("login_hint", who);
        let site = self.world.site.clone();
        let end = self.follow(url, |url| url.as_str().starts_with(&format!("{site}/done")));
        end.as_str()[site.len()..].to_owned()
    }

    /// Opens a page and goes where it leads, until it would leave for a URL that `is_end` knows.
    #[track_caller]
    fn follow(&mut self, mut url: Url, is_end: impl Fn(&Url) -> bool) -> Url {
        for _ in 0..10 {
            if is_end(&url) {
                return url;
            }
            let address = *url.socket_addrs(|| None).unwrap().first().unwrap();
            let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
            let answer = self.send(address, "GET", path, &[], "");
            let Some(location) = answer.headers.get("location") else {
                panic!("{url} leads nowhere: {} {}", answer.status, answer.body)
            };
            url = url.join(location).unwrap();
        }
        panic!("too many redirects, to {url} at last")
    }

    /// Calls the API.
    fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let csrf = self.cookies.get("csrftoken").cloned().unwrap_or_default();
        let headers = [("Content-Type", "application/json"), ("X-CSRFToken", &*csrf)];
        let path = format!("/_allauth/browser/v1/{path}");
        let body = body.map(Value::to_string).unwrap_or_default();
        self.send(self.world.address, method, &path, &headers, &body)
    }

    fn send(
        &mut self,
        address: SocketAddr,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let own = [("Cookie", &*cookies), ("Origin", &*self.world.site)];
        let answer = ask(address, method, path, &[headers, &own].concat(), body);
        for cookie in answer.headers.get("set-cookie").into_iter().flat_map(|all| all.lines()) {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }
}

/// The provider, in a process of its own.
pub(crate) struct Provider {
    process: Child,
    pub(crate) issuer: String,
    /// By which Vestibule proves who it is, in PEM.
    key: String,
}

impl Provider {
    /// With the packages of [`packages`]; `site` is where Vestibule is.
    pub(crate) fn start(packages: &Path, site: &str, log: File) -> Self {
        let process = Command::new("node")
            .arg("server.mjs")
            .current_dir(packages)
            .env("SITE", site)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut provider = Self { process, issuer: String::new(), key: String::new() };
        let mut greeting = String::new();
        BufReader::new(provider.process.stdout.take().unwrap()).read_line(&mut greeting).unwrap();
        let greeting: Value = serde_json::from_str(&greeting).unwrap();
        provider.issuer = greeting["issuer"].as_str().unwrap().to_owned();
        provider.key = greeting["key"].as_str().unwrap().to_owned();
        provider
    }

    fn address(&self) -> SocketAddr {
        self.issuer.strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// It signs with new keys from now on, and does not know the former ones any more.
    fn rotate(&self) {
        assert_eq!(ask(self.address(), "POST", "/rotate", &[], "").status, 204);
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn settings(site: &str, provider: &Provider) -> String {
    let Provider { issuer, key, .. } = provider;
    format!(
        "server.secret_key = 'the secret key of this test, long enough for it'\n\
         server.public_url = '{site}'\n\
         account = {{ rate_limits = false, email_verification = 'mandatory' }}\n\
         passwords.argon2 = {{ memory_kib = 64, iterations = 1, parallelism = 1 }}\n\
         [[socialaccount.apps]]\n\
         provider = 'openid_connect'\n\
         provider_id = '{BY_SECRET}'\n\
         client_id = '{BY_SECRET}'\n\
         secret = '{SECRET}'\n\
         settings = {{ server_url = '{issuer}' }}\n\
         [[socialaccount.apps]]\n\
         provider = 'openid_connect'\n\
         provider_id = '{BY_KEY}'\n\
         client_id = '{BY_KEY}'\n\
         [socialaccount.apps.settings]\n\
         server_url = '{issuer}'\n\
         token_auth_method = 'private_key_jwt'\n\
         private_key = '''{key}'''\n"
    )
}

/// The folder of the provider's script with its packages.
pub(crate) fn packages() -> Option<PathBuf> {
    node::packages("oidc-provider", &SCRIPT, "no login at a real provider was tried")
}

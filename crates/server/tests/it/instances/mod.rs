//! Several servers over one PostgreSQL: whichever one is asked, it knows what the others have answered; and people get an
//! answer or none, but no wrong one, while servers and the database die and come back.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod client;
mod house;
mod life;

use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vestibule_base::storage::{Db, outbox};
use vestibule_base::vals;
use vestibule_testkit::cluster::Stop;

use self::client::{App, Client, PASSWORD, code};
use self::house::{House, INSTANCES};
use self::life::{Known, Life};
use crate::cli::complaint;

const KEYS: [&str; 2] =
    ["the secret key of these tests, long enough for it", "another secret key of these tests, as long"];
const SIGNING: [&str; 2] =
    ["what signs the tokens of these tests, long enough", "what signs them afterwards, long enough, too"];
const WORKERS: usize = 6;

/// With the key at `present` and, known as well, the one at `former`; `limits` instead of none.
fn settings(present: usize, former: Option<usize>, limits: &str) -> String {
    let list = |keys: [&str; 2]| former.map(|at| format!("'{}'", keys[at])).unwrap_or_default();
    format!(
        "server.secret_key = '{}'\n\
         server.secret_key_fallbacks = [{}]\n\
         mfa = {{ rate_limits = false, totp_tolerance = 9 }}\n\
         usersessions.track_activity = true\n\
         [headless]\n\
         token_strategy = 'jwt'\n\
         jwt_algorithm = 'HS256'\n\
         jwt_private_key = '{}'\n\
         jwt_private_key_fallbacks = [{}]\n\
         [account]\n\
         rate_limits = {limits}\n\
         email_verification_by_code_enabled = true\n\
         password_reset_by_code_enabled = true\n\
         login_by_code_enabled = true\n",
        KEYS[present],
        list(KEYS),
        SIGNING[present],
        list(SIGNING),
    )
}

#[test]
fn x4_x5_servers_and_the_database_die_amid_everything_and_nobody_is_told_a_lie() {
    let Some(mut house) = House::start(&settings(0, None, "false")) else { return };
    let (door, over) = (house.door, AtomicBool::new(false));
    let (lived, completed) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (over, lived, completed) = (&over, &lived, &completed);
            scope.spawn(move || {
                for n in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let mut life = Life::new(format!("w{worker}n{n}@example.org"));
                    match life.live(door) {
                        Some(()) => drop(completed.fetch_add(1, Ordering::Relaxed)),
                        None => thread::sleep(Duration::from_millis(500)),
                    }
                    lived.lock().unwrap().push(life);
                }
            });
        }
        // Stops the workers, should this thread fail.
        let _ending = Ending(&over);
        progress(&completed, "three servers");
        house.kill(0);
        progress(&completed, "the two others");
        house.start_again(0);
        for how in [Stop::Fast, Stop::Immediate] {
            house.cluster.stop(how).unwrap();
            thread::sleep(Duration::from_millis(1500));
            assert_eq!(house.ready(), 0, "without a database");
            house.cluster.go_on().unwrap();
            recover(&house);
            progress(&completed, "a database that is back");
        }
        house.kill(1);
        house.kill(2);
        progress(&completed, "one server alone");
        house.start_again(1);
        house.start_again(2);
    });
    recover(&house);
    let lived = lived.into_inner().unwrap();
    let made = lived.iter().filter(|life| life.signed_up == Known::Done).count();
    assert!(made > WORKERS && lived.len() > completed.into_inner(), "nobody was interrupted");

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mails = runtime.block_on(async {
        let db = Db::open(&house.database, 2).await.unwrap();
        let end = Instant::now() + Duration::from_secs(30);
        // What a server had in hand when it died leaves when its hold ends.
        while outbox::count(&mut db.read().await.unwrap()).await.unwrap() > 0 {
            assert!(Instant::now() < end, "messages stay behind");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let rows = db.read().await.unwrap().all("SELECT recipient FROM mailbox", vals![]).await.unwrap();
        rows.into_iter().map(|row| row.text(0).unwrap()).collect::<Vec<_>>()
    });
    thread::scope(|scope| {
        for some in lived.chunks(lived.len().div_ceil(WORKERS)) {
            let mails = |life: &Life| mails.iter().filter(|to| **to == life.email).count();
            scope.spawn(move || some.iter().for_each(|life| life.check(door, mails(life))));
        }
    });
}

/// Ends the work however the test ends.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits until people get through everything again.
fn progress(completed: &AtomicUsize, with: &str) {
    let (before, end) = (completed.load(Ordering::Relaxed), Instant::now() + Duration::from_secs(60));
    while completed.load(Ordering::Relaxed) < before + WORKERS {
        assert!(Instant::now() < end, "nobody gets through with {with}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until all servers are ready, which they become by themselves.
fn recover(house: &House) {
    let end = Instant::now() + Duration::from_secs(10);
    while house.ready() < INSTANCES {
        assert!(Instant::now() < end, "{} are ready", house.ready());
        thread::sleep(Duration::from_millis(50));
    }
}

/// Asks each server the same several times at once, each request as `client` says; gives the statuses and answers.
fn at_once(
    addresses: &[SocketAddr],
    times: usize,
    ask: impl Fn(SocketAddr, usize) -> Option<(u16, Value)> + Sync,
) -> Vec<(u16, Value)> {
    let barrier = Barrier::new(addresses.len() * times);
    thread::scope(|scope| {
        let asked: Vec<_> = (0..addresses.len() * times)
            .map(|n| {
                let (barrier, ask, address) = (&barrier, &ask, addresses[n % addresses.len()]);
                scope.spawn(move || {
                    barrier.wait();
                    ask(address, n).unwrap()
                })
            })
            .collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    })
}

/// How many of the answers have one of these statuses.
fn count(answers: &[(u16, Value)], status: u16) -> usize {
    answers.iter().filter(|(found, _)| *found == status).count()
}

#[test]
fn c3_what_works_once_works_once_over_all_servers() {
    let Some(house) = House::start(&settings(0, None, "false")) else { return };
    let (door, addresses) = (house.door, house.addresses());

    let waiting = Client::sign_up(door, "ada@example.org");
    let key = json!({ "key": code(door, "ada@example.org", &[]) });
    let verified = at_once(&addresses, 3, |at, _| waiting.at(at).ask("POST", "auth/email/verify", &key));
    assert_eq!(count(&verified, 200), 1, "{verified:?}");

    // A step of an app, of several logins that wait.
    let mut ada = Client::enter(door, "grace@example.org");
    let mut app = ada.set_up_app().unwrap();
    let codes = ada.get("account/authenticators/recovery-codes", &[200]).unwrap();
    let recovery = codes["data"]["unused_codes"][0].clone();
    assert!(recovery.is_string(), "{codes}");
    for shown in [json!(app.code()), recovery] {
        let credentials = json!({ "email": "grace@example.org", "password": PASSWORD });
        let logins: Vec<Client> = (0..2 * INSTANCES)
            .map(|_| {
                let mut client = Client::new(door);
                client.post("auth/login", &credentials, &[401]).unwrap();
                client
            })
            .collect();
        let body = json!({ "code": shown });
        let entered =
            at_once(&addresses, 2, |at, n| logins[n].at(at).ask("POST", "auth/2fa/authenticate", &body));
        assert_eq!((count(&entered, 200), count(&entered, 400)), (1, 2 * INSTANCES - 1), "{entered:?}");
    }

    // A refresh token.
    let member = Client::enter(door, "alan@example.org");
    let body = json!({ "refresh_token": member.refresh });
    let refreshed = at_once(&addresses, 2, |at, _| Client::new(at).ask("POST", "tokens/refresh", &body));
    assert_eq!(count(&refreshed, 200), 1, "{refreshed:?}");

    // A code for a new password, by which each request would set another one.
    let mut forgetful = Client::new(door);
    forgetful.post("auth/password/request", &json!({ "email": "ada@example.org" }), &[401]).unwrap();
    let spent = key["key"].as_str().unwrap().to_owned();
    let key = code(door, "ada@example.org", &[spent]);
    let new = |n: usize| format!("{PASSWORD}, number {n}");
    let reset = at_once(&addresses, 2, |at, n| {
        forgetful.at(at).ask("POST", "auth/password/reset", &json!({ "key": key, "password": new(n) }))
    });
    assert_eq!(count(&reset, 401), 1, "{reset:?}");
    let winner = reset.iter().position(|(status, _)| *status == 401).unwrap();
    for n in 0..reset.len() {
        let body = json!({ "email": "ada@example.org", "password": new(n) });
        let status = Client::new(door).ask("POST", "auth/login", &body).unwrap().0;
        assert_eq!(status == 200, n == winner, "{n} and {winner}");
    }

    // An address.
    let body = json!({ "email": "edsger@example.org", "password": PASSWORD });
    at_once(&addresses, 2, |at, _| Client::new(at).ask("POST", "auth/signup", &body));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let accounts = runtime.block_on(async {
        let db = Db::open(&house.database, 1).await.unwrap();
        let sql = "SELECT id FROM emails WHERE email = 'edsger@example.org'";
        db.read().await.unwrap().all(sql, vals![]).await.unwrap().len()
    });
    assert_eq!(accounts, 1);
}

#[test]
fn e2_limits_are_exact_over_all_servers_and_outlast_them() {
    let limits = "{ login = '20/h/ip', login_failed = '5/h/key' }";
    let Some(mut house) = House::start(&settings(0, None, limits)) else { return };
    let guess = |email: &'static str| {
        let body = json!({ "email": email, "password": "a guess that is wrong" });
        move |at, _| Client::new(at).ask("POST", "auth/login", &body)
    };
    let answers = at_once(&house.addresses(), 4, guess("ada@example.org"));
    let tried = |answers: &[(u16, Value)]| {
        let wrong = |said: &Value| said["errors"][0]["code"] == "email_password_mismatch";
        answers.iter().filter(|(_, said)| wrong(said)).count()
    };
    assert_eq!(tried(&answers), 5, "{answers:?}");
    for instance in 0..INSTANCES {
        house.kill(instance);
        house.start_again(instance);
    }
    assert_eq!(tried(&at_once(&house.addresses(), 1, guess("ada@example.org"))), 0);
    // Of 20 that one network has, 15 are gone.
    let answers = at_once(&house.addresses(), 4, guess("bob@example.org"));
    assert_eq!((tried(&answers), count(&answers, 429)), (5, 7), "{answers:?}");
}

#[test]
fn x1_keys_change_server_by_server_and_nobody_is_logged_out() {
    let Some(mut house) = House::start(&settings(0, None, "false")) else { return };
    let door = house.door;
    let mut members: Vec<(Client, App)> = (0..3)
        .map(|n| {
            let mut member = Client::enter(door, &format!("m{n}@example.org"));
            let app = member.set_up_app().unwrap();
            (member, app)
        })
        .collect();
    // Known everywhere, then used, then alone.
    for (present, former) in [(0, Some(1)), (1, Some(0)), (1, None)] {
        if former.is_none() {
            // By now, all that the former key protects has been made anew.
            for (n, (member, app)) in members.iter_mut().enumerate() {
                *member = log_in(door, n, app);
            }
        }
        house.configure(&settings(present, former, "false"));
        for instance in 0..INSTANCES {
            house.stop(instance);
            house.start_again(instance);
            for (n, (member, app)) in members.iter_mut().enumerate() {
                for at in house.addresses() {
                    assert_eq!(
                        member.at(at).is_in(),
                        Some(true),
                        "member {n} after {instance} of {former:?}"
                    );
                }
                let refresh = json!({ "refresh_token": member.refresh });
                member.post("tokens/refresh", &refresh, &[200]).unwrap();
                log_in(door, n, app);
            }
        }
    }
    // Whoever knows the former key alone, or none at all, would do harm.
    for wrong in [settings(0, None, "false"), String::new()] {
        let said = complaint(&house.refuse(&wrong));
        assert!(said.contains("server.secret_key") && said.contains("secret_key_fallbacks"), "{said}");
    }
}

#[test]
fn x5_a_database_that_takes_no_writes_is_away() {
    let Some(house) = House::start(&settings(0, None, "false")) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Whoever says so themselves may write, whatever the database says.
    let url = format!("{}&options[default_transaction_read_only]=off", house.database);
    let say = |sql: &'static str| {
        runtime.block_on(async {
            let db = Db::open(&url, 2).await.unwrap();
            let mut tx = db.write().await.unwrap();
            tx.execute(sql, vals![]).await.unwrap();
            tx.commit().await.unwrap();
        });
    };
    // As a standby does, to whose address a failover may lead for a moment. Open connections go on.
    say("ALTER ROLE vestibule IN DATABASE instances SET default_transaction_read_only = on");
    let said = complaint(&house.refuse(&settings(0, None, "false")));
    assert!(said.contains("it takes no writes"), "{said}");
    house.cluster.stop(Stop::Fast).unwrap();
    house.cluster.go_on().unwrap();
    thread::sleep(Duration::from_millis(200));
    assert_eq!(house.ready(), 0);
    let body = json!({ "email": "ada@example.org", "password": PASSWORD });
    assert_eq!(Client::new(house.door).ask("POST", "auth/login", &body), None);
    say("ALTER ROLE vestibule IN DATABASE instances RESET default_transaction_read_only");
    recover(&house);
    Client::enter(house.door, "ada@example.org");
}

/// The member of this number enters once more; each of the two requests meets another server.
fn log_in(door: SocketAddr, n: usize, app: &mut App) -> Client {
    let mut client = Client::new(door);
    let credentials = json!({ "email": format!("m{n}@example.org"), "password": PASSWORD });
    client.post("auth/login", &credentials, &[401]).unwrap();
    client.post("auth/2fa/authenticate", &json!({ "code": app.code() }), &[200]).unwrap();
    client
}

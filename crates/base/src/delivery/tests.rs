//! The whole way: queued in a transaction, sent by the worker, received by a small mail server on this machine.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;
use crate::language::Language;
use crate::security::{SystemClock, TestClock};

const NOW: Millis = 1_700_000_000_000;

/// A mail server that keeps at most 100 mails, and refuses recipients that begin with `refused` or `later`.
struct Sink {
    address: SocketAddr,
    mails: mpsc::Receiver<String>,
    task: JoinHandle<()>,
}

impl Sink {
    async fn at(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, mails) = mpsc::channel(100);
        let task = tokio::spawn(async move {
            let mut sessions = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                sessions.spawn(session(stream, sender.clone()));
            }
        });
        Self { address, mails, task }
    }

    async fn next(&mut self) -> String {
        tokio::time::timeout(Duration::from_secs(10), self.mails.recv()).await.unwrap().unwrap()
    }

    async fn die(self) -> SocketAddr {
        self.task.abort();
        let _ = self.task.await;
        self.address
    }
}

async fn session(stream: TcpStream, mails: mpsc::Sender<String>) {
    let mut stream = BufReader::new(stream);
    let _ = stream.write_all(b"220 sink\r\n").await;
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        let upper = line.to_ascii_uppercase();
        let answer = match upper.get(..4) {
            Some("EHLO") => "250-sink\r\n250 8BITMIME\r\n",
            Some("RCPT") if upper.contains("<REFUSED") => "550 no <refused@example.com> here\r\n",
            Some("RCPT") if upper.contains("<LATER") => "451 later\r\n",
            Some("DATA") => {
                let _ = stream.write_all(b"354 go on\r\n").await;
                let mut mail = String::new();
                while !mail.ends_with("\r\n.\r\n") && mail.len() < 100_000 {
                    if stream.read_line(&mut mail).await.is_ok_and(|read| read == 0) {
                        return;
                    }
                }
                let _ = mails.try_send(mail);
                "250 kept\r\n"
            }
            Some("QUIT") => return,
            _ => "250 ok\r\n",
        };
        let _ = stream.write_all(answer.as_bytes()).await;
        line.clear();
    }
}

struct House {
    _dir: tempfile::TempDir,
    db: Db,
}

impl House {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&format!("sqlite://{}", dir.path().join("db").display()), 4).await.unwrap();
        db.migrate().await.unwrap();
        Self { _dir: dir, db }
    }

    async fn queue(&self, delivery: &Delivery, to: &str, code: &str) {
        let mut tx = self.db.write().await.unwrap();
        let mail =
            Mail { to: to.into(), language: Language::En, kind: MailKind::LoginCode { code: code.into() } };
        delivery.mail(&mut tx, NOW, &mail).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn waiting(&self) -> i64 {
        outbox::count(&mut self.db.read().await.unwrap()).await.unwrap()
    }
}

fn settings(transport: Transport) -> Settings {
    Settings {
        transport,
        from_email: "Example <noreply@example.com>".into(),
        subject_prefix: "[Example] ".into(),
        template_dir: None,
        sms: None,
        site_name: "Example".into(),
    }
}

fn delivery(transport: Transport) -> Delivery {
    Delivery::new(settings(transport), Keyring::new("the secret key", &[])).unwrap()
}

fn smtp(server: SocketAddr, tls: TlsMode) -> Transport {
    Transport::Smtp {
        host: server.ip().to_string(),
        port: server.port(),
        username: None,
        password: String::new().into(),
        tls,
        timeout_s: 5,
    }
}

#[tokio::test]
async fn a_committed_mail_arrives_at_once_and_a_rolled_back_one_never() {
    let (house, mut sink) = (House::new().await, Sink::at("127.0.0.1:0").await);
    let delivery = delivery(smtp(sink.address, TlsMode::None));
    let (stop, stopped) = watch::channel(false);
    let clock = Arc::new(TestClock::at(NOW));
    let worker = tokio::spawn({
        let (delivery, db) = (delivery.clone(), house.db.clone());
        async move { delivery.run(db, clock, stopped).await }
    });
    let mut tx = house.db.write().await.unwrap();
    let mail = Mail {
        to: "a@example.com".into(),
        language: Language::En,
        kind: MailKind::LoginCode { code: "LOST-CODE".into() },
    };
    delivery.mail(&mut tx, NOW, &mail).await.unwrap();
    drop(tx);
    for code in ["BCDF-GHJK", "LMNP-QRST"] {
        house.queue(&delivery, "a@example.com", code).await;
        let queued = std::time::Instant::now();
        delivery.wake();
        let mail = sink.next().await;
        assert!(queued.elapsed() < Duration::from_secs(1), "{:?}", queued.elapsed());
        assert!(mail.contains(&format!("\r\n{code}\r\n")), "{mail}");
        assert!(mail.contains("To: a@example.com\r\n") && mail.contains("Subject: [Example] Your code"));
    }
    stop.send(true).unwrap();
    worker.await.unwrap();
    assert_eq!(house.waiting().await, 0);
}

#[tokio::test]
async fn x5_mails_outlive_a_dead_server_and_a_restart() {
    let (house, sink) = (House::new().await, Sink::at("127.0.0.1:0").await);
    let server = sink.die().await;
    let before = delivery(smtp(server, TlsMode::None));
    house.queue(&before, "a@example.com", "BCDF-GHJK").await;
    house.queue(&before, "b@example.com", "LMNP-QRST").await;
    assert_eq!(before.deliver_due(&house.db, NOW).await.unwrap(), 0);
    assert_eq!(house.waiting().await, 2);
    drop(before);

    let mut sink = Sink::at(&server.to_string()).await;
    let after = delivery(smtp(server, TlsMode::None));
    assert_eq!(after.deliver_due(&house.db, NOW).await.unwrap(), 0, "too early for another attempt");
    assert_eq!(after.deliver_due(&house.db, NOW + 2_000).await.unwrap(), 2);
    let mails = [sink.next().await, sink.next().await].concat();
    assert!(mails.contains("BCDF-GHJK") && mails.contains("LMNP-QRST"));
    assert_eq!(house.waiting().await, 0);
}

#[tokio::test]
async fn x4_a_mail_in_the_hand_of_an_instance_that_dies_is_sent_by_another() {
    let (house, mut sink) = (House::new().await, Sink::at("127.0.0.1:0").await);
    // Connections to it are taken by the system, and nobody answers: the mail stays in hand.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dying = delivery(smtp(silent.local_addr().unwrap(), TlsMode::None));
    house.queue(&dying, "a@example.com", "BCDF-GHJK").await;
    let sending = dying.deliver_due(&house.db, NOW);
    assert!(tokio::time::timeout(Duration::from_millis(500), sending).await.is_err());
    drop(dying);
    assert_eq!(house.waiting().await, 1);

    let other = delivery(smtp(sink.address, TlsMode::None));
    assert_eq!(other.deliver_due(&house.db, NOW).await.unwrap(), 0, "still in another's hand");
    // As long as a sending may take, and no longer than anybody would wait for a code.
    assert_eq!(other.deliver_due(&house.db, NOW + 60_000).await.unwrap(), 1);
    assert!(sink.next().await.contains("BCDF-GHJK"));
    assert_eq!(house.waiting().await, 0);
}

#[tokio::test]
async fn x5_the_worker_goes_on_by_itself_when_the_server_is_back() {
    let (house, sink) = (House::new().await, Sink::at("127.0.0.1:0").await);
    let server = sink.die().await;
    let delivery = delivery(smtp(server, TlsMode::None));
    let mut tx = house.db.write().await.unwrap();
    let mail = Mail {
        to: "a@example.com".into(),
        language: Language::En,
        kind: MailKind::LoginCode { code: "BCDF-GHJK".into() },
    };
    delivery.mail(&mut tx, SystemClock.now(), &mail).await.unwrap();
    tx.commit().await.unwrap();
    let (_stop, stopped) = watch::channel(false);
    let worker = tokio::spawn({
        let (delivery, db) = (delivery.clone(), house.db.clone());
        async move { delivery.run(db, Arc::new(SystemClock), stopped).await }
    });
    let failed = async {
        while tried(&house).await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), failed).await.unwrap();
    let mut sink = Sink::at(&server.to_string()).await;
    assert!(sink.next().await.contains("BCDF-GHJK"));
    worker.abort();
}

async fn tried(house: &House) -> i64 {
    let mut conn = house.db.read().await.unwrap();
    conn.maybe("SELECT attempts FROM outbox", vec![]).await.unwrap().map_or(0, |row| row.int(0).unwrap())
}

/// Keeps every line that anything logs, at any level.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<String>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        span.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            self.keep(field, value)
        });
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            self.keep(field, value)
        });
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

impl Log {
    fn keep(&self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.lock().unwrap().push_str(&format!("{field}={value:?}\n"));
    }
}

#[tokio::test]
async fn no_code_no_address_and_no_password_is_logged_on_the_way_to_a_server() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let (house, mut sink) = (House::new().await, Sink::at("127.0.0.1:0").await);
    let delivery = delivery(smtp(sink.address, TlsMode::None));
    for to in ["a@example.com", "refused@example.com", "later@example.com", "nonsense"] {
        house.queue(&delivery, to, "BCDF-GHJK").await;
    }
    assert_eq!(delivery.deliver_due(&house.db, NOW).await.unwrap(), 1);
    sink.next().await;
    let log = log.0.lock().unwrap().clone();
    assert!(log.contains("answered 550") && log.contains("answered 451"), "{log}");
    for secret in ["BCDF", "@example.com", "nonsense"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[tokio::test]
async fn x5_a_kept_connection_that_died_is_replaced() {
    let (house, mut sink) = (House::new().await, Sink::at("127.0.0.1:0").await);
    let delivery = delivery(smtp(sink.address, TlsMode::None));
    house.queue(&delivery, "a@example.com", "BCDF-GHJK").await;
    assert_eq!(delivery.deliver_due(&house.db, NOW).await.unwrap(), 1);
    sink.next().await;
    let server = sink.die().await;
    let mut sink = Sink::at(&server.to_string()).await;
    house.queue(&delivery, "a@example.com", "LMNP-QRST").await;
    assert_eq!(delivery.deliver_due(&house.db, NOW).await.unwrap(), 1);
    assert!(sink.next().await.contains("LMNP-QRST"));
}

#[tokio::test]
async fn two_workers_send_each_mail_once_and_in_order() {
    let (house, mut sink) = (House::new().await, Sink::at("127.0.0.1:0").await);
    let (one, two) =
        (delivery(smtp(sink.address, TlsMode::None)), delivery(smtp(sink.address, TlsMode::None)));
    for number in 0..20 {
        house.queue(&one, &format!("n{number}@example.com"), &format!("BCDF-{number:04}")).await;
    }
    let (a, b) = tokio::join!(one.deliver_due(&house.db, NOW), two.deliver_due(&house.db, NOW));
    assert_eq!(a.unwrap() + b.unwrap(), 20);
    let mut recipients = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let mail = sink.next().await;
        recipients.insert(mail.lines().find(|line| line.starts_with("To: ")).unwrap().to_owned());
    }
    assert_eq!(recipients.len(), 20);
    assert!(sink.mails.try_recv().is_err());

    for number in 0..5 {
        house.queue(&one, "a@example.com", &format!("BCDF-{number:04}")).await;
    }
    assert_eq!(one.deliver_due(&house.db, NOW).await.unwrap(), 5);
    for number in 0..5 {
        assert!(sink.next().await.contains(&format!("BCDF-{number:04}")));
    }
}

#[tokio::test]
async fn a_refused_mail_is_given_up_and_a_delayed_one_is_tried_for_three_days() {
    let (house, sink) = (House::new().await, Sink::at("127.0.0.1:0").await);
    let delivery = delivery(smtp(sink.address, TlsMode::None));
    house.queue(&delivery, "refused@example.com", "BCDF-GHJK").await;
    house.queue(&delivery, "malformed", "BCDF-GHJK").await;
    house.queue(&delivery, "later@example.com", "BCDF-GHJK").await;
    assert_eq!(delivery.deliver_due(&house.db, NOW).await.unwrap(), 0);
    assert_eq!(house.waiting().await, 1);
    let day = 24 * 3600 * 1000;
    delivery.deliver_due(&house.db, NOW + 2 * day).await.unwrap();
    assert_eq!(house.waiting().await, 1);
    delivery.deliver_due(&house.db, NOW + 3 * day).await.unwrap();
    assert_eq!(house.waiting().await, 0);
}

#[tokio::test]
async fn a_server_without_starttls_gets_no_mail_when_it_is_asked_for() {
    let (house, mut sink) = (House::new().await, Sink::at("127.0.0.1:0").await);
    let delivery = delivery(smtp(sink.address, TlsMode::StartTls));
    house.queue(&delivery, "a@example.com", "BCDF-GHJK").await;
    assert_eq!(delivery.deliver_due(&house.db, NOW).await.unwrap(), 0);
    assert_eq!(house.waiting().await, 1);
    assert!(sink.mails.try_recv().is_err());
}

#[tokio::test]
async fn a_queued_mail_is_not_readable_in_the_database_nor_in_debug_output() {
    let house = House::new().await;
    let delivery = delivery(Transport::Mailbox);
    house.queue(&delivery, "a@example.com", "BCDF-GHJK").await;
    let mut conn = house.db.read().await.unwrap();
    let row = conn.maybe("SELECT message FROM outbox", vec![]).await.unwrap().unwrap();
    let stored = String::from_utf8_lossy(&row.bytes(0).unwrap()).into_owned();
    assert!(!stored.contains("BCDF") && !stored.contains("example"));
    let mail = Mail {
        to: "a@example.com".into(),
        language: Language::En,
        kind: MailKind::LoginCode { code: "BCDF-GHJK".into() },
    };
    assert_eq!(format!("{mail:?}"), "Mail(login_code)");
    assert!(!format!("{delivery:?}").contains("secret key"));
}

#[tokio::test]
async fn the_development_mailbox_keeps_the_newest_mails_and_text_messages() {
    let house = House::new().await;
    let delivery = delivery(Transport::Mailbox);
    house.queue(&delivery, "a@example.com", "BCDF-GHJK").await;
    let mut tx = house.db.write().await.unwrap();
    let link = MailKind::PasswordResetLink { url: "https://example.com/k".into(), username: None };
    delivery
        .mail(&mut tx, NOW, &Mail { to: "a@example.com".into(), language: Language::En, kind: link })
        .await
        .unwrap();
    let sms = Sms {
        phone: "+15550100".into(),
        language: Language::En,
        kind: SmsKind::LoginCode,
        code: Some("LMNP-QRST".into()),
    };
    delivery.sms(&mut tx, NOW, &sms).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(delivery.deliver_due(&house.db, NOW + 5).await.unwrap(), 3);

    let kept = mailbox::list(&house.db).await.unwrap();
    let json = serde_json::to_value(&kept).unwrap();
    assert_eq!(json[0]["channel"], "sms");
    assert_eq!((&json[0]["to"], &json[0]["code"]), (&"+15550100".into(), &"LMNP-QRST".into()));
    assert_eq!(json[1]["link"], "https://example.com/k");
    assert_eq!(json[2]["subject"], "[Example] Your code to log in");
    assert_eq!((&json[2]["code"], &json[2]["received_at"]), (&"BCDF-GHJK".into(), &(NOW + 5).into()));

    for _ in 0..crate::storage::mailbox::KEPT {
        house.queue(&delivery, "a@example.com", "BCDF-GHJK").await;
    }
    delivery.deliver_due(&house.db, NOW).await.unwrap();
    let kept = mailbox::list(&house.db).await.unwrap();
    assert_eq!(kept.len(), 200);
    assert!(kept.iter().all(|message| message.channel == "mail" && message.content.code.is_some()));
}

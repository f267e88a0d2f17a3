//! `vestibule webhooks`: the services that are told of events, and what they did not take.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use vestibule::{DeadLetter, ListedWebhook, Vestibule};

use super::{Common, Failure};
use crate::output;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the services, with what waits for them.
    List(Common),
    /// Post an event of the type `test` to one of them.
    Test(Test),
    /// List deliveries that were given up.
    DeadLetters(Page),
    /// Make deliveries again that were given up. A running server makes them.
    Retry(Chosen),
    /// Forget deliveries that were given up. Cannot be undone.
    Discard(Chosen),
}

#[derive(Debug, Args)]
pub(super) struct Test {
    /// Its name in the configuration.
    name: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(super) struct Page {
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Only those with a higher id: the last id of the page before.
    #[arg(long, value_name = "ID", default_value_t = 0)]
    after: i64,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
#[group(id = "which", required = true, args = ["id", "all"])]
pub(super) struct Chosen {
    /// The id in the list.
    id: Option<i64>,
    /// All of them.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    let common = command.common();
    crate::telemetry::start("warn");
    let vestibule = Vestibule::builder(common.settings.prepare()?).build().await?;
    let answer = answer(&vestibule, &command).await;
    vestibule.close().await;
    let (json, text) = answer?;
    if common.json {
        output::line(format_args!("{json:#}"));
    } else {
        output::line(text);
    }
    Ok(())
}

/// Does it; gives the answer in JSON and for people.
async fn answer(vestibule: &Vestibule, command: &Command) -> Result<(Value, String), Failure> {
    let webhooks = vestibule.webhooks();
    match command {
        Command::List(_) => {
            let list = webhooks.list().await?;
            Ok((json!(list), lines(&list, "No webhooks.", webhook)))
        }
        Command::Test(test) => {
            webhooks.test(&test.name).await?;
            Ok((json!({ "taken": test.name }), format!("{} has taken a test.", test.name)))
        }
        Command::DeadLetters(page) => {
            let list = webhooks.dead_letters(page.after, page.limit).await?;
            Ok((json!(list), lines(&list, "No dead letters.", letter)))
        }
        Command::Retry(chosen) => {
            let retried = chosen.done(webhooks.retry(chosen.id).await?)?;
            Ok((json!({ "retried": retried }), format!("Will be made again: {retried}")))
        }
        Command::Discard(chosen) => {
            let discarded = chosen.done(webhooks.discard(chosen.id).await?)?;
            Ok((json!({ "discarded": discarded }), format!("Forgotten: {discarded}")))
        }
    }
}

impl Command {
    fn common(&self) -> &Common {
        match self {
            Self::List(common) => common,
            Self::Test(test) => &test.common,
            Self::DeadLetters(page) => &page.common,
            Self::Retry(chosen) | Self::Discard(chosen) => &chosen.common,
        }
    }
}

impl Chosen {
    /// How many it was; to name one that is not there is a mistake.
    fn done(&self, count: u64) -> Result<u64, Failure> {
        if self.id.is_some() && count == 0 { Err(Failure::NoDeadLetter) } else { Ok(count) }
    }
}

fn lines<T>(list: &[T], none: &str, line: fn(&T) -> String) -> String {
    if list.is_empty() { none.to_owned() } else { list.iter().map(line).collect::<Vec<_>>().join("\n") }
}

fn webhook(listed: &ListedWebhook) -> String {
    let events = if listed.events.is_empty() { "all events".to_owned() } else { listed.events.join(", ") };
    let counts = listed.counts;
    format!("{}\t{} waiting\t{} dead\t{events}", listed.name, counts.waiting, counts.dead)
}

fn letter(letter: &DeadLetter) -> String {
    let DeadLetter { id, webhook, kind, attempts, message_id, failure, .. } = letter;
    format!("{id}\t{webhook}\t{kind}\t{attempts} attempts\t{message_id}\t{failure}")
}

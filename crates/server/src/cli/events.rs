//! `vestibule events`: what has happened to accounts, from the database itself.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use vestibule::{Event, EventQuery, Recorded, Vestibule};

use super::{Common, Failure};
use crate::output;

/// How often to look for new events.
const POLL: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct Command {
    /// Only events of this user: id, email address or username.
    #[arg(long, value_name = "WHO")]
    user: Option<String>,
    /// Only events of this type, such as `login_failed`.
    #[arg(long = "type", value_name = "NAME")]
    kind: Option<Event>,
    /// Only events from this moment on, such as `2026-11-25T08:00:00Z`.
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// The latest so many.
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Go on with what happens, until interrupted. With `--json` each event is a line.
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    crate::telemetry::start("warn");
    let vestibule = Vestibule::builder(command.common.settings.prepare()?).build().await?;
    let done = show(&vestibule, &command).await;
    vestibule.close().await;
    done
}

async fn show(vestibule: &Vestibule, command: &Command) -> Result<(), Failure> {
    let events = vestibule.events();
    let user_id = match command.user.as_deref() {
        None => None,
        Some(who) => Some(user(vestibule, who).await?),
    };
    let query = EventQuery {
        user_id,
        kind: command.kind,
        since: command.since.map(Timestamp::as_millisecond),
        before: None,
        limit: command.limit,
    };
    if !command.follow {
        let found = events.list(&query).await?;
        match (command.common.json, found.is_empty()) {
            (true, _) => output::line(format_args!("{:#}", json!(found))),
            (false, true) => output::line("No events."),
            (false, false) => found.iter().for_each(|event| output::line(line(event))),
        }
        return Ok(());
    }
    // Begun before the list is read: what happens in between is found by both, and shown once.
    let mut follower = events.follow().await?;
    let listed = events.list(&query).await?;
    let mut shown: BTreeSet<i64> = listed.iter().map(|event| event.id).collect();
    let say = |event: &Recorded| match command.common.json {
        true => output::line(json!(event)),
        false => output::line(line(event)),
    };
    listed.iter().for_each(say);
    loop {
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
        match events.next(&mut follower).await {
            Ok(found) => found
                .iter()
                .filter(|event| user_id.is_none_or(|id| event.user_id == Some(id)))
                .filter(|event| command.kind.is_none_or(|kind| event.kind == kind.name()))
                .filter(|event| query.since.is_none_or(|since| event.at >= since))
                .filter(|event| !shown.remove(&event.id))
                .for_each(say),
            // A database that restarts is no reason to end.
            Err(error) => output::complain(error),
        }
    }
}

/// The id of a user; of one who was deleted it is all that is known.
async fn user(vestibule: &Vestibule, who: &str) -> Result<i64, Failure> {
    match who.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(vestibule.users().find(who).await?.id),
    }
}

/// One event in one line, columns apart by tabs. What strangers wrote has no control characters here.
fn line(event: &Recorded) -> String {
    let user = event.user_id.map_or("-".to_owned(), |id| id.to_string());
    let from = event.ip.as_deref().unwrap_or(&event.by);
    let rest = [event.detail.as_str(), event.user_agent.as_deref().unwrap_or_default()];
    let rest: Vec<String> = rest.iter().filter(|text| !text.is_empty()).map(|text| plain(text)).collect();
    let line = format!("{}\t{}\tuser {user}\t{}\t{}", event.time(), event.kind, plain(from), rest.join("\t"));
    line.trim_end().to_owned()
}

fn plain(text: &str) -> String {
    text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_a_client_calls_itself() {
        let event = Recorded {
            id: 7,
            kind: "logged_in".into(),
            at: 1_800_000_000_000,
            user_id: Some(3),
            by: "user".into(),
            client: Some("app".into()),
            ip: Some("192.0.2.1".into()),
            user_agent: Some("curl\n\u{1b}[2J".into()),
            detail: "password".into(),
        };
        let expected = "2027-01-15T08:00:00.000Z\tlogged_in\tuser 3\t192.0.2.1\tpassword\tcurl  [2J";
        assert_eq!(line(&event), expected);
        let operator = Recorded { ip: None, user_agent: None, by: "operator".into(), ..event };
        assert!(line(&operator).ends_with("user 3\toperator\tpassword"));
    }
}

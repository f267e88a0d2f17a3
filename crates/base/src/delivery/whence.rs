//! Whence something was done to an account, in the words of a notice.

use std::net::IpAddr;

use jiff::{Timestamp, tz::TimeZone};
use minijinja::{Value, context};

use super::mail::Notice;
use crate::language::{Language, Text, fill};

const MONTHS: [Text; 12] = [
    Text::new("January"),
    Text::new("February"),
    Text::new("March"),
    Text::new("April"),
    Text::new("May"),
    Text::new("June"),
    Text::new("July"),
    Text::new("August"),
    Text::new("September"),
    Text::new("October"),
    Text::new("November"),
    Text::new("December"),
];

/// Programs by a mark in what they call themselves. Most claim to be others too: the most particular one comes first.
const PROGRAMS: &[(&str, &str)] = &[
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("Chrome", "Chrome"),
    ("CriOS", "Chrome"),
    ("Safari", "Safari"),
];

/// Systems likewise, as they stand after "on".
const SYSTEMS: &[(&str, Text)] = &[
    ("iPhone", Text::new("an iPhone")),
    ("iPad", Text::new("an iPad")),
    ("Android", Text::new("Android")),
    ("Windows", Text::new("Windows")),
    ("CrOS", Text::new("ChromeOS")),
    ("Mac OS X", Text::new("a Mac")),
    ("Linux", Text::new("Linux")),
];

/// What templates know of it: `time`, `ip` and `device`.
pub(super) fn values(notice: &Notice, language: Language) -> Value {
    let ip = notice.ip.parse::<IpAddr>().map(|ip| ip.to_string());
    let unknown = |_| Text::new("an unknown address").to(language).into_owned();
    context! {
        time => time(notice.at, language),
        ip => ip.unwrap_or_else(unknown),
        device => device(&notice.user_agent, language),
    }
}

fn time(at: i64, language: Language) -> String {
    let at = TimeZone::UTC.to_datetime(Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH));
    let month = usize::try_from(at.month() - 1).ok().and_then(|month| MONTHS.get(month));
    words(language, Text::new("{day} {month} {year}, {time} UTC"), |name| match name {
        "day" => at.day().to_string(),
        "month" => month.map_or_else(String::new, |month| month.to(language).into_owned()),
        "year" => at.year().to_string(),
        _ => at.strftime("%H:%M").to_string(),
    })
}

/// A program and its system in our own words: a stranger's words in our mail could carry a link.
fn device(user_agent: &str, language: Language) -> String {
    let program = PROGRAMS.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name);
    let system = SYSTEMS.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name);
    let text = match (program, system) {
        (Some(_), Some(_)) => Text::new("{program} on {system}"),
        (None, Some(_)) => Text::new("a program on {system}"),
        (Some(name), None) => return name.to_owned(),
        (None, None) => Text::new("a program that we do not know"),
    };
    words(language, text, |name| match name {
        "program" => program.unwrap_or_default().to_owned(),
        _ => system.map_or_else(String::new, |system| system.to(language).into_owned()),
    })
}

fn words(language: Language, text: Text, value: impl Fn(&str) -> String) -> String {
    let Ok(filled) = fill(&text.to(language), |name| Ok::<_, std::convert::Infallible>(value(name)));
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: i64 = 1_700_000_000_000;

    #[test]
    fn time_and_device_in_every_language() {
        let (mac, stranger) = ("Macintosh; Intel Mac OS X 10_15) Version/17 Safari/605", "curl");
        for (language, when, with, unknown) in [
            (Language::En, "14 November 2023, 22:13 UTC", "Safari on a Mac", "a program that we do not know"),
            (
                Language::De,
                "14. November 2023, 22:13 Uhr UTC",
                "Safari auf einem Mac",
                "einem unbekannten Programm",
            ),
            (
                Language::Es,
                "14 de noviembre de 2023, 22:13 UTC",
                "Safari en un Mac",
                "un programa desconocido",
            ),
            (Language::Fr, "14 novembre 2023, 22:13 UTC", "Safari sur un Mac", "un programme inconnu"),
            (Language::Nl, "14 november 2023, 22:13 UTC", "Safari op een Mac", "een onbekend programma"),
        ] {
            assert_eq!(time(AT, language), when);
            assert_eq!(device(mac, language), with);
            assert_eq!(device(stranger, language), unknown);
        }
    }

    #[test]
    fn the_most_particular_name_counts_and_strangers_words_never_do() {
        for (user_agent, expected) in [
            ("Mozilla/5.0 (Linux; Android 13; SM-S908B) Chrome/120 Safari/537.36", "Chrome on Android"),
            ("Firefox", "Firefox"),
            ("app (iPhone; iOS 17)", "a program on an iPhone"),
            ("BCDF-GHJK https://evil.example/ \r\n<b>", "a program that we do not know"),
        ] {
            assert_eq!(device(user_agent, Language::En), expected);
        }
        assert_eq!(time(i64::MAX, Language::En), "1 January 1970, 00:00 UTC");
    }
}

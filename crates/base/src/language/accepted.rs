//! Which language a client would like best (RFC 9110, 12.5.4).

use super::Language;

/// More languages than anybody reads.
const MOST_RANGES: usize = 32;

/// What a client says about the languages that it reads, as it came. It is looked at only when there is something to
/// say, which most requests do not come to.
#[derive(Debug, Clone, Default)]
pub struct AcceptLanguage(Option<Box<str>>);

impl AcceptLanguage {
    /// Keeps the text of the header, if there was one.
    #[must_use]
    pub fn new(header: Option<&str>) -> Self {
        Self(header.map(Box::from))
    }

    /// The one of `offered` that the client likes best; `default` if it likes none, or does not say. Whatever cannot be
    /// read in the header is passed over.
    #[must_use]
    pub fn choose(&self, offered: &[Language], default: Language) -> Language {
        let Some(header) = self.0.as_deref() else { return default };
        let ranges = || header.split(',').take(MOST_RANGES).enumerate().filter_map(Range::parse);
        let mut best = (Liking::NONE, default);
        // The default comes first, so that it wins where `*` says that any will do.
        for language in [default].iter().chain(offered).copied() {
            let named = ranges().filter(|range| range.names(language.code())).map(|range| range.liking).max();
            let any = || ranges().filter(|range| range.tag == "*").map(|range| range.liking).max();
            let liking = named.or_else(any).unwrap_or(Liking::NONE);
            if liking.quality > 0 && liking > best.0 {
                best = (liking, language);
            }
        }
        best.1
    }
}

/// How much a language is liked: by its quality, and among equals by who is named first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Liking {
    /// In thousandths.
    quality: u16,
    earliness: usize,
}

impl Liking {
    const NONE: Self = Self { quality: 0, earliness: 0 };
}

/// One member of the header: `de-AT;q=0.8`.
struct Range<'a> {
    tag: &'a str,
    liking: Liking,
}

impl<'a> Range<'a> {
    fn parse((place, member): (usize, &'a str)) -> Option<Self> {
        let (tag, weight) = member.split_once(';').map_or((member, None), |(tag, q)| (tag, Some(q)));
        let quality = weight.map_or(Some(1000), quality)?;
        Some(Self { tag: tag.trim(), liking: Liking { quality, earliness: MOST_RANGES - place } })
    }

    /// Whether a language is within this range, or is what it comes down to (RFC 4647, 3.4): `de-AT` and `de` name `de`.
    fn names(&self, code: &str) -> bool {
        within(code, self.tag) || within(self.tag, code)
    }
}

/// Whether a tag is `range`, or begins with it and a dash.
fn within(tag: &str, range: &str) -> bool {
    let begins = tag.get(..range.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(range));
    begins && !range.is_empty() && (tag.len() == range.len() || tag[range.len()..].starts_with('-'))
}

/// A weight (RFC 9110, 12.4.2): `q=` and a number from 0 to 1 with up to three digits after the point; in thousandths.
fn quality(weight: &str) -> Option<u16> {
    let (name, number) = weight.split_once('=')?;
    let (whole, digits) = number.trim().split_once('.').unwrap_or((number.trim(), ""));
    let fine = name.trim().eq_ignore_ascii_case("q")
        && digits.len() <= 3
        && digits.bytes().all(|digit| digit.is_ascii_digit());
    let thousandths = if digits.is_empty() { 0 } else { format!("{digits:0<3}").parse::<u16>().ok()? };
    match whole {
        "0" if fine => Some(thousandths),
        "1" if fine && thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Language::{De, En, Es, Fr, Nl};
    use super::*;

    fn chosen(header: &str) -> Language {
        AcceptLanguage::new(Some(header)).choose(Language::ALL, En)
    }

    #[test]
    fn the_best_liked_of_the_languages_that_there_are() {
        for (header, language) in [
            ("de", De),
            ("DE-at", De),
            ("nl-Latn-BE, en;q=0.5", Nl),
            ("pt-BR, pt;q=0.9, es;q=0.8, en;q=0.7", Es),
            ("en;q=0.8, fr;q=0.9", Fr),
            ("en;q=0.8,fr ; Q = 0.801", Fr),
            ("fr, de", Fr),
            ("de, fr;q=1.000", De),
            ("en, *;q=0.5", En),
            ("*", En),
            ("*;q=0.5, de;q=0.4", En),
            ("de;q=0.5, de-DE;q=0.9, fr;q=0.8", De),
            ("en;q=0, *", De),
            ("ja, zh;q=0.5", En),
        ] {
            assert_eq!(chosen(header), language, "{header}");
        }
    }

    #[test]
    fn the_default_where_nothing_is_said_and_only_what_is_offered() {
        assert_eq!(AcceptLanguage::new(None).choose(Language::ALL, Nl), Nl);
        assert_eq!(AcceptLanguage::new(Some("ja")).choose(Language::ALL, Nl), Nl);
        assert_eq!(AcceptLanguage::new(Some("*")).choose(Language::ALL, Nl), Nl);
        assert_eq!(AcceptLanguage::new(Some("de, fr;q=0.5")).choose(&[Nl, Fr], Nl), Fr);
        assert_eq!(AcceptLanguage::new(Some("de")).choose(&[Nl, Fr], Nl), Nl);
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        for header in
            ["", ",,", ";", "-", "deutsch", "d", "de;q=2", "de;q=0.1234", "de;q=", "de;q=x", "de;q=-1"]
        {
            assert_eq!(chosen(header), En, "{header}");
        }
        for header in ["de;q=1.5, fr", "fr, ;q=1", "\u{e4}\u{f6}, fr", "*;q=0, fr;q=0.001"] {
            assert_eq!(chosen(header), Fr, "{header}");
        }
        let late = format!("{}de", "ja,".repeat(MOST_RANGES));
        assert_eq!(chosen(&late), En);
    }

    proptest! {
        #[test]
        fn no_header_does_harm(header in ".*") {
            chosen(&header);
        }
    }
}

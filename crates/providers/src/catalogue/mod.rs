//! What is known of providers, as data: one file that is part of the program, and one of the operator's own.

mod check;
pub(crate) mod entry;
mod manual;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use entry::Entry;

pub use manual::{Listed, ListedSetting, catalogue, catalogue_markdown};

/// The file that is part of the program. Its head explains the format.
const BUILTIN: &str = include_str!("../../catalogue.toml");

/// It is read once, since reading takes longer than a login.
static ENTRIES: LazyLock<Result<BTreeMap<String, Entry>, String>> = LazyLock::new(|| parse(BUILTIN));

/// All providers that apps can name.
#[derive(Debug)]
pub(crate) struct Catalogue {
    builtin: &'static BTreeMap<String, Entry>,
    own: BTreeMap<String, Entry>,
}

impl Catalogue {
    /// Reads the builtin catalogue, and the text of the operator's own file, whose entries add to it or replace others.
    ///
    /// # Errors
    /// One line that says where a file is wrong.
    pub(crate) fn read(own: Option<&str>) -> Result<Self, String> {
        let builtin = ENTRIES.as_ref().map_err(|error| format!("the builtin catalogue: {error}"))?;
        let own =
            own.map_or(Ok(BTreeMap::new()), parse).map_err(|error| format!("the catalogue file: {error}"))?;
        Ok(Self { builtin, own })
    }

    /// An entry, and whether it is the operator's own.
    pub(crate) fn find(&self, id: &str) -> Option<(&Entry, bool)> {
        let own = self.own.get(id).map(|entry| (entry, true));
        own.or_else(|| self.builtin.get(id).map(|entry| (entry, false)))
    }

    /// All ids.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.builtin.keys().chain(self.own.keys()).map(String::as_str)
    }
}

/// ` (did you mean "x"?)` for the nearest of the known names, or nothing if none is near.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let scored =
        known.map(|known| (strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase()), known));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other));
    match best {
        Some((score, known)) if score > 0.8 => format!(" (did you mean {known:?}?)"),
        _ => String::new(),
    }
}

fn parse(text: &str) -> Result<BTreeMap<String, Entry>, String> {
    let entries: BTreeMap<String, Entry> = toml::from_str(text).map_err(|error| error.to_string())?;
    for (id, entry) in &entries {
        entry.check().map_err(|error| format!("{id}: {error}"))?;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = "name = \"X\"\nmap = { uid = \"/id\" }\n";

    fn refused(text: &str) -> String {
        Catalogue::read(Some(text)).unwrap_err()
    }

    #[test]
    fn the_builtin_catalogue_reads_and_is_in_order() {
        let catalogue = Catalogue::read(None).unwrap();
        assert_eq!(catalogue.builtin.len(), 123);
        let heads =
            BUILTIN.lines().filter_map(|line| line.strip_prefix('[')).filter(|line| !line.starts_with('['));
        let ids: Vec<_> = heads.map(|line| line.trim_end_matches(']').to_lowercase()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn an_own_file_adds_and_replaces() {
        let own = format!("[intranet]\n{TINY}[github]\n{TINY}");
        let catalogue = Catalogue::read(Some(&own)).unwrap();
        assert!(catalogue.find("intranet").is_some_and(|(_, is_own)| is_own));
        assert!(catalogue.find("github").is_some_and(|(entry, is_own)| is_own && entry.name == "X"));
        assert!(catalogue.find("gitlab").is_some_and(|(_, is_own)| !is_own));
        assert!(catalogue.find("saml").is_none());
    }

    #[test]
    fn an_own_file_that_is_wrong_is_refused_with_the_place() {
        assert!(refused("[x]\nname = \"X\"\n").contains("map"));
        assert!(refused(&format!("[x]\nurl = 1\n{TINY}")).contains("unknown field `url`"));
        assert!(refused(&format!("[x]\n{TINY}avatar_url = \"{{/a\"\n")).contains("brace"));
        assert!(refused(&format!("[x]\n{TINY}data = {{ select = \"a\" }}\n")).contains("pointer"));
        assert!(refused(&format!("[x]\n{TINY}quirk = \"magic\"\n")).contains("there is no quirk \"magic\""));
        let nobodys = format!("[x]\n{TINY}profile = [{{ url = \"https://a.example/{{nobody}}\" }}]\n");
        assert!(refused(&nobodys).contains("{nobody}"));
        let circle = "derived.a = { when = \"b\", then = \"\" }\nderived.b = { when = \"a\", then = \"\" }\n";
        assert!(refused(&format!("[x]\n{TINY}{circle}")).contains("which is no setting"));
        let two = "avatar_url = { value = \"/a\", any_true = [\"/b\"] }\n";
        assert!(refused(&format!("[x]\n{TINY}{two}")).contains("a rule needs one of"));
    }

    #[test]
    fn the_nearest_name_is_offered_where_one_is_near() {
        let known = || ["github", "gitlab", "google"].into_iter();
        assert_eq!(nearest("githob", known()), " (did you mean \"github\"?)");
        assert_eq!(nearest("zzz", known()), "");
    }
}

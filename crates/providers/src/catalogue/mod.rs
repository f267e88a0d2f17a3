//! What is known of providers, as data: one file that is part of the program, and one of the operator's own.

pub(crate) mod entry;

use std::collections::BTreeMap;

use entry::Entry;

/// The file that is part of the program. Its head explains the format.
const BUILTIN: &str = include_str!("../../catalogue.toml");

/// All providers that apps can name.
#[derive(Debug)]
pub(crate) struct Catalogue {
    builtin: BTreeMap<String, Entry>,
    own: BTreeMap<String, Entry>,
}

impl Catalogue {
    /// Reads the builtin catalogue, and the text of the operator's own file, whose entries add to it or replace others.
    ///
    /// # Errors
    /// One line that says where a file is wrong.
    pub(crate) fn read(own: Option<&str>) -> Result<Self, String> {
        let builtin = parse(BUILTIN).map_err(|error| format!("the builtin catalogue: {error}"))?;
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

    #[test]
    fn the_builtin_catalogue_reads() {
        let catalogue = Catalogue::read(None).unwrap();
        assert_eq!(catalogue.builtin.len(), 123);
    }
}

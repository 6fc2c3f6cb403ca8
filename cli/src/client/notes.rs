//! Notes below a page: remarks, and why figures are unknown, grouped by reason.

use skilift_console::view::figures::printable;

/// Number of names that are listed; the others are only counted.
const LISTED: usize = 3;

/// A noun in singular and plural.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plural(&'static str, &'static str);

pub(crate) const NODES: Plural = Plural("node", "nodes");
pub(crate) const CONSUMERS: Plural = Plural("consumer", "consumers");

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// A remark on the whole page.
    Remark,
    /// A remark on each name.
    RemarkOn,
    /// Why figures of these names are unknown; without a noun, figures of the page itself.
    Unknown(Option<Plural>),
    /// The same for figures that were known before.
    NoLonger(Option<Plural>),
}

#[derive(Debug)]
struct Note {
    kind: Kind,
    text: String,
    names: Vec<String>,
}

/// All notes of a page, in order of their first occurrence.
#[derive(Debug, Default)]
pub(crate) struct Notes(Vec<Note>);

impl Notes {
    /// Adds a remark once.
    pub(crate) fn remark(&mut self, text: &str) {
        self.add(Kind::Remark, text, "");
    }

    /// Adds a remark on a name.
    pub(crate) fn remark_on(&mut self, name: &str, text: &str) {
        self.add(Kind::RemarkOn, text, name);
    }

    /// Adds why a figure is unknown, or no longer known.
    pub(crate) fn unknown(
        &mut self,
        plural: Option<Plural>,
        name: &str,
        was_known: bool,
        why: &str,
    ) {
        let kind = if was_known {
            Kind::NoLonger(plural)
        } else {
            Kind::Unknown(plural)
        };
        self.add(kind, why, name);
    }

    fn add(&mut self, kind: Kind, text: &str, name: &str) {
        let (text, name) = (printable(text), printable(name));
        let same = |note: &&mut Note| note.kind == kind && note.text == text;
        match self.0.iter_mut().find(same) {
            Some(note) if note.names.contains(&name) => {}
            Some(note) => note.names.push(name),
            None => self.0.push(Note {
                kind,
                text,
                names: vec![name],
            }),
        }
    }

    /// Renders one line per note.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(Note::line)
    }
}

impl Note {
    fn line(&self) -> String {
        let (word, plural) = match &self.kind {
            Kind::Remark => return self.text.clone(),
            Kind::RemarkOn => return format!("{}: {}", self.listed(), self.text),
            Kind::Unknown(plural) => ("unknown", plural),
            Kind::NoLonger(plural) => ("no longer known", plural),
        };
        let (listed, why) = (self.listed(), &self.text);
        match (plural, self.names.len()) {
            (None, _) => format!("{word}: {listed}: {why}"),
            (Some(Plural(one, _)), 1) => format!("{word} for {one} {listed}: {why}"),
            (Some(Plural(_, many)), all) => format!("{word} for {all} {many} ({listed}): {why}"),
        }
    }

    fn listed(&self) -> String {
        let more = self.names.len().saturating_sub(LISTED);
        // "and 1 more" is as long as a name.
        if more < 2 {
            return self.names.join(", ");
        }
        format!("{} and {more} more", self.names[..LISTED].join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_for_each_reason() {
        let mut notes = Notes::default();
        let why = "only one heartbeat so far";
        for node in ["a", "b", "a", "c", "d", "e"] {
            notes.unknown(Some(NODES), node, false, why);
        }
        notes.unknown(Some(NODES), "a", true, why);
        notes.unknown(None, "publish rate", false, "no heartbeat from an API node");
        notes.remark("there are more");
        notes.remark("there are more");
        notes.remark_on("a", "Redis is slow");
        notes.remark_on("b", "Redis is slow");
        let lines: Vec<String> = notes.lines().collect();
        assert_eq!(
            lines,
            [
                "unknown for 5 nodes (a, b, c and 2 more): only one heartbeat so far",
                "no longer known for node a: only one heartbeat so far",
                "unknown: publish rate: no heartbeat from an API node",
                "there are more",
                "a, b: Redis is slow",
            ]
        );
    }
}

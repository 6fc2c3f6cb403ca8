//! What stands below a page: remarks, and why figures are unknown, once for all that have the same reason.

use super::look::printable;

/// Names that are listed; of the others the number is told.
const LISTED: usize = 3;

/// What names are of: one, and many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Noun(&'static str, &'static str);

pub(crate) const NODES: Noun = Noun("node", "nodes");
pub(crate) const CONSUMERS: Noun = Noun("consumer", "consumers");

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// It stands for itself.
    Remark,
    /// It is said of each name.
    Said,
    /// Why figures of these names are unknown; of a noun, or of the page itself.
    Unknown(Option<Noun>),
    /// The same for figures that were known once.
    NoLonger(Option<Noun>),
}

#[derive(Debug)]
struct Note {
    kind: Kind,
    text: String,
    names: Vec<String>,
}

/// All of a page, in the order in which they came up.
#[derive(Debug, Default)]
pub(crate) struct Notes(Vec<Note>);

impl Notes {
    /// A remark, once.
    pub(crate) fn remark(&mut self, text: &str) {
        self.add(Kind::Remark, text, "");
    }

    /// What is to be said of something.
    pub(crate) fn said_of(&mut self, name: &str, text: &str) {
        self.add(Kind::Said, text, name);
    }

    /// Why a figure is unknown, or no longer known.
    pub(crate) fn unknown(&mut self, noun: Option<Noun>, name: &str, was_known: bool, why: &str) {
        let kind = if was_known {
            Kind::NoLonger(noun)
        } else {
            Kind::Unknown(noun)
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

    /// One line each.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(Note::line)
    }
}

impl Note {
    fn line(&self) -> String {
        let (word, noun) = match &self.kind {
            Kind::Remark => return self.text.clone(),
            Kind::Said => return format!("{}: {}", self.listed(), self.text),
            Kind::Unknown(noun) => ("unknown", noun),
            Kind::NoLonger(noun) => ("no longer known", noun),
        };
        let (listed, why) = (self.listed(), &self.text);
        match (noun, self.names.len()) {
            (None, _) => format!("{word}: {listed}: {why}"),
            (Some(Noun(one, _)), 1) => format!("{word} for {one} {listed}: {why}"),
            (Some(Noun(_, many)), all) => format!("{word} for {all} {many} ({listed}): {why}"),
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
        let why = "it was heard only once so far";
        for node in ["a", "b", "a", "c", "d", "e"] {
            notes.unknown(Some(NODES), node, false, why);
        }
        notes.unknown(Some(NODES), "a", true, why);
        notes.unknown(None, "publish rate", false, "no API node is heard");
        notes.remark("there are more");
        notes.remark("there are more");
        notes.said_of("a", "Redis is slow");
        notes.said_of("b", "Redis is slow");
        let lines: Vec<String> = notes.lines().collect();
        assert_eq!(
            lines,
            [
                "unknown for 5 nodes (a, b, c and 2 more): it was heard only once so far",
                "no longer known for node a: it was heard only once so far",
                "unknown: publish rate: no API node is heard",
                "there are more",
                "a, b: Redis is slow",
            ]
        );
    }
}

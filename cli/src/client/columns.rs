//! Layout of table columns on a terminal: words are never broken, the least important columns are hidden first, and a table
//! that is still too wide exceeds the width.

/// Space between two columns.
pub(crate) const GAP: usize = 2;
/// Minimum width of wrapped text.
pub(crate) const NARROW: usize = 24;

/// The columns of a table.
#[derive(Debug)]
pub(crate) struct Columns<const N: usize> {
    /// Headings; a `>` prefix aligns the column to the right, a `~` prefix allows its text to wrap.
    pub(crate) names: [&'static str; N],
    /// Headings of the columns that may be hidden, the least important first.
    pub(crate) optional_columns: &'static [&'static str],
}

/// The visible part of a table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The visible columns with their widths.
    pub(crate) shown: Vec<(usize, usize)>,
    /// Headings of the hidden columns.
    pub(crate) left_out: Vec<&'static str>,
}

/// A heading without its prefix.
pub(crate) fn without_prefix(name: &'static str) -> &'static str {
    name.trim_start_matches(['>', '~'])
}

impl<const N: usize> Columns<N> {
    /// The visible columns in `room` cells and their widths; all columns if there is no limit.
    pub(crate) fn fit<'a>(
        &self,
        rows: impl Iterator<Item = [&'a str; N]>,
        room: Option<usize>,
    ) -> Layout {
        let mut whole = self.names.map(|name| width(without_prefix(name)));
        let mut word = whole;
        for row in rows {
            for (at, text) in row.into_iter().enumerate() {
                whole[at] = whole[at].max(width(text));
                let longest = text.split(' ').map(width).max().unwrap_or_default();
                word[at] = word[at].max(longest);
            }
        }
        let wraps = self.names.map(|name| name.starts_with('~'));
        let least = |at: usize| {
            if wraps[at] {
                word[at].max(whole[at].min(NARROW))
            } else {
                whole[at]
            }
        };
        let mut shown: Vec<usize> = (0..N).collect();
        let mut left_out = Vec::new();
        let needs = |shown: &[usize]| {
            let widths: usize = shown.iter().map(|at| least(*at)).sum();
            widths + GAP * shown.len().saturating_sub(1)
        };
        let room = room.unwrap_or(usize::MAX);
        for column in self.optional_columns {
            if needs(&shown) <= room {
                break;
            }
            shown.retain(|at| without_prefix(self.names[*at]) != *column);
            left_out.push(*column);
        }
        let mut free = room.saturating_sub(needs(&shown));
        let mut widths: Vec<(usize, usize)> = shown.into_iter().map(|at| (at, least(at))).collect();
        // Wrapping columns share the free width, each up to its own need.
        loop {
            let wanting = widths.iter().filter(|(at, width)| *width < whole[*at]);
            let share = free.checked_div(wanting.count()).unwrap_or_default();
            if share == 0 {
                break;
            }
            for (at, width) in &mut widths {
                let more = share.min(whole[*at] - *width);
                *width += more;
                free -= more;
            }
        }
        Layout {
            shown: widths,
            left_out,
        }
    }
}

/// Width of a text on a terminal, in cells.
pub(crate) fn width(text: &str) -> usize {
    console::measure_text_width(text)
}

/// Wraps a text at words into lines of at most `room` cells; a longer word gets its own line.
pub(crate) fn wrap(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut wrapped = String::with_capacity(text.len());
    let mut used = 0;
    for word in text.split(' ') {
        if used > 0 && used + 1 + width(word) > room {
            wrapped.push('\n');
            used = 0;
        } else if used > 0 {
            wrapped.push(' ');
            used += 1;
        }
        wrapped.push_str(word);
        used += width(word);
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: Columns<4> = Columns {
        names: ["node", ">rides", "version", "~message"],
        optional_columns: &["version", "rides"],
    };
    const ROW: [&str; 4] = [
        "worker-gate7",
        "1225/s",
        "0.1.0",
        "Redis does not answer in time now",
    ];

    fn shown(room: Option<usize>) -> (Vec<(usize, usize)>, Vec<&'static str>) {
        let layout = NODES.fit([ROW].into_iter(), room);
        (layout.shown, layout.left_out)
    }

    #[test]
    fn the_least_important_goes_first_and_words_stay_whole() {
        let all = vec![(0, 12), (1, 6), (2, 7), (3, 33)];
        assert_eq!(shown(None), (all.clone(), vec![]));
        assert_eq!(shown(Some(64)), (all, vec![]));
        let wrapped = vec![(0, 12), (1, 6), (2, 7), (3, 29)];
        assert_eq!(shown(Some(60)), (wrapped, vec![]));
        let fewer = vec![(0, 12), (1, 6), (3, 26)];
        assert_eq!(shown(Some(48)), (fewer, vec!["version"]));
        // Required columns may exceed the width.
        let least = vec![(0, 12), (3, 24)];
        assert_eq!(shown(Some(5)), (least, vec!["version", "rides"]));
    }

    #[test]
    fn text_is_broken_between_words_only() {
        assert_eq!(wrap("a bc  def", 9), "a bc  def");
        assert_eq!(wrap("one two three", 7), "one two\nthree");
        assert_eq!(wrap("an unbreakablename is", 5), "an\nunbreakablename\nis");
    }
}

//! Columns of a table, and how they share the width of a terminal: nothing is broken inside a word. What matters least is left
//! out first, and where the rest is still too wide, lines run over the edge.

/// Space between two columns.
pub(crate) const GAP: usize = 2;
/// Text is wrapped to no less than this.
pub(crate) const NARROW: usize = 24;

/// Columns, as a table declares them.
#[derive(Debug)]
pub(crate) struct Columns<const N: usize> {
    /// Their names. One that begins with `>` is aligned to the right; the text of one that begins with `~` may go on in the
    /// next line.
    pub(crate) names: [&'static str; N],
    /// The names of those that can be done without, the least important first.
    pub(crate) spare: &'static [&'static str],
}

/// What is shown of a table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The columns that are shown, with their widths.
    pub(crate) shown: Vec<(usize, usize)>,
    /// The names of the others.
    pub(crate) left_out: Vec<&'static str>,
}

/// A column's name without what stands before it.
pub(crate) fn bare(name: &'static str) -> &'static str {
    name.trim_start_matches(['>', '~'])
}

impl<const N: usize> Columns<N> {
    /// Which columns are shown in `room` cells, and how wide; all of them where there is no limit.
    pub(crate) fn fit<'a>(
        &self,
        rows: impl Iterator<Item = [&'a str; N]>,
        room: Option<usize>,
    ) -> Layout {
        let mut whole = self.names.map(|name| width(bare(name)));
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
        for spare in self.spare {
            if needs(&shown) <= room {
                break;
            }
            shown.retain(|at| bare(self.names[*at]) != *spare);
            left_out.push(*spare);
        }
        let mut free = room.saturating_sub(needs(&shown));
        let mut widths: Vec<(usize, usize)> = shown.into_iter().map(|at| (at, least(at))).collect();
        // Texts share what is free, each up to what it can use.
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

/// Cells that a text takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    console::measure_text_width(text)
}

/// A text in lines of at most `room` cells, broken between words; a longer word has a line of its own.
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
        spare: &["version", "rides"],
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
        // What cannot be done without runs over the edge.
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

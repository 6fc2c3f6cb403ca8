//! `skictl top`, as a terminal of a given size shows it.

use std::num::NonZero;
use std::time::{Duration, Instant};

use crate::console::Console;
use crate::skictl::Home;
use crate::terminal::Terminal;

/// A terminal of this size, with all that was written to it.
fn parser(terminal: &Terminal, (lines, columns): (u16, u16)) -> vt100::Parser {
    let size = |cells| NonZero::new(cells).unwrap();
    let mut parser = vt100::Parser::new(size(lines), size(columns), 0);
    parser.process(&terminal.written());
    parser
}

/// What the terminal shows, without the line of the age.
fn shown(terminal: &Terminal, size: (u16, u16)) -> String {
    let text = parser(terminal, size).screen().contents();
    let rest: Vec<&str> = text.lines().skip(1).map(str::trim_end).collect();
    rest.join("\n")
}

async fn until_shown(terminal: &Terminal, size: (u16, u16), text: &str) -> String {
    let began = Instant::now();
    loop {
        let seen = shown(terminal, size);
        if seen.contains(text) {
            return seen;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "no {text:?} in {seen}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn it_fits_the_terminal_sorts_and_leaves_it_as_it_was() {
    let console = Console::start().await;
    let home = Home::new();
    let arguments = ["top", "--interval", "100ms", "--server", &console.url];
    for size in [(24, 80), (24, 40), (12, 60)] {
        let mut terminal = Terminal::of_size(size, &home, &arguments, &[("NO_COLOR", "1")]);
        let seen = until_shown(&terminal, size, "q quit").await;
        insta::assert_snapshot!(format!("top {}x{}", size.1, size.0), seen);
        terminal.types("s");
        until_shown(&terminal, size, "state▾").await;
        terminal.types("r");
        until_shown(&terminal, size, "state▴").await;
        terminal.types("q");
        assert_eq!(terminal.ends().await.code(), Some(0));
        let parser = parser(&terminal, size);
        assert!(!parser.screen().alternate_screen() && !parser.screen().hide_cursor());
    }
}

#[tokio::test]
async fn without_a_terminal_it_says_what_to_use() {
    let console = Console::start().await;
    let run = Home::new().run(&["top", "--server", &console.url]).await;
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(
        run.stderr.contains("skictl status --output json"),
        "{}",
        run.stderr
    );
}

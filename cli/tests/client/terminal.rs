//! What only a terminal gets: questions, colours, grouped figures, and pages that are painted over.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::process::Child;

use crate::console::{Console, ScriptedResponse};
use crate::skictl::Home;

/// A run on a pseudo-terminal.
pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    /// Reads the screen, until the last process lets go of the terminal.
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    fn run(home: &Home, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::of_width(150, home, arguments, environment)
    }

    fn of_width(width: u16, home: &Home, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::of_size((50, width), home, arguments, environment)
    }

    /// A terminal of so many lines and columns.
    pub(crate) fn of_size(
        (lines, columns): (u16, u16),
        home: &Home,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let size = Winsize {
            ws_row: lines,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pair = openpty(Some(&size), None).unwrap();
        let slave = File::from(pair.slave);
        let mut command = home.command(arguments);
        command
            .envs(environment.iter().copied())
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave);
        let child = command.spawn().unwrap();
        let keyboard = File::from(pair.master);
        let screen = Arc::<Mutex<Vec<u8>>>::default();
        let (mut seen, writes) = (keyboard.try_clone().unwrap(), Arc::clone(&screen));
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = seen.read(&mut bytes) {
                writes.lock().unwrap().extend_from_slice(&bytes[..n]);
            }
        });
        Self {
            child,
            keyboard,
            screen,
            reader: Some(reader),
        }
    }

    fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// All that was written to it.
    pub(crate) fn written(&self) -> Vec<u8> {
        self.screen.lock().unwrap().clone()
    }

    async fn sees(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.screen().contains(text) {
            assert!(
                Instant::now() < deadline,
                "no {text:?} in {}",
                self.screen()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) async fn ends(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await;
        let status = ended.expect("skictl ends").unwrap();
        if let Some(reader) = self.reader.take() {
            let all_read = tokio::task::spawn_blocking(|| reader.join());
            let all_read = tokio::time::timeout(Duration::from_secs(60), all_read).await;
            all_read.expect("the screen is read").unwrap().unwrap();
        }
        status
    }
}

#[tokio::test]
async fn a_moderate_plan_is_agreed_to_by_a_letter() {
    let console = Console::start().await;
    let home = Home::new();
    for (typed, exit, applied) in [
        ("n\n", 4, false),
        ("\n", 4, false),
        ("\u{4}", 4, false),
        ("y\n", 0, true),
    ] {
        let mut terminal = Terminal::run(&home, &["queue", "pause", "--server", &console.url], &[]);
        terminal.sees("Apply this plan? [y/N]").await;
        assert!(terminal.screen().contains("moderate"));
        terminal.types(typed);
        assert_eq!(
            terminal.ends().await.code(),
            Some(exit),
            "{}",
            terminal.screen()
        );
        assert_eq!(console.has_applied(), applied, "{typed:?}");
    }
    // Somebody who does not want to be asked is not, also on a terminal.
    let arguments = ["queue", "pause", "--no-input", "--server", &console.url];
    let mut terminal = Terminal::run(&home, &arguments, &[]);
    assert_eq!(terminal.ends().await.code(), Some(4));
}

#[tokio::test]
async fn a_severe_plan_wants_its_name_typed() {
    let console = Console::start().await;
    let home = Home::new();
    let arguments = [
        "queue",
        "dead",
        "discard",
        "--all",
        "--yes",
        "--server",
        &console.url,
    ];
    for (typed, exit, applied) in [("y\n", 4, false), ("discard 2\n", 0, true)] {
        let mut terminal = Terminal::run(&home, &arguments, &[]);
        terminal.sees("Type discard 2 to apply it:").await;
        terminal.types(typed);
        assert_eq!(
            terminal.ends().await.code(),
            Some(exit),
            "{}",
            terminal.screen()
        );
        assert_eq!(console.has_applied(), applied);
    }
    let asked = console.asked().pop().unwrap();
    assert_eq!(asked.body, json!({ "confirm": "discard 2" }));
}

#[tokio::test]
async fn a_password_is_typed_unseen_and_twice() {
    let console = Console::start().await;
    let home = Home::new();
    let arguments = [
        "users",
        "password",
        "anna",
        "--yes",
        "--server",
        &console.url,
    ];
    for (again, exit) in [("other\n", 4), ("s3cret\n", 0)] {
        let mut terminal = Terminal::run(&home, &arguments, &[]);
        terminal.sees("New password of anna:").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        terminal.types("s3cret\n");
        terminal.sees("Repeat the password:").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        terminal.types(again);
        assert_eq!(
            terminal.ends().await.code(),
            Some(exit),
            "{}",
            terminal.screen()
        );
        assert!(
            !terminal.screen().contains("s3cret"),
            "{}",
            terminal.screen()
        );
    }
    let asked = console.asked().pop().unwrap();
    assert_eq!(asked.body, json!({ "password": "s3cret" }));
}

#[tokio::test]
async fn a_signal_ends_a_question_and_brings_the_echo_back() {
    let home = Home::new();
    let mut terminal = Terminal::run(
        &home,
        &["login", "anna", "--server=http://127.0.0.1:9"],
        &[],
    );
    terminal.sees("Password of anna:").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let pid = Pid::from_raw(terminal.child.id().unwrap().try_into().unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(terminal.ends().await.code(), Some(130));
    let modes = nix::sys::termios::tcgetattr(&terminal.keyboard).unwrap();
    assert!(
        modes
            .local_flags
            .contains(nix::sys::termios::LocalFlags::ECHO)
    );
}

#[tokio::test]
async fn figures_are_grouped_and_alarms_red_for_eyes_only() {
    let console = Console::start().await;
    let home = Home::new();
    let arguments = ["queue", "--server", &console.url];
    for (environment, coloured) in [
        (&[][..], true),
        (&[("NO_COLOR", "1")], false),
        (&[("TERM", "dumb")], false),
    ] {
        let mut terminal = Terminal::run(&home, &arguments, environment);
        assert_eq!(terminal.ends().await.code(), Some(0));
        let screen = terminal.screen();
        assert!(screen.contains("123,456 rides"), "{screen}");
        let header = ::console::strip_ansi_codes(&screen);
        assert!(header.contains("\nconsumer  "), "{header}");
        assert_eq!(
            screen.contains("\u{1b}["),
            coloured,
            "{environment:?}: {screen}"
        );
    }
    let piped = home.run(&arguments).await;
    assert!(piped.stdout.contains("123456 rides") && !piped.stdout.contains('\u{1b}'));
}

#[tokio::test]
async fn watching_paints_over_what_was_there() {
    let console = Console::start().await;
    let home = Home::new();
    let arguments = ["nodes", "--watch=100ms", "--server", &console.url];
    let mut terminal = Terminal::run(&home, &arguments, &[]);
    // A header, three nodes, a gap and a note.
    terminal.sees("\u{1b}[6A").await;
    let asked = console.asked().len();
    assert!(asked >= 2);
    // The console goes; the page stays, and says that it is old.
    drop(console);
    terminal.sees("stale: ").await;
    let pid = Pid::from_raw(terminal.child.id().unwrap().try_into().unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(terminal.ends().await.code(), Some(130));
}

#[tokio::test]
async fn a_watched_history_shows_the_newest_rows_that_fit() {
    let console = Console::with(|asked| {
        let point = |n: u64| {
            json!({
                "at_ms": 1_768_467_600_000 + n * 1000, "publish_per_s": 1000.0 + n as f64, "ack_per_s": null,
                "reads_per_s": null, "rejected_per_s": null, "backlog_rides": null, "accept_to_stored_p99_ms": null,
                "oldest_ride_age_ms": null, "dead_letters": null, "workers": null, "threads": null,
            })
        };
        let points: Vec<_> = (0..100).map(point).collect();
        let history = json!({ "step_s": 1, "points": points });
        let is_history = asked.line.contains("/queue/history");
        is_history.then(|| ScriptedResponse::With(200, history.to_string()))
    })
    .await;
    let home = Home::new();
    let arguments = ["queue", "history", "--server", &console.url];
    let watched = [&arguments[..], &["--watch=100ms"]].concat();
    let mut terminal = Terminal::of_size((12, 100), &home, &watched, &[("NO_COLOR", "1")]);
    terminal.sees("columns hidden").await;
    let screen = terminal.screen();
    assert!(screen.contains("1,099/s"), "{screen}");
    assert!(screen.contains("1,092/s"), "{screen}");
    assert!(!screen.contains("1,091/s"), "{screen}");
    let pid = Pid::from_raw(terminal.child.id().unwrap().try_into().unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(terminal.ends().await.code(), Some(130));
    // Shown once, all of it is there to scroll through.
    let all = page(100, &console, &arguments[..2]).await;
    assert!(all.contains("1,000/s") && all.contains("1,099/s"), "{all}");
}

/// What is shown on a terminal of this width, without colours.
async fn page(width: u16, console: &Console, words: &[&str]) -> String {
    let arguments = [words, &["--server", &console.url]].concat();
    let mut terminal = Terminal::of_width(width, &Home::new(), &arguments, &[("NO_COLOR", "1")]);
    assert_eq!(
        terminal.ends().await.code(),
        Some(0),
        "{}",
        terminal.screen()
    );
    terminal.screen().replace('\r', "")
}

#[tokio::test]
async fn a_narrow_terminal_leaves_out_columns_and_breaks_no_word() {
    let console = Console::start().await;
    for words in [
        &["nodes"][..],
        &["audit"],
        &["queue"],
        &["queue", "history"],
        &["queue", "dead", "list"],
        &["settings"],
        &["settings", "history", "worker"],
        &["tokens"],
        &["keys"],
        &["stats", "skier", "4711"],
    ] {
        let narrow = page(80, &console, words).await;
        assert!(
            narrow.lines().all(|line| line.chars().count() <= 80),
            "{narrow}"
        );
        let wide = page(400, &console, words).await;
        let known: BTreeSet<&str> = wide.split_whitespace().collect();
        let (shown, _) = narrow.split_once("columns hidden").unwrap_or((&narrow, ""));
        for word in shown.split_whitespace() {
            assert!(known.contains(word), "{word:?} is broken: {narrow}");
        }
    }
    let narrow = page(80, &console, &["nodes"]).await;
    assert!(
        narrow.contains("columns hidden (terminal too narrow): version, threads"),
        "{narrow}"
    );
}

#[tokio::test]
async fn a_terminal_that_does_not_know_its_width_has_eighty_columns() {
    let console = Console::start().await;
    let unknown = page(0, &console, &["nodes"]).await;
    assert_eq!(unknown, page(80, &console, &["nodes"]).await);
    // What must not be left out runs over the edge.
    let tiny = page(10, &console, &["nodes"]).await;
    assert!(tiny.contains("\nworker-gate7-9464  lost\n"), "{tiny}");
}

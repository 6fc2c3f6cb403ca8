//! Completions and man pages, generated from the definition of the command line.

use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_complete::env::{CompleteEnv, Shells};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::args::Cli;

/// The variable by which a shell asks for completions.
const COMPLETE: &str = "SKICTL_COMPLETE";

/// Answers a shell that asks for completions, and ends the process; does nothing else.
pub(crate) fn complete() {
    CompleteEnv::with_factory(Cli::command)
        .var(COMPLETE)
        .complete();
}

/// Prints a completion script, which asks `skictl` each time: it knows the nodes and users of the console.
pub(crate) fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let name = shell.to_string();
    let completer = shells
        .completer(&name)
        .with_context(|| format!("no completions for {name}"))?;
    completer.write_registration(COMPLETE, "skictl", "skictl", "skictl", &mut script)?;
    print(&script)
}

/// Prints the man page of skictl, or writes the man pages of all commands.
pub(crate) fn man(folder: Option<&Path>) -> anyhow::Result<ExitCode> {
    let mut all = Cli::command().disable_help_subcommand(true);
    all.build();
    let Some(folder) = folder else {
        return print(&page(&all, "")?.1);
    };
    std::fs::create_dir_all(folder)
        .and_then(|()| write_pages(&all, "", folder))
        .with_context(|| format!("cannot write man pages to {}", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn write_pages(command: &Command, path: &str, folder: &Path) -> io::Result<()> {
    for below in command.get_subcommands() {
        let path = format!("{path} {}", below.get_name());
        write_pages(below, path.trim_start(), folder)?;
    }
    let (name, text) = page(command, path)?;
    std::fs::write(folder.join(name), text)
}

/// First line of the paragraph with the exit codes in a help text.
const EXIT_CODES: &str = "Exit codes:\n";

/// The page of one command, by its path after `skictl`, and the name of its file.
fn page(command: &Command, path: &str) -> io::Result<(String, Vec<u8>)> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command
        .get_arguments()
        .any(|argument| !argument.is_hide_set())
    {
        man.render_options_section(&mut page)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let after = command.get_after_help().map(ToString::to_string);
    let paragraphs = after.iter().flat_map(|after| after.split("\n\n"));
    let (codes, notes): (Vec<&str>, Vec<&str>) =
        paragraphs.partition(|paragraph| paragraph.starts_with(EXIT_CODES));
    let mut rest = Roff::default();
    for codes in codes {
        rest.control("SH", ["EXIT STATUS"]);
        push_verbatim(&mut rest, codes.trim_start_matches(EXIT_CODES).lines());
    }
    if !notes.is_empty() {
        rest.control("SH", ["NOTES"]);
    }
    for note in notes {
        rest.control("PP", []);
        rest.text([roman(note)]);
    }
    let examples = Cli::examples(path);
    if !examples.is_empty() {
        rest.control("SH", ["EXAMPLES"]);
        push_verbatim(&mut rest, examples.iter().copied());
    }
    rest.to_writer(&mut page)?;
    if path.is_empty() {
        man.render_version_section(&mut page)?;
    }
    Ok((man.get_filename(), page))
}

/// Lines without filling.
fn push_verbatim<'a>(roff: &mut Roff, lines: impl Iterator<Item = &'a str>) {
    roff.control("nf", []);
    for line in lines {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}

/// Writes to stdout; a closed pipe is not an error.
fn print(text: &[u8]) -> anyhow::Result<ExitCode> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write"),
        _ => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_and_exit_codes_have_sections_of_their_own() {
        let mut all = Cli::command();
        all.build();
        let text = |command: &Command, path: &str| {
            String::from_utf8(page(command, path).unwrap().1).unwrap()
        };
        let whole = text(&all, "");
        for section in ["EXIT STATUS", "EXAMPLES", "NOTES"] {
            let heading = format!(".SH {section}\n").replace("EXIT STATUS", "\"EXIT STATUS\"");
            assert_eq!(whole.matches(&heading).count(), 1, "{section}: {whole}");
        }
        assert!(!whole.contains("EXTRA") && whole.contains("\nskictl queue \\-\\-watch\n"));
        let queue = all.find_subcommand("queue").unwrap();
        let pause = text(queue.find_subcommand("pause").unwrap(), "queue pause");
        assert!(
            pause.contains("\nskictl queue pause \\-\\-yes\n"),
            "{pause}"
        );
        assert!(!pause.contains("EXIT STATUS"), "{pause}");
    }
}

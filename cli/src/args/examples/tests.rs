//! Every command has examples, and every example parses.

use clap::{CommandFactory, Parser};

use super::*;
use crate::args::Cli;

/// The commands without commands below them, by their path.
pub(in crate::args) fn leaves(command: &clap::Command, path: &str, found: &mut Vec<String>) {
    let mut below = command.get_subcommands().peekable();
    if below.peek().is_none() {
        found.push(path.to_owned());
    }
    for command in below {
        let path = format!("{path} {}", command.get_name());
        leaves(command, path.trim_start(), found);
    }
}

#[test]
fn every_command_has_one_to_three_examples() {
    let mut all = Vec::new();
    leaves(&Cli::command(), "", &mut all);
    assert!(all.len() > 40);
    for path in all {
        assert!((1..=3).contains(&of(&path).len()), "{path}");
    }
}

/// The words of a shell line, up to the first redirection, pipe, comment or next command.
fn words(line: &str) -> Vec<String> {
    let line = line.trim_start_matches("(umask 077; ");
    // `2>` is one redirection.
    let line = line.replace(" 2>", " >").replace("\"$version\"", "1");
    let (mut words, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            '>' | '<' | '|' | ';' | '#' if !quoted => break,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn every_example_parses() {
    for (path, examples) in all() {
        for line in *examples {
            let words = words(line);
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{line}: {error}");
            }
            // The help of a command shows that command, a subcommand or a sibling.
            assert!(path.contains(' ') <= line.contains(path), "{path}: {line}");
        }
    }
}

#[test]
fn every_command_in_a_document_parses() {
    let root = std::path::Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..");
    let documents = std::fs::read_dir(root.join("docs")).unwrap();
    let mut files: Vec<_> = documents.map(|file| file.unwrap().path()).collect();
    files.extend(["README.md", "CONTRIBUTING.md"].map(|name| root.join(name)));
    let mut tried = 0;
    for file in files.iter().filter(|file| file.extension().is_some()) {
        let text = std::fs::read_to_string(file).unwrap();
        // Every second part is a block of code.
        let blocks = text.split("\n```").skip(1).step_by(2);
        for line in blocks.flat_map(str::lines) {
            let line = line
                .trim_start_matches("$ ")
                .trim_start_matches("(umask 077; ");
            // `skictl: ` begins a message, and `skictl up:` a line of a figure.
            if !line.starts_with("skictl ") || line.starts_with("skictl up:") {
                continue;
            }
            let error = Cli::try_parse_from(words(line)).err();
            assert!(
                error.is_none(),
                "{}: {line}: {}",
                file.display(),
                error.unwrap()
            );
            tried += 1;
        }
    }
    assert!(tried > 60, "{tried}");
}

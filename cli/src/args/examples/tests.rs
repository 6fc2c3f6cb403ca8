//! Every command has examples, and every example parses.

use clap::{CommandFactory, Parser};

use super::*;
use crate::args::Cli;

fn leaves(command: &clap::Command, path: &str, found: &mut Vec<String>) {
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

/// The words of a shell line, up to the first redirection or pipe.
fn words(line: &str) -> Vec<String> {
    let line = line.trim_start_matches("(umask 077; ");
    let (mut words, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            '>' | '<' | '|' if !quoted => break,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn every_example_can_be_meant() {
    for (path, examples) in EXAMPLES {
        for line in examples {
            let words = words(line);
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{line}: {error}");
            }
            // The help of a command shows that command, a subcommand or a sibling.
            assert!(path.contains(' ') <= line.contains(path), "{path}: {line}");
        }
    }
}

//! The command line is consistent, and its help is what it was.

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::documented().debug_assert();
}

/// Writes the help of a command and of all below it.
fn write_help(command: &mut clap::Command, text: &mut String) {
    text.push_str(&command.render_help().to_string());
    for below in command.get_subcommands_mut() {
        text.push_str("\n----\n");
        write_help(below, text);
    }
}

#[test]
fn short_and_long_help_are_the_same() {
    let mut all = Cli::documented().term_width(120);
    all.build();
    assert_same_help(&mut all);
}

fn assert_same_help(command: &mut clap::Command) {
    let name = command.get_name().to_owned();
    for arg in command.get_arguments() {
        assert!(arg.get_long_help().is_none(), "{name} {arg}");
        let values = arg.get_possible_values();
        assert!(
            values.iter().all(|value| value.get_help().is_none()),
            "{name} {arg}"
        );
    }
    command.get_subcommands_mut().for_each(assert_same_help);
}

/// What `--help` prints: nothing has a long help besides.
#[test]
fn help() {
    let mut all = Cli::documented().term_width(120);
    all.build();
    insta::assert_snapshot!("skictl", all.render_help().to_string());
    let commands = all.get_subcommands_mut();
    for command in commands.filter(|command| command.get_name() != "help") {
        let name = format!("skictl-{}", command.get_name());
        let mut text = String::new();
        write_help(command, &mut text);
        insta::assert_snapshot!(name, text);
    }
}

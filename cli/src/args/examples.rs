//! Examples of every command, for its help and its man page; `operator`: those of the operator's commands.

mod operator;

/// The examples of each command, by its path after `skictl`.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "skictl up",
            "skictl queue --watch",
            "skictl settings set worker --threads 16",
            "skictl load --target http://127.0.0.1:8080 --rides 200000 --verify",
        ],
    ),
    (
        "up",
        &[
            "skictl up",
            "skictl up --data ./rides --simulate 50",
            "skictl up --amqp-url-file amqp.url --redis-url-file redis.url --ingest keys",
        ],
    ),
    (
        "serve",
        &[
            "skictl serve api --config skilift.toml",
            "skictl serve worker --config skilift.toml",
            "skictl serve console --config skilift.toml",
        ],
    ),
    (
        "serve api",
        &[
            "skictl serve api --amqp-url-file amqp.url --redis-url-file redis.url",
            "skictl serve api --config skilift.toml --api-listen 0.0.0.0:8080 --ingest keys --channels 2",
        ],
    ),
    (
        "serve worker",
        &[
            "skictl serve worker --amqp-url-file amqp.url --redis-url-file redis.url",
            "skictl serve worker --config skilift.toml --threads 16 --linger 25ms",
        ],
    ),
    (
        "serve console",
        &[
            "skictl serve console --amqp-url-file amqp.url --redis-url-file redis.url",
            "skictl serve console --config skilift.toml --console-listen 0.0.0.0:8081 --tls-cert cert.pem --tls-key key.pem",
            "skictl serve console --config skilift.toml --ec2-endpoint-url http://127.0.0.1:5000 --price-file prices.toml",
        ],
    ),
    (
        "import",
        &["skictl import console.ndjson --data /var/lib/skilift"],
    ),
    (
        "load",
        &[
            "skictl load --target http://127.0.0.1:8080 --rides 200000 --threads 64 --verify --fail-if 'lost>0'",
            "skictl load --target http://127.0.0.1:8080 --rate 5000 --duration 1m --fail-if 'p99>50ms' --output json",
            "skictl load --target http://127.0.0.1:8080 --profile 0s:500,60s:5000,120s:500 --reads 0.2 --report run1",
        ],
    ),
    ("rehearse", &["skictl rehearse ec2"]),
    (
        "rehearse ec2",
        &[
            "skictl rehearse ec2",
            "skictl rehearse ec2 --faults no-capacity.toml --config rehearsal.toml",
        ],
    ),
    (
        "config show",
        &[
            "skictl config show",
            "skictl config show --config /etc/skilift/skilift.toml",
        ],
    ),
    (
        "doctor",
        &[
            "skictl doctor",
            "skictl doctor --config skilift.toml --output json",
            "skictl doctor --amqp-url-file amqp.url --redis-url-file redis.url --management-url-file management.url",
        ],
    ),
    (
        "completions",
        &[
            "skictl completions bash > ~/.local/share/bash-completion/completions/skictl",
            "skictl completions zsh > ~/.zfunc/_skictl",
        ],
    ),
    (
        "man",
        &[
            "skictl man | man -l -",
            "skictl man ~/.local/share/man/man1",
        ],
    ),
];

/// The examples of all commands.
fn all() -> impl Iterator<Item = &'static (&'static str, &'static [&'static str])> {
    EXAMPLES.iter().chain(operator::EXAMPLES)
}

/// Examples of one command.
pub(super) fn of(path: &str) -> &'static [&'static str] {
    all()
        .find(|(of, _)| *of == path)
        .map_or(&[], |(_, examples)| examples)
}

/// A command and all below it, with their examples.
pub(super) fn documented(command: clap::Command, path: &str) -> clap::Command {
    let mut command = command.mut_subcommands(|below| {
        let path = format!("{path} {}", below.get_name());
        // `skictl help queue pause` covers every command.
        documented(below.disable_help_subcommand(true), path.trim_start())
    });
    let examples = of(path);
    if !examples.is_empty() {
        let mut text = format!("Examples:\n  {}", examples.join("\n  "));
        if let Some(after) = command.get_after_help() {
            text.push_str(&format!("\n\n{after}"));
        }
        command = command.after_help(text);
    }
    command
}

#[cfg(test)]
pub(super) mod tests;

//! Examples of every command, for its help and its man page.

/// The examples of each command, by its path after `skictl`.
const EXAMPLES: [(&str, &[&str]); 75] = [
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
        "load",
        &[
            "skictl load --target http://127.0.0.1:8080 --rides 200000 --threads 64 --verify --fail-if 'lost>0'",
            "skictl load --target http://127.0.0.1:8080 --rate 5000 --duration 1m --fail-if 'p99>50ms' --output json",
            "skictl load --target http://127.0.0.1:8080 --profile 0s:500,60s:5000,120s:500 --reads 0.2 --report run1",
        ],
    ),
    (
        "stats",
        &[
            "skictl stats skier 4711",
            "skictl stats resort 1 --season 2025 --day 12",
            "skictl stats lifts 1 --season 2025 --day 12 --output csv > lifts.csv",
        ],
    ),
    (
        "stats resorts",
        &[
            "skictl stats resorts",
            "skictl stats resorts -o csv > resorts.csv",
        ],
    ),
    ("stats seasons", &["skictl stats seasons 1"]),
    (
        "stats days",
        &["skictl stats days 1 2025", "skictl stats days 1 2025 -w"],
    ),
    (
        "stats skier",
        &[
            "skictl stats skier 4711",
            "skictl stats skier 4711 --output csv > days.csv",
        ],
    ),
    (
        "stats resort",
        &["skictl stats resort 1 --season 2025 --day 12 --watch=5s"],
    ),
    (
        "stats lifts",
        &["skictl stats lifts 1 --season 2025 --day 12 --output csv > lifts.csv"],
    ),
    (
        "stats hours",
        &["skictl stats hours 1 --season 2025 --day 12"],
    ),
    (
        "stats top",
        &["skictl stats top 1 --season 2025 --day 12 --limit 3"],
    ),
    (
        "status",
        &[
            "skictl status",
            "skictl status --server https://ski.example.com || notify",
        ],
    ),
    ("status show", &["skictl status show --watch"]),
    (
        "status acknowledge",
        &["skictl status acknowledge nodes_lost --yes"],
    ),
    (
        "queue",
        &[
            "skictl queue --watch",
            "skictl queue pause --yes",
            "skictl queue history --since 1h --output csv > hour.csv",
            "skictl queue --output json | jq .backlog_rides.value",
        ],
    ),
    (
        "queue status",
        &["skictl queue status", "skictl queue status --watch=5s"],
    ),
    (
        "queue history",
        &[
            "skictl queue history",
            "skictl queue history --since 1h --output csv > hour.csv",
            "skictl queue history --since 2days --step 1m",
        ],
    ),
    (
        "queue pause",
        &["skictl queue pause --dry-run", "skictl queue pause --yes"],
    ),
    (
        "queue resume",
        &["skictl queue resume", "skictl queue resume --yes"],
    ),
    (
        "queue dead",
        &[
            "skictl queue dead list",
            "skictl queue dead replay --all --rate 50",
            "skictl queue dead discard --all --dry-run",
        ],
    ),
    (
        "queue dead list",
        &[
            "skictl queue dead list --limit 10",
            "skictl queue dead list --reason 'not a ride: expected value at column 1' --output json",
        ],
    ),
    (
        "queue dead show",
        &["skictl queue dead show 0000000000000001-0-7-3"],
    ),
    (
        "queue dead replay",
        &[
            "skictl queue dead replay 0000000000000001-0-7-3",
            "skictl queue dead replay --all --rate 50 --yes",
        ],
    ),
    (
        "queue dead discard",
        &[
            "skictl queue dead discard 0000000000000001-0-7-3 --yes",
            "skictl queue dead discard --all --confirm discard",
        ],
    ),
    (
        "nodes",
        &[
            "skictl nodes --watch",
            "skictl nodes drain worker-gate7-9464 --dry-run",
            "skictl nodes --output json | jq -r '.nodes[] | select(.state == \"lost\").id'",
        ],
    ),
    (
        "nodes list",
        &["skictl nodes list", "skictl nodes list --watch=5s"],
    ),
    ("nodes show", &["skictl nodes show worker-gate7-9464"]),
    (
        "nodes drain",
        &[
            "skictl nodes drain worker-gate7-9464 --dry-run",
            "skictl nodes drain worker-gate7-9464 --yes",
            "skictl nodes drain worker-gate7-9464 --yes --override 'the host is replaced'",
        ],
    ),
    (
        "nodes undrain",
        &["skictl nodes undrain worker-gate7-9464 --yes"],
    ),
    (
        "settings",
        &[
            "skictl settings",
            "skictl settings set worker --threads 16 --linger 25ms",
            "skictl settings rollback worker",
        ],
    ),
    (
        "settings show",
        &["skictl settings show", "skictl settings show --output json"],
    ),
    (
        "settings set",
        &[
            "skictl settings set worker --threads 16",
            "skictl settings set ingest keys",
        ],
    ),
    (
        "settings set worker",
        &[
            "skictl settings set worker --threads 16 --linger 25ms",
            "skictl settings set worker --batch 2000 --dry-run",
            "skictl settings set worker --threads 8 --if-version 3 --yes",
        ],
    ),
    (
        "settings set api",
        &[
            "skictl settings set api --channels 2 --message-rides 512",
            "skictl settings set api --max-in-flight 50000 --yes",
        ],
    ),
    (
        "settings set ingest",
        &[
            "skictl settings set ingest keys",
            "skictl settings set ingest open --dry-run",
        ],
    ),
    (
        "settings set fleet",
        &[
            "skictl settings set fleet --worker-min 2 --worker-max 8",
            "skictl settings set fleet --api-max 4 --if-version 3 --yes",
        ],
    ),
    (
        "settings history",
        &[
            "skictl settings history worker",
            "skictl settings history worker --output csv > worker.csv",
        ],
    ),
    (
        "settings rollback",
        &[
            "skictl settings rollback worker",
            "skictl settings rollback worker --to 2 --yes",
        ],
    ),
    (
        "scale",
        &[
            "skictl scale worker=4 --threads 32 --dry-run",
            "skictl scale worker=-1 --expect-running 4 --yes --wait --timeout 15m",
            "skictl scale --follow p12",
        ],
    ),
    (
        "ec2",
        &[
            "skictl ec2 --role worker --watch=5s",
            "skictl ec2 start i-0123456789abcdef0 --yes --wait",
            "skictl ec2 --output json | jq -r '.instances[] | select(.state == \"stopped\").id'",
        ],
    ),
    (
        "ec2 list",
        &["skictl ec2 list", "skictl ec2 list --role api"],
    ),
    (
        "ec2 start",
        &[
            "skictl ec2 start i-0123456789abcdef0 --dry-run",
            "skictl ec2 start i-0123456789abcdef0 i-0fedcba9876543210 --yes --wait",
        ],
    ),
    (
        "ec2 stop",
        &[
            "skictl ec2 stop i-0123456789abcdef0 --yes --wait --timeout 10m",
            "skictl ec2 stop i-0123456789abcdef0 --drain-timeout 30s --stop-anyway --yes",
        ],
    ),
    (
        "cost",
        &[
            "skictl cost",
            "skictl cost --output json | jq .usd_per_million_stored.value",
        ],
    ),
    (
        "audit",
        &[
            "skictl audit --who anna --limit 10",
            "skictl audit --action apply --output csv > applied.csv",
        ],
    ),
    (
        "users",
        &[
            "skictl users",
            "skictl users add anna --role operator",
            "skictl users role anna admin",
        ],
    ),
    ("users list", &["skictl users list"]),
    (
        "users add",
        &[
            "skictl users add anna --role operator",
            "skictl users add ben --role viewer --password-stdin --yes < ben.password",
        ],
    ),
    (
        "users password",
        &[
            "skictl users password anna",
            "skictl users password ben --password-stdin --yes < ben.password",
        ],
    ),
    ("users role", &["skictl users role anna admin"]),
    ("users remove", &["skictl users remove ben --yes"]),
    (
        "tokens",
        &[
            "(umask 077; skictl tokens add nightly --role viewer --expires-in 30days --yes > nightly.token)",
            "skictl queue --token-file nightly.token",
            "skictl tokens revoke 3f2a",
        ],
    ),
    ("tokens list", &["skictl tokens list"]),
    (
        "tokens add",
        &[
            "(umask 077; skictl tokens add nightly --role viewer --expires-in 30days --yes > nightly.token)",
        ],
    ),
    ("tokens revoke", &["skictl tokens revoke 3f2a --yes"]),
    (
        "keys",
        &[
            "(umask 077; skictl keys add gate-7 --resort 1,2 --yes > gate-7.key)",
            "skictl keys revoke 9c01",
            "skictl settings set ingest keys",
        ],
    ),
    ("keys list", &["skictl keys list"]),
    (
        "keys add",
        &[
            "skictl keys add gate-7",
            "(umask 077; skictl keys add gate-7 --resort 1,2 --yes > gate-7.key)",
        ],
    ),
    ("keys revoke", &["skictl keys revoke 9c01 --yes"]),
    (
        "login",
        &[
            "skictl login anna --server https://console.example.com",
            "skictl login anna --context summit --password-stdin < anna.password",
            "skictl login",
        ],
    ),
    (
        "context",
        &[
            "skictl context add summit --server https://console.example.com --token-file ~/summit.token",
            "skictl context use summit",
            "skictl context",
        ],
    ),
    ("context list", &["skictl context list"]),
    (
        "context show",
        &[
            "skictl context show",
            "skictl context show summit --output json",
        ],
    ),
    ("context use", &["skictl context use summit"]),
    (
        "context add",
        &[
            "skictl context add summit --server https://console.example.com",
            "skictl context add summit --server https://console.example.com --token-file ~/summit.token",
        ],
    ),
    ("context remove", &["skictl context remove summit"]),
    (
        "repair",
        &[
            "skictl repair --resort 1 --season 2025 --day 12 --dry-run",
            "skictl repair --resort 1 --season 2025 --day 12 --yes",
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

/// Examples of one command.
pub(super) fn of(path: &str) -> &'static [&'static str] {
    EXAMPLES
        .iter()
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

//! Examples of the operator's commands.

/// The examples of each command, by its path after `skictl`.
pub(super) const EXAMPLES: &[(&str, &[&str])] = &[
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
    ("top", &["skictl top", "skictl top --interval 5s"]),
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
            "skictl nodes drain worker-gate7-9464 --yes --wait --timeout 2m",
            "skictl nodes drain worker-gate7-9464 --yes --override 'the host is replaced'",
        ],
    ),
    (
        "nodes forget",
        &["skictl nodes forget worker-gate7-9464 --yes"],
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
        "plans",
        &[
            "skictl plans",
            "skictl plans show p12 --wait --timeout 10m",
            "skictl plans cancel p12",
        ],
    ),
    ("plans list", &["skictl plans list --limit 10"]),
    (
        "plans show",
        &["skictl plans show p12", "skictl plans show p12 --wait"],
    ),
    (
        "plans apply",
        &[
            "skictl plans apply p12",
            "skictl plans apply p12 --yes --wait",
        ],
    ),
    ("plans cancel", &["skictl plans cancel p12"]),
    (
        "tune",
        &[
            "skictl tune run --threads 1,2,4,8,16 --batch 100,1000 --rate 3000 --p99 50ms",
            "skictl tune show t1",
        ],
    ),
    (
        "tune run",
        &[
            "skictl tune run --threads 1,2,4,8,16 --batch 100,1000 --rate 3000 --p99 50ms",
            "skictl tune run --workers 2,3,4 --threads 4,8 --rate 12000 --p99 150ms --max-spend 3 --apply --yes",
            "skictl tune run --file infra/tuning/breaker-3800.toml --yes",
        ],
    ),
    ("tune resume", &["skictl tune resume t1"]),
    ("tune stop", &["skictl tune stop t1"]),
    ("tune list", &["skictl tune list"]),
    (
        "tune show",
        &[
            "skictl tune show t1",
            "skictl tune show t1 --output csv > t1.csv",
        ],
    ),
    (
        "capacity",
        &[
            "skictl capacity --rate 20000 --peak 3 --p99 100ms",
            "skictl capacity --rate 20000 --sweep t7 --output json",
        ],
    ),
    (
        "export",
        &[
            "skictl export console.ndjson",
            "skictl export console.ndjson --context summit",
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
        "logout",
        &["skictl logout", "skictl logout --context summit"],
    ),
    ("whoami", &["skictl whoami --output json"]),
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
        "archive list",
        &[
            "skictl archive list",
            "skictl archive list -o csv > archive.csv",
        ],
    ),
    (
        "archive run",
        &[
            "skictl archive run --resort 1 --season 2025 --days 1-120 --dry-run",
            "skictl archive run --resort 1 --season 2025 --days 1-120 --yes",
        ],
    ),
    (
        "archive restore",
        &["skictl archive restore --resort 1 --season 2025 --days 12 --yes"],
    ),
    (
        "repair",
        &[
            "skictl repair --resort 1 --season 2025 --day 12 --dry-run",
            "skictl repair --resort 1 --season 2025 --day 12 --yes",
        ],
    ),
];

//! House rules that no compiler checks: which crate may know which, licences, reasons for dependencies, sizes of files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

/// What each crate of ours may depend on, of ours. Arrows point one way; `docs/architecture.md` draws them.
const ARROWS: [(&str, &[&str]); 14] = [
    ("skilift-core", &[]),
    ("skilift-api", &["skilift-core", "skilift-http"]),
    ("skilift-worker", &["skilift-core"]),
    (
        "skilift-cli",
        &[
            "skilift-api",
            "skilift-console",
            "skilift-core",
            "skilift-ec2",
            "skilift-fleet",
            "skilift-http",
            "skilift-load",
            "skilift-rehearsal",
            "skilift-worker",
        ],
    ),
    (
        "skilift-console",
        &[
            "skilift-core",
            "skilift-fleet",
            "skilift-http",
            "skilift-plot",
            "skilift-tuning",
        ],
    ),
    ("skilift-ec2", &["skilift-fleet"]),
    ("skilift-fleet", &["skilift-core"]),
    ("skilift-http", &[]),
    ("skilift-load", &["skilift-core", "skilift-plot"]),
    ("skilift-plot", &[]),
    ("skilift-rehearsal", &[]),
    ("skilift-tuning", &[]),
    ("skilift-servers", &["skilift-rehearsal"]),
    ("skilift-bench", &["skilift-core", "skilift-servers"]),
];

/// Crates of others that only one of ours may know.
const RESERVED: [(&str, &[&str]); 7] = [
    ("aws-sdk-ec2", &["skilift-ec2"]),
    ("lapin", &["skilift-core"]),
    ("deadpool-redis", &["skilift-core"]),
    ("fjall", &["skilift-core"]),
    ("tokio-rustls", &["skilift-http", "skilift-load"]),
    ("clap", &["skilift-bench", "skilift-cli", "skilift-servers"]),
    ("utoipa", &["skilift-api", "skilift-console"]),
];

/// Licences under which code may be linked into the product. A dependency's expression must be met by some of these.
const LICENCES: [&str; 12] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "Unlicense",
    "BSL-1.0",
    "Unicode-3.0",
    "CDLA-Permissive-2.0",
];

/// Lines of a file of ours, with the tests beside the code.
const MAX_LINES: usize = 500;

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .other_options(
            ["--locked", "--filter-platform", "x86_64-unknown-linux-gnu"].map(String::from),
        )
        .exec()
        .unwrap()
}

fn root() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
        .parent()
        .unwrap()
        .to_owned()
}

/// The names of a package's dependencies, without those of its tests.
fn linked(package: &Package) -> BTreeSet<String> {
    let kept = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development);
    kept.map(|dependency| dependency.name.clone()).collect()
}

#[test]
fn arrows_point_one_way() {
    let metadata = metadata();
    let ours: BTreeMap<String, BTreeSet<String>> = metadata
        .workspace_packages()
        .iter()
        .map(|package| (package.name.to_string(), linked(package)))
        .collect();
    let listed: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        ours.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        listed,
        "name every crate's arrows"
    );
    for (name, allowed) in ARROWS {
        let known: BTreeSet<&str> = ours[name]
            .iter()
            .map(String::as_str)
            .filter(|other| listed.contains(other))
            .collect();
        assert_eq!(known, allowed.iter().copied().collect(), "{name}");
    }
    for (reserved, allowed) in RESERVED {
        for (name, dependencies) in &ours {
            let knows = dependencies.contains(reserved);
            assert!(
                !knows || allowed.contains(&name.as_str()),
                "{name} must not know {reserved}"
            );
        }
    }
}

/// All packages that are linked into `skictl` or run while it is compiled; what only tests use is not.
fn product(metadata: &Metadata) -> BTreeSet<PackageId> {
    let resolved = metadata.resolve.as_ref().unwrap();
    let nodes: BTreeMap<_, _> = resolved.nodes.iter().map(|node| (&node.id, node)).collect();
    let cli = metadata
        .packages
        .iter()
        .find(|package| package.name == "skilift-cli");
    let (mut found, mut left) = (BTreeSet::new(), vec![cli.unwrap().id.clone()]);
    while let Some(id) = left.pop() {
        if !found.insert(id.clone()) {
            continue;
        }
        let linked = nodes[&id].deps.iter().filter(|dependency| {
            let mut kinds = dependency.dep_kinds.iter();
            kinds.any(|kind| kind.kind != DependencyKind::Development)
        });
        left.extend(linked.map(|dependency| dependency.pkg.clone()));
    }
    found
}

#[test]
fn every_linked_licence_is_a_permissive_one() {
    let metadata = metadata();
    let product = product(&metadata);
    assert!(product.len() > 200, "{}", product.len());
    for package in metadata
        .packages
        .iter()
        .filter(|package| product.contains(&package.id))
    {
        let expression = package.license.clone().unwrap_or_default();
        assert!(
            is_met(&expression),
            "{} {} has the licence {expression:?}",
            package.name,
            package.version
        );
    }
}

/// Whether an SPDX expression can be met: every part of an AND, one of an OR.
fn is_met(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let all = expression.split(" AND ");
    all.into_iter().all(|part| {
        let part = part.trim().trim_start_matches('(').trim_end_matches(')');
        part.split(" OR ").any(|licence| {
            let licence = licence.trim().trim_start_matches('(').trim_end_matches(')');
            let (licence, _exception) = licence.split_once(" WITH ").unwrap_or((licence, ""));
            LICENCES.contains(&licence)
        })
    })
}

#[test]
fn licence_expressions_are_read_right() {
    assert!(
        is_met("MIT OR Apache-2.0")
            && is_met("MIT/Apache-2.0")
            && is_met("Apache-2.0 WITH LLVM-exception OR GPL-3.0")
    );
    assert!(is_met("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(!is_met("GPL-3.0") && !is_met("MIT AND GPL-3.0") && !is_met(""));
}

#[test]
fn every_dependency_has_its_reason_and_is_declared_once() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, table) = manifest.split_once("[workspace.dependencies]").unwrap();
    let (table, _) = table.split_once("\n[").unwrap();
    let mut reasons = String::new();
    for line in table.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            reasons.push_str(comment);
        } else if let Some((name, _)) = line.split_once(" = ") {
            let ours = name.starts_with("skilift-");
            assert!(
                ours || reasons.contains(name),
                "{name} has no reason in Cargo.toml"
            );
        }
    }
    for package in metadata().workspace_packages() {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        for line in manifest
            .lines()
            .filter(|line| line.contains("version = \"") || line.contains(" = \"0"))
        {
            assert!(
                line.contains("workspace"),
                "{}: {line}: versions stand in the root Cargo.toml",
                package.name
            );
        }
    }
}

#[test]
fn no_file_is_too_long_to_hold_in_the_head() {
    for file in source_files(&root()) {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(
            text.lines().count() <= MAX_LINES,
            "{} has more than {MAX_LINES} lines",
            file.display()
        );
        assert!(
            text.starts_with("//!"),
            "{} does not say what it is",
            file.display()
        );
    }
}

fn source_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            files.extend(source_files(&path));
        } else if name.ends_with(".rs") {
            files.push(path);
        }
    }
    files
}

/// Names of metrics in a text.
fn metric_names(text: &str) -> BTreeSet<String> {
    const PREFIX: &str = "skilift_";
    let starts = text.match_indices(PREFIX).filter(|(at, _)| {
        let before = text[..*at].chars().next_back();
        matches!(before, Some('"' | '`'))
    });
    let names = starts.filter_map(|(at, _)| {
        let end = text[at..].find(['"', '`'])?;
        let name = &text[at..at + end];
        let is_name = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        is_name.then(|| name.to_owned())
    });
    names.collect()
}

#[test]
fn every_metric_has_its_help_and_is_documented() {
    let root = root();
    let described = std::fs::read_to_string(root.join("core/src/health.rs")).unwrap();
    let described = metric_names(&described);
    assert!(described.len() > 20, "{described:?}");
    let mut recorded = BTreeSet::new();
    for folder in [
        "api/src",
        "worker/src",
        "core/src/queue",
        "console/src/sampler",
    ] {
        for file in source_files(&root.join(folder)) {
            recorded.extend(metric_names(&std::fs::read_to_string(file).unwrap()));
        }
    }
    assert_eq!(recorded, described);
    let documented = std::fs::read_to_string(root.join("docs/operations.md")).unwrap();
    assert_eq!(metric_names(&documented), described);
}

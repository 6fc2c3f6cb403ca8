//! Import circles of the console: its floors stand on each other, and not in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Files of the largest circle. It may only shrink.
const LARGEST: usize = 10;

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            sources(&path, found);
        } else if path.extension().is_some_and(|is| is == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// Every path that a `use` names: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(import: &str) -> Vec<String> {
    let Some((before, rest)) = import.split_once('{') else {
        return vec![import.to_owned()];
    };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let (mut depth, mut begins, mut found) = (0, 0, Vec::new());
    let ends = inner.char_indices().chain([(inner.len(), ',')]);
    for (at, c) in ends {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if at > begins {
                    found.extend(paths(&format!("{before}{}", &inner[begins..at])));
                }
                begins = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// The module of a path within the crate: the longest part of it that is one.
fn module<'a>(path: &str, modules: &'a BTreeMap<String, String>) -> Option<&'a String> {
    let mut path = path;
    loop {
        if let Some((module, _)) = modules.get_key_value(path) {
            return Some(module);
        }
        path = path.rsplit_once("::")?.0;
    }
}

/// The modules that a module imports.
fn imports(name: &str, code: &str, modules: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for statement in code.split(';') {
        let Some((_, import)) = statement.rsplit_once("use ") else {
            continue;
        };
        let import: String = import.split_whitespace().collect();
        for path in paths(&import) {
            let (mut base, mut rest) = (name, path.as_str());
            let path = if let Some(path) = rest.strip_prefix("crate::") {
                path.to_owned()
            } else if rest.starts_with("super::") {
                while let Some(above) = rest.strip_prefix("super::") {
                    base = base.rsplit_once("::").map_or("", |(above, _)| above);
                    rest = above;
                }
                format!("{base}::{rest}").trim_start_matches(':').to_owned()
            } else {
                format!("{name}::{rest}")
            };
            found.extend(
                module(&path, modules)
                    .filter(|other| *other != name)
                    .cloned(),
            );
        }
    }
    found
}

#[test]
fn no_circle_of_imports_is_large() {
    let root = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../console/src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let modules: BTreeMap<String, String> = files
        .iter()
        .map(|file| {
            let name = file.strip_prefix(&root).unwrap().with_extension("");
            let text = std::fs::read_to_string(file).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let name = name.to_str().unwrap().replace('/', "::");
            (name, code.to_owned())
        })
        .filter(|(name, _)| name != "lib")
        .collect();
    assert!(modules.len() > 60, "{}", modules.len());
    let edges: BTreeMap<&String, BTreeSet<String>> = modules
        .iter()
        .map(|(name, code)| (name, imports(name, code, &modules)))
        .collect();
    let reached = |from: &String| {
        let (mut found, mut left) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(name) = left.pop() {
            for next in &edges[&name] {
                if found.insert(next.clone()) {
                    left.push(next.clone());
                }
            }
        }
        found
    };
    let reach: BTreeMap<&String, BTreeSet<String>> =
        modules.keys().map(|name| (name, reached(name))).collect();
    for (name, others) in &reach {
        let circle: Vec<&String> = others
            .iter()
            .filter(|other| reach[other].contains(*name))
            .collect();
        assert!(
            circle.len() <= LARGEST,
            "{name} is in a circle of {}: {circle:?}",
            circle.len()
        );
    }
}

#[test]
fn imports_are_read_right() {
    assert_eq!(
        paths("a::{b,c::{d,e},self}"),
        ["a::b", "a::c::d", "a::c::e", "a::self"]
    );
    let modules = ["a", "a::b", "c"].map(|name| (name.to_owned(), String::new()));
    let modules = BTreeMap::from(modules);
    let of = |name, code| {
        imports(name, code, &modules)
            .into_iter()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        of("a::b", "use super::{X, y::Z};\nuse crate::c::D;"),
        ["a", "c"]
    );
    assert_eq!(of("a", "use b::B;\nuse std::fmt;"), ["a::b"]);
}

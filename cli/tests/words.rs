//! The words that the glossary refuses, in what people read: documents, help, and the texts in the code.

use std::path::{Path, PathBuf};

/// Words and phrases that have a plain one in their place. Each stands for itself alone, not for a part of another word.
const REFUSED: [&str; 22] = [
    "shall",
    "anew",
    "mend",
    "mended",
    "whoever",
    "whatever",
    "somebody",
    "somebody's",
    "nobody",
    "nobody's",
    "everybody",
    "for ever",
    "of late",
    "for want of",
    "is away",
    "are away",
    "counts no more",
    "cannot be meant",
    "he",
    "his",
    "him",
    "himself",
];
/// Documents, beside those in `docs/`.
const DOCUMENTS: [&str; 3] = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"];
/// Where the code is whose texts people read.
const SOURCES: [&str; 8] = [
    "api/src",
    "cli/src",
    "console/src",
    "core/src",
    "http/src",
    "infra/ec2/src",
    "infra/fleet/src",
    "load/src",
];

fn root() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..")
}

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|is| is == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The refused words of a text.
fn refused(text: &str) -> Vec<&'static str> {
    let only_words: String = text
        .chars()
        .map(|char| match char {
            '\'' => char,
            _ if char.is_alphanumeric() => char.to_ascii_lowercase(),
            _ => ' ',
        })
        .collect();
    let words: Vec<&str> = only_words.split_whitespace().collect();
    let spaced = format!(" {} ", words.join(" "));
    let is_in = |word: &&str| spaced.contains(&format!(" {word} "));
    REFUSED.into_iter().filter(|word| is_in(word)).collect()
}

/// The string literals of a line of code; none of a comment that only developers read.
fn literals(line: &str) -> String {
    let code = line.trim_start();
    if code.starts_with("//") && !code.starts_with("///") {
        return String::new();
    }
    // Help and OpenAPI descriptions are made of these.
    if let Some(comment) = code.strip_prefix("///") {
        return comment.to_owned();
    }
    let mut found = String::new();
    for (number, part) in code.replace("\\\"", "'").split('"').enumerate() {
        if number % 2 == 1 {
            found.push_str(part);
            found.push(' ');
        }
    }
    found
}

#[test]
fn documents_and_help_have_no_refused_word() {
    let root = root();
    let mut documents = files(&root.join("docs"), "md");
    documents.extend(DOCUMENTS.map(|name| root.join(name)));
    documents.extend(files(&root.join("cli/src/args/snapshots"), "snap"));
    documents.extend(files(&root.join("templates"), "html"));
    let mut found = Vec::new();
    for file in documents {
        for (number, line) in std::fs::read_to_string(&file).unwrap().lines().enumerate() {
            for word in refused(line) {
                found.push(format!("{}:{}: {word}", file.display(), number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn texts_in_the_code_have_no_refused_word() {
    let root = root();
    let mut found = Vec::new();
    for file in SOURCES
        .iter()
        .flat_map(|source| files(&root.join(source), "rs"))
    {
        let text = std::fs::read_to_string(&file).unwrap();
        // What tests say is for developers.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for (number, line) in code.lines().enumerate() {
            for word in refused(&literals(line)) {
                found.push(format!("{}:{}: {word}", file.display(), number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn words_are_found_as_words() {
    assert_eq!(refused("It shall be so, for ever."), ["shall", "for ever"]);
    assert_eq!(refused("amendments for every shallow theatre"), [""; 0]);
    assert_eq!(
        literals(r#"    bail!("say {x}", "\"a\"");"#),
        "say {x} 'a' "
    );
    assert_eq!(literals("    // He says so"), "");
    assert_eq!(literals("    /// A user"), " A user");
}

//! Puts the version that `skictl --version` prints into the program: in a release build with the commit, if git knows it.

use std::env;
use std::process::Command;

fn main() {
    let version = env!("CARGO_PKG_VERSION");
    // In other builds each commit would compile the program again.
    let is_release = env::var_os("PROFILE").is_some_and(|profile| profile == "release");
    let commit = is_release.then(commit).flatten();
    let version = match commit {
        Some(commit) => format!("{version} (commit {commit})"),
        None => version.to_owned(),
    };
    println!("cargo::rustc-env=SKICTL_VERSION={version}");
    println!("cargo::rerun-if-changed=build.rs");
    if is_release {
        println!("cargo::rerun-if-changed=../.git/logs/HEAD");
    }
}

fn commit() -> Option<String> {
    let git = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()?;
    let commit = String::from_utf8(git.stdout).ok()?;
    git.status.success().then(|| commit.trim().to_owned())
}

//! The units by which systemd runs a fleet: it understands them, they shut in what they run, and `skictl` knows what they say.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

const ROLES: [&str; 3] = ["api", "worker", "console"];
/// Where the units expect `skictl`.
const INSTALLED: &str = "/usr/local/bin/skictl";
/// Most exposure of a unit by `systemd-analyze security`, in tenths: 0 is shut in, 100 may do everything.
const MAX_EXPOSURE: &str = "20";

fn unit(role: &str) -> (PathBuf, String) {
    let root = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..");
    let file = root.join(format!("infra/systemd/skilift-{role}.service"));
    let text = std::fs::read_to_string(&file).unwrap();
    (file, text)
}

/// The values of a key, in order.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value)
        .collect()
}

fn analyze(arguments: &[&str], file: &Path) -> Output {
    let mut command = Command::new("systemd-analyze");
    let output = command.args(arguments).arg(file).output();
    output.unwrap_or_else(|error| {
        panic!("systemd-analyze cannot be run ({error}): run infra/install-test-tools")
    })
}

/// What systemd has to say against a unit that runs the `skictl` of this test.
fn complaints(role: &str, unit: &str) -> String {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join(format!("skilift-{role}.service"));
    let ours = unit.replace(INSTALLED, env!("CARGO_BIN_EXE_skictl"));
    std::fs::write(&file, ours).unwrap();
    let output = analyze(&["verify", "--man=no"], &file);
    let said = String::from_utf8(output.stderr).unwrap();
    // It also looks at what this machine has, which is none of ours.
    let ours = said.lines().filter(|line| line.contains("skilift"));
    let mut complaints = ours.collect::<Vec<_>>().join("\n");
    if !output.status.success() {
        complaints += &format!("\n{}: {said}", output.status);
    }
    complaints
}

#[test]
fn systemd_understands_every_line() {
    for role in ROLES {
        let (_, text) = unit(role);
        assert_eq!(complaints(role, &text), "");
        let wrong = text.replace("WatchdogSec=", "WatchdogSecs=");
        assert!(complaints(role, &wrong).contains("WatchdogSecs"));
        let wrong = text.replace(INSTALLED, "/usr/local/bin/skilift-is-not-here");
        assert!(complaints(role, &wrong).contains("is not executable"));
    }
}

#[test]
fn what_runs_is_shut_in() {
    let threshold = format!("--threshold={MAX_EXPOSURE}");
    for role in ROLES {
        let (file, _) = unit(role);
        let output = analyze(
            &["security", "--offline=yes", "--no-pager", &threshold],
            &file,
        );
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{role}: {said}");
        assert!(said.contains("Overall exposure level"), "{role}: {said}");
    }
}

#[test]
fn skictl_knows_what_the_units_say() {
    for role in ROLES {
        let (_, text) = unit(role);
        let started = values(&text, "ExecStart");
        let words: Vec<&str> = started[0].split(' ').collect();
        assert_eq!(words, [INSTALLED, "serve", role]);
        let skictl = Command::new(env!("CARGO_BIN_EXE_skictl"))
            .args(&words[1..])
            .arg("--help")
            .output()
            .unwrap();
        assert_eq!(skictl.status.into_raw(), 0);
        let help = String::from_utf8(skictl.stdout).unwrap();
        let set = values(&text, "Environment").join(" ");
        for (name, _) in set.split(' ').filter_map(|pair| pair.split_once('=')) {
            let Some(name) = name.strip_prefix("SKI_") else {
                continue;
            };
            let option = format!("--{} ", name.to_lowercase().replace('_', "-"));
            assert!(help.contains(&option), "{role} has no {option}");
        }

        // A drain has time to end, and this is the time that the help says.
        let (_, deadline) = help.split_once("--drain-deadline").unwrap();
        let (_, deadline) = deadline.split_once("[default: ").unwrap();
        let (deadline, _) = deadline.split_once(']').unwrap();
        let deadline = seconds(deadline);
        let stop = seconds(&format!("{}s", values(&text, "TimeoutStopSec")[0]));
        assert!(stop > deadline + Duration::from_secs(5), "{role}");
        assert_eq!(values(&text, "Type"), ["notify"]);
        assert_eq!(values(&text, "KillSignal"), ["SIGTERM"]);
    }
}

/// A time as `30s`.
fn seconds(text: &str) -> Duration {
    Duration::from_secs(text.strip_suffix('s').unwrap().parse().unwrap())
}

#[test]
fn what_is_installed_is_complete_and_finds_its_program() {
    let folder = TempDir::new().unwrap();
    let root = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..");
    let output = Command::new(root.join("infra/install"))
        .args([env!("CARGO_BIN_EXE_skictl"), "/opt/ski"])
        .env("DESTDIR", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let below = folder.path().join("opt/ski");
    for file in [
        "bin/skictl",
        "share/man/man1/skictl.1",
        "share/man/man1/skictl-queue.1",
        "share/bash-completion/completions/skictl",
        "share/zsh/site-functions/_skictl",
        "share/fish/vendor_completions.d/skictl.fish",
    ] {
        let bytes = std::fs::metadata(below.join(file)).map(|file| file.len());
        assert!(bytes.is_ok_and(|bytes| bytes > 100), "{file}");
    }
    for role in ROLES {
        let unit = below.join(format!("lib/systemd/system/skilift-{role}.service"));
        let unit = std::fs::read_to_string(unit).unwrap();
        assert!(!unit.contains(INSTALLED), "{unit}");
        let starts = values(&unit, "ExecStart");
        assert!(
            starts[0].starts_with("/opt/ski/bin/skictl serve "),
            "{starts:?}"
        );
    }
    let relative = Command::new(root.join("infra/install"))
        .args([env!("CARGO_BIN_EXE_skictl"), "opt"])
        .output()
        .unwrap();
    assert_eq!(relative.status.code(), Some(2));
}

#[test]
fn a_debian_package_has_all_of_it_and_the_user_of_the_units() {
    let folder = TempDir::new().unwrap();
    let root = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..");
    let run = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        // A development build is large.
        command
            .args(arguments)
            .env("DPKG_DEB_COMPRESSOR_TYPE", "none");
        let output = command.current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let made = run(
        &root.join("infra/deb"),
        &[env!("CARGO_BIN_EXE_skictl"), "."],
    );
    let (package, tool) = (made.trim(), Path::new("dpkg-deb"));
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        package.starts_with(&format!("./skilift_{version}_")),
        "{package}"
    );
    let field = |name: &str| run(tool, &["--field", package, name]);
    assert_eq!(field("Version").trim(), version);
    assert!(field("Depends").starts_with("libc6 (>= 2."));
    run(tool, &["--extract", package, "unpacked"]);
    run(tool, &["--control", package, "control"]);
    let unpacked = folder.path().join("unpacked/usr");
    for file in [
        "lib/sysusers.d/skilift.conf",
        "share/doc/skilift/copyright",
        "share/man/man1/skictl-queue.1.gz",
        "share/bash-completion/completions/skictl",
    ] {
        assert!(unpacked.join(file).is_file(), "{file}");
    }
    let users = std::fs::read_to_string(unpacked.join("lib/sysusers.d/skilift.conf")).unwrap();
    for role in ROLES {
        let unit = unpacked.join(format!("lib/systemd/system/skilift-{role}.service"));
        let unit = std::fs::read_to_string(unit).unwrap();
        assert!(values(&unit, "ExecStart")[0].starts_with("/usr/bin/skictl serve "));
        let user = values(&unit, "User")[0].to_owned();
        assert!(users.contains(&format!("\nu {user} ")), "{users}");
    }
    for script in ["postinst", "prerm"] {
        run(Path::new("sh"), &["-n", &format!("control/{script}")]);
    }
    let installed = unpacked.join("bin/skictl");
    assert!(run(&installed, &["--version"]).contains(version));
}

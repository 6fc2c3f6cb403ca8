//! A small disk of a test's own: a tmpfs that only processes in its mount namespace see.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::unistd::Uid;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A mounted disk. It and all that is on it are gone when this is dropped.
pub(crate) struct Disk {
    /// Keeps the namespace, and so the disk, while no other process is in it.
    keeper: Child,
    mounted_on: TempDir,
}

impl Disk {
    /// Mounts a tmpfs with these options, such as `size=100m`.
    pub(crate) async fn mount(options: &str) -> Self {
        let mounted_on = TempDir::new().unwrap();
        // It ends when its stdin does, that is, with this process at the latest.
        let keeping = r#"mount -t tmpfs -o "$1" tmpfs "$2" && echo mounted && exec cat"#;
        let mut keeper = Command::new("unshare")
            .arg("--mount")
            .args(by_user(&["--user", "--map-root-user"]))
            .args(["sh", "-c", keeping, "sh", options])
            .arg(mounted_on.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("unshare, of util-linux");
        let mut says = String::new();
        let mut output = BufReader::new(keeper.stdout.take().unwrap());
        output.read_line(&mut says).await.unwrap();
        assert_eq!(
            says, "mounted\n",
            "this system lets nobody mount a tmpfs in a namespace of his own"
        );
        Self { keeper, mounted_on }
    }

    /// What to write before a command, so that it sees the disk.
    pub(crate) fn launcher(&self) -> Vec<String> {
        let target = self.keeper_id().to_string();
        let entering = ["nsenter", "--target", &target, "--mount"];
        let as_user = by_user(&["--user", "--preserve-credentials"]);
        let words = entering.iter().chain(as_user).chain(&["--"]);
        words.map(|word| (*word).to_owned()).collect()
    }

    /// Where the disk is, for processes that see it.
    pub(crate) fn inside(&self) -> &Path {
        self.mounted_on.path()
    }

    /// Where the disk is, for all others.
    pub(crate) fn outside(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper_id()));
        root.join(self.inside().strip_prefix("/").unwrap())
    }

    /// Mounts it again with other options.
    pub(crate) async fn remount(&self, options: &str) {
        let launcher = self.launcher();
        let mounting = Command::new(&launcher[0])
            .args(&launcher[1..])
            .args(["mount", "-o", &format!("remount,{options}")])
            .arg(self.inside())
            .status();
        assert!(mounting.await.unwrap().success());
    }

    fn keeper_id(&self) -> u32 {
        self.keeper.id().expect("the keeper runs")
    }
}

/// Words that a user needs and root does not.
fn by_user<'a>(words: &'a [&'a str]) -> &'a [&'a str] {
    if Uid::effective().is_root() {
        &[]
    } else {
        words
    }
}

//! The nodes of a rehearsal: for each running instance of a role that has nodes, one `skictl serve ROLE`, which ends with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use skilift_rehearsal::{Ec2Instance, Ec2State};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::config::own_variables;

/// How long a node may take to drain before it is killed.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// After a node has exited by itself, another one starts no earlier than this.
const RESTART_PAUSE: Duration = Duration::from_secs(5);

/// The running nodes, by the ID of their instance.
pub(super) struct Nodes {
    program: PathBuf,
    config: PathBuf,
    stack: String,
    /// The directory of what API nodes cache.
    folder: TempDir,
    running: BTreeMap<String, Child>,
    /// When the next node of an instance may start, after one that exited by itself or could not be started; `None` for never.
    pauses: BTreeMap<String, Option<Instant>>,
    ending: JoinSet<()>,
}

impl Nodes {
    /// No nodes yet, to be run with this configuration file.
    pub(super) fn new(config: &Path, stack: &str) -> anyhow::Result<Self> {
        std::fs::File::open(config).with_context(|| format!("cannot read {}", config.display()))?;
        Ok(Self {
            program: std::env::current_exe().context("cannot find the program of this process")?,
            config: config.to_owned(),
            stack: stack.to_owned(),
            folder: TempDir::with_prefix("skilift-rehearsal-")
                .context("cannot create a temporary directory")?,
            running: BTreeMap::new(),
            pauses: BTreeMap::new(),
            ending: JoinSet::new(),
        })
    }

    /// Starts and ends nodes, so that there is one for each running instance.
    pub(super) fn follow(&mut self, instances: &[Ec2Instance]) {
        while self.ending.try_join_next().is_some() {}
        for instance in instances {
            let role = instance.tags.get("skilift:role").map(String::as_str);
            let Some(role @ ("api" | "worker")) = role else {
                continue;
            };
            let (id, runs) = (&instance.id, instance.state == Ec2State::Running);
            let may_start = runs && self.may_start(id);
            match self.running.get_mut(id) {
                Some(_) if !runs => {
                    if let Some(node) = self.running.remove(id) {
                        self.ending.spawn(end(node));
                    }
                }
                Some(node) => {
                    if let Ok(Some(status)) = node.try_wait() {
                        say!("skictl: the node of {id} exited ({status})");
                        self.running.remove(id);
                        let until = match status.code() {
                            // Its configuration is invalid, and will be so the next time.
                            Some(2) => None,
                            _ => Some(Instant::now() + RESTART_PAUSE),
                        };
                        self.pauses.insert(id.clone(), until);
                    }
                }
                None if may_start => match self.start(role, id) {
                    Ok(node) => {
                        self.running.insert(id.clone(), node);
                    }
                    Err(error) => {
                        say!("skictl: {error:#}");
                        self.pauses
                            .insert(id.clone(), Some(Instant::now() + RESTART_PAUSE));
                    }
                },
                None => {}
            }
        }
    }

    fn may_start(&self, id: &str) -> bool {
        match self.pauses.get(id) {
            None => true,
            Some(until) => until.is_some_and(|until| Instant::now() >= until),
        }
    }

    /// A child ends when its standard input does, and so with this process.
    fn start(&self, role: &str, id: &str) -> anyhow::Result<Child> {
        let mut command = Command::new(&self.program);
        // Its settings are those of the file.
        for variable in own_variables() {
            command.env_remove(variable);
        }
        command
            .args(["serve", role, "--child", "text"])
            .args(["--stack", &self.stack, "--instance-id", id])
            .args(["--metrics-listen", "127.0.0.1:0"])
            .arg("--config")
            .arg(&self.config);
        if role == "api" {
            command.args(["--api-listen", "127.0.0.1:0"]);
            command.arg("--data").arg(self.folder.path().join(id));
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start the node of {id}"))
    }

    /// Ends all of them.
    pub(super) async fn drain(mut self) {
        for node in std::mem::take(&mut self.running).into_values() {
            self.ending.spawn(end(node));
        }
        while self.ending.join_next().await.is_some() {}
    }
}

/// Has a node drain and end, as the shutdown of its instance would.
async fn end(mut node: Child) {
    drop(node.stdin.take());
    // It is killed when this is over.
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, node.wait()).await;
}

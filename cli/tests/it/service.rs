//! A running `skictl`.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// What keeps a `skictl` out of the way of others, and of who runs the tests: where it is not said, its console takes any port,
/// and what it keeps stays in `folder`.
pub(crate) fn aside(folder: &Path) -> [(&'static str, OsString); 3] {
    [
        ("SKI_CONSOLE_LISTEN", "127.0.0.1:0".into()),
        ("XDG_STATE_HOME", folder.join("state").into()),
        ("XDG_DATA_HOME", folder.join("share").into()),
    ]
}

/// A `skictl` process and what it says. It is killed when this is dropped.
pub(crate) struct Service {
    child: Child,
    log: PathBuf,
    output: PathBuf,
    /// Where this process' lines begin: one that was started again writes behind its predecessor.
    begins_at: usize,
}

impl Service {
    /// Starts `skictl` with these arguments; its log goes into a file of `folder`.
    pub(crate) fn start(
        folder: &Path,
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skictl"));
        command.args(arguments).envs(environment.iter().copied());
        Self::launch(folder, name, command)
    }

    /// Starts `skictl` by a program that becomes it.
    pub(crate) fn start_by(
        launcher: &[String],
        folder: &Path,
        name: &str,
        arguments: &[&str],
    ) -> Self {
        let program = env!("CARGO_BIN_EXE_skictl");
        let Some((first, rest)) = launcher.split_first() else {
            return Self::start(folder, name, arguments, &[]);
        };
        let mut command = Command::new(first);
        command.args(rest).arg(program).args(arguments);
        Self::launch(folder, name, command)
    }

    fn launch(folder: &Path, name: &str, mut command: Command) -> Self {
        let log = folder.join(format!("{name}.log"));
        let output = folder.join(format!("{name}.out"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let begins_at = usize::try_from(file.metadata().unwrap().len()).unwrap();
        for variable in ["SKI_AMQP_URL", "SKI_REDIS_URL"] {
            let is_given = command
                .as_std()
                .get_envs()
                .any(|(given, _)| given == variable);
            // Those of the servers that all tests share are for whoever asks for them.
            if !is_given {
                command.env_remove(variable);
            }
        }
        for (variable, value) in aside(folder) {
            if command
                .as_std()
                .get_envs()
                .all(|(given, _)| given != variable)
            {
                command.env(variable, value);
            }
        }
        let child = command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(File::create(&output).unwrap())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            child,
            log,
            output,
            begins_at,
        }
    }

    /// Waits until this process logs a line with `text`, and returns what follows it up to a quote or a space.
    pub(crate) async fn logged_after(&mut self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let log = self.log();
            if let Some(found) = log[self.begins_at..]
                .lines()
                .find_map(|line| after(line, text))
            {
                return found;
            }
            let ended = self.ended();
            assert!(
                ended.is_none(),
                "skictl ended with {ended:?}: {}",
                self.log()
            );
            assert!(
                Instant::now() < deadline,
                "no {text:?} in the log: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether this process has logged a line with `text`.
    pub(crate) fn has_logged(&self, text: &str) -> bool {
        self.log()[self.begins_at..].contains(text)
    }

    /// How the process ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// What follows `text`, up to a quote or a space, in each line that this process has logged with it.
    pub(crate) fn all_logged_after(&self, text: &str) -> Vec<String> {
        let log = self.log();
        let lines = log[self.begins_at..].lines();
        lines.filter_map(|line| after(line, text)).collect()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// What this process said on stdout.
    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Sends a signal to the process' group, which a launcher has made its own, as a terminal does.
    pub(crate) fn signal_group(&self, signal: Signal) {
        killpg(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        let pid = self.child.id().expect("the process runs");
        Pid::from_raw(pid.try_into().unwrap())
    }

    /// Ends the process as a power cut would.
    pub(crate) async fn kill_9(&mut self) {
        self.signal(Signal::SIGKILL);
        assert_eq!(
            self.child.wait().await.unwrap().signal(),
            Some(Signal::SIGKILL as i32)
        );
    }

    /// Waits for the process to end by itself.
    pub(crate) async fn wait(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await;
        ended
            .unwrap_or_else(|_| panic!("skictl does not end: {}", self.log()))
            .unwrap()
    }

    /// Asks the process to end and expects it to finish its work.
    pub(crate) async fn drain(&mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.wait().await;
        assert!(status.success(), "{status:?}: {}", self.log());
    }
}

pub(crate) fn after(line: &str, text: &str) -> Option<String> {
    let (_, rest) = line.split_once(text)?;
    Some(rest.split(['"', ' ']).next().unwrap_or_default().to_owned())
}

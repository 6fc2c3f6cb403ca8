//! The program `with-servers`.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::{proc, redis};

/// Starts `with-servers -- sh -c SCRIPT`, with `folder` for temporary files; also returns what the script says first.
async fn start(folder: &Path, script: &str) -> anyhow::Result<(Child, u32, String)> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_with-servers"))
        .args(["--redis-appendfsync", "everysec", "--", "sh", "-c", script])
        .env("TMPDIR", folder)
        .env("AWS_PROFILE", "somebody")
        .env("AWS_SESSION_TOKEN", "a secret")
        .env("AWS_ENDPOINT_URL_EC2", "https://ec2.example")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let pid = child.id().context("it has ended")?;
    let mut line = String::new();
    let output = child.stdout.as_mut().context("no output")?;
    BufReader::new(output).read_line(&mut line).await?;
    Ok((child, pid, line.trim().to_owned()))
}

#[tokio::test]
async fn passes_signals_on_and_exits_as_the_command_did() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let script = r#"trap 'echo hung up' HUP; trap 'exit 7' TERM; echo "$SKI_REDIS_URL $SKI_AMQP_URL $(env | grep ^AWS_ | sort | cut -d= -f1 | xargs)"; while :; do sleep 0.05; done"#;
    let (mut child, pid, urls) = start(folder.path(), script).await?;
    let (redis_url, urls) = urls.split_once(' ').context("two URLs")?;
    let (amqp_url, aws) = urls.split_once(' ').context("nothing of AWS")?;
    assert_eq!(
        aws, "AWS_ACCESS_KEY_ID AWS_REGION AWS_SECRET_ACCESS_KEY",
        "what leads to somebody's account is not passed on"
    );
    assert!(amqp_url.starts_with("amqp://ski-"), "{amqp_url}");
    let answers = redis::ask(redis_url, "CONFIG GET appendfsync").await?;
    assert!(answers.contains("everysec"), "{answers}");

    let started = proc::descendants(pid);
    let it = Pid::from_raw(i32::try_from(pid)?);
    kill(it, Signal::SIGHUP)?;
    let mut line = String::new();
    let output = child.stdout.as_mut().context("no output")?;
    BufReader::new(output).read_line(&mut line).await?;
    assert_eq!(line, "hung up\n");
    kill(it, Signal::SIGTERM)?;
    assert_eq!(child.wait().await?.code(), Some(7));
    assert_eq!(
        fs::read_dir(folder.path())?.count(),
        0,
        "a folder was left over"
    );
    proc::until_gone(&started).await;
    Ok(())
}

#[tokio::test]
async fn leaves_no_process_behind_when_it_is_killed() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut child, pid, _) = start(folder.path(), "echo started; exec sleep 600").await?;
    let started = proc::descendants(pid);
    // The shell, Redis, the name server, RabbitMQ, and RabbitMQ's own helpers.
    assert!(started.len() >= 5, "{started:?}");
    child.kill().await?;
    proc::until_gone(&started).await;
    Ok(())
}

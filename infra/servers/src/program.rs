//! Finding the programs this crate starts, and the environment they get.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

/// Debian's, Ubuntu's and the RabbitMQ project's own packages put the real script here. The one of that name on PATH is a wrapper
/// that changes to another user and another folder.
const RABBITMQ_SCRIPTS: &str = "/usr/lib/rabbitmq/bin";

/// Finds `redis-server`.
///
/// # Errors
/// When it is not installed; the message says how to get it.
pub(crate) fn redis_server() -> anyhow::Result<PathBuf> {
    find("redis-server", "run make test, which installs it")
}

/// Finds the real `rabbitmq-server` script.
///
/// # Errors
/// When it is not installed; the message says how to get it.
pub(crate) fn rabbitmq_server() -> anyhow::Result<PathBuf> {
    let script = Path::new(RABBITMQ_SCRIPTS).join("rabbitmq-server");
    if script.is_file() {
        return Ok(script);
    }
    find("rabbitmq-server", "run make test, which installs it")
}

/// Finds `chromedriver` and the browser that it drives.
///
/// # Errors
/// When one is not installed; the message says how to get it.
pub(crate) fn chromedriver() -> anyhow::Result<(PathBuf, PathBuf)> {
    let remedy = "run make test, which installs it";
    Ok((find("chromedriver", remedy)?, find("chromium", remedy)?))
}

/// Finds `epmd`, the name server of Erlang nodes.
///
/// # Errors
/// When it is not installed; the message says how to get it.
pub(crate) fn epmd() -> anyhow::Result<PathBuf> {
    find(
        "epmd",
        "it comes with RabbitMQ's Erlang; run make test, which installs both",
    )
}

/// Finds moto's server in the virtual environment of the test tools.
///
/// # Errors
/// When it is not installed there; the message says how to get it.
pub(crate) fn moto_server() -> anyhow::Result<PathBuf> {
    // As the script that installs it chooses.
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    let cache = cache.context("neither XDG_CACHE_HOME nor HOME is set")?;
    let program = cache.join("skilift/venv/bin/moto_server");
    anyhow::ensure!(
        program.is_file(),
        "{} is not installed: run infra/install-test-tools moto",
        program.display()
    );
    Ok(program)
}

fn set(variable: &str) -> Option<PathBuf> {
    let value = env::var_os(variable).filter(|value| !value.is_empty());
    value.map(PathBuf::from)
}

/// Finds `setpriv`.
///
/// # Errors
/// When it is not installed; the message says how to get it.
pub(crate) fn setpriv() -> anyhow::Result<PathBuf> {
    find(
        "setpriv",
        "it is part of util-linux; install that package of your distribution",
    )
}

/// Gives `command` an environment of its own: nothing that is set around us (`RABBITMQ_*`, `ERL_*`, ...) may reach a private server.
pub(crate) fn clean_environment(command: &mut Command) {
    command.env_clear().env("LANG", "C.UTF-8");
    if let Some(path) = env::var_os("PATH") {
        command.env("PATH", path);
    }
}

fn find(name: &str, remedy: &str) -> anyhow::Result<PathBuf> {
    which::which(name).map_err(|_| anyhow::anyhow!("{name} is not installed: {remedy}"))
}

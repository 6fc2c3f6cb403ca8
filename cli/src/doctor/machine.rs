//! Checks of this host: ports, disk, and the files of the configuration.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};
use skilift_core::catalogue::Catalogue;
use skilift_core::control::StateCache;
use skilift_core::lifecycle::chain;

use super::findings::{Finding, failed, not_checked, ok, warning};
use crate::client::bytes;
use crate::config::{Config, TlsFiles};

/// Free disk space in bytes: below the first value the check warns, below the second it fails.
const SCARCE: u64 = 2 << 30;
const NONE: u64 = 128 << 20;
/// Timeout for identifying the program that listens on one of our ports.
const INTRODUCTION: Duration = Duration::from_secs(2);

pub(super) async fn check(config: &Config) -> Vec<Finding> {
    let mut findings = vec![
        port(
            "api port",
            config.api_listen,
            "--api-listen",
            "/openapi.json",
            config.tls.is_some(),
        )
        .await,
        port(
            "private port",
            config.metrics_listen,
            "--metrics-listen",
            "/metrics",
            false,
        )
        .await,
        port(
            "console port",
            config.console_listen,
            "--console-listen",
            "/admin/v1/openapi.json",
            config.tls.is_some(),
        )
        .await,
    ];
    findings.push(match config.check_exposure() {
        Ok(()) => ok(
            "exposure",
            "the API is not reachable from other hosts, or open access was requested explicitly",
        ),
        Err(error) => failed(
            "exposure",
            error.to_string(),
            "use --catalogue, --ingest keys or --open",
        ),
    });
    if let Some(tls) = &config.tls {
        findings.push(match TlsFiles::read(tls) {
            Ok(_) => ok(
                "tls",
                format!("{} and its key match", tls.certificate.display()),
            ),
            Err(error) => failed("tls", chain(&error), "fix --tls-cert and --tls-key"),
        });
    }
    if let Some(file) = &config.catalogue {
        findings.push(match Catalogue::read(file) {
            Ok(_) => ok("catalogue", file.display().to_string()),
            Err(error) => failed(
                "catalogue",
                chain(&error),
                "fix the file given by --catalogue",
            ),
        });
    }
    match config.data() {
        Ok(folder) => {
            let state_cache = StateCache::new(&folder, &config.stack);
            findings.extend(data_folder(&folder));
            findings.push(match state_cache.load() {
                Ok(Some(_)) => ok("cached console settings", state_cache.path().display().to_string()),
                Ok(None) => ok("cached console settings", "none yet"),
                Err(error) => failed(
                    "cached console settings",
                    chain(&error),
                    "fix the permissions of the file, or delete it if the console is available to send the state again",
                ),
            });
        }
        Err(error) => findings.push(failed(
            "data directory",
            error.to_string(),
            "set it with --data",
        )),
    }
    findings
}

/// Checks whether an address is free, and what listens on it otherwise.
async fn port(check: &str, address: SocketAddr, flag: &str, path: &str, tls: bool) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => ok(check, format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            match listener_of(address, path, tls).await {
                Listener::Skilift => return ok(check, format!("Skilift listens on {address}")),
                Listener::Untold => {
                    let found = format!(
                        "{address} is in use by an unknown program: its certificate is not trusted on this host"
                    );
                    return not_checked(check, found);
                }
                Listener::Other => {}
            }
            failed(
                check,
                format!("another program listens on {address}"),
                format!("stop it (`ss -ltnp` shows it), or set another address with {flag}"),
            )
        }
        Err(error) => failed(
            check,
            format!("cannot listen on {address}: {error}"),
            format!("set an address of this host and a port above 1023 with {flag}"),
        ),
    }
}

/// What listens on an address.
enum Listener {
    Skilift,
    Other,
    /// It cannot be identified.
    Untold,
}

async fn listener_of(address: SocketAddr, path: &str, tls: bool) -> Listener {
    let asking = async {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(crate::client::tls(tls, None)?)
            .no_proxy()
            .build()?;
        let scheme = if tls { "https" } else { "http" };
        let asked = client.get(format!("{scheme}://{address}{path}")).send();
        anyhow::Ok(asked.await?.text().await?)
    };
    match tokio::time::timeout(INTRODUCTION, asking).await {
        Ok(Ok(text)) if text.to_lowercase().contains("skilift") => Listener::Skilift,
        Ok(Err(_)) if tls => Listener::Untold,
        _ => Listener::Other,
    }
}

fn data_folder(folder: &Path) -> Vec<Finding> {
    let check = "data directory";
    let shown = folder.display();
    let there = folder
        .ancestors()
        .find(|above| above.exists())
        .unwrap_or(Path::new("/"));
    if !there.is_dir() {
        return vec![failed(
            check,
            format!("{} is not a directory", there.display()),
            "set another directory with --data",
        )];
    }
    let rights = AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK;
    if let Err(error) = access(there, rights) {
        let fix = format!(
            "give this user permissions on {}, or set another directory with --data",
            there.display()
        );
        return vec![failed(
            check,
            format!("{shown} is not writable: {error}"),
            fix,
        )];
    }
    let found = match File::open(folder.join("lock")) {
        Ok(lock) if lock.try_lock_shared().is_err() => {
            format!("{shown} is in use by a running process")
        }
        _ if there != folder => {
            format!("{shown} does not exist yet; it is created at the first start")
        }
        _ => format!("{shown} is writable"),
    };
    let mut findings = vec![ok(check, found)];
    findings.extend(statvfs(there).ok().map(|disk| {
        let free = disk.blocks_available().saturating_mul(disk.fragment_size());
        let seen = format!("{} free on its disk", bytes(free));
        let fix = "free space on that disk, or set a directory on another disk with --data";
        if free < NONE {
            failed("disk", seen, fix)
        } else if free < SCARCE {
            warning("disk", seen, fix)
        } else {
            ok("disk", seen)
        }
    }));
    findings
}

//! This machine: ports, disk, and the files that the configuration names.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};
use skilift_core::catalogue::Catalogue;
use skilift_core::control::Memory;
use skilift_core::lifecycle::chain;

use super::findings::{Finding, failed, not_checked, ok, warning};
use crate::client::bytes;
use crate::config::{Config, TlsFiles};

/// Free space below which somebody should look, and below which a start makes no sense, in bytes.
const SCARCE: u64 = 2 << 30;
const NONE: u64 = 128 << 20;
/// How long whoever listens on one of our ports may take to say who he is.
const INTRODUCTION: Duration = Duration::from_secs(2);

pub(super) async fn look(config: &Config) -> Vec<Finding> {
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
            "nobody from other machines can write what he likes, or it is meant so",
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
                format!("{} and its key belong together", tls.certificate.display()),
            ),
            Err(error) => failed("tls", chain(&error), "mend --tls-cert and --tls-key"),
        });
    }
    if let Some(file) = &config.catalogue {
        findings.push(match Catalogue::read(file) {
            Ok(_) => ok("catalogue", file.display().to_string()),
            Err(error) => failed(
                "catalogue",
                chain(&error),
                "mend the file that --catalogue names",
            ),
        });
    }
    match config.data() {
        Ok(folder) => {
            let memory = Memory::new(&folder, &config.stack);
            findings.extend(data_folder(&folder));
            findings.push(match memory.read() {
                Ok(_) => ok("what the console said last", memory.path().display().to_string()),
                Err(error) => failed(
                    "what the console said last",
                    chain(&error),
                    "mend the file's rights, or delete it where the console is there to say it again",
                ),
            });
        }
        Err(error) => findings.push(failed(
            "data folder",
            error.to_string(),
            "say where with --data",
        )),
    }
    findings
}

/// Whether an address is free, or who has it.
async fn port(check: &str, address: SocketAddr, flag: &str, path: &str, tls: bool) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => ok(check, format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            match who_listens(address, path, tls).await {
                Listener::Skilift => return ok(check, format!("Skilift listens on {address}")),
                Listener::Untold => {
                    let found = format!(
                        "{address} is in use, and its certificate is not trusted here: whose it is is not known"
                    );
                    return not_checked(check, found);
                }
                Listener::Other => {}
            }
            failed(
                check,
                format!("another program listens on {address}"),
                format!("end it (`ss -ltnp` names it), or choose another address with {flag}"),
            )
        }
        Err(error) => failed(
            check,
            format!("cannot listen on {address}: {error}"),
            format!("choose an address of this machine, and a port above 1023, with {flag}"),
        ),
    }
}

/// Who has an address.
enum Listener {
    Skilift,
    Other,
    /// He cannot be asked.
    Untold,
}

async fn who_listens(address: SocketAddr, path: &str, tls: bool) -> Listener {
    let asking = async {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(crate::client::tls(tls)?)
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
    let check = "data folder";
    let shown = folder.display();
    let there = folder
        .ancestors()
        .find(|above| above.exists())
        .unwrap_or(Path::new("/"));
    if !there.is_dir() {
        return vec![failed(
            check,
            format!("{} is no folder", there.display()),
            "name another with --data",
        )];
    }
    let rights = AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK;
    if let Err(error) = access(there, rights) {
        let fix = format!(
            "give this user rights on {}, or name another folder with --data",
            there.display()
        );
        return vec![failed(
            check,
            format!("{shown} cannot be written: {error}"),
            fix,
        )];
    }
    let found = match File::open(folder.join("lock")) {
        Ok(lock) if lock.try_lock_shared().is_err() => {
            format!("{shown} is in use by a process that runs")
        }
        _ if there != folder => format!("{shown} is not there yet; a start makes it"),
        _ => format!("{shown} can be written"),
    };
    let mut findings = vec![ok(check, found)];
    findings.extend(statvfs(there).ok().map(|disk| {
        let free = disk.blocks_available().saturating_mul(disk.fragment_size());
        let seen = format!("{} free on its disk", bytes(free));
        let fix = "free space on that disk, or name a folder on another with --data";
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

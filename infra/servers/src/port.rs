//! Free ports on 127.0.0.1.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context as _;

const LOWEST: u16 = 15_000;
/// Linux' own lower end of the ephemeral range.
const USUAL_EPHEMERAL: u16 = 32_768;
const TRIES: usize = 100;

/// Chooses a port that nobody listens on.
///
/// It lies below the ephemeral range. A server that is killed and started again needs its port back, and the kernel hands ports of
/// that range to any outgoing connection; a client that keeps trying to reach such a port while nobody listens on it can even end
/// up connected to itself.
///
/// Another process may take the port before the caller does.
///
/// # Errors
/// When no port is free.
pub fn free_port() -> anyhow::Result<u16> {
    let ephemeral = lowest_ephemeral().unwrap_or(USUAL_EPHEMERAL);
    // A kernel configured with a very low ephemeral range leaves nothing below it: take what it gives.
    let below = (ephemeral > LOWEST + 1_000).then_some(LOWEST..ephemeral);

    for _ in 0..TRIES {
        let candidate = below.clone().map_or(0, rand::random_range);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, candidate)) {
            return Ok(listener.local_addr()?.port());
        }
    }
    anyhow::bail!("found no free port on 127.0.0.1 in {TRIES} tries");
}

/// Whether nobody listens on `port`.
///
/// When a server did not start and its port is not free, it has lost it to somebody else and can be tried with another one.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn lowest_ephemeral() -> anyhow::Result<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")?;
    let lowest = range.split_whitespace().next().context("an empty range")?;
    Ok(lowest.parse()?)
}

//! Resources used by this process, and those that it may use.

use std::thread::available_parallelism;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use procfs::process::Process;
use procfs::{Current, Meminfo};

/// Resources used by a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of all its threads since its start, of user and system, in milliseconds.
    pub cpu_ms: u64,
    /// CPU cores that it may use, by its affinity and its control group; 0 if unknown.
    pub cores: u64,
    /// Current resident memory, in bytes.
    pub rss_bytes: u64,
    /// Memory of the host, in bytes; 0 if unknown.
    pub memory_bytes: u64,
}

impl Usage {
    /// The resources used by this process. On a system without `/proc` its memory reads as 0.
    #[must_use]
    pub fn now() -> Self {
        let cpu_ms = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| {
            usage.user_time().num_milliseconds() + usage.system_time().num_milliseconds()
        });
        let statm = Process::myself().and_then(|process| process.statm());
        let resident_pages = statm.map_or(0, |statm| statm.resident);
        Self {
            cores: available_parallelism().map_or(0, |cores| cores.get() as u64),
            memory_bytes: Meminfo::current().map_or(0, |memory| memory.mem_total),
            cpu_ms: u64::try_from(cpu_ms).unwrap_or(0),
            rss_bytes: resident_pages * procfs::page_size(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_memory_show() {
        let before = Usage::now();
        let mut block = vec![0_u8; 64 << 20];
        while Usage::now().cpu_ms < before.cpu_ms + 20 {
            block
                .iter_mut()
                .for_each(|byte| *byte = byte.wrapping_add(1));
        }
        let held = Usage::now().rss_bytes.saturating_sub(before.rss_bytes);
        let now = Usage::now();
        assert!(
            now.cores >= 1 && now.memory_bytes > now.rss_bytes,
            "{now:?}"
        );
        assert!(
            held > 32 << 20,
            "{held} bytes more, {} in the block",
            block.len()
        );
    }
}

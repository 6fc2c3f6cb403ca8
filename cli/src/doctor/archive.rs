//! Check of archived days: their files, as a reader of this host finds them.

use skilift_console::view::figures::counted;
use skilift_core::lifecycle::chain;
use skilift_core::store::Reader as _;
use skilift_core::store::redis::Store;

use super::findings::{Finding, failed, not_checked, ok};
use crate::config::{Config, Servers};

pub(super) async fn check(servers: &Servers, config: &Config) -> Finding {
    let check = "archive";
    let read = async {
        let url = servers.redis_url.clone();
        let store = Store::for_reading(url, &config.stack)?;
        let reader = store.reader()?.with_archive(config.archive());
        reader.archived_days(&|_| true).await
    };
    let days = match read.await {
        Ok(days) => days,
        Err(error) => return not_checked(check, chain(&error)),
    };
    let Some(directory) = config.archive_directory() else {
        return match days.len() {
            0 => ok(check, "no archived days"),
            of => not_checked(
                check,
                format!(
                    "{}; no --archive",
                    counted(of as u64, "archived day", "archived days")
                ),
            ),
        };
    };
    let directory = directory.display();
    let mut faults = days.iter().filter_map(|day| day.fault.as_deref());
    let all = counted(days.len() as u64, "archived day", "archived days");
    match faults.next() {
        None => ok(check, format!("{all} in {directory}")),
        Some(first) => failed(
            check,
            format!("{} of {all} cannot be read: {first}", 1 + faults.count()),
            format!(
                "mount the directory of --archive at {directory}, or restore its files from a backup; see `skictl archive list`"
            ),
        ),
    }
}

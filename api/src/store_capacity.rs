//! Watches the memory usage of the store, so that rides are rejected before it has no capacity for the accepted ones, and
//! records the state of store and queue in the [`ReadinessState`](crate::readiness::ReadinessState).

use std::time::Duration;

use skilift_core::lifecycle::{TaskError, chain};
use skilift_core::store::Capacity;
use tokio_util::sync::CancellationToken;

use crate::state::Api;

/// Interval between two checks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Usage from which on rides are rejected, in percent.
const FULL_PERCENT: u64 = 85;
/// Usage below which rides are accepted again, in percent.
const RESUME_PERCENT: u64 = 80;

/// Sets whether rides are rejected because the store is full, until `end`. A store that does not respond changes nothing: its
/// usage is unknown, and the queue keeps the rides that are accepted meanwhile.
pub(crate) async fn watch(api: Api, end: CancellationToken) -> Result<(), TaskError> {
    let watching = async {
        let mut is_full = false;
        loop {
            api.readiness.record_open(&api.publisher);
            let store = api.reader.name();
            match api.reader.capacity().await {
                Ok(capacity) => {
                    api.readiness.set_store_answers(store, true, "");
                    is_full = is_nearly_full(capacity, is_full);
                    let admission = api.publisher.admission();
                    admission.set(capacity.when_full, is_full);
                }
                Err(error) => {
                    let why = chain(&error);
                    api.readiness.set_store_answers(store, false, &why);
                }
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    let _: Option<()> = end.run_until_cancelled(watching).await;
    Ok(())
}

fn is_nearly_full(capacity: Capacity, was_full: bool) -> bool {
    let percent = if was_full {
        RESUME_PERCENT
    } else {
        FULL_PERCENT
    };
    capacity.limit_bytes.is_some_and(|limit| {
        u128::from(capacity.used_bytes) * 100 >= u128::from(limit) * u128::from(percent)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use skilift_core::queue::Shed;

    #[test]
    fn is_full_from_85_percent_on_until_80_and_never_without_a_limit() {
        let full = |was_full, used_bytes, limit_bytes| {
            let capacity = Capacity {
                used_bytes,
                limit_bytes,
                when_full: Shed::StoreMemory,
            };
            is_nearly_full(capacity, was_full)
        };
        assert!(!full(false, 849, Some(1000)));
        assert!(full(false, 850, Some(1000)));
        assert!(full(true, 800, Some(1000)));
        assert!(!full(true, 799, Some(1000)));
        assert!(full(false, u64::MAX, Some(u64::MAX)));
        assert!(!full(true, u64::MAX, None));
    }
}

//! Watches how full Redis is, so that rides are refused before it has no room for those accepted already. What it sees
//! on the way of the state of Redis and RabbitMQ, it tells the [`Condition`](crate::condition::Condition).

use std::sync::Arc;
use std::time::Duration;

use skilift_core::lifecycle::{TaskError, chain};
use skilift_core::queue::rabbit::{Admission, Shed};
use skilift_core::store::redis::reader::Memory;
use tokio_util::sync::CancellationToken;

use crate::state::Api;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Share of `maxmemory` from which on rides are refused, in percent.
const FULL_PERCENT: u64 = 85;
/// Share of `maxmemory` below which rides are welcome again, in percent.
const ROOMY_PERCENT: u64 = 80;

/// Sets and clears [`Shed::StoreMemory`] until `end`. A Redis that does not answer changes nothing: its memory is not
/// known, and the queue keeps what is accepted meanwhile.
pub(crate) async fn watch(
    api: Api,
    admission: Arc<Admission>,
    end: CancellationToken,
) -> Result<(), TaskError> {
    let watching = async {
        let mut is_full = false;
        loop {
            api.condition.look_at(&api.publisher);
            match api.reader.memory().await {
                Ok(memory) => {
                    api.condition.set_store_answers(true, "");
                    is_full = is_nearly_full(memory, is_full);
                    admission.set(Shed::StoreMemory, is_full);
                }
                Err(error) => api.condition.set_store_answers(false, &chain(&error)),
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    let _: Option<()> = end.run_until_cancelled(watching).await;
    Ok(())
}

fn is_nearly_full(memory: Memory, was_full: bool) -> bool {
    let percent = if was_full {
        ROOMY_PERCENT
    } else {
        FULL_PERCENT
    };
    memory.limit_bytes.is_some_and(|limit| {
        u128::from(memory.used_bytes) * 100 >= u128::from(limit) * u128::from(percent)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_full_from_85_percent_on_until_80_and_never_without_a_limit() {
        let full = |was_full, used_bytes, limit_bytes| {
            let memory = Memory {
                used_bytes,
                limit_bytes,
            };
            is_nearly_full(memory, was_full)
        };
        assert!(!full(false, 849, Some(1000)));
        assert!(full(false, 850, Some(1000)));
        assert!(full(true, 800, Some(1000)));
        assert!(!full(true, 799, Some(1000)));
        assert!(full(false, u64::MAX, Some(u64::MAX)));
        assert!(!full(true, u64::MAX, None));
    }
}

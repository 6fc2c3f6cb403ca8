//! Watches how full Redis is, so that rides are refused before it has no room for those accepted already.

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

/// Sets and clears [`Shed::StoreMemory`] until `end`. A Redis that does not answer changes nothing: its memory is not
/// known, and the queue keeps what is accepted meanwhile.
pub(crate) async fn watch(
    api: Api,
    admission: Arc<Admission>,
    end: CancellationToken,
) -> Result<(), TaskError> {
    let watching = async {
        loop {
            match api.reader.memory().await {
                Ok(memory) => {
                    api.condition.set_store_answers(true, "");
                    admission.set(Shed::StoreMemory, is_nearly_full(memory));
                }
                Err(error) => api.condition.set_store_answers(false, &chain(&error)),
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    let _: Option<()> = end.run_until_cancelled(watching).await;
    Ok(())
}

fn is_nearly_full(memory: Memory) -> bool {
    memory.limit_bytes.is_some_and(|limit| {
        u128::from(memory.used_bytes) * 100 >= u128::from(limit) * u128::from(FULL_PERCENT)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_full_from_85_percent_on_and_never_without_a_limit() {
        let full = |used_bytes, limit_bytes| {
            is_nearly_full(Memory {
                used_bytes,
                limit_bytes,
            })
        };
        assert!(!full(849, Some(1000)));
        assert!(full(850, Some(1000)));
        assert!(full(u64::MAX, Some(u64::MAX)));
        assert!(!full(u64::MAX, None));
    }
}

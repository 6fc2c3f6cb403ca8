//! What the tests of this binary share.

use std::sync::atomic::{AtomicU32, Ordering};

use skilift_core::ride::Ride;
use skilift_core::stack::StackName;

/// A stack that no other test uses.
pub(crate) fn fresh_stack(name: &str) -> StackName {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{name}-{}-{number}", std::process::id())
        .parse()
        .unwrap()
}

pub(crate) fn ride(resort: u64, day: u64, skier: u64, minute: u64, lift: u64) -> Ride {
    serde_json::from_value(serde_json::json!({
        "resortID": resort, "seasonID": "2025", "dayID": day, "skierID": skier, "time": minute, "liftID": lift
    }))
    .unwrap()
}

//! What a plan leaves unchanged, which its command does not list.

use crate::view::change::Change;
use crate::view::plan::ActionView;

/// A change without the settings that its plan leaves unchanged. If the plan has no action, they are kept.
pub(super) fn without_unchanged(change: &Change, actions: &[ActionView]) -> Change {
    let mut change = change.clone();
    if actions.is_empty() {
        return change;
    }
    let keep = |value: &mut Option<u32>, action: &str| {
        if actions.iter().all(|of| of.action != action) {
            *value = None;
        }
    };
    match &mut change {
        Change::SetWorker {
            threads,
            prefetch,
            batch,
            linger_ms,
            ..
        } => {
            keep(threads, "set worker threads");
            keep(prefetch, "set worker prefetch");
            keep(batch, "set worker batch");
            keep(linger_ms, "set worker linger_ms");
        }
        Change::SetApi {
            channels,
            message_rides,
            max_in_flight,
            ..
        } => {
            keep(channels, "set api channels");
            keep(message_rides, "set api message_rides");
            keep(max_in_flight, "set api max_in_flight");
        }
        Change::SetFleet {
            worker_min,
            worker_max,
            api_min,
            api_max,
            ..
        } => {
            keep(worker_min, "set fleet worker_min");
            keep(worker_max, "set fleet worker_max");
            keep(api_min, "set fleet api_min");
            keep(api_max, "set fleet api_max");
        }
        Change::Scale(scale) => {
            keep(&mut scale.threads, "set worker threads");
            keep(&mut scale.prefetch, "set worker prefetch");
            keep(&mut scale.batch, "set worker batch");
            keep(&mut scale.channels, "set api channels");
        }
        _ => {}
    }
    change
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(action: &str) -> ActionView {
        ActionView {
            action: action.to_owned(),
            target: "all workers".to_owned(),
            before: None,
            after: None,
            instance: None,
        }
    }

    #[test]
    fn a_command_lists_only_what_changes() {
        let change = Change::SetWorker {
            threads: Some(8),
            prefetch: Some(4_000),
            batch: Some(1_000),
            linger_ms: Some(25),
            if_version: Some(3),
        };
        let actions = [action("set worker threads"), action("set worker linger_ms")];
        assert_eq!(
            without_unchanged(&change, &actions).command(),
            "skictl settings set worker --threads 8 --linger 25ms --if-version 3"
        );
        // A command needs at least one setting.
        assert_eq!(without_unchanged(&change, &[]), change);
    }
}

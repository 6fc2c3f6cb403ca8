//! Why a plan is stale, in words.

use crate::view::plan::ActionView;

/// What has changed since a plan was made, by the first action that would be another one now.
pub(super) fn since(then: &[ActionView], now: &[ActionView]) -> String {
    let same = |one: &ActionView, other: &ActionView| {
        (&one.action, &one.target) == (&other.action, &other.target)
    };
    let or_none = |state: &Option<String>| state.clone().unwrap_or_else(|| "nothing".to_owned());
    let gone_or_other = then.iter().find_map(|planned| {
        let what = format!("{}, {}", planned.action, planned.target);
        match now.iter().find(|action| same(planned, action)) {
            None => Some(format!("{what} is not needed any more")),
            Some(action) if action.before != planned.before => Some(format!(
                "{what} is {} now, and was {} when this was planned",
                or_none(&action.before),
                or_none(&planned.before)
            )),
            Some(_) => None,
        }
    });
    let further = || {
        let new = now
            .iter()
            .find(|action| !then.iter().any(|planned| same(planned, action)));
        new.map(|action| format!("{}, {} is needed as well", action.action, action.target))
    };
    match gone_or_other.or_else(further) {
        Some(what) => format!("the state it depends on has changed: {what}"),
        None => "the state it depends on has changed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(action: &str, target: &str, before: &str) -> ActionView {
        ActionView {
            action: action.to_owned(),
            target: target.to_owned(),
            before: Some(before.to_owned()),
            after: Some("9".to_owned()),
            instance: None,
        }
    }

    #[test]
    fn the_first_difference_is_named() {
        let threads = |before| action("set worker threads", "all workers", before);
        let start = || action("start", "i-1", "stopped");
        let says = |then: &[ActionView], now: &[ActionView]| {
            let says = since(then, now);
            let general = "the state it depends on has changed";
            says.strip_prefix(general).unwrap().to_owned()
        };
        assert_eq!(
            says(&[threads("4")], &[threads("5")]),
            ": set worker threads, all workers is 5 now, and was 4 when this was planned"
        );
        assert_eq!(
            says(&[threads("4"), start()], &[threads("4")]),
            ": start, i-1 is not needed any more"
        );
        assert_eq!(
            says(&[threads("4")], &[threads("4"), start()]),
            ": start, i-1 is needed as well"
        );
        assert_eq!(says(&[start()], &[start()]), "");
    }
}

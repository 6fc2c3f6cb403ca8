//! The exit codes of all commands.

use std::process::ExitCode;

use skilift_console::view::plan::{OutcomeResult, OutcomeView, RefusalView, StepCode, StepView};

/// Result of a command; the numbers are stable because scripts depend on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command succeeded, or the requested state was already in place.
    Done = 0,
    /// An unexpected failure.
    Failed = 1,
    /// The command line or the configuration is invalid.
    Usage = 2,
    /// Only a part of the change was applied, or it was cancelled.
    Partial = 3,
    /// A guard or a precondition refused the change.
    Refused = 4,
    /// The caller is not logged in, or lacks the permission.
    Forbidden = 5,
    /// A limit is reached: rate limit, quota or capacity.
    Capacity = 6,
    /// The wait timed out; the operation may still be in progress.
    TimedOut = 7,
    /// A `--fail-if` condition is met, or `skictl status` has a warning.
    Threshold = 8,
    /// `skictl status` has a critical alarm.
    Critical = 9,
    /// A signal interrupted the command.
    Interrupted = 130,
}

/// All exit codes, for the end of `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done, or already in the requested state
  1    unexpected failure
  2    usage error: invalid command line or configuration
  3    partially done, or cancelled
  4    refused by a guard or a precondition: nothing was changed
  5    permission denied, or not logged in
  6    limit reached: rate limit, quota, or no capacity for an instance
  7    timed out; the operation may still be in progress
  8    a threshold is exceeded (`skictl load --fail-if`), or a warning (`skictl status`)
  9    a critical alarm (`skictl status`)
  130  interrupted";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// Exit code of a command that waited for the outcome of a plan: [`Self::Partial`] if only some instances succeeded; if all
    /// failed, the first failed step determines it.
    pub(crate) fn of_outcome(outcome: &OutcomeView) -> Self {
        match outcome.result {
            OutcomeResult::Succeeded | OutcomeResult::Unchanged => Self::Done,
            OutcomeResult::Partial => Self::Partial,
            OutcomeResult::Running => Self::TimedOut,
            OutcomeResult::Failed => {
                // A step that was not started is only a consequence.
                let failed = |step: &&StepView| !step.done && step.code != Some(StepCode::Waiting);
                let first = outcome.steps.iter().find(failed);
                first
                    .and_then(|step| step.code)
                    .map_or(Self::Failed, Self::of_failure)
            }
        }
    }

    /// Exit code of a command whose plan was refused for these reasons.
    pub(crate) fn of_refusals<'a>(refusals: impl IntoIterator<Item = &'a RefusalView>) -> Self {
        let denied = |refusal: &RefusalView| {
            let code = refusal.code.map(Self::of_failure);
            code == Some(Self::Forbidden)
        };
        if refusals.into_iter().any(denied) {
            Self::Forbidden
        } else {
            Self::Refused
        }
    }

    /// Exit code of a failed plan, by the code of its first failed step.
    fn of_failure(code: StepCode) -> Self {
        match code {
            StepCode::Denied | StepCode::Credentials => Self::Forbidden,
            StepCode::NoCapacity | StepCode::Quota | StepCode::Throttled => Self::Capacity,
            StepCode::TimedOut | StepCode::NoNode => Self::TimedOut,
            // Other steps may be done.
            StepCode::Cancelled => Self::Partial,
            StepCode::WrongState
            | StepCode::NotFound
            | StepCode::BadId
            | StepCode::NotOurs
            | StepCode::Obstacle
            | StepCode::Protected
            | StepCode::NotDrained
            | StepCode::Refused => Self::Refused,
            StepCode::FellBack | StepCode::Unreachable => Self::Failed,
            // A failed step with one of these codes is unexpected.
            StepCode::Succeeded | StepCode::Unchanged | StepCode::Waiting | StepCode::UnderWay => {
                Self::Failed
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn every_code_is_documented() {
        for exit in [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Partial,
            Exit::Refused,
            Exit::Forbidden,
            Exit::Capacity,
            Exit::TimedOut,
            Exit::Threshold,
            Exit::Interrupted,
        ] {
            let code = format!("\n  {:<5}", exit as u8);
            assert!(EXIT_CODES.contains(&code), "{exit:?}");
        }
    }

    /// All step codes, as serialised.
    fn all_codes() -> Vec<String> {
        let error = serde_json::from_str::<StepCode>("\"?\"").unwrap_err();
        let error = error.to_string();
        let (_, listed) = error.split_once("expected one of ").unwrap();
        let words = listed.split('`').skip(1).step_by(2);
        words.map(str::to_owned).collect()
    }

    /// A failed outcome whose steps have these codes.
    fn failed(codes: &[Option<&str>]) -> OutcomeView {
        let action = json!({ "action": "start", "target": "i-1", "before": null, "after": null });
        let steps: Vec<Value> = codes
            .iter()
            .map(|code| json!({ "action": action, "done": false, "message": null, "code": code }))
            .collect();
        serde_json::from_value(json!({ "result": "failed", "steps": steps })).unwrap()
    }

    #[test]
    fn every_code_of_a_step_has_an_exit_code() {
        let codes = [
            (
                1,
                "succeeded unchanged waiting under_way fell_back unreachable",
            ),
            (
                4,
                "wrong_state not_found bad_id not_ours obstacle protected not_drained refused",
            ),
            (3, "cancelled"),
            (5, "denied credentials"),
            (6, "no_capacity quota throttled"),
            (7, "timed_out no_node"),
        ];
        let mut listed = Vec::new();
        for (exit, words) in codes {
            for word in words.split(' ') {
                let got = Exit::of_outcome(&failed(&[Some(word)]));
                assert_eq!(got as u8, exit, "{word}");
                listed.push(word.to_owned());
            }
        }
        let mut all = all_codes();
        all.sort_unstable();
        listed.sort_unstable();
        assert_eq!(listed, all);
    }

    #[test]
    fn the_first_step_that_failed_says_why() {
        for (codes, exit) in [
            (&[Some("waiting"), Some("quota"), Some("denied")][..], 6),
            (&[None, Some("denied")][..], 1),
            (&[][..], 1),
        ] {
            assert_eq!(Exit::of_outcome(&failed(codes)) as u8, exit, "{codes:?}");
        }
        for (result, exit) in [
            ("succeeded", 0),
            ("unchanged", 0),
            ("partial", 3),
            ("running", 7),
        ] {
            let mut outcome = failed(&[Some("denied")]);
            outcome.result = serde_json::from_value(json!(result)).unwrap();
            assert_eq!(Exit::of_outcome(&outcome) as u8, exit, "{result}");
        }
    }

    #[test]
    fn who_may_not_is_told_apart_from_what_a_guard_refuses() {
        let refusal = |code: Value| -> RefusalView {
            let refusal = json!({ "reason": "because", "can_override": false, "code": code });
            serde_json::from_value(refusal).unwrap()
        };
        let guard = refusal(Value::Null);
        assert_eq!(Exit::of_refusals([&guard]), Exit::Refused);
        for code in ["denied", "credentials"] {
            let refusals = [guard.clone(), refusal(json!(code))];
            assert_eq!(Exit::of_refusals(&refusals), Exit::Forbidden);
        }
        assert_eq!(
            Exit::of_refusals([&refusal(json!("not_found"))]),
            Exit::Refused
        );
    }
}

//! Decides what comes of each call, and keeps the record of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::answer::{self, Calendar};
use super::describe::describe;
use super::fault::{Ec2Action, Fate, Kind, Script};
use super::instance::Ec2State;
use super::query::Query;
use super::refusal::Refusal;
use super::region::{Ec2Timings, Effect, Region};
use super::spot;

const HTML: &str =
    "<html><head><title>Bad gateway</title></head><body><hr><p>nobody & nothing</body></html>";

/// A call that an [`Ec2Stub`](super::Ec2Stub) got.
#[derive(Clone, Debug)]
pub struct Ec2Call {
    /// When it was decided.
    pub at: Instant,
    /// What was asked for, as `StartInstances`.
    pub action: String,
    /// The instances that it named, in its order.
    pub ids: Vec<String>,
    /// Whether it was a dry run.
    pub dry_run: bool,
    /// Everything that was sent, as `MaxResults` or `Filter.1.Name`.
    pub parameters: BTreeMap<String, String>,
    /// What was answered.
    pub answer: Ec2Answer,
    /// The instances that it started or stopped, whatever was answered.
    pub changed: Vec<String>,
}

/// How an [`Ec2Stub`](super::Ec2Stub) answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ec2Answer {
    /// With what was asked for.
    Done,
    /// With an error of this code; that of a dry run that would have succeeded is `DryRunOperation`.
    Error(String),
    /// With something that is no XML.
    NotXml,
    /// Not at all.
    Cut,
}

/// The state behind the server.
pub(super) struct Service {
    calendar: Calendar,
    state: Mutex<State>,
}

/// What is behind the lock.
pub(super) struct State {
    pub(super) region: Region,
    pub(super) script: Script,
    pub(super) calls: Vec<Ec2Call>,
}

/// What a client gets.
pub(super) struct Reply {
    /// How long it waits for it.
    pub(super) delay: Duration,
    /// None: its connection ends.
    pub(super) answer: Option<Answer>,
}

/// An HTTP answer.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Its `Content-Type`.
    pub(super) kind: &'static str,
    pub(super) text: String,
}

/// What came of a call: the document that answers it, or why it is refused, and the instances that it changed.
struct Decision {
    result: Result<String, Refusal>,
    changed: Vec<String>,
}

impl From<Refusal> for Decision {
    fn from(refusal: Refusal) -> Self {
        Self {
            result: Err(refusal),
            changed: Vec::new(),
        }
    }
}

impl Service {
    pub(super) fn new(timings: Ec2Timings) -> Self {
        Self {
            calendar: Calendar::now(),
            state: Mutex::new(State {
                region: Region::new(timings),
                script: Script::default(),
                calls: Vec::new(),
            }),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides a call, writes it down, and says what its client gets.
    pub(super) fn decide(&self, query: &Query, signed: bool) -> Reply {
        let mut state = self.state();
        // Read under the lock, so that time never runs backwards from one call to the next.
        let now = Instant::now();
        let request_id = format!("00000000-0000-4000-8000-{:012x}", state.calls.len());
        let ids = query.ids();
        let dry_run = query.get("DryRun") == Some("true");

        let mut fate = Fate::default();
        let decision = match check(query, signed) {
            Err(refusal) => Decision::from(refusal),
            Ok(action) => {
                fate = state.script.fate(action, &ids, dry_run);
                match &fate.kind {
                    Kind::CutBefore => Decision::from(Refusal::usual("Unavailable")),
                    Kind::Refused { refusal, .. } => {
                        let earlier = if dry_run { &[] } else { fate.earlier(&ids) };
                        Decision {
                            result: Err(refusal.clone()),
                            changed: act(&mut state.region, action, earlier, &fate, now).changed,
                        }
                    }
                    _ if dry_run => Decision::from(dry(&state.region, &ids)),
                    _ => self.perform(&mut state.region, action, query, &fate, now, &request_id),
                }
            }
        };

        let (answer, reply) = match fate.kind {
            Kind::CutBefore | Kind::CutAfter => (Ec2Answer::Cut, None),
            Kind::NotXml { status } => (
                Ec2Answer::NotXml,
                Some(Answer {
                    status,
                    kind: "text/html",
                    text: HTML.to_owned(),
                }),
            ),
            _ => {
                let (answer, status, text) = match decision.result {
                    Ok(text) => (Ec2Answer::Done, 200, text),
                    Err(refusal) => {
                        let text = answer::refused(&refusal, &request_id);
                        (
                            Ec2Answer::Error(refusal.code.clone()),
                            refusal.status(),
                            text,
                        )
                    }
                };
                let kind = "text/xml;charset=UTF-8";
                (answer, Some(Answer { status, kind, text }))
            }
        };
        state.calls.push(Ec2Call {
            at: now,
            action: query.action().to_owned(),
            ids,
            dry_run,
            parameters: query.parameters.clone(),
            answer,
            changed: decision.changed,
        });
        Reply {
            delay: fate.delay,
            answer: reply,
        }
    }
    fn perform(
        &self,
        region: &mut Region,
        action: Ec2Action,
        query: &Query,
        fate: &Fate,
        now: Instant,
        request_id: &str,
    ) -> Decision {
        let result = match action {
            Ec2Action::DescribeInstances => describe(region, query, now, |_| true)
                .map(|page| answer::instances(page, self.calendar, request_id)),
            Ec2Action::DescribeInstanceStatus => query
                .flag("IncludeAllInstances")
                .and_then(|all| {
                    describe(region, query, now, |view| {
                        all || view.change.state == Ec2State::Running
                    })
                })
                .map(|page| answer::statuses(page, request_id)),
            Ec2Action::DescribeSpotInstanceRequests => {
                spot::describe(region, query, now).map(|all| spot::answer(&all, request_id))
            }
            Ec2Action::StartInstances | Ec2Action::StopInstances => {
                let Effect { result, changed } = act(region, action, &query.ids(), fate, now);
                let result = result
                    .map(|transitions| answer::changed(query.action(), transitions, request_id));
                return Decision { result, changed };
            }
        };
        Decision {
            result,
            changed: Vec::new(),
        }
    }
}

/// Starts or stops `ids`; a describe does neither.
fn act(
    region: &mut Region,
    action: Ec2Action,
    ids: &[String],
    fate: &Fate,
    now: Instant,
) -> Effect {
    match action {
        Ec2Action::StartInstances => region.start(ids, &fate.falling(ids), now),
        Ec2Action::StopInstances => region.stop(ids, now),
        Ec2Action::DescribeInstances
        | Ec2Action::DescribeInstanceStatus
        | Ec2Action::DescribeSpotInstanceRequests => Effect {
            result: Ok(Vec::new()),
            changed: Vec::new(),
        },
    }
}

/// What is checked of every call first.
fn check(query: &Query, signed: bool) -> Result<Ec2Action, Refusal> {
    if !signed {
        return Err(Refusal::usual("AuthFailure"));
    }
    query.check_version()?;
    let name = query.action();
    let action = Ec2Action::named(name).ok_or_else(|| {
        let message = format!("The action {name} is not valid for this web service.");
        Refusal::new("InvalidAction", message)
    })?;
    let changes = matches!(action, Ec2Action::StartInstances | Ec2Action::StopInstances);
    if changes && query.ids().is_empty() {
        let message = "The request must contain the parameter InstanceId";
        return Err(Refusal::new("MissingParameter", message));
    }
    query.flag("DryRun")?;
    if query.flag("Hibernate")? {
        return Err(Refusal::usual("UnsupportedHibernationConfiguration"));
    }
    Ok(action)
}

/// A dry run: it proves that the instances exist and that the call is permitted, and nothing of their states.
fn dry(region: &Region, ids: &[String]) -> Refusal {
    match region.check_ids(ids) {
        Ok(()) => Refusal::usual("DryRunOperation"),
        Err(refusal) => refusal,
    }
}

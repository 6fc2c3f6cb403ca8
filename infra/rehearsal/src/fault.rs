//! What goes wrong.

use std::collections::HashMap;
use std::time::Duration;

use super::refusal::Refusal;

/// A call that an [`Ec2Stub`](super::Ec2Stub) understands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Ec2Action {
    /// `DescribeInstances`.
    DescribeInstances,
    /// `DescribeInstanceStatus`.
    DescribeInstanceStatus,
    /// `DescribeSpotInstanceRequests`.
    DescribeSpotInstanceRequests,
    /// `StartInstances`.
    StartInstances,
    /// `StopInstances`.
    StopInstances,
}

impl Ec2Action {
    /// The action of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "DescribeInstances" => Some(Self::DescribeInstances),
            "DescribeInstanceStatus" => Some(Self::DescribeInstanceStatus),
            "DescribeSpotInstanceRequests" => Some(Self::DescribeSpotInstanceRequests),
            "StartInstances" => Some(Self::StartInstances),
            "StopInstances" => Some(Self::StopInstances),
            _ => None,
        }
    }
}

/// Something that goes wrong with calls of one action: with the next one, unless [`times`](Self::times) or
/// [`always`](Self::always) says otherwise, and with those that name an instance, where [`on`](Self::on) names it.
///
/// Of several that fit a call, the one that was injected first happens.
#[derive(Clone, Debug)]
pub struct Ec2Fault {
    action: Ec2Action,
    id: Option<String>,
    /// How often it will still happen; none: always.
    left: Option<usize>,
    delay: Duration,
    pub(super) kind: Kind,
}

/// What goes wrong.
#[derive(Clone, Debug, Default)]
pub(super) enum Kind {
    /// Nothing, but for the delay.
    #[default]
    None,
    /// Refused; those that are named before the instance are treated all the same, when `earlier` is set.
    Refused { refusal: Refusal, earlier: bool },
    /// The connection ends before anything happened.
    CutBefore,
    /// The connection ends after everything happened.
    CutAfter,
    /// Everything happened, and the answer is no XML.
    NotXml { status: u16 },
    /// What starts falls back to stopped, with this `StateReason`.
    FallsBack { reason: String },
}

impl Ec2Fault {
    fn new(action: Ec2Action, kind: Kind) -> Self {
        Self {
            action,
            id: None,
            left: Some(1),
            delay: Duration::ZERO,
            kind,
        }
    }

    /// The call is refused with an error code, its usual HTTP status and text, and changes nothing.
    ///
    /// A dry run meets it only when the code is about who asks or how often, because it checks no more than that.
    #[must_use]
    pub fn error(action: Ec2Action, code: &str) -> Self {
        let refusal = Refusal::usual(code);
        let earlier = false;
        Self::new(action, Kind::Refused { refusal, earlier })
    }

    /// The connection ends without an answer, and nothing was changed.
    #[must_use]
    pub fn cut_before(action: Ec2Action) -> Self {
        Self::new(action, Kind::CutBefore)
    }

    /// The connection ends without an answer, after the call had its effect.
    #[must_use]
    pub fn cut_after(action: Ec2Action) -> Self {
        Self::new(action, Kind::CutAfter)
    }

    /// The call has its effect, but the answer is a page of HTML with this HTTP status, as gateways write them.
    #[must_use]
    pub fn not_xml(action: Ec2Action, status: u16) -> Self {
        Self::new(action, Kind::NotXml { status })
    }

    /// A start is accepted, but the instance (all of the call, without [`on`](Self::on)) falls back from pending to stopped, with
    /// this code as its `StateReason`, as "Server.InsufficientInstanceCapacity".
    #[must_use]
    pub fn falls_back(reason: &str) -> Self {
        let reason = reason.to_owned();
        Self::new(Ec2Action::StartInstances, Kind::FallsBack { reason })
    }

    /// The call has its effect at once and is answered in order, but late.
    #[must_use]
    pub fn delay(action: Ec2Action, delay: Duration) -> Self {
        Self::new(action, Kind::None).late(delay)
    }

    /// Only with calls that name this instance by its id (describing it by filters does not).
    #[must_use]
    pub fn on(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// With the next `times` calls.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.left = Some(times);
        self
    }

    /// With all calls.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.left = None;
        self
    }

    /// The answer, or the end of the connection, comes so late.
    #[must_use]
    pub fn late(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// For an [`error`](Self::error) [`on`](Self::on) an instance: those that the call names before it are started or stopped all
    /// the same.
    #[must_use]
    pub fn after_earlier_ids(mut self) -> Self {
        if let Kind::Refused { earlier, .. } = &mut self.kind {
            *earlier = true;
        }
        self
    }

    fn meets(&self, action: Ec2Action, ids: &[String], dry_run: bool) -> bool {
        self.action == action
            && self.left != Some(0)
            && self.id.as_ref().is_none_or(|id| ids.contains(id))
            && (!dry_run || self.kind.meets_dry_runs())
    }
}

impl Kind {
    fn meets_dry_runs(&self) -> bool {
        match self {
            Self::FallsBack { .. } => false,
            Self::Refused { refusal, .. } => matches!(
                refusal.code.as_str(),
                "AccessDenied"
                    | "AuthFailure"
                    | "ExpiredToken"
                    | "InternalError"
                    | "RequestExpired"
                    | "RequestLimitExceeded"
                    | "ServiceUnavailable"
                    | "UnauthorizedOperation"
                    | "Unavailable"
            ),
            _ => true,
        }
    }
}

/// What goes wrong with one call.
#[derive(Clone, Debug, Default)]
pub(super) struct Fate {
    pub(super) kind: Kind,
    pub(super) delay: Duration,
    /// The instance it is about.
    pub(super) id: Option<String>,
}

impl Fate {
    /// Those of `ids` that it concerns.
    pub(super) fn falling(&self, ids: &[String]) -> HashMap<String, String> {
        let Kind::FallsBack { reason } = &self.kind else {
            return HashMap::new();
        };
        let concerned = ids
            .iter()
            .filter(|id| self.id.as_ref().is_none_or(|it| it == *id));
        concerned.map(|id| (id.clone(), reason.clone())).collect()
    }

    /// Those of `ids` that are treated although the call is refused.
    pub(super) fn earlier<'a>(&self, ids: &'a [String]) -> &'a [String] {
        if !matches!(self.kind, Kind::Refused { earlier: true, .. }) {
            return &[];
        }
        let index = ids.iter().position(|id| Some(id) == self.id.as_ref());
        &ids[..index.unwrap_or(0)]
    }
}

/// All that is to go wrong, in the order in which it was injected.
#[derive(Debug, Default)]
pub(super) struct Script {
    faults: Vec<Ec2Fault>,
}

impl Script {
    pub(super) fn inject(&mut self, fault: Ec2Fault) {
        self.faults.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.faults.clear();
    }

    /// What goes wrong with this call, of which one time is used up.
    pub(super) fn fate(&mut self, action: Ec2Action, ids: &[String], dry_run: bool) -> Fate {
        let mut faults = self.faults.iter_mut();
        let Some(fault) = faults.find(|fault| fault.meets(action, ids, dry_run)) else {
            return Fate::default();
        };
        if let Some(left) = &mut fault.left {
            *left -= 1;
        }
        Fate {
            kind: fault.kind.clone(),
            delay: fault.delay,
            id: fault.id.clone(),
        }
    }
}

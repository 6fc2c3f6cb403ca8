//! The calls that are made to EC2, and what their errors mean.
//!
//! EC2's model declares no error types, so that they are told by their codes
//! (<https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-errors.html>).

use async_trait::async_trait;

use skilift_fleet::instance::{Instance, InstanceId};
use skilift_fleet::outcome::{OutcomeCode, Verb};

/// EC2, as far as it is needed here: the real one, or one that follows a script.
#[async_trait]
pub(super) trait Ec2: Send + Sync {
    /// All machines that carry the tag of the stack.
    async fn describe_stack(&self) -> Result<Vec<Seen>, CallError>;

    /// These machines, those of them that there are.
    async fn describe(&self, ids: &[InstanceId]) -> Result<Vec<Seen>, CallError>;

    /// Whether these running machines are well. One that is not told of is not known yet.
    async fn statuses(&self, ids: &[InstanceId]) -> Result<Vec<(InstanceId, Checks)>, CallError>;

    /// Starts or stops; with `dry_run` it is only asked whether that would be permitted.
    async fn change(&self, verb: Verb, ids: &[InstanceId], dry_run: bool) -> Result<(), CallError>;
}

/// A machine as EC2 describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) instance: Instance,
    /// The stack that its tag names.
    pub(super) stack: Option<String>,
}

/// EC2's own checks of a machine that runs (`DescribeInstanceStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checks {
    /// Both passed.
    Ok,
    /// They are not done yet.
    Initializing,
    /// One failed. That may pass.
    Impaired,
}

/// Why a call was not answered as it wished.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// EC2 refused it.
    #[error("{message} ({code})")]
    Refused { code: String, message: String },
    /// There is nobody to ask, or nothing to show him: it was never sent.
    #[error("{0}")]
    NotSent(String),
    /// It is not known where EC2 is, or as whom to ask.
    #[error("{0}")]
    Unconfigured(String),
    /// It may have been done, or not.
    #[error("{0}")]
    Unknown(String),
}

/// What an error asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The answer to a dry run that means yes.
    WouldSucceed,
    /// The machine's state was another one: look again.
    WrongState,
    /// There is no such machine, or not everywhere yet.
    NotFound,
    /// It is no id.
    BadId,
    /// Who asks may not.
    Denied,
    /// Who asks is not known.
    Credentials,
    /// It is protected.
    Protected,
    /// There is no room now.
    NoCapacity,
    /// The account's limit is reached.
    Quota,
    /// Asked too often.
    Throttled,
    /// A Spot request has not noticed yet that its machine stopped, or EC2 took it back.
    SpotRequest,
    /// EC2 failed, or the answer never came: it may have been done.
    Unknown,
    /// Anything else that EC2 refuses.
    Refused,
}

impl CallError {
    /// What this error asks for.
    pub(super) fn class(&self) -> Class {
        let code = match self {
            Self::Refused { code, .. } => code.as_str(),
            Self::Unconfigured(_) => return Class::Credentials,
            Self::NotSent(_) | Self::Unknown(_) => return Class::Unknown,
        };
        match code {
            "DryRunOperation" => Class::WouldSucceed,
            "IncorrectInstanceState" | "IncorrectState" => Class::WrongState,
            "InvalidInstanceID.NotFound" | "InvalidInstanceID" => Class::NotFound,
            "InvalidInstanceID.Malformed" => Class::BadId,
            "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => Class::Denied,
            "AuthFailure"
            | "Blocked"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "IncompleteSignature"
            | "InvalidClientTokenId"
            | "MissingAuthenticationToken"
            | "OptInRequired"
            | "PendingVerification"
            | "RequestExpired"
            | "SignatureDoesNotMatch"
            | "UnrecognizedClientException" => Class::Credentials,
            "OperationNotPermitted" => Class::Protected,
            // Some of these come with status 500, which says "try again" to whoever looks at that alone.
            "InsufficientInstanceCapacity"
            | "InsufficientHostCapacity"
            | "InsufficientReservedInstanceCapacity"
            | "InsufficientCapacity"
            | "SpotMaxPriceTooLow" => Class::NoCapacity,
            "InstanceLimitExceeded"
            | "VcpuLimitExceeded"
            | "MaxSpotInstanceCountExceeded"
            | "VolumeLimitExceeded" => Class::Quota,
            "RequestLimitExceeded"
            | "Throttling"
            | "ThrottlingException"
            | "RequestThrottled"
            | "EC2ThrottledException"
            | "SlowDown" => Class::Throttled,
            "IncorrectSpotRequestState" => Class::SpotRequest,
            "InternalError" | "InternalFailure" | "ServerInternal" | "ServiceUnavailable"
            | "Unavailable" | "RequestTimeout" => Class::Unknown,
            _ => Class::Refused,
        }
    }

    /// Whether EC2 answered that it cannot now.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Refused { .. })
            && matches!(self.class(), Class::Throttled | Class::Unknown)
    }

    /// What comes of a machine for which nothing more is tried after this error.
    pub(super) fn outcome(&self) -> OutcomeCode {
        match self.class() {
            Class::WrongState => OutcomeCode::WrongState,
            Class::NotFound => OutcomeCode::NotFound,
            Class::BadId => OutcomeCode::BadId,
            Class::Denied => OutcomeCode::Denied,
            Class::Credentials => OutcomeCode::Credentials,
            Class::Protected => OutcomeCode::Protected,
            Class::NoCapacity => OutcomeCode::NoCapacity,
            Class::Quota => OutcomeCode::Quota,
            Class::Throttled => OutcomeCode::Throttled,
            Class::Unknown => OutcomeCode::Unreachable,
            Class::WouldSucceed | Class::SpotRequest | Class::Refused => OutcomeCode::Refused,
        }
    }

    /// What happened to a call that was to do `doing`, and what to do about it.
    pub(super) fn advice(&self, doing: &str) -> String {
        let advice = match self.class() {
            Class::Denied => {
                let action = match doing {
                    "start" => "ec2:StartInstances",
                    "stop" => "ec2:StopInstances",
                    other => other,
                };
                return format!(
                    "the console's AWS identity may not {action}: allow it in its IAM policy, for instances with the stack's tags \
                     ({})",
                    self.code()
                );
            }
            Class::Credentials => match self {
                Self::Unconfigured(_) => {
                    "give the console an instance role, or credentials where AWS's tools look for them"
                }
                _ => "check the console's AWS credentials and its clock",
            },
            Class::Protected => {
                "it has stop protection, which is not removed here: remove it first"
            }
            Class::NoCapacity => "try later, another zone or another instance type",
            Class::Quota => "ask AWS to raise the limit, or stop something else first",
            Class::Throttled => "EC2 is asked too often from this account: try again in a minute",
            Class::BadId => "an instance id is i- and 8 or 17 hexadecimal digits",
            _ => return self.to_string(),
        };
        format!("{self}; {advice}")
    }

    fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            _ => "no answer",
        }
    }
}

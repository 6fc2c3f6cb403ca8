//! The calls to EC2, and the meaning of their errors.
//!
//! EC2's model declares no error types, so they are identified by their codes
//! (<https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-errors.html>).

use async_trait::async_trait;

use skilift_fleet::instance::{Instance, InstanceId};
use skilift_fleet::outcome::{OutcomeCode, Verb};

/// The EC2 operations that are needed here: of the real EC2, or of a simulated one.
#[async_trait]
pub(super) trait Ec2: Send + Sync {
    /// All instances with the tag of the stack.
    async fn describe_stack(&self) -> Result<Vec<Seen>, CallError>;

    /// Those of these instances that exist.
    async fn describe(&self, ids: &[InstanceId]) -> Result<Vec<Seen>, CallError>;

    /// Status checks of running instances. Missing ones are not known yet.
    async fn statuses(&self, ids: &[InstanceId]) -> Result<Vec<(InstanceId, Checks)>, CallError>;

    /// Starts or stops; with `dry_run` only the permission is checked.
    async fn change(&self, verb: Verb, ids: &[InstanceId], dry_run: bool) -> Result<(), CallError>;
}

/// An instance as described by EC2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) instance: Instance,
    /// The stack in its tag.
    pub(super) stack: Option<String>,
}

/// EC2's status checks of a running instance (`DescribeInstanceStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checks {
    /// Both passed.
    Ok,
    /// They are not complete yet.
    Initializing,
    /// One failed, possibly temporarily.
    Impaired,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// EC2 refused it.
    #[error("{message} ({code})")]
    Refused { code: String, message: String },
    /// It was never sent: no connection or no credentials.
    #[error("{0}")]
    NotSent(String),
    /// Region or credentials are not configured.
    #[error("{0}")]
    Unconfigured(String),
    /// It may or may not have been done.
    #[error("{0}")]
    Unknown(String),
}

/// Class of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The response to a dry run that would succeed.
    WouldSucceed,
    /// The state of the instance has changed: describe it again.
    WrongState,
    /// There is no such instance, or it is not visible everywhere yet.
    NotFound,
    /// It is not an instance id.
    BadId,
    /// The caller has no permission.
    Denied,
    /// The credentials are invalid.
    Credentials,
    /// It has stop protection.
    Protected,
    /// There is no capacity now.
    NoCapacity,
    /// The account's quota is reached.
    Quota,
    /// Throttled: too many requests.
    Throttled,
    /// A Spot request has not yet registered that its instance stopped, or EC2 interrupted it.
    SpotRequest,
    /// EC2 failed, or the response was lost: it may have been done.
    Unknown,
    /// Anything else that EC2 refuses.
    Refused,
}

impl CallError {
    /// The class of this error.
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
            // Some of these have status 500, which alone would suggest a retry.
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

    /// Whether EC2 responded that it is busy.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Refused { .. })
            && matches!(self.class(), Class::Throttled | Class::Unknown)
    }

    /// The outcome of an instance if nothing is retried after this error.
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

    /// The error of a call to do `doing`, and what to do about it.
    pub(super) fn advice(&self, doing: &str) -> String {
        let advice = match self.class() {
            Class::Denied => {
                let action = match doing {
                    "start" => "ec2:StartInstances",
                    "stop" => "ec2:StopInstances",
                    other => other,
                };
                // Descriptions cannot be limited to some resources.
                let of = match doing {
                    "start" | "stop" => "for instances with the stack's tags",
                    _ => "on all resources (\"*\")",
                };
                return format!(
                    "the console's AWS identity has no permission for {action}: allow it in its IAM policy, {of} ({})",
                    self.code()
                );
            }
            Class::Credentials => match self {
                Self::Unconfigured(_) => {
                    "give the console an instance role, or credentials in a standard AWS location"
                }
                _ => "check the console's AWS credentials and its clock",
            },
            Class::Protected => "it has stop protection; remove that first",
            Class::NoCapacity => "retry later, or use another zone or instance type",
            Class::Quota => "request a quota increase from AWS, or stop other instances first",
            Class::Throttled => "EC2 throttles requests of this account; retry in a minute",
            Class::BadId => "an instance id consists of i- and 8 or 17 hexadecimal digits",
            _ => return self.to_string(),
        };
        format!("{self}; {advice}")
    }

    fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            _ => "no response",
        }
    }
}

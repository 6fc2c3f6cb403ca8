//! EC2's errors: their codes, HTTP statuses and texts.

/// Why a call is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }

    /// With the text that EC2 usually gives for this code.
    pub(super) fn usual(code: &str) -> Self {
        Self::new(code, usual_message(code))
    }

    pub(super) fn malformed(id: &str) -> Self {
        let message = format!("Invalid id: \"{id}\" (expecting \"i-...\")");
        Self::new("InvalidInstanceID.Malformed", message)
    }

    pub(super) fn not_found(ids: &[&str]) -> Self {
        let message = match ids {
            [id] => format!("The instance ID '{id}' does not exist"),
            ids => format!("The instance IDs '{}' do not exist", ids.join(", ")),
        };
        Self::new("InvalidInstanceID.NotFound", message)
    }

    pub(super) fn not_startable(id: &str) -> Self {
        let message =
            format!("The instance '{id}' is not in a state from which it can be started.");
        Self::new("IncorrectInstanceState", message)
    }

    pub(super) fn not_stoppable(id: &str) -> Self {
        let message =
            format!("This instance '{id}' is not in a state from which it can be stopped.");
        Self::new("IncorrectInstanceState", message)
    }

    pub(super) fn stop_protected(id: &str) -> Self {
        let message = format!(
            "The instance '{id}' may not be stopped. Modify its 'disableApiStop' instance attribute and try again."
        );
        Self::new("OperationNotPermitted", message)
    }

    pub(super) fn instance_store(id: &str) -> Self {
        let message = format!(
            "The instance '{id}' does not have an 'ebs' root device type and cannot be stopped."
        );
        Self::new("UnsupportedOperation", message)
    }

    pub(super) fn one_time_spot(id: &str) -> Self {
        let message = format!(
            "You can't stop the Spot Instance '{id}' because it is associated with a one-time Spot Instance request. You can only \
             stop Spot Instances associated with persistent Spot Instance requests."
        );
        Self::new("UnsupportedOperation", message)
    }

    pub(super) fn spot_request_state(id: &str) -> Self {
        let message = format!(
            "You can't start the Spot Instance '{id}' because the associated Spot Instance request is not in an appropriate state \
             to support start."
        );
        Self::new("IncorrectSpotRequestState", message)
    }

    pub(super) fn invalid_value(value: &str, parameter: &str) -> Self {
        let message = format!("Value ({value}) for parameter {parameter} is invalid.");
        Self::new("InvalidParameterValue", message)
    }

    /// The HTTP status that its code goes with; 400 unless it is one of those with their own.
    pub(super) fn status(&self) -> u16 {
        match self.code.as_str() {
            "AuthFailure" => 401,
            "UnauthorizedOperation" | "AccessDenied" => 403,
            "DryRunOperation" => 412,
            "InsufficientInstanceCapacity" | "InternalError" | "InternalFailure" => 500,
            "RequestLimitExceeded" | "Unavailable" | "ServiceUnavailable" => 503,
            _ => 400,
        }
    }
}

fn usual_message(code: &str) -> &'static str {
    match code {
        "AccessDenied" => {
            "User: arn:aws:iam::123456789012:user/skilift is not authorized to perform this operation"
        }
        "AuthFailure" => "AWS was not able to validate the provided access credentials",
        "DryRunOperation" => "Request would have succeeded, but DryRun flag is set.",
        "ExpiredToken" => "The security token included in the request is expired",
        "IncorrectSpotRequestState" => {
            "The Spot Instance request is not in an appropriate state to support start."
        }
        "InstanceLimitExceeded" => {
            "You have requested more instances (9) than your current instance limit of 8 allows for the specified instance type. \
             Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit."
        }
        "InsufficientInstanceCapacity" => "Insufficient capacity.",
        "InternalError" => "An internal error has occurred",
        "RequestExpired" => "Request has expired.",
        "RequestLimitExceeded" => "Request limit exceeded.",
        "UnauthorizedOperation" => {
            "You are not authorized to perform this operation. Encoded authorization failure message: Zm9yIHRlc3Rz"
        }
        "Unavailable" | "ServiceUnavailable" => {
            "The service is unavailable. Please try again shortly."
        }
        "UnsupportedHibernationConfiguration" => {
            "Hibernation is not enabled for one of the instances of this call."
        }
        "VcpuLimitExceeded" => {
            "You have requested more vCPU capacity than your current vCPU limit of 32 allows for the instance bucket that the \
             specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment \
             to this limit."
        }
        _ => "The request was refused.",
    }
}

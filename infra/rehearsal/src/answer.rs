//! EC2's answers as XML.

use std::time::{Duration, Instant, SystemTime};

use humantime::format_rfc3339_millis;
use serde::Serialize;

use super::describe::{Page, View};
use super::instance::Ec2State;
use super::refusal::Refusal;
use super::region::Transition;
use super::spot;

const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
/// How many instances share a reservation; which of them do means nothing.
const RESERVATION: usize = 3;
/// When those that ran before were started.
const BEFORE: Duration = Duration::from_secs(3_600);

/// Which wall-clock time belongs to an instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calendar {
    instant: Instant,
    time: SystemTime,
}

impl Calendar {
    #[expect(
        clippy::disallowed_methods,
        reason = "launch times; this crate knows none of the product's"
    )]
    pub(super) fn now() -> Self {
        Self {
            instant: Instant::now(),
            time: SystemTime::now(),
        }
    }

    fn format(self, instant: Option<Instant>) -> String {
        let time = match instant {
            None => self.time - BEFORE,
            Some(instant) => self.time + instant.saturating_duration_since(self.instant),
        };
        format_rfc3339_millis(time).to_string()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<T> {
    #[serde(rename = "@xmlns")]
    namespace: &'static str,
    request_id: String,
    #[serde(flatten)]
    content: T,
}

/// A list.
#[derive(Serialize)]
pub(super) struct Items<T> {
    item: Vec<T>,
}

impl<T> FromIterator<T> for Items<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self {
            item: items.into_iter().collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    reservation_set: Items<Reservation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reservation {
    reservation_id: String,
    owner_id: &'static str,
    instances_set: Items<Instance>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Instance {
    instance_id: String,
    image_id: &'static str,
    instance_state: State,
    private_dns_name: String,
    /// What EC2 calls the reason is the text of the transition.
    reason: &'static str,
    instance_type: String,
    launch_time: String,
    placement: Placement,
    private_ip_address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_reason: Option<StateReason>,
    root_device_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_lifecycle: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spot_instance_request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag_set: Option<Items<Tag>>,
}

#[derive(Serialize)]
struct State {
    code: u16,
    name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Placement {
    availability_zone: String,
    tenancy: &'static str,
}

#[derive(Serialize)]
struct StateReason {
    code: String,
    message: String,
}

#[derive(Serialize)]
struct Tag {
    key: String,
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Statuses {
    instance_status_set: Items<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    instance_id: String,
    availability_zone: String,
    instance_state: State,
    system_status: Checks,
    instance_status: Checks,
}

#[derive(Serialize)]
struct Checks {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Items<Check>>,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    instances_set: Items<StateChange>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StateChange {
    instance_id: String,
    current_state: State,
    previous_state: State,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Refused {
    errors: Errors,
    #[serde(rename = "RequestID")]
    request_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Errors {
    error: ErrorText,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorText {
    code: String,
    message: String,
}

/// The answer to `DescribeInstances`.
pub(super) fn instances(page: Page<'_>, calendar: Calendar, request_id: &str) -> String {
    let reservations = page.views.chunks(RESERVATION).map(|views| Reservation {
        reservation_id: format!("r-{:017x}", views[0].number),
        owner_id: "123456789012",
        instances_set: views.iter().map(|view| instance(view, calendar)).collect(),
    });
    let content = Described {
        reservation_set: reservations.collect(),
        next_token: page.next_token,
    };
    response("DescribeInstances", request_id, content)
}

fn instance(view: &View<'_>, calendar: Calendar) -> Instance {
    let (facts, change) = (view.facts, view.change);
    let [_, _, high, low] = view.number.to_be_bytes();
    let tags = facts.tags.iter().map(|(key, value)| Tag {
        key: key.clone(),
        value: value.clone(),
    });
    Instance {
        instance_id: facts.id.clone(),
        image_id: "ami-0123456789abcdef0",
        instance_state: State {
            // Of the code only the low byte counts; the other is for EC2 itself.
            code: 0x0100 | change.state.code(),
            name: change.state.name(),
        },
        private_dns_name: format!("ip-10-0-{high}-{low}.ec2.internal"),
        reason: match change.reason.as_deref() {
            Some("Client.UserInitiatedShutdown") => "User initiated",
            _ => "",
        },
        instance_type: facts.instance_type.clone(),
        launch_time: calendar.format(change.launched),
        placement: Placement {
            availability_zone: facts.zone.clone(),
            tenancy: "default",
        },
        private_ip_address: format!("10.0.{high}.{low}"),
        state_reason: change.reason.as_ref().map(|code| StateReason {
            code: code.clone(),
            message: format!("{code}: {}", reason_text(code)),
        }),
        root_device_type: if facts.instance_store {
            "instance-store"
        } else {
            "ebs"
        },
        instance_lifecycle: facts.spot.map(|_| "spot"),
        spot_instance_request_id: facts.spot.map(|_| spot::request_id(view.number)),
        tag_set: (!facts.tags.is_empty()).then(|| tags.collect()),
    }
}

fn reason_text(code: &str) -> &'static str {
    match code {
        "Client.UserInitiatedShutdown" => "User initiated shutdown",
        "Client.InstanceInitiatedShutdown" => "Instance initiated shutdown",
        "Client.VolumeLimitExceeded" => "Volume limit exceeded",
        "Client.InvalidSnapshot.NotFound" => "The specified snapshot was not found",
        "Server.InsufficientInstanceCapacity" => {
            "Insufficient capacity to satisfy instance request"
        }
        "Server.InternalError" => "Internal error on launch",
        "Server.SpotInstanceShutdown" => "Spot instance was interrupted",
        _ => "State changed",
    }
}

/// The answer to `DescribeInstanceStatus`.
pub(super) fn statuses(page: Page<'_>, request_id: &str) -> String {
    let statuses = page.views.iter().map(|view| Status {
        instance_id: view.facts.id.clone(),
        availability_zone: view.facts.zone.clone(),
        instance_state: state(view.change.state),
        system_status: checks(view.status),
        instance_status: checks(view.status),
    });
    let content = Statuses {
        instance_status_set: statuses.collect(),
        next_token: page.next_token,
    };
    response("DescribeInstanceStatus", request_id, content)
}

fn checks(status: &'static str) -> Checks {
    let check = match status {
        "ok" => Some("passed"),
        "impaired" => Some("failed"),
        "initializing" => Some("initializing"),
        _ => None,
    };
    let check = check.map(|status| Check {
        name: "reachability",
        status,
    });
    Checks {
        status,
        details: check.map(|check| Items { item: vec![check] }),
    }
}

/// The answer to `StartInstances` or `StopInstances`.
pub(super) fn changed(action: &str, transitions: Vec<Transition>, request_id: &str) -> String {
    let changes = transitions.into_iter().map(|transition| StateChange {
        instance_id: transition.id,
        current_state: state(transition.current),
        previous_state: state(transition.previous),
    });
    let content = Changed {
        instances_set: changes.collect(),
    };
    response(action, request_id, content)
}

fn state(state: Ec2State) -> State {
    State {
        code: state.code(),
        name: state.name(),
    }
}

/// The answer to a call that is refused.
pub(super) fn refused(refusal: &Refusal, request_id: &str) -> String {
    let content = Refused {
        errors: Errors {
            error: ErrorText {
                code: refusal.code.clone(),
                message: refusal.message.clone(),
            },
        },
        request_id: request_id.to_owned(),
    };
    document("Response", &content)
}

pub(super) fn response(action: &str, request_id: &str, content: impl Serialize) -> String {
    let response = Response {
        namespace: NAMESPACE,
        request_id: request_id.to_owned(),
        content,
    };
    document(&format!("{action}Response"), &response)
}

fn document(root: &str, content: &impl Serialize) -> String {
    let content = quick_xml::se::to_string_with_root(root, content);
    let content = content.expect("elements with names, texts and lists have a form in XML");
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{content}")
}

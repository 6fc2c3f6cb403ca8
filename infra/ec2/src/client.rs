//! The real EC2, through its SDK. Nothing is retried here: the engine reads the state before each retry.

use std::error::Error as StdError;
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::types::{Filter, Instance as Described, InstanceStatus, SummaryStatus, Tag};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tokio::sync::OnceCell;

use super::call::{CallError, Checks, Ec2, Seen};
use super::{ROLE_TAG, STACK_TAG};
use skilift_fleet::instance::{Instance, InstanceId, InstanceState, Obstacle, StateReason};
use skilift_fleet::outcome::Verb;

/// Timeout of a call.
const CALL_LIMIT: Duration = Duration::from_secs(20);
/// Maximum ids in a filter.
const FILTER_VALUES: usize = 200;
/// Maximum instances per page of a description.
const PAGE: i32 = 1000;
/// The tag by which Auto Scaling marks its members.
const GROUP_TAG: &str = "aws:autoscaling:groupName";
/// The tag with the name of an instance.
const NAME_TAG: &str = "Name";

/// EC2 client, connected on first use with region and credentials.
pub(super) struct Client {
    stack: String,
    endpoint: Option<String>,
    page: i32,
    sdk: OnceCell<aws_sdk_ec2::Client>,
    region: OnceLock<String>,
}

impl Client {
    pub(super) fn new(stack: String, endpoint: Option<String>) -> Self {
        Self {
            stack,
            endpoint,
            page: PAGE,
            sdk: OnceCell::new(),
            region: OnceLock::new(),
        }
    }

    /// Sets a smaller page size of descriptions.
    pub(super) fn set_page(&mut self, page: i32) {
        self.page = page;
    }

    /// The region, when it is known.
    pub(super) fn region(&self) -> Option<String> {
        self.region.get().cloned()
    }

    async fn sdk(&self) -> Result<&aws_sdk_ec2::Client, CallError> {
        self.sdk.get_or_try_init(|| self.connect()).await
    }

    /// Finds region and credentials like AWS's own tools.
    async fn connect(&self) -> Result<aws_sdk_ec2::Client, CallError> {
        let tls = Provider::Rustls(CryptoMode::Ring);
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls)
            .build_https();
        let limits = TimeoutConfig::builder()
            .operation_timeout(CALL_LIMIT)
            .build();
        let found = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http)
            .retry_config(RetryConfig::disabled())
            .timeout_config(limits)
            .load()
            .await;
        let Some(region) = found.region() else {
            return Err(CallError::Unconfigured(
                "no AWS region configured; set AWS_REGION, or region in the AWS config file"
                    .to_owned(),
            ));
        };
        self.region.get_or_init(|| region.to_string());
        let mut config = aws_sdk_ec2::config::Builder::from(&found);
        config.set_endpoint_url(
            self.endpoint
                .clone()
                .or(found.endpoint_url().map(str::to_owned)),
        );
        Ok(aws_sdk_ec2::Client::from_conf(config.build()))
    }

    async fn described(&self, filter: Filter) -> Result<Vec<Seen>, CallError> {
        let sdk = self.sdk().await?;
        let mut pages = sdk
            .describe_instances()
            .filters(filter)
            .into_paginator()
            .page_size(self.page)
            .send();
        let mut seen = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.call_error(&error))?;
            let instances = page.reservations().iter().flat_map(|of| of.instances());
            seen.extend(instances.filter_map(read));
        }
        self.find_one_time_spots(sdk, &mut seen).await;
        Ok(seen)
    }

    /// Marks instances of one-time Spot requests. Without this permission EC2 reports the error at the start or stop.
    async fn find_one_time_spots(&self, sdk: &aws_sdk_ec2::Client, seen: &mut [Seen]) {
        let spots: Vec<String> = seen
            .iter()
            .filter(|seen| seen.instance.is_spot && seen.instance.obstacle.is_none())
            .map(|seen| seen.instance.id.to_string())
            .collect();
        for ids in spots.chunks(FILTER_VALUES) {
            let asked = sdk
                .describe_spot_instance_requests()
                .filters(filter("instance-id", ids.to_vec()))
                .filters(filter("type", vec!["one-time".to_owned()]))
                .send()
                .await;
            let requests = match asked {
                Ok(requests) => requests,
                Err(error) => {
                    tracing::debug!("cannot read Spot requests: {}", self.call_error(&error));
                    return;
                }
            };
            for request in requests.spot_instance_requests() {
                let of_this =
                    |seen: &&mut Seen| Some(seen.instance.id.as_str()) == request.instance_id();
                if let Some(seen) = seen.iter_mut().find(of_this) {
                    seen.instance.obstacle = Some(Obstacle::OneTimeSpot);
                }
            }
        }
    }
}

#[async_trait]
impl Ec2 for Client {
    async fn describe_stack(&self) -> Result<Vec<Seen>, CallError> {
        let name = format!("tag:{STACK_TAG}");
        self.described(filter(&name, vec![self.stack.clone()]))
            .await
    }

    async fn describe(&self, ids: &[InstanceId]) -> Result<Vec<Seen>, CallError> {
        let mut seen = Vec::new();
        // With a filter: otherwise one unknown id would fail the whole request.
        for ids in ids.chunks(FILTER_VALUES) {
            let ids = ids.iter().map(ToString::to_string).collect();
            seen.extend(self.described(filter("instance-id", ids)).await?);
        }
        Ok(seen)
    }

    async fn statuses(&self, ids: &[InstanceId]) -> Result<Vec<(InstanceId, Checks)>, CallError> {
        let sdk = self.sdk().await?;
        let mut found = Vec::new();
        for ids in ids.chunks(FILTER_VALUES / 2) {
            let ids = ids.iter().map(ToString::to_string).collect();
            let answer = sdk
                .describe_instance_status()
                .set_instance_ids(Some(ids))
                .send()
                .await
                .map_err(|error| self.call_error(&error))?;
            found.extend(answer.instance_statuses().iter().filter_map(checks));
        }
        Ok(found)
    }

    async fn change(&self, verb: Verb, ids: &[InstanceId], dry_run: bool) -> Result<(), CallError> {
        let sdk = self.sdk().await?;
        let ids = Some(ids.iter().map(ToString::to_string).collect());
        let dry_run = dry_run.then_some(true);
        match verb {
            Verb::Start => {
                let call = sdk.start_instances().set_instance_ids(ids);
                let answer = call.set_dry_run(dry_run).send().await;
                answer.map(drop).map_err(|error| self.call_error(&error))
            }
            Verb::Stop => {
                let call = sdk.stop_instances().set_instance_ids(ids);
                let answer = call.set_dry_run(dry_run).send().await;
                answer.map(drop).map_err(|error| self.call_error(&error))
            }
        }
    }
}

fn filter(name: &str, values: Vec<String>) -> Filter {
    Filter::builder()
        .name(name)
        .set_values(Some(values))
        .build()
}

fn read(described: &Described) -> Option<Seen> {
    let code = described.state()?.code()?;
    let Some(state) = InstanceState::from_code(code) else {
        tracing::warn!(
            "EC2 reported an unknown instance state with code {code}; the instance is skipped"
        );
        return None;
    };
    let tag = |key: &str| {
        let found = described.tags().iter().find(|tag| tag.key() == Some(key));
        found.and_then(Tag::value).map(str::to_owned)
    };
    let reason = described.state_reason().and_then(|reason| {
        let code = reason.code().filter(|code| !code.is_empty())?;
        Some(StateReason {
            code: code.to_owned(),
            message: reason.message().unwrap_or_default().to_owned(),
        })
    });
    let is_spot = described
        .instance_lifecycle()
        .is_some_and(|lifecycle| lifecycle.as_str() == "spot");
    let was_interrupted = is_spot
        && state == InstanceState::Stopped
        && reason
            .as_ref()
            .is_some_and(|reason| reason.code.starts_with("Server.SpotInstance"));
    let has_instance_store = described
        .root_device_type()
        .is_some_and(|device| device.as_str() != "ebs");
    let obstacle = if let Some(group) = tag(GROUP_TAG) {
        Some(Obstacle::AutoScaling { group })
    } else if has_instance_store {
        Some(Obstacle::InstanceStore)
    } else if was_interrupted {
        Some(Obstacle::InterruptedSpot)
    } else {
        None
    };
    let started_at = described.launch_time().and_then(|at| at.to_millis().ok());
    let zone = described.placement().and_then(|at| at.availability_zone());
    Some(Seen {
        stack: tag(STACK_TAG),
        instance: Instance {
            id: InstanceId::new(described.instance_id()?),
            role: tag(ROLE_TAG).unwrap_or_default(),
            name: tag(NAME_TAG),
            instance_type: described
                .instance_type()
                .map_or_else(String::new, |of| of.as_str().to_owned()),
            zone: zone.unwrap_or_default().to_owned(),
            state,
            reason,
            started_at_ms: started_at.and_then(|ms| u64::try_from(ms).ok()),
            address: described.private_ip_address().map(str::to_owned),
            is_spot,
            obstacle,
        },
    })
}

fn checks(status: &InstanceStatus) -> Option<(InstanceId, Checks)> {
    let of_machine = status.instance_status().and_then(|of| of.status());
    let of_host = status.system_status().and_then(|of| of.status());
    let both = [of_machine, of_host];
    let checks = if both.contains(&Some(&SummaryStatus::Impaired)) {
        Checks::Impaired
    } else if both
        .iter()
        .all(|one| matches!(one, Some(SummaryStatus::Ok | SummaryStatus::NotApplicable)))
    {
        Checks::Ok
    } else {
        Checks::Initializing
    };
    Some((InstanceId::new(status.instance_id()?), checks))
}

impl Client {
    fn call_error<E, R>(&self, error: &SdkError<E, R>) -> CallError
    where
        E: ProvideErrorMetadata + StdError + 'static,
        R: std::fmt::Debug + 'static,
    {
        match error {
            SdkError::ServiceError(refusal) => match refusal.err().code() {
                Some(code) => CallError::Refused {
                    code: code.to_owned(),
                    message: refusal
                        .err()
                        .message()
                        .unwrap_or("EC2 gave no details")
                        .to_owned(),
                },
                None => CallError::Unknown("the response of EC2 has no error code".to_owned()),
            },
            SdkError::ConstructionFailure(_) => match credentials_error(error) {
                Some(why) => CallError::Unconfigured(why),
                None => CallError::NotSent(DisplayErrorContext(error).to_string()),
            },
            SdkError::TimeoutError(_) => CallError::Unknown(format!(
                "EC2 did not respond within {} seconds",
                CALL_LIMIT.as_secs()
            )),
            SdkError::DispatchFailure(_) => match credentials_error(error) {
                Some(why) => CallError::Unconfigured(why),
                None => CallError::Unknown(format!(
                    "cannot reach EC2{}: {}",
                    self.place(),
                    innermost(error)
                )),
            },
            SdkError::ResponseError(_) => {
                CallError::Unknown("cannot parse the response of EC2".to_owned())
            }
            _ => CallError::Unknown(DisplayErrorContext(error).to_string()),
        }
    }

    /// Where EC2 is, for a sentence.
    fn place(&self) -> String {
        match (&self.endpoint, self.region.get()) {
            (Some(url), _) => format!(" at {url}"),
            (None, Some(region)) => format!(" in {region}"),
            (None, None) => String::new(),
        }
    }
}

/// Why there are no credentials, if that is the error.
fn credentials_error(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<CredentialsError>() {
            return Some(format!("no AWS credentials: {}", innermost(found)));
        }
        cause = error.source();
    }
    None
}

/// The root cause of an error.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

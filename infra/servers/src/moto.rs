//! A private moto, which stands in for AWS where a mock will do: listing, starting, stopping, tags, pages, permissions, stacks.
//!
//! It is not EC2: it starts what is terminated, is never slow and never full. [`Ec2Stub`](crate::Ec2Stub) is for all that.

mod answer;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use url::form_urlencoded;

use crate::http::http;
use crate::port::{free_port, is_free};
use crate::process::Process;
use crate::program;
use answer::{Described, NewKey, Reservation};
use skilift_rehearsal::Ec2Instance;

/// Python reads its modules from the disk.
const START_LIMIT: Duration = Duration::from_secs(60);
const ATTEMPTS: usize = 5;
/// One of the images that moto knows from the beginning.
const IMAGE: &str = "ami-12c6146b";
const USER: &str = "skilift";

/// A moto of our own on 127.0.0.1, with nothing in it, for the official SDK or anybody who speaks its protocols. It accepts any
/// credentials until [`allow_only`](Self::allow_only).
///
/// Dropping it kills it; what it held is gone.
pub struct MotoServer {
    // Fields are dropped in this order: first the process, then the folder of its log.
    process: Process,
    port: u16,
    _folder: TempDir,
}

impl MotoServer {
    /// The region in which its own methods work.
    pub const REGION: &str = "eu-central-1";

    /// Starts a server and waits until it answers (a few seconds).
    ///
    /// # Errors
    /// When `infra/install-test-tools` has not installed it, or it does not start; the message then holds the last lines of its log.
    pub async fn start() -> anyhow::Result<Self> {
        let program = program::moto_server()?;
        let mut attempt = 1;
        loop {
            let folder = tempfile::Builder::new().prefix("skilift-moto-").tempdir();
            let folder = folder.context("cannot create a folder for moto")?;
            let port = free_port()?;
            let logs = vec![folder.path().join("moto.log")];
            let process = Process::start("moto_server", &program, logs, |command| {
                let port = port.to_string();
                command
                    .args(["-H", "127.0.0.1", "-p", &port])
                    // A certificate is issued at once; the AWS command line asks for it once a minute.
                    .env("MOTO_ACM_VALIDATION_WAIT", "0")
                    .current_dir(folder.path());
            });
            let server = Self {
                process: process.await?,
                port,
                _folder: folder,
            };
            match server.until_it_answers().await {
                Ok(()) => return Ok(server),
                Err(_) if attempt < ATTEMPTS && server.lost_its_port() => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// `http://127.0.0.1:PORT`, for the SDK's `endpoint_url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Creates instances, which run; their ids. `zone` is one of [`REGION`](Self::REGION), as "eu-central-1a".
    ///
    /// # Errors
    /// When moto refuses it.
    pub async fn run_instances(
        &self,
        count: usize,
        tags: &[(&str, &str)],
        instance_type: &str,
        zone: &str,
    ) -> anyhow::Result<Vec<String>> {
        let count = count.to_string();
        let mut form = form(&[
            ("ImageId", IMAGE),
            ("MinCount", &count),
            ("MaxCount", &count),
            ("InstanceType", instance_type),
            ("Placement.AvailabilityZone", zone),
        ]);
        if !tags.is_empty() {
            form.push((
                "TagSpecification.1.ResourceType".to_owned(),
                "instance".to_owned(),
            ));
            form.extend(numbered_tags("TagSpecification.1.", tags));
        }
        let reservation: Reservation = self.ec2("RunInstances", &form).await?;
        let instances = reservation.instances_set.item.into_iter();
        Ok(instances.map(|instance| instance.instance_id).collect())
    }

    /// Gives instances tags, or other values to those that they have.
    ///
    /// # Errors
    /// When moto refuses it.
    pub async fn tag(&self, ids: &[String], tags: &[(&str, &str)]) -> anyhow::Result<()> {
        let mut form = numbered("ResourceId", ids);
        form.extend(numbered_tags("", tags));
        self.call("ec2", "CreateTags", &form).await.map(drop)
    }

    /// All instances, by id. Moto's are on demand and never stop-protected here, whatever they are.
    ///
    /// # Errors
    /// When moto refuses it.
    pub async fn instances(&self) -> anyhow::Result<Vec<Ec2Instance>> {
        let mut instances = Vec::new();
        let mut form = Vec::new();
        loop {
            let page: Described = self.ec2("DescribeInstances", &form).await?;
            for reservation in page.reservation_set.item {
                let described = reservation.instances_set.item.into_iter();
                instances.extend(
                    described
                        .map(answer::Instance::into_instance)
                        .collect::<Result<Vec<_>, _>>()?,
                );
            }
            match page.next_token.filter(|token| !token.is_empty()) {
                Some(token) => form = vec![("NextToken".to_owned(), token)],
                None => break,
            }
        }
        instances.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(instances)
    }

    /// Starts instances.
    ///
    /// # Errors
    /// When moto refuses it.
    pub async fn start_instances(&self, ids: &[String]) -> anyhow::Result<()> {
        let form = numbered("InstanceId", ids);
        self.call("ec2", "StartInstances", &form).await.map(drop)
    }

    /// Stops instances.
    ///
    /// # Errors
    /// When moto refuses it.
    pub async fn stop_instances(&self, ids: &[String]) -> anyhow::Result<()> {
        let form = numbered("InstanceId", ids);
        self.call("ec2", "StopInstances", &form).await.map(drop)
    }

    /// Terminates instances.
    ///
    /// # Errors
    /// When moto refuses it.
    pub async fn terminate_instances(&self, ids: &[String]) -> anyhow::Result<()> {
        let form = numbered("InstanceId", ids);
        self.call("ec2", "TerminateInstances", &form)
            .await
            .map(drop)
    }

    /// From now on only a user with a right to these actions, as "ec2:DescribeInstances", may do anything, and only these: the id
    /// and the secret of the user's access key. All other calls are denied, those of this type's methods too. Once for a server.
    ///
    /// # Errors
    /// When moto refuses it.
    pub async fn allow_only(&self, actions: &[&str]) -> anyhow::Result<(String, String)> {
        let actions: Vec<String> = actions
            .iter()
            .map(|action| format!("\"{action}\""))
            .collect();
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":[{}],"Resource":"*"}}]}}"#,
            actions.join(",")
        );
        self.call("iam", "CreateUser", &form(&[("UserName", USER)]))
            .await?;
        let policy = [
            ("UserName", USER),
            ("PolicyName", USER),
            ("PolicyDocument", &policy),
        ];
        self.call("iam", "PutUserPolicy", &form(&policy)).await?;
        let key = self
            .call("iam", "CreateAccessKey", &form(&[("UserName", USER)]))
            .await?;
        let key: NewKey = quick_xml::de::from_str(&key)?;

        let address = format!("{}/moto-api/reset-auth", self.url());
        let answer = http().post(address).body("0").send().await?;
        answer.error_for_status()?;
        let key = key.create_access_key_result.access_key;
        Ok((key.access_key_id, key.secret_access_key))
    }

    async fn ec2<T: DeserializeOwned>(
        &self,
        action: &str,
        form: &[(String, String)],
    ) -> anyhow::Result<T> {
        let answer = self.call("ec2", action, form).await?;
        quick_xml::de::from_str(&answer)
            .with_context(|| format!("moto's answer to {action}: {answer}"))
    }

    /// Calls a service that speaks the Query protocol; its XML.
    async fn call(
        &self,
        service: &str,
        action: &str,
        form: &[(String, String)],
    ) -> anyhow::Result<String> {
        let version = if service == "ec2" {
            "2016-11-15"
        } else {
            "2010-05-08"
        };
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("Action", action), ("Version", version)])
            .extend_pairs(form)
            .finish();
        // Moto reads the region and the service from it, and looks at nothing else while it checks no permissions.
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/{}/{service}/aws4_request, SignedHeaders=host, Signature=0",
            Self::REGION
        );
        let request = http()
            .post(self.url())
            .header("authorization", authorization);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(body).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        anyhow::ensure!(
            status.is_success(),
            "moto refuses {action} with {status}: {text}"
        );
        Ok(text)
    }

    async fn until_it_answers(&self) -> anyhow::Result<()> {
        let address = format!("{}/moto-api/", self.url());
        let client = http();
        self.process
            .until_ready(START_LIMIT, async {
                let answers = async || {
                    let answer = timeout(Duration::from_secs(1), client.get(&address).send());
                    matches!(answer.await, Ok(Ok(answer)) if answer.status().is_success())
                };
                while !answers().await {
                    sleep(Duration::from_millis(20)).await;
                }
            })
            .await
    }

    fn lost_its_port(&self) -> bool {
        !self.process.is_running() && !is_free(self.port)
    }
}

fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn numbered(name: &str, values: &[String]) -> Vec<(String, String)> {
    let values = values.iter().zip(1_u32..);
    values
        .map(|(value, number)| (format!("{name}.{number}"), value.clone()))
        .collect()
}

fn numbered_tags(prefix: &str, tags: &[(&str, &str)]) -> Vec<(String, String)> {
    let tags = tags.iter().zip(1_u32..).flat_map(|((key, value), number)| {
        [
            (format!("{prefix}Tag.{number}.Key"), (*key).to_owned()),
            (format!("{prefix}Tag.{number}.Value"), (*value).to_owned()),
        ]
    });
    tags.collect()
}

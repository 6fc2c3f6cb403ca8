//! The ID of the instance that this process runs on, which the console uses to find the nodes of an instance: from
//! `--instance-id`, or on EC2 from the instance metadata service.

mod metadata;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use skilift_core::lifecycle::{Lifecycle, chain};
use skilift_core::retry::pauses;

use self::metadata::Metadata;
use crate::config::Config;

/// The sysfs directory with the hardware identification.
const SYS: &str = "/sys";
/// Failed attempts, over about half a minute, before a warning is logged.
const TRIES: usize = 12;
/// Interval between attempts after that.
const SELDOM: Duration = Duration::from_secs(60);
/// Maximum length of an instance ID in bytes; IDs of EC2 have 10 or 19.
const MAX_BYTES: usize = 64;

/// The ID of an instance: from EC2, for example `i-0123456789abcdef0`, or set by the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InstanceId(String);

/// An invalid instance ID.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an instance ID has 1 to {MAX_BYTES} letters, digits, dots, dashes and underscores")]
pub(crate) struct InvalidInstanceId;

impl InstanceId {
    /// Whether it has the form of an EC2 instance ID: `i-` and 8 hexadecimal digits, or 17 since 2016.
    fn is_of_ec2(&self) -> bool {
        let is_hex = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
        let digits = self.0.strip_prefix("i-");
        digits.is_some_and(|digits| matches!(digits.len(), 8 | 17) && digits.bytes().all(is_hex))
    }
}

impl FromStr for InstanceId {
    type Err = InvalidInstanceId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let fits = (1..=MAX_BYTES).contains(&text.len()) && text.chars().all(is_allowed);
        fits.then(|| Self(text.to_owned())).ok_or(InvalidInstanceId)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The instance ID of this process, empty until known. It does not delay the start: on EC2 a task queries the metadata
/// service.
pub(crate) fn find(
    config: &Config,
    lifecycle: &Lifecycle,
) -> anyhow::Result<Arc<OnceLock<String>>> {
    let told = config.instance_id.as_ref();
    find_on(Path::new(SYS), Metadata::of_ec2, told, lifecycle)
}

/// The ID of an instance whose hardware identification is in `sys`.
fn find_on(
    sys: &Path,
    metadata: impl FnOnce() -> anyhow::Result<Metadata>,
    told: Option<&InstanceId>,
    lifecycle: &Lifecycle,
) -> anyhow::Result<Arc<OnceLock<String>>> {
    let found = Arc::new(OnceLock::new());
    if let Some(id) = told {
        found.get_or_init(|| id.to_string());
    } else if is_ec2(sys) {
        let metadata = metadata()?;
        let (finding, draining) = (Arc::clone(&found), lifecycle.draining());
        lifecycle.spawn("instance id", async move {
            let learning = learn(&metadata, &finding);
            draining.run_until_cancelled(learning).await;
            draining.cancelled().await;
            Ok(())
        });
    }
    Ok(found)
}

/// Whether this is an EC2 instance: Nitro and bare metal by the vendor in the DMI tables, older ones by the Xen UUID.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/identify_ec2_instances.html>
fn is_ec2(sys: &Path) -> bool {
    let says = |file: &str| std::fs::read_to_string(sys.join(file)).unwrap_or_default();
    let vendors = ["sys_vendor", "board_vendor"].map(|file| format!("class/dmi/id/{file}"));
    let mut vendors = vendors.iter().map(|file| says(file));
    let xen = says("hypervisor/uuid").to_ascii_lowercase();
    vendors.any(|vendor| vendor.trim() == "Amazon EC2") || xen.starts_with("ec2")
}

/// Queries until there is a response.
async fn learn(metadata: &Metadata, found: &OnceLock<String>) {
    let pauses = pauses()
        .take(TRIES)
        .chain(std::iter::repeat_with(|| SELDOM));
    for (tries, pause) in (1..).zip(pauses) {
        match metadata.instance_id().await {
            Ok(id) => {
                tracing::info!("running on EC2 instance {id}");
                found.get_or_init(|| id.to_string());
                return;
            }
            Err(error) if tries == TRIES => tracing::warn!(
                "cannot get the ID of this instance from EC2, so the console cannot match its nodes: {}; retrying every minute; \
                set it with --instance-id",
                chain(&error)
            ),
            Err(error) => tracing::debug!("{}", chain(&error)),
        }
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use std::process::ExitCode;

    use skilift_core::lifecycle::Signals;
    use tempfile::TempDir;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn off_ec2_or_told_nobody_is_asked() {
        let lifecycle = Lifecycle::new();
        let no_service = || panic!("the service was queried");
        let sys = TempDir::new().unwrap();
        let found = find_on(sys.path(), no_service, None, &lifecycle).unwrap();
        assert_eq!(found.get(), None);
        let told: InstanceId = "local-worker-1".parse().unwrap();
        std::fs::create_dir_all(sys.path().join("class/dmi/id")).unwrap();
        std::fs::write(sys.path().join("class/dmi/id/sys_vendor"), "Amazon EC2\n").unwrap();
        let found = find_on(sys.path(), no_service, Some(&told), &lifecycle).unwrap();
        assert_eq!(found.get().map(String::as_str), Some("local-worker-1"));
    }

    #[tokio::test]
    async fn on_ec2_neither_start_nor_end_waits_for_an_answer() {
        let sys = TempDir::new().unwrap();
        std::fs::create_dir_all(sys.path().join("hypervisor")).unwrap();
        std::fs::write(sys.path().join("hypervisor/uuid"), "ec2e1916\n").unwrap();
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", silent.local_addr().unwrap());
        let lifecycle = Lifecycle::new();
        let found = find_on(sys.path(), || Metadata::at(&address), None, &lifecycle).unwrap();
        assert_eq!(found.get(), None);
        let (_asking, _) = silent.accept().await.unwrap();
        lifecycle.drain();
        let deadline = Duration::from_secs(10);
        let code = lifecycle
            .run_until_drained(Signals::install().unwrap(), deadline)
            .await;
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
    }

    #[test]
    fn names_are_short_and_plain() {
        let long = "x".repeat(65);
        for bad in ["", "i 0", "i-0\n", "i-0/..", "ü", &long] {
            assert_eq!(bad.parse::<InstanceId>(), Err(InvalidInstanceId), "{bad:?}");
        }
        for (good, is_of_ec2) in [
            ("i-0123456789abcdef0", true),
            ("i-01234567", true),
            ("i-012345678", false),
            ("i-0123456789ABCDEF0", false),
            ("m-0123456789abcdef0", false),
            ("local-worker-1", false),
        ] {
            let id: InstanceId = good.parse().unwrap();
            assert_eq!((id.to_string().as_str(), id.is_of_ec2()), (good, is_of_ec2));
        }
    }

    #[test]
    fn the_kernel_says_whether_this_is_ec2() {
        for (file, text, expected) in [
            ("class/dmi/id/sys_vendor", "Amazon EC2\n", true),
            ("class/dmi/id/board_vendor", "Amazon EC2\n", true),
            (
                "hypervisor/uuid",
                "ec2e1916-9099-7caf-fd21-012345abcdef\n",
                true,
            ),
            (
                "hypervisor/uuid",
                "EC2E1916-9099-7CAF-FD21-012345ABCDEF\n",
                true,
            ),
            ("class/dmi/id/sys_vendor", "QEMU\n", false),
            ("class/dmi/id/sys_vendor", "Not Amazon EC2, a copy\n", false),
            (
                "hypervisor/uuid",
                "45e12aec-9099-7caf-fd21-012345abcdef\n",
                false,
            ),
            ("class/dmi/id/product_name", "Amazon EC2\n", false),
        ] {
            let sys = TempDir::new().unwrap();
            let file = sys.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text).unwrap();
            assert_eq!(is_ec2(sys.path()), expected, "{}: {text}", file.display());
        }
        assert!(!is_ec2(TempDir::new().unwrap().path()), "no identification");
    }
}

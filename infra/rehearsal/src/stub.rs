//! The server as its users see it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::fault::Ec2Fault;
use super::instance::Ec2Instance;
use super::region::{Ec2Timings, is_well_formed};
use super::server::accept;
use super::service::{Ec2Call, Service};

/// An EC2 on a free port of 127.0.0.1, for the official SDK or any client of the Query protocol.
///
/// Its instances come from its user, as do the faults. It knows `DescribeInstances`, `DescribeInstanceStatus`,
/// `DescribeSpotInstanceRequests`, `StartInstances` and `StopInstances`. It accepts any credentials, but a request must be signed. Dropping it ends its connections. It belongs to
/// the runtime on which it was started.
///
/// ```no_run
/// # async fn example() -> anyhow::Result<()> {
/// use skilift_rehearsal::{Ec2Action, Ec2Fault, Ec2Instance, Ec2State, Ec2Stub, Ec2Timings};
///
/// let ec2 = Ec2Stub::start(Ec2Timings::default()).await?;
/// ec2.put(Ec2Instance::new("i-0000000000000000a", Ec2State::Stopped).tag("skilift:role", "worker"));
/// ec2.inject(Ec2Fault::cut_after(Ec2Action::StartInstances));
/// // ... a client of ec2.url() starts the instance, and has to find out that it did ...
/// let starts = ec2.calls().into_iter().filter(|call| call.action == "StartInstances");
/// assert_eq!(starts.map(|call| call.changed.len()).sum::<usize>(), 1);
/// # Ok(())
/// # }
/// ```
pub struct Ec2Stub {
    addr: SocketAddr,
    service: Arc<Service>,
    _stop: DropGuard,
}

impl Ec2Stub {
    /// Starts one without instances.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(timings: Ec2Timings) -> anyhow::Result<Self> {
        // It is never started again, so that any port will do.
        Self::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), timings).await
    }

    /// Starts one without instances on an address.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn listen(addr: SocketAddr, timings: Ec2Timings) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(addr).await;
        let listener =
            listener.with_context(|| format!("cannot listen on {addr} (see `ss -ltnp`)"))?;
        let addr = listener.local_addr()?;
        let service = Arc::new(Service::new(timings));
        let stop = CancellationToken::new();
        accept(listener, Arc::clone(&service), &stop);
        Ok(Self {
            addr,
            service,
            _stop: stop.drop_guard(),
        })
    }

    /// `http://127.0.0.1:PORT`, for the SDK's `endpoint_url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Where it listens, for example to put a proxy before it.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Adds an instance, or replaces the one with its id. The change is visible immediately.
    ///
    /// # Panics
    /// When its id is not one of EC2's form.
    pub fn put(&self, instance: Ec2Instance) {
        assert!(
            is_well_formed(&instance.id),
            "{} is no id of EC2",
            instance.id
        );
        self.service.state().region.put(instance);
    }

    /// Removes an instance, as EC2 does some time after its end. Does nothing if there is none.
    pub fn remove(&self, id: &str) {
        self.service.state().region.machines.remove(id);
    }

    /// Changes an instance as another client would; a new state is visible immediately. Does nothing if there is none.
    pub fn change(&self, id: &str, change: impl FnOnce(&mut Ec2Instance)) {
        self.service
            .state()
            .region
            .change(id, Instant::now(), change);
    }

    /// The current state of an instance, without the lag of descriptions.
    #[must_use]
    pub fn instance(&self, id: &str) -> Option<Ec2Instance> {
        self.service.state().region.instance(id, Instant::now())
    }

    /// Limits how many more instances of a type can start in a zone; `None` removes the limit. A start beyond it is refused as a
    /// whole; a stop frees capacity.
    pub fn limit_capacity(&self, instance_type: &str, zone: &str, free: Option<usize>) {
        self.service.state().region.limit(instance_type, zone, free);
    }

    /// Removes all capacity limits.
    pub fn clear_limits(&self) {
        self.service.state().region.clear_limits();
    }

    /// Adds a fault.
    pub fn inject(&self, fault: Ec2Fault) {
        self.service.state().script.inject(fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.service.state().script.clear();
    }

    /// Current instances, ordered by ID.
    #[must_use]
    pub fn instances(&self) -> Vec<Ec2Instance> {
        let state = self.service.state();
        let now = Instant::now();
        let ids = state.region.machines.keys();
        ids.filter_map(|id| state.region.instance(id, now))
            .collect()
    }

    /// The calls after the first `count`, in the order in which they were decided.
    #[must_use]
    pub fn calls_after(&self, count: usize) -> Vec<Ec2Call> {
        let state = self.service.state();
        state.calls.get(count..).unwrap_or_default().to_vec()
    }

    /// All calls up to now, in the order in which they were decided.
    #[must_use]
    pub fn calls(&self) -> Vec<Ec2Call> {
        self.service.state().calls.clone()
    }
}

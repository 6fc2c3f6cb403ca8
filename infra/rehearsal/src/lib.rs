//! A scripted EC2, over EC2's own protocol: for `skictl rehearse ec2` and for tests.
//!
//! It behaves like the real one where a mock does not: states take time, descriptions lag behind, calls are refused as a whole, and
//! faults come when a scenario says so.
//!
//! - `instance`: what an instance is. `region`: the instances of a region and what starting and stopping makes of them, a state
//!   machine that knows neither HTTP nor a clock of its own. `describe`: what can be seen of them. `spot`: and of their
//!   Spot requests.
//! - `query`: requests of EC2's Query protocol. `answer`: its XML. `refusal`: its errors.
//! - `fault`: what goes wrong. `service`: the result of each call. `server`: its HTTP. `stub`: all that together.
//! - `scenario`: instances and faults in a file.
//!
//! Behaviour and texts follow the EC2 API reference (version 2016-11-15), the EC2 user guide, and messages that users of EC2 have
//! quoted.

mod answer;
mod describe;
mod fault;
mod instance;
mod query;
mod refusal;
mod region;
mod scenario;
mod server;
mod service;
mod spot;
mod stub;

pub use fault::{Ec2Action, Ec2Fault};
pub use instance::{Ec2Instance, Ec2Spot, Ec2State};
pub use region::Ec2Timings;
pub use scenario::{Scenario, ScenarioError};
pub use service::{Ec2Answer, Ec2Call};
pub use stub::Ec2Stub;

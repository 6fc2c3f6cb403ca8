//! Private RabbitMQ and Redis servers for tests, `make run` and `make bench`, and an EC2 for tests.
//!
//! - [`RedisServer`] and [`RabbitServer`]: the real programs, each in a temporary folder of its own, on free ports of 127.0.0.1, with
//!   random passwords. They can be stopped, killed, paused and started again at the same address with the same data.
//! - [`Ec2Stub`]: an EC2 that behaves like the real one, and goes wrong when it is told to.
//! - [`MotoServer`]: the real moto, for what a mock of AWS does well.
//! - [`ChromeDriver`]: a real Chromium without a window.
//! - [`CutProxy`]: a TCP proxy that cuts or stalls the connections through it. [`free_port`]: a port for a server of the test's own.
//! - [`http()`]: HTTP clients of tests.
//! - The program `with-servers` runs a command with both servers at its side; tests in that command find them with
//!   [`shared_amqp_url`] and [`shared_redis_url`]. Of AWS accounts they find [none](AWS_OF_NOBODY).
//!
//! Nothing is left over: dropping a server kills its processes and removes its folder, and the kernel kills them when the process
//! that started them dies in any other way (only the folder stays then). This crate must never be linked into the product.
//!
//! Linux only, with `setpriv` from util-linux.

mod chromium;
mod moto;
mod rabbit;
mod redis;

mod http;
mod proxy;
mod shared;

mod port;
mod process;
mod program;

pub use chromium::ChromeDriver;
pub use http::{http, http_builder};
pub use moto::MotoServer;
pub use port::free_port;
pub use proxy::CutProxy;
pub use rabbit::{RabbitOptions, RabbitServer};
pub use redis::{AppendFsync, RedisOptions, RedisServer};
pub use shared::{AWS_OF_NOBODY, assert_aws_of_nobody, shared_amqp_url, shared_redis_url};
pub use skilift_rehearsal::{
    Ec2Action, Ec2Answer, Ec2Call, Ec2Fault, Ec2Instance, Ec2Spot, Ec2State, Ec2Stub, Ec2Timings,
};

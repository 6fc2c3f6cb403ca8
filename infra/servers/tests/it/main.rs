//! The servers and the proxy, tried with the real programs.

mod ec2;
mod ec2_faults;
mod moto;
mod proc;
mod proxy;
mod rabbit;
mod redis;
mod with_servers;

//! The servers and the proxy, tried with the real programs.

mod proc;
mod proxy;
mod rabbit;
mod redis;
mod with_servers;

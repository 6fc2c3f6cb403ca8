//! The whole system as its users run it: real processes, real RabbitMQ, real Redis, real disks, and what can happen to each.
//!
//! - `service`: a running `skictl`. `system`: an API and a worker on servers of their own. `up`: one process on a data folder.
//!   `disk`: a small disk of a test's own.
//! - `operator`: a console, and `skictl` against it.
//! - `load`: clients that send rides and remember every answer. `proof`: holds what is stored against what was answered.
//! - `nodes`: what nodes say to a console and follow of it. `notify`: what they say to systemd. `units`: systemd's units.
//! - `first_minutes`: what a new user pastes. `load_command`: `skictl load` against an API and a worker. `load_headers`: its
//!   key and headers.
//! - `children`: the workers that `skictl up` runs on servers; `scale_children`: more and fewer of them. `scale_ec2`: machines of a
//!   simulated EC2, deployed by the project's own template. `scale_faults`: what EC2 refuses. `rehearse`: the same by `skictl rehearse`. `tune`: sweeps under real load. `machines`: what runs on simulated machines.
//! - `browser`: a browser on the web console of a `skictl up`; `web_console`: what it sees and does. `web_console_roles`: what users of
//!   each role may do. `web_console_fleet`: the fleet on a rehearsed EC2. `web_console_keyboard`: without a mouse. `web_console_outage`: while RabbitMQ or Redis is down, and with a dead
//!   letter. `web_console_tuning`: a sweep and its report. `accessibility`: every page against the rules of axe-core.
//! - `console`: the ways into it, and its crashes. `takeover`: one that is replaced. `backups`: copies of Redis
//!   and of a data directory. `operating`: a fleet that is operated while rides flow.
//! - Then the crashes, one file for whom they hit, and the starts that must fail with a clear message. `fault_schedule`: many faults of
//!   all kinds, drawn by a seed. `doors`: TLS and keys. `doctor`: broken set-ups. `durability` watches
//!   a data folder's system calls. `dashboards`: the alert rules and the dashboard.

mod browser;
mod deploy_walk;
mod disk;
mod load;
mod machines;
mod operator;
mod proof;
mod service;
mod system;
mod up;

mod accessibility;
mod alarm;
mod archive;
mod backups;
mod bad_folder;
mod bad_start;
mod broker_crashes;
mod children;
mod console;
mod dashboards;
mod dead_letters;
mod doctor;
mod doors;
mod durability;
mod embedded_crashes;
mod embedded_disk;
mod fault_schedule;
mod first_minutes;
mod load_command;
mod load_headers;
mod log_reader;
mod managed;
mod moment;
mod nodes;
mod notify;
mod operating;
mod process_crashes;
mod rehearse;
mod scale_children;
mod scale_ec2;
mod scale_faults;
mod store_crashes;
mod takeover;
mod tune;
mod units;
mod web_console;
mod web_console_fleet;
mod web_console_keyboard;
mod web_console_outage;
mod web_console_roles;
mod web_console_tuning;

//! Skilift's control plane: what operators see and change, under one set of rules for permission, plan and audit.
//!
//! # Layout
//!
//! - [`view`]: what operators see, and [`view::change`] what they may ask for. It is also the JSON of the admin API.

pub mod view;

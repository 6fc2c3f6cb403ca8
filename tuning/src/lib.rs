//! From measurements to a choice: which numbers of nodes and threads meet an objective at the lowest cost.
//!
//! - [`usl`]: the Universal Scalability Law, fitted to measured rates. [`model`]: the fit with its intervals, and how far it may be
//!   used.
//! - [`sweep`]: which configurations are measured, and in which order.
//! - [`interval`]: intervals of what was measured more than once. [`choice`]: the Pareto front, and the recommendation.
//!
//! It knows no HTTP, no nodes and no clock: measurements come in, figures come out.

pub mod choice;
pub mod interval;
pub mod model;
pub mod sweep;
pub mod usl;

//! What a worker of an agent is launched with: command line, files, variables, prompt.
//!
//! The kinds of agents are data beside this file (`*.yaml`), which `workflow` reads; nothing
//! here knows one by name. It leaves out what the shim does with an agent.

pub mod compose;
pub mod prompt;
mod version;

pub use compose::{Composed, Site};
pub use version::{degraded, read as read_version};

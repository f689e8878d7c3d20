#![doc = include_str!("ARCHITECTURE.md")]

pub mod agents;
pub mod cli;
pub mod dash;
pub mod engine;
pub mod home;
pub mod host;
pub mod journal;
pub mod mail;
pub mod protocol;
pub mod render;
pub mod shim;
pub mod supervisor;
pub mod workflow;

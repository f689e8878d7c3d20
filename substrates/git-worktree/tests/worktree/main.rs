//! The promises of this crate, each against real git in a private world.
//!
//! One program for all files: what they share is compiled and linked once.

#[cfg(test)]
mod closing;
#[cfg(test)]
mod common;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod deferred;
mod drift;
#[cfg(test)]
mod ensure;
#[cfg(test)]
mod evidence;
#[cfg(test)]
mod open;
#[cfg(test)]
mod retention;

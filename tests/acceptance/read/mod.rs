//! The reading commands over journals that were told by hand.
//!
//! It leaves out running anything: no supervisor, no worker.

mod follow;
mod going;
mod looking;
mod story;

//! What may be wrong on purpose: each must be caught, or the model proves nothing.
//!
//! The engine is never edited. A mutant rewrites what passes between it and the world,
//! or lets the shell misbehave; where it does stands in `shell.rs` by its name.

/// One planted defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// A report counts for whoever holds the task now: its token is replaced by the live one.
    NoFence,
    /// An assignment that is there already is written again.
    Resend,
    /// A resumed supervisor starts a session again instead of adopting the one that is there.
    LaunchAgain,
    /// A claim's age is taken from the worker's clock, which is wrong.
    WorkerClock,
    /// Silence is taken for death.
    SilenceIsDeath,
    /// A journal that was put back begins its tokens again below those on disk.
    TokenReset,
    /// The same, where the marks on disk are looked at only after the dead were told of.
    MarksLate,
    /// Evidence is taken from the report.
    BelieveReport,
    /// A look that saw nothing is taken for a look that saw it.
    MurkPasses,
    /// A look that saw nothing refutes, without a second one.
    OneLook,
    /// What is decided is acted on before it is committed.
    ActFirst,
    /// A snapshot is said to be kept and isn't taken.
    NoCapture,
    /// A look that failed is taken for a look that found nothing.
    ErrorIsAbsence,
    /// What a dead shim left running isn't ended before its death is told.
    NoBurial,
    /// A supervisor that couldn't look judges as if it had.
    NoGrace,
    /// That a session was ended is never handed in.
    SwallowStop,
    /// Stopping is told before the session has ended.
    StopUnproven,
    /// A classifier's label is heard as the other one.
    OtherLabel,
}

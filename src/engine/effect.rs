//! All that we can ask of the world. Never queued, never journaled: derived from
//! the state (`outstanding.rs`), so none can be lost, and each may be asked twice.
//!
//! It leaves out how they are done.

/// One thing owed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Make tree, mail and session of a worker that was granted a claim.
    Provision {
        /// `<task>.<attempt>`.
        worker: String,
    },
    /// Put the assignment into its mail, at most once (law L16).
    Deliver {
        /// `<task>.<attempt>`.
        worker: String,
        /// The live token.
        token: u64,
    },
    /// Put the answer to a submission into its mail: the same each time it is asked for.
    Reply {
        /// `<task>.<attempt>`.
        worker: String,
        /// The number of the submission.
        n: u32,
    },
    /// Put a person's answer into its mail, once: one that is there is never replaced.
    Answer {
        /// `<task>.<attempt>`.
        worker: String,
        /// The number of the answer.
        n: u32,
    },
    /// End its session's process tree.
    Stop {
        /// `<task>.<attempt>`.
        worker: String,
        /// Without a grace.
        force: bool,
    },
    /// Keep what its tree holds as a commit.
    Capture {
        /// `<task>.<attempt>`.
        worker: String,
    },
    /// Look at the declared evidence.
    Verify {
        /// `<task>.<attempt>`.
        worker: String,
    },
}

impl Effect {
    /// Whom it is about.
    #[must_use]
    pub fn worker(&self) -> &str {
        match self {
            Self::Provision { worker }
            | Self::Deliver { worker, .. }
            | Self::Reply { worker, .. }
            | Self::Answer { worker, .. }
            | Self::Stop { worker, .. }
            | Self::Capture { worker }
            | Self::Verify { worker } => worker,
        }
    }
}

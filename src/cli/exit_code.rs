//! Exit codes by class (contract 6); scripts rely on them.

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: the environment or the input is wrong, an action was refused, a name is unknown.
    Wrong,
    /// 2: usage.
    Usage,
    /// 3: the run ended otherwise.
    Failed,
    /// 4: interrupted and resumable; `wait` timed out.
    Interrupted,
    /// 5: another supervisor holds the home.
    Held,
    /// 6: the journal is damaged, or from a newer version.
    Journal,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Done => 0,
            Self::Wrong => 1,
            Self::Usage => 2,
            Self::Failed => 3,
            Self::Interrupted => 4,
            Self::Held => 5,
            Self::Journal => 6,
        }
    }
}

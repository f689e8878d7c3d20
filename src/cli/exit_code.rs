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
    /// What each code means, in its order, for pages that are printed; the last is a panic's.
    pub const TABLE: [(i32, &str); 8] = [
        (0, "Done: every task completed, or was skipped by design."),
        (
            1,
            "The environment or the input is wrong, an action was refused, a name is unknown, or a record doesn't hold any more.",
        ),
        (2, "Usage."),
        (3, "The run ended otherwise."),
        (4, "Interrupted, and `ilchul up` goes on with it; a wait timed out."),
        (5, "Another supervisor holds the home."),
        (6, "The journal is damaged, or from a newer version."),
        (101, "A panic: a bug of ilchul's."),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_that_is_printed_has_every_code() {
        let all = [
            Exit::Done,
            Exit::Wrong,
            Exit::Usage,
            Exit::Failed,
            Exit::Interrupted,
            Exit::Held,
            Exit::Journal,
        ];
        let known: Vec<i32> = Exit::TABLE.iter().map(|(code, _)| *code).collect();
        assert_eq!(known[..7], all.map(Exit::code));
        assert_eq!(known[7..], [101]);
    }
}

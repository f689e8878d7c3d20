//! The mark: the name under which a run's things are found again.
//!
//! It leaves out who the worker is and what it does; it only names.

use std::fmt;
use std::str::FromStr;

/// `ilchul.<run>.<task>.<attempt>`: unique for one attempt of one task of one run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    run: String,
    task: String,
    attempt: u32,
}

/// A text that is no mark; holds the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidMark(pub String);

impl fmt::Display for InvalidMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read `{}` as a mark (ilchul.<run>.<task>.<attempt>)", self.0.escape_debug())
    }
}

impl std::error::Error for InvalidMark {}

impl Mark {
    /// A mark from its parts.
    ///
    /// # Errors
    /// When `run` or `task` is no slug (`[a-z0-9][a-z0-9_-]*`), or `attempt` is 0:
    /// marks become file names, branch names and tmux options.
    pub fn new(run: &str, task: &str, attempt: u32) -> Result<Self, InvalidMark> {
        if is_slug(run) && is_slug(task) && attempt > 0 {
            Ok(Self { run: run.to_owned(), task: task.to_owned(), attempt })
        } else {
            Err(InvalidMark(format!("ilchul.{run}.{task}.{attempt}")))
        }
    }

    /// The run's id.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The task's id.
    #[must_use]
    pub fn task(&self) -> &str {
        &self.task
    }

    /// The attempt's ordinal, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The worker's id inside its run: `<task>.<attempt>`.
    #[must_use]
    pub fn worker(&self) -> String {
        format!("{}.{}", self.task, self.attempt)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ilchul.{}.{}.{}", self.run, self.task, self.attempt)
    }
}

impl FromStr for Mark {
    type Err = InvalidMark;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidMark(text.chars().take(200).collect());
        let mut parts = text.split('.');
        let (Some("ilchul"), Some(run), Some(task), Some(attempt), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(invalid());
        };
        // `parse` would take `+1` and `01`: two spellings of one mark.
        let ordinal: u32 = attempt.parse().map_err(|_| invalid())?;
        if ordinal.to_string() != attempt {
            return Err(invalid());
        }
        Self::new(run, task, ordinal).map_err(|_| invalid())
    }
}

fn is_slug(text: &str) -> bool {
    let tail_ok = |c: &u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'_' | b'-');
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) && bytes.iter().all(tail_ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_as_it_was_written() {
        let mark = Mark::new("20261121-0930-ab12", "fix_it-2", 3).unwrap();
        assert_eq!(mark.to_string(), "ilchul.20261121-0930-ab12.fix_it-2.3");
        assert_eq!(mark.to_string().parse::<Mark>().unwrap(), mark);
        assert_eq!(mark.worker(), "fix_it-2.3");
    }

    #[test]
    fn what_could_name_something_else_is_no_mark() {
        for text in [
            "",
            "ilchul",
            "ilchul.r.t",
            "ilchul.r.t.0",
            "ilchul.r.t.01",
            "ilchul.r.t.+1",
            "ilchul.r.t.1.2",
            "ilchul.R.t.1",
            "ilchul.r.-t.1",
            "ilchul.r.#(touch x).1",
            "other.r.t.1",
            "ilchul.r.t.4294967296",
        ] {
            assert!(text.parse::<Mark>().is_err(), "{text}");
        }
    }
}

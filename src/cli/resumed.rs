//! What `up` says of the workers that another life left: adopted, settled, gone, half made,
//! unknown, and what follows.
//!
//! It leaves out when that is told (`progress.rs`).

use crate::render::words;
use crate::supervisor::{Fate, Resumed, Then};

/// One worker's fate, with the mark of its line.
pub fn words(resumed: &Resumed) -> (&'static str, String) {
    let task = resumed.worker.rsplit_once('.').map_or("TASK", |(task, _)| task);
    let (mark, found) = match &resumed.fate {
        Fate::Adopted => (">", "adopted: it lives and goes on undisturbed".to_owned()),
        Fate::Queued(why) => (">", format!("adopted: it waits for its turn in the cluster's queue ({why})")),
        Fate::Ending => (">", "told to end before: it is being ended".to_owned()),
        Fate::Settled(exit) => (">", format!("settled: it ended while nobody supervised ({})", exit.words())),
        Fate::Gone(detail) => ("!", format!("gone: {detail}")),
        Fate::HalfMade => {
            ("!", "half made when the last supervisor ended; whatever there is of it is kept".to_owned())
        }
        Fate::Unknown(why) => {
            ("!", format!("unknown: it can't be looked at ({why}); nothing is concluded from that"))
        }
    };
    let next = match resumed.then {
        Then::Nothing => String::new(),
        Then::Checked => "; its evidence is checked".to_owned(),
        Then::Again { attempt, allowed } if attempt <= allowed => {
            format!("; `{task}` is tried again (attempt {attempt} of {allowed})")
        }
        Then::Again { attempt, .. } => format!("; `{task}` is tried again (attempt {attempt})"),
        Then::Failed => format!("; no attempt is left, `{task}` has failed (ilchul retry {task})"),
        Then::Person => format!("; it waits for you (ilchul why {task})"),
    };
    (mark, format!("{}  {found}{next}", resumed.worker))
}

/// The same in one line: how many of each.
pub fn tally(resumed: &[Resumed]) -> String {
    let count = |fits: &dyn Fn(&Resumed) -> bool| resumed.iter().filter(|one| fits(one)).count();
    let parts = [
        (count(&|one| matches!(one.fate, Fate::Adopted | Fate::Queued(_))), "adopted"),
        (count(&|one| one.fate == Fate::Ending), "being ended"),
        (count(&|one| matches!(one.fate, Fate::Settled(_))), "settled"),
        (count(&|one| matches!(one.fate, Fate::Gone(_))), "gone"),
        (count(&|one| one.fate == Fate::HalfMade), "half made"),
        (count(&|one| matches!(one.fate, Fate::Unknown(_))), "unknown"),
        (count(&|one| matches!(one.then, Then::Again { .. })), "tried again"),
        (count(&|one| one.then == Then::Person), "for you to decide"),
    ];
    let told: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    format!("of {}: {}", words::count(resumed.len(), "worker"), told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::evidence::ChildExit;

    fn one(fate: Fate, then: Then) -> Resumed {
        Resumed { worker: "build.1".to_owned(), fate, then }
    }

    #[test]
    fn every_fate_is_told_in_plain_words_with_what_follows() {
        let all = [
            one(Fate::Adopted, Then::Nothing),
            one(Fate::Settled(ChildExit::Code(0)), Then::Checked),
            one(Fate::Gone("its session is gone".to_owned()), Then::Again { attempt: 2, allowed: 2 }),
            one(Fate::Gone("its session is gone".to_owned()), Then::Failed),
            one(Fate::HalfMade, Then::Again { attempt: 2, allowed: 1 }),
            one(Fate::Unknown("tmux: no answer".to_owned()), Then::Nothing),
            one(Fate::Adopted, Then::Person),
            one(Fate::Ending, Then::Again { attempt: 2, allowed: 3 }),
        ];
        let mut lines: Vec<String> = all.iter().map(|one| words(one).1).collect();
        lines.push(tally(&all));
        insta::assert_snapshot!(lines.join("\n"), @r"
        build.1  adopted: it lives and goes on undisturbed
        build.1  settled: it ended while nobody supervised (exit code 0); its evidence is checked
        build.1  gone: its session is gone; `build` is tried again (attempt 2 of 2)
        build.1  gone: its session is gone; no attempt is left, `build` has failed (ilchul retry build)
        build.1  half made when the last supervisor ended; whatever there is of it is kept; `build` is tried again (attempt 2)
        build.1  unknown: it can't be looked at (tmux: no answer); nothing is concluded from that
        build.1  adopted: it lives and goes on undisturbed; it waits for you (ilchul why build)
        build.1  told to end before: it is being ended; `build` is tried again (attempt 2 of 3)
        of 8 workers: 2 adopted, 1 being ended, 1 settled, 2 gone, 1 half made, 1 unknown, 3 tried again, 1 for you to decide
        ");
    }
}

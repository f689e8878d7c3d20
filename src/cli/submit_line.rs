//! The line that would submit a task's job, as `plan` shows it before there is a run.
//!
//! What only a run knows stands in angle brackets. It leaves out asking Slurm about it: that
//! is `up`'s, with the first job of a kind.

use ilchul_substrate::Mark;

use crate::home::Home;
use crate::supervisor::request;
use crate::workflow::{SessionKind, Task, Workflow};

/// Stands for a run's id until there is one: a mark is made of real ids.
const RUN: &str = "run";

/// Stands for the id of one that is made.
const MADE: &str = "made";

/// The words of the line; none where no job is submitted for `task`.
#[must_use]
pub fn of(
    home: &Home,
    workflow: &Workflow,
    kind: SessionKind,
    (task, id): (&Task, &str),
) -> Option<Vec<String>> {
    if kind != SessionKind::Slurm || task.kind.is_control() {
        return None;
    }
    // What is made for each element has an id that isn't known yet.
    let (mark, own) = match Mark::new(RUN, id, 1) {
        Ok(mark) => (mark, id),
        Err(_) => (Mark::new(RUN, MADE, 1).ok()?, MADE),
    };
    let folder = home.run("<run>").join("slurm").join(format!("ilchul.<run>.{id}.1"));
    let words = ilchul_slurm::line(&mark, "<nonce>", &folder, &request::of_task(workflow, task));
    let own = format!("ilchul.{RUN}.{own}.");
    let named = format!("ilchul.<run>.{id}.");
    let shown = words.iter().map(|word| word.to_string_lossy().replace(&own, &named));
    Some(shown.collect())
}

/// The same as one line that can be pasted, but for what stands in angle brackets.
#[must_use]
pub fn text(words: &[String]) -> String {
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_what_the_task_asks_for_and_only_where_a_job_is_submitted() {
        let text = "version: 1\nslurm: { partition: main, time: 1h }\ntasks: { a: { run: x, slurm: { cpus: 4 } }, b: { approve: { message: y } } }\n";
        let workflow = crate::workflow::load("x.yaml", text.as_bytes()).unwrap().workflow;
        let home = Home::at("/h");
        let line = of(&home, &workflow, SessionKind::Slurm, (&workflow.tasks[0], "a")).unwrap();
        for word in [
            "--job-name=ilchul.<run>.a.1",
            "--no-requeue",
            "--time=60",
            "--partition=main",
            "--cpus-per-task=4",
        ] {
            assert!(line.iter().any(|one| one == word), "{word} in {line:?}");
        }
        assert!(super::text(&line).starts_with("sbatch --parsable "));
        let made = of(&home, &workflow, SessionKind::Slurm, (&workflow.tasks[0], "m-m<k>")).unwrap();
        assert!(made.iter().any(|one| one == "--job-name=ilchul.<run>.m-m<k>.1"), "{made:?}");
        assert_eq!(of(&home, &workflow, SessionKind::Tmux, (&workflow.tasks[0], "a")), None);
        assert_eq!(of(&home, &workflow, SessionKind::Slurm, (&workflow.tasks[1], "b")), None);
    }
}

//! Control tasks through the binary: what they chose survives a supervisor that is killed, and
//! what can't come out well ends in so many words (laws D3 to D6, J7).
//!
//! What really ran stands in a ledger outside of everything that ilchul writes. It leaves out
//! the machine's own walks through these kinds (`src/engine/tests/control.rs`).

use std::collections::BTreeSet;

use ilchul::engine::state::TaskState;
use serde_json::Value;

use crate::world::{Ran, Up, World, wait_until};

mod adopted;
mod bracket;
mod gates;
mod killed;
mod list;
mod reduction;
mod repeated;
mod shown;
mod told;

/// Writes its worker into the ledger.
const NOTE: &str = "echo $ILCHUL_WORKER >> $W/ledger";
/// Goes on once the test lets it.
const WAIT: &str = "until test -e $W/go; do sleep 0.02; done";
/// The beginning of a report that it is done.
const SAY: &str = "ilchul report --status done --summary said";

/// A world whose workflow is `tasks`, with `NOTE`, `WAIT` and `SAY` in their places.
fn world(tasks: &str) -> World {
    World::with(&text(tasks))
}

fn text(tasks: &str) -> String {
    let tasks = tasks.replace("@NOTE", NOTE).replace("@WAIT", WAIT).replace("@SAY", SAY);
    format!("limits: {{ grace: 1s, workers: 8 }}\ndefaults: {{ workspace: none }}\ntasks:\n{tasks}")
}

impl World {
    /// Waits until this worker has written its line, however often it is there.
    #[track_caller]
    fn await_line(&self, worker: &str) {
        wait_until(&format!("{worker} at work"), || self.ledger().iter().any(|line| line == worker));
    }

    /// Kills the supervisor once this worker is at work, lets everybody go on, and sees the run
    /// to its end under another.
    #[track_caller]
    fn killed_at(&self, worker: &str) -> Ran {
        self.killed_in("subprocess", worker)
    }

    /// The same with the workers in sessions of this kind.
    #[track_caller]
    fn killed_in(&self, session: &str, worker: &str) -> Ran {
        let up = self.start(&["up", "--session", session]);
        self.await_line(worker);
        up.kill();
        self.touch("go");
        self.run(&["up", "--session", session])
    }

    #[track_caller]
    fn kill_and_resume(&self, up: Up) -> Ran {
        up.kill();
        self.touch("go");
        self.up()
    }

    /// What ran, each exactly once, whatever its place.
    #[track_caller]
    fn ran_once(&self, workers: &[&str]) {
        let ledger = self.ledger();
        let once: BTreeSet<&str> = ledger.iter().map(String::as_str).collect();
        assert_eq!(once.len(), ledger.len(), "something ran twice: {ledger:?}");
        assert_eq!(once, workers.iter().copied().collect(), "{ledger:?}");
    }

    /// A task as the journal tells it.
    #[track_caller]
    fn task(&self, id: &str) -> TaskState {
        let state = self.state();
        state.tasks[state.task_index(id).unwrap_or_else(|| panic!("no task `{id}`"))].clone()
    }

    /// The bracket that a tournament was decided by: judge, left, right, winner.
    #[track_caller]
    fn bracket(&self, id: &str) -> Vec<[String; 4]> {
        let task = self.task(id);
        let played = task.evidence[0].facts.get("bracket").and_then(Value::as_array).cloned();
        let word = |value: &Value| value.as_str().unwrap_or("nobody").to_owned();
        let row = |one: Value| ["judge", "left", "right", "winner"].map(|key| word(&one[key]));
        played.unwrap_or_default().into_iter().map(row).collect()
    }
}

//! What really happened, kept by the world and never by the engine: the laws are judged
//! against this.
//!
//! It leaves out every judgement (`laws.rs`).

use std::collections::{BTreeMap, BTreeSet};

use ilchul::engine::evidence::{Checked, ChildExit, Verdict};
use ilchul::workflow::Item;
use serde_json::{Map, Value};

/// One time that a task's body really ran.
#[derive(Debug, Clone)]
pub struct Execution {
    /// `<task>.<attempt>`.
    pub worker: String,
    /// Whose body.
    pub task: String,
    /// Under which token it was started.
    pub token: u64,
    /// Until when, in the world's own milliseconds, if it is over.
    pub until: Option<u64>,
}

/// What a worker's tree and process really hold in the end.
#[derive(Debug, Clone, Default)]
pub struct Work {
    /// What the task asks for is there.
    pub good: bool,
    /// Nothing was changed.
    pub unchanged: bool,
    /// How the body really ended.
    pub exit: Option<ChildExit>,
}

/// The truth of one run.
#[derive(Debug, Default)]
pub struct Ledger {
    /// In the order of their starts.
    pub executions: Vec<Execution>,
    /// How often an assignment really appeared, by worker and token.
    pub deliveries: BTreeMap<(String, u64), u32>,
    /// How often an answer really appeared, by worker and number.
    pub given: BTreeMap<(String, u32), u32>,
    /// What each worker really did.
    pub works: BTreeMap<String, Work>,
    /// Workers that echoed the right nonce, in their own tree.
    pub proven: BTreeSet<String>,
    /// Tokens that their holder took: by an acknowledgement, or by a report under them.
    pub taken: BTreeSet<(String, u64)>,
    /// Digests of the reports that a worker wrote under a token.
    pub reports: BTreeSet<(String, u64, String)>,
    /// How often the supervisor died.
    pub crashes: u64,
    /// What each worker answers, whatever else it says.
    pub answers: BTreeMap<String, Map<String, Value>>,
    /// Tasks that a person said yes to.
    pub approved: BTreeSet<String>,
    /// The commit that each worker's tree started at.
    pub starts: BTreeMap<String, String>,
    /// The commit that each worker's tree was kept as.
    pub heads: BTreeMap<String, String>,
    /// Reviewers' workers that were given a head and said that it passes.
    pub passed: BTreeSet<String>,
}

impl Ledger {
    /// A body starts.
    pub fn starts(&mut self, worker: &str, token: u64) {
        let task = worker.rsplit_once('.').map_or(worker, |(task, _)| task).to_owned();
        self.executions.push(Execution { worker: worker.to_owned(), task, token, until: None });
    }

    /// A worker's body is over, however that came; nothing, where it is already.
    pub fn ends(&mut self, worker: &str, now: u64) {
        let open = |execution: &&mut Execution| execution.worker == worker && execution.until.is_none();
        self.executions.iter_mut().filter(open).for_each(|execution| execution.until = Some(now));
    }

    /// Whether the reviewer's last body said yes, in a tree that stood at this worker's head.
    fn has_passed(&self, reviewer: &str, worker: &str) -> bool {
        let last = self.executions.iter().rev().find(|execution| execution.task == reviewer);
        last.is_some_and(|last| {
            let head = self.heads.get(worker);
            self.passed.contains(&last.worker) && head.is_some() && self.starts.get(&last.worker) == head
        })
    }

    /// What a worker really answered under a name.
    pub fn answer(&self, worker: &str, name: &str) -> Option<&Value> {
        self.answers.get(worker)?.get(name)
    }

    /// What an honest look at one item finds.
    pub fn look(&self, worker: &str, item: &Item) -> Checked {
        let work = self.works.get(worker).cloned().unwrap_or_default();
        let holds = match item {
            Item::Exit(code) => work.exit == Some(ChildExit::Code(*code)),
            Item::Diff { allow_none, .. } => work.good && (*allow_none || !work.unchanged),
            Item::Command { .. } | Item::Artifact { .. } | Item::Log { .. } | Item::Views | Item::Reduced => {
                work.good
            }
            Item::Unchanged => work.good && work.unchanged,
            Item::Review { task } => self.has_passed(task, worker),
            Item::Output { name, equals } => self.answer(worker, name) == Some(equals),
            Item::Choice { name, among } => {
                let word = self.answer(worker, name).and_then(Value::as_str);
                word.is_some_and(|word| among.iter().any(|known| known == word))
            }
            // Nobody is sent to look at a control task.
            Item::Children => false,
            Item::Approval { .. } => {
                worker.rsplit_once('.').is_some_and(|(task, _)| self.approved.contains(task))
            }
        };
        let verdict = if holds { Verdict::Verified } else { Verdict::Refuted };
        Checked::new(item.kind(), verdict, "the simulator looked")
    }
}

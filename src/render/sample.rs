//! One run for the tests of this room, built by hand: every kind of thing there is to show.
//!
//! It leaves out the engine: a view is plain data.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Beside;
use super::table::Screen;
use crate::engine::budget::snapshot::{Line, Snapshot};
use crate::engine::event::{Drift, Place};
use crate::engine::evidence::{Checked, Verdict};
use crate::engine::moment::{Moment, Stamp};
use crate::engine::question::Question;
use crate::engine::state::RunPhase;
use crate::engine::task_table::TaskPhase;
use crate::engine::view::{RunView, TaskView, WorkerView};
use crate::engine::worker_table::WorkerPhase;

/// When the sample run started, in milliseconds since 1970.
pub(crate) const START_MS: i64 = 1_700_000_000_000;

/// So many seconds after the start.
pub(crate) fn at(seconds: u32) -> Stamp {
    let millis = u64::from(seconds) * 1000;
    Stamp { moment: Moment(millis), wall_ms: START_MS + i64::from(seconds) * 1000 }
}

/// Two minutes after the start, without colour or width.
pub(crate) fn screen() -> Screen {
    Screen { color: false, width: None, now_ms: START_MS + 120_000 }
}

pub(crate) fn task(id: &str, phase: TaskPhase, reason: &str, needs: &[&str]) -> TaskView {
    TaskView {
        id: id.to_owned(),
        kind: "run",
        parent: None,
        submitted: false,
        untrusted: false,
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        phase,
        reason: reason.to_owned(),
        held: false,
        gate: None,
        waits_for: Vec::new(),
        asks: None,
        question: None,
        reviewed_by: Vec::new(),
        reviews: None,
        since: at(10),
        attempt: 0,
        allowed: 1,
        worker: None,
        head: None,
        summary: String::new(),
        outputs: serde_json::Map::new(),
        evidence: Vec::new(),
        conditions: Vec::new(),
        until: Vec::new(),
        removed: false,
        declared: Ok(vec!["exit"]),
    }
}

pub(crate) fn worker(task: &str, attempt: u32, phase: WorkerPhase, reason: &str) -> WorkerView {
    WorkerView {
        id: format!("{task}.{attempt}"),
        task: task.to_owned(),
        attempt,
        phase,
        reason: reason.to_owned(),
        since: at(20),
        session: None,
        workspace: None,
        pid: None,
        lost: false,
        observations: Vec::new(),
        drift: Drift::default(),
        snapshot: None,
        report: None,
        end_seen: true,
        survived: false,
    }
}

/// The worker of `fix` asks its second question.
pub(crate) fn asks(view: &mut RunView, text: &str) {
    let fix = &mut view.tasks[1];
    (fix.phase, fix.reason, fix.since) = (TaskPhase::Blocked, format!("needs_input: {text}"), at(30));
    fix.question = Some(Question {
        status: "needs_input".to_owned(),
        text: text.to_owned(),
        n: 2,
        since: at(30),
        worker: "fix.1".to_owned(),
    });
}

pub(crate) fn place(kind: &str, id: &str, fields: &[(&str, &str)]) -> Place {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Place { kind: kind.to_owned(), id: id.to_owned(), fields }
}

/// build has completed, fix is being worked on, docs is being launched, pack waits for fix,
/// gone has failed, and tail was skipped because of it.
pub(crate) fn view() -> RunView {
    let mut build = task("build", TaskPhase::Completed, "", &[]);
    (build.attempt, build.worker) = (1, Some("build.1".to_owned()));
    build.head = Some("b".repeat(40));
    build.evidence = vec![
        Checked::new("exit", Verdict::Verified, "exit code 0").fact("expected", 0).fact("code", 0),
        Checked::new("artifact", Verdict::Verified, "a regular file").fact("path", "out/\u{1b}[1mx"),
    ];
    build.declared = Ok(vec!["exit", "artifact"]);
    let mut fix = task("fix", TaskPhase::InProgress, "", &["build"]);
    (fix.attempt, fix.allowed, fix.worker) = (1, 2, Some("fix.1".to_owned()));
    let mut docs = task("docs", TaskPhase::Claimed, "", &[]);
    (docs.attempt, docs.allowed, docs.worker) = (2, 3, Some("docs.2".to_owned()));
    docs.waits_for = vec!["its worker's readiness".to_owned()];
    let mut pack = task("pack", TaskPhase::Pending, "", &["build", "fix"]);
    pack.waits_for = vec!["task `fix`, which is in_progress".to_owned()];
    let mut gone =
        task("gone", TaskPhase::Failed, "no_report: the worker ended without a report (exit code 3)", &[]);
    gone.attempt = 1;
    gone.since = at(90);
    let tail = task("tail", TaskPhase::Skipped, "needs_unmet: needs `gone`, which is failed", &["gone"]);

    let mut built = worker("build", 1, WorkerPhase::CompletedRetained, "");
    built.session = Some(place("tmux", "%3", &[("socket", "/tmp/s"), ("pane", "%3")]));
    built.workspace =
        Some(place("worktree", "/h/t/build.1", &[("path", "/h/t/build.1"), ("branch", "ilchul/r1/build.1")]));
    built.pid = Some(41);
    let mut fixing = worker("fix", 1, WorkerPhase::Busy, "");
    fixing.session = Some(place("subprocess", "77", &[]));
    fixing.pid = Some(78);
    let launching = worker("docs", 2, WorkerPhase::Provisioning, "");

    RunView {
        id: "20231114-221320-ab12".to_owned(),
        workflow: "nightly".to_owned(),
        path: "ilchul.yaml".to_owned(),
        phase: RunPhase::Running,
        interrupted: String::new(),
        base: "a".repeat(40),
        base_name: "main".to_owned(),
        session: "tmux",
        started_at: at(0),
        ended_at: None,
        last_at: at(95),
        budget: Snapshot {
            attempts: Line { total: Some(10), used: 5, reserved: 0, left: Some(5) },
            workers: Line { total: Some(4), used: 2, reserved: 0, left: Some(2) },
            ..Snapshot::default()
        },
        halted: None,
        tasks: vec![build, fix, docs, pack, gone, tail],
        workers: vec![built, fixing, launching],
    }
}

/// What lies beside it: fix.1 was heard of 3 s ago.
pub(crate) fn beside() -> Beside {
    let beats = [("build.1", "2023-11-14T22:13:50Z"), ("fix.1", "2023-11-14T22:15:17Z")];
    Beside {
        beats: beats.iter().map(|(id, at)| ((*id).to_owned(), (*at).to_owned())).collect::<BTreeMap<_, _>>(),
        scratch: Some(PathBuf::from("/h/scratch")),
        ..Beside::default()
    }
}

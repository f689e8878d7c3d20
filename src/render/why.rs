//! `why`: what a task waits for through which chain, since when, by which
//! observation, what would change it, and the command to type next.
//!
//! It leaves out guesses: a chain ends where the view knows no further cause.

use serde_json::{Value, json};

use super::table::{Screen, toned};
use super::words::{
    ago, count, line, list, reason, respond, run_state, sentence, span, stopped, task_reason, time, up,
};
use super::wrap::wrapped;
use super::{Beside, Host, control, drift, restore};
use crate::engine::task_table::TaskPhase;
use crate::engine::view::{Gated, RunView, TaskView, WorkerView};

/// The longest chain that is followed: as long as the largest workflow is deep.
const CHAIN_MAX: usize = 10_000;
/// Links of a chain that a person is shown; the last one is always among them.
const LINKS: usize = 12;

/// The answer to `why TASK`.
#[derive(Debug)]
pub struct Why<'v> {
    view: &'v RunView,
    beside: &'v Beside,
    held: bool,
    /// From the task to the one at the root of its state.
    chain: Vec<&'v TaskView>,
    /// What commands need to mean this run; empty for the latest.
    of_run: String,
}

/// Where it comes from, where no file says it, and whether its word counts.
fn origin(task: &TaskView) -> String {
    let mut text = String::new();
    if let Some(parent) = &task.parent {
        let how = if task.submitted { "submitted" } else { "made" };
        text.push_str(&format!("It was {how} by `{}`.\n", line(parent)));
    }
    if task.untrusted {
        text.push_str("It is untrusted: what it changes refutes it, and what it answers is labelled so.\n");
    }
    text
}

/// What would change a state, and the commands to type.
struct Way {
    change: String,
    next: Vec<String>,
}

impl<'v> Why<'v> {
    /// The answer for `task`, a task of `view`. `named`: the run was named, so commands name it too.
    #[must_use]
    pub fn new(
        (view, held): (&'v RunView, bool),
        task: &'v TaskView,
        beside: &'v Beside,
        named: bool,
    ) -> Self {
        let of_run = if named { format!(" --run {}", view.id) } else { String::new() };
        Self { view, beside, held, chain: chain(view, task), of_run }
    }

    fn task(&self) -> &'v TaskView {
        self.chain[0]
    }

    fn root(&self) -> &'v TaskView {
        self.chain[self.chain.len() - 1]
    }

    /// The words for people.
    #[must_use]
    pub fn text(&self, screen: Screen) -> String {
        let task = self.task();
        let state = toned(screen, super::status::task_tone(task.phase), task.phase.word());
        let span = span(screen.now_ms.saturating_sub(task.since.wall_ms));
        let mut text = format!(
            "{} has been {state} for {span}.
",
            task.id
        );
        text.push_str(&format!("{}\n", sentence(&reason(&task_reason(task)))));
        text.push_str(&origin(task));
        text.push_str(&control::progress(self.view, task));
        if task.attempt > 0 && !control::is_control(task) {
            text.push_str(&format!("Attempt {} of at most {}.\n", task.attempt, task.allowed));
        }
        if let Some(gate) = &task.gate {
            text.push_str(&format!("The gate says {}, at its stage {}", gate.verdict, line(&gate.stage)));
            let until =
                gate.until_ms.map(|at| format!(", for {} more", super::words::span(at - screen.now_ms)));
            text.push_str(&format!("{}.\n", until.unwrap_or_default()));
        }
        if let Some(worker) = self.worker() {
            text.push_str(&drift::text(&worker.id, &worker.drift));
        }
        if let Some((job, host)) = self.host() {
            let (node, folder) = (line(&host.node), line(&super::shown(&host.folder)));
            text.push_str(&format!(
                "Its worker is job {job} on {node}; what Slurm wrote: {folder}/slurm.log\n"
            ));
        }
        if self.worker().is_some_and(WorkerView::is_starved) {
            text.push_str("The kernel ended a process of it, because its memory was used up. ");
            text.push_str("Ask for more: `slurm: { mem: SIZE }`.\n");
        }
        text.push_str(&self.links(screen));
        let (what, at) = self.observed();
        text.push_str(&format!("Known from {what}, {}.\n", ago(screen.now_ms, at)));
        let way = self.way();
        text.push_str(&format!(
            "What would change it: {}
",
            stopped(&way.change)
        ));
        for command in &way.next {
            text.push_str(&format!("Next: {command}\n"));
        }
        if let Some((worker, commands)) = self.gone() {
            text.push_str(&restore(worker, commands));
        }
        wrapped(&text, screen)
    }

    fn links(&self, screen: Screen) -> String {
        if self.chain.len() < 2 {
            return String::new();
        }
        let mut text = "The chain:\n".to_owned();
        let hidden = self.chain.len().saturating_sub(LINKS);
        for (index, link) in self.chain.iter().enumerate() {
            if hidden > 0 && index == LINKS - 1 {
                text.push_str(&format!("  ... {} between ...\n", count(hidden, "task")));
            }
            if hidden > 0 && index >= LINKS - 1 && index + 1 < self.chain.len() {
                continue;
            }
            let why = reason(&task_reason(link));
            let since = ago(screen.now_ms, link.since.wall_ms);
            text.push_str(&format!("  {}  {}, {since}: {why}\n", link.id, link.phase));
        }
        text
    }

    /// The data of `why --json`.
    #[must_use]
    pub fn json(&self) -> Value {
        let task = self.task();
        let link = |task: &&TaskView| json!({"task": task.id, "state": task.phase.word(), "reason": task_reason(task), "since": time(task.since.wall_ms)});
        let (what, at) = self.observed();
        let way = self.way();
        json!({
            "task": task.id,
            "state": task.phase.word(),
            "reason": task_reason(task),
            "since": time(task.since.wall_ms),
            "attempt": task.attempt,
            "attempts_allowed": task.allowed,
            "worker": task.worker,
            "waits_for": task.waits_for,
            "question": task.question.as_ref().map(|question| super::json::question(&task.id, question)),
            "parent": task.parent,
            "submitted": task.submitted,
            "trust": if task.untrusted { "untrusted" } else { "trusted" },
            "gate": task.gate.as_ref().map(gate),
            "chain": self.chain.iter().map(link).collect::<Vec<_>>(),
            "observed": {"by": what, "at": time(at)},
            "change": way.change,
            "next": way.next,
            "job": self.host().map(|(job, host)| json!({"id": job, "node": host.node, "folder": super::shown(&host.folder)})),
            "drift": self.worker().map(|worker| drift::json(&worker.drift)),
            "restore": self.gone().map(|(_, commands)| commands).unwrap_or_default(),
        })
    }

    /// The task's last worker.
    fn worker(&self) -> Option<&WorkerView> {
        self.view.worker(self.task().worker.as_deref()?)
    }

    /// The job of the task's last worker, and where it runs or ran.
    fn host(&self) -> Option<(&str, &Host)> {
        let worker = self.worker()?;
        Some((worker.session.as_ref()?.id.as_str(), self.beside.hosts.get(&worker.id)?))
    }

    /// The task's last worker, where its worktree is gone, and how to have that back.
    fn gone(&self) -> Option<(&str, &[String])> {
        let worker = self.task().worker.as_deref()?;
        self.beside.gone.get(worker).map(|commands| (worker, commands.as_slice()))
    }

    /// What the state at the root is known from, and when that was.
    fn observed(&self) -> (String, i64) {
        let root = self.root();
        let beat = root.worker.as_deref().filter(|_| root.phase.is_held()).and_then(|worker| {
            let at = self.beside.beat_ms(worker)?;
            Some((format!("the heartbeat of `{worker}`"), at))
        });
        beat.unwrap_or_else(|| (format!("the journal's entry about `{}`", root.id), root.since.wall_ms))
    }

    fn command(&self, words: &str) -> String {
        format!("ilchul {words}{}", self.of_run)
    }

    fn way(&self) -> Way {
        let root = self.root();
        let id = &root.id;
        let open = !root.phase.is_terminal();
        if root.asks.is_some() {
            let verb = |verb: &str| self.command(&format!("{verb} {id}"));
            let next = vec![verb("evidence"), verb("approve"), verb("deny")];
            return Way { change: "your answer".to_owned(), next };
        }
        if open && run_state(self.view.phase, self.held) != "running" && !self.is_lost() {
            let change = "a supervisor that goes on with the run".to_owned();
            return Way { change, next: vec![up(&self.view.path)] };
        }
        if root.removed {
            return self.one("a workflow file that has it again, adopted", "status");
        }
        match root.phase {
            TaskPhase::Pending => self.one(format!("the end of {}", list(&quoted(&root.needs))), "status"),
            TaskPhase::Ready if root.waits_for.is_empty() => self.one("its launch, at any moment", "status"),
            TaskPhase::Ready if root.held => Way {
                change: format!("{}, or your decision to end it", list(&root.waits_for)),
                next: vec![self.command("workers"), self.command(&format!("decide {id} rerun"))],
            },
            TaskPhase::Ready => self.one(list(&root.waits_for), "workers"),
            TaskPhase::Claimed if root.waits_for.iter().any(|what| what.contains("queue")) => {
                self.one(list(&root.waits_for), "workers")
            }
            TaskPhase::Claimed => {
                self.one(format!("{}, or the end of the time for it", list(&root.waits_for)), "workers")
            }
            TaskPhase::InProgress if self.is_lost() => Way {
                change: "a heartbeat of its worker, or your decision".to_owned(),
                next: vec![
                    self.command(&format!("attach {id}")),
                    self.command(&format!("decide {id} rerun|skip|accept")),
                ],
            },
            TaskPhase::InProgress => self.one("the end of its worker", &format!("logs {id} -f")),
            TaskPhase::Verifying => self.one("the end of the checks", &format!("evidence {id}")),
            TaskPhase::RepairRequired => self.one("its next attempt", &format!("evidence {id}")),
            TaskPhase::Blocked => {
                let look = if self.view.session == "subprocess" { "logs" } else { "attach" };
                let next = vec![self.command(&format!("{look} {id}")), respond(id, &self.of_run)];
                Way { change: "your answer, or its own going on".to_owned(), next }
            }
            TaskPhase::Completed => self.one("nothing: it is done", &format!("evidence {id}")),
            TaskPhase::Failed if root.gate.is_some() => Way {
                change: root.gate.as_ref().map(remedy).unwrap_or_default(),
                next: vec![format!("{} --adopt", up(&self.view.path)), self.command(&format!("retry {id}"))],
            },
            TaskPhase::Partial | TaskPhase::Failed | TaskPhase::Cancelled => {
                Way { change: format!("a retry of `{id}`"), next: self.after_failure(root) }
            }
            TaskPhase::Skipped => self.one("nothing: it was skipped by design, or by a person", "status"),
        }
    }

    fn after_failure(&self, root: &TaskView) -> Vec<String> {
        let id = &root.id;
        let mut next = Vec::new();
        if root.attempt > 0 && !control::is_control(root) {
            next.push(self.command(&format!("logs {id}")));
        }
        if !root.evidence.is_empty() {
            next.push(self.command(&format!("evidence {id}")));
        }
        next.push(self.command(&format!("retry {id}")));
        if run_state(self.view.phase, self.held) != "running" {
            // A retry is decided now, and done by whoever supervises.
            next.push(up(&self.view.path));
        }
        next
    }

    fn one(&self, change: impl Into<String>, command: &str) -> Way {
        Way { change: change.into(), next: vec![self.command(command)] }
    }

    fn is_lost(&self) -> bool {
        let worker = self.root().worker.as_deref().and_then(|id| self.view.worker(id));
        self.root().phase.is_held() && worker.is_some_and(|worker| worker.lost)
    }
}

fn gate(gate: &Gated) -> Value {
    json!({"verdict": gate.verdict, "stage": gate.stage, "until": gate.until_ms.and_then(time)})
}

/// What makes a denied task possible again, beside the retry.
fn remedy(gate: &Gated) -> String {
    let limit = match gate.stage.as_str() {
        "tasks" | "attempts" | "depth" => format!("a higher `limits.{}`", gate.stage),
        _ => "other `limits`".to_owned(),
    };
    format!("{limit} in the workflow file, adopted, then a retry")
}

fn quoted(ids: &[String]) -> Vec<String> {
    ids.iter().map(|id| format!("`{id}`")).collect()
}

/// From a task through what it waits for, or was skipped for, to the task where that begins.
pub(super) fn chain<'v>(view: &'v RunView, task: &'v TaskView) -> Vec<&'v TaskView> {
    let mut chain = vec![task];
    let mut last = task;
    while chain.len() < CHAIN_MAX {
        let Some(cause) = cause(view, last) else { break };
        chain.push(cause);
        last = cause;
    }
    chain
}

/// Needs form no cycle, nor do they together with what reviewers wait for, so following them ends.
fn cause<'v>(view: &'v RunView, task: &TaskView) -> Option<&'v TaskView> {
    let needs = task.needs.iter().filter_map(|need| view.task(need));
    let reviewed = task.reviews.as_deref().and_then(|id| view.task(id));
    match task.phase {
        TaskPhase::Pending => needs.into_iter().chain(reviewed).find(|need| !need.phase.is_terminal()),
        TaskPhase::Verifying if task.asks.is_none() => task.reviewed_by.first().and_then(|by| view.task(by)),
        TaskPhase::Skipped if task.reason.starts_with("needs_unmet") => {
            let mut unmet = needs
                .chain(reviewed)
                .filter(|need| need.phase.is_terminal() && need.phase != TaskPhase::Completed);
            unmet.next()
        }
        TaskPhase::InProgress if control::is_control(task) => {
            let own = |child: &&TaskView| child.parent.as_ref() == Some(&task.id) && !child.removed;
            view.tasks.iter().filter(own).find(|child| !child.phase.is_terminal())
        }
        TaskPhase::Skipped
        | TaskPhase::Ready
        | TaskPhase::Claimed
        | TaskPhase::InProgress
        | TaskPhase::Verifying
        | TaskPhase::RepairRequired
        | TaskPhase::Blocked
        | TaskPhase::Completed
        | TaskPhase::Partial
        | TaskPhase::Failed
        | TaskPhase::Cancelled => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn why(view: &RunView, held: bool, task: &str) -> (String, Value) {
        let beside = sample::beside();
        let task = view.task(task).unwrap();
        let why = Why::new((view, held), task, &beside, false);
        (why.text(sample::screen()), why.json())
    }

    #[test]
    fn a_pending_task_is_explained_down_to_the_worker_it_waits_for() {
        let (text, json) = why(&sample::view(), true, "pack");
        insta::assert_snapshot!(text, @r#"
        pack has been pending for 1 min.
        Waits for task `fix`, which is in_progress.
        The chain:
          pack  pending, 1 min ago: waits for task `fix`, which is in_progress
          fix  in_progress, 1 min ago: `fix.1` works on it
        Known from the heartbeat of `fix.1`, 3 s ago.
        What would change it: the end of its worker.
        Next: ilchul logs fix -f
        "#);
        assert_eq!(json["chain"][1]["task"], "fix");
        assert_eq!(json["observed"], json!({"by": "the heartbeat of `fix.1`", "at": "2023-11-14T22:15:17Z"}));
        assert_eq!(json["next"], json!(["ilchul logs fix -f"]));
    }

    #[test]
    fn a_worker_whose_memory_was_used_up_is_told_apart_from_one_that_failed() {
        let mut view = sample::view();
        let worker = view.workers.iter_mut().find(|worker| worker.id == "fix.1").unwrap();
        let said = |summary: String| Some(("done".to_owned(), summary, None));
        worker.report = said("exited with code 137".to_owned());
        assert!(!why(&view, true, "fix").0.contains("memory"));
        let worker = view.workers.iter_mut().find(|worker| worker.id == "fix.1").unwrap();
        worker.report = said(format!("exited with code 137; {}", crate::protocol::MEMORY));
        let (text, _) = why(&view, true, "fix");
        assert!(text.contains("memory was used up. Ask for more: `slurm: { mem: SIZE }`."), "{text}");
    }

    #[test]
    fn a_question_is_explained_with_both_ways_to_answer_it() {
        let mut view = sample::view();
        sample::asks(&mut view, "which one?");
        let (text, json) = why(&view, true, "fix");
        insta::assert_snapshot!(text, @r#"
        fix has been blocked for 1 min.
        Needs input: which one? (ilchul answer fix "...").
        Attempt 1 of at most 2.
        Known from the heartbeat of `fix.1`, 3 s ago.
        What would change it: your answer, or its own going on.
        Next: ilchul attach fix
        Next: ilchul answer fix "..."
        "#);
        assert_eq!(json["next"], json!(["ilchul attach fix", "ilchul answer fix \"...\""]));
        assert_eq!(json["question"]["text"], "which one?");
    }

    #[test]
    fn a_skipped_task_is_explained_by_the_failure_at_the_root() {
        let (text, _) = why(&sample::view(), true, "tail");
        insta::assert_snapshot!(text, @r#"
        tail has been skipped for 1 min.
        Needs `gone`, which is failed.
        The chain:
          tail  skipped, 1 min ago: needs `gone`, which is failed
          gone  failed, 30 s ago: the worker ended without a report (exit code 3)
        Known from the journal's entry about `gone`, 30 s ago.
        What would change it: a retry of `gone`
        Next: ilchul logs gone
        Next: ilchul retry gone
        "#);
    }

    #[test]
    fn nothing_goes_on_by_itself_while_nobody_drives_the_run() {
        let (text, json) = why(&sample::view(), false, "pack");
        assert!(text.contains("What would change it: a supervisor that goes on with the run."), "{text}");
        assert_eq!(json["next"], json!(["ilchul up"]));
        let (_, ended) = why(&sample::view(), false, "build");
        assert_eq!(ended["next"], json!(["ilchul evidence build"]));
        // What is granted another attempt is tried by whoever supervises then; `up` takes a file, no run.
        let mut elsewhere = sample::view();
        elsewhere.path = "ci/nightly.yaml".to_owned();
        assert_eq!(why(&elsewhere, false, "pack").1["next"], json!(["ilchul up ci/nightly.yaml"]));
        let next = json!(["ilchul logs gone", "ilchul retry gone", "ilchul up ci/nightly.yaml"]);
        assert_eq!(why(&elsewhere, false, "tail").1["next"], next);
        elsewhere.phase = crate::engine::state::RunPhase::Ended { success: false };
        assert_eq!(why(&elsewhere, false, "tail").1["next"], next);
    }

    #[test]
    fn an_approval_is_yours_to_give_whether_or_not_somebody_drives_the_run() {
        let mut view = sample::view();
        (view.tasks[1].phase, view.tasks[1].asks) = (TaskPhase::Verifying, Some("Ship it?".to_owned()));
        for held in [true, false] {
            let (text, json) = why(&view, held, "pack");
            assert_eq!(json["change"], "your answer");
            let next = ["ilchul evidence fix", "ilchul approve fix", "ilchul deny fix"];
            assert_eq!(json["next"], json!(next), "{text}");
        }
    }

    #[test]
    fn l10_a_lost_worker_asks_for_a_decision() {
        let mut view = sample::view();
        view.workers[1].lost = true;
        let (_, json) = why(&view, true, "pack");
        assert_eq!(json["next"], json!(["ilchul attach fix", "ilchul decide fix rerun|skip|accept"]));
    }

    #[test]
    fn what_the_gate_says_is_told_with_its_stage_and_what_would_change_it() {
        let mut view = sample::view();
        view.tasks[4].reason = "denied: attempts: all 5 attempts of the run are used up".to_owned();
        view.tasks[4].gate = Some(Gated { verdict: "deny", stage: "attempts".to_owned(), until_ms: None });
        let (text, json) = why(&view, true, "gone");
        assert_eq!(json["gate"], json!({"verdict": "deny", "stage": "attempts", "until": null}));
        assert_eq!(json["next"], json!(["ilchul up --adopt", "ilchul retry gone"]));
        assert!(text.contains("The gate says deny, at its stage attempts.\n"), "{text}");
        let change =
            "What would change it: a higher `limits.attempts` in the workflow file, adopted, then a retry.\n";
        assert!(text.contains(change), "{text}");

        let (phase, until_ms) = (TaskPhase::Ready, Some(sample::screen().now_ms + 5_000));
        (view.tasks[4].phase, view.tasks[4].reason) = (phase, String::new());
        view.tasks[4].gate = Some(Gated { verdict: "limited", stage: "host".to_owned(), until_ms });
        view.tasks[4].waits_for = vec!["the host: its last launch failed there".to_owned()];
        let (text, json) = why(&view, true, "gone");
        assert!(text.contains("The gate says limited, at its stage host, for 5 s more.\n"), "{text}");
        assert_eq!(json["gate"]["until"], "2023-11-14T22:15:25Z");
    }

    #[test]
    fn a_named_run_is_named_in_the_commands_too() {
        let (view, beside) = (sample::view(), sample::beside());
        let why = Why::new((&view, true), view.task("gone").unwrap(), &beside, true);
        let next = why.json()["next"].clone();
        assert_eq!(next[0], "ilchul logs gone --run 20231114-221320-ab12");
    }

    #[test]
    fn a_long_chain_is_cut_in_its_middle() {
        let mut view = sample::view();
        for number in 0..100 {
            let before = if number == 0 { "fix".to_owned() } else { format!("p{}", number - 1) };
            view.tasks.push(sample::task(&format!("p{number}"), TaskPhase::Pending, "", &[&before]));
        }
        let (text, json) = why(&view, true, "p99");
        assert!(text.lines().count() < 22, "{text}");
        assert!(text.contains("  fix  in_progress"), "{text}");
        assert_eq!(json["chain"].as_array().unwrap().len(), 101);
    }

    #[test]
    fn every_state_has_a_way_on() {
        for phase in TaskPhase::ALL {
            let mut view = sample::view();
            view.tasks[4].phase = phase;
            let (text, json) = why(&view, true, "gone");
            assert!(
                !json["change"].as_str().unwrap().is_empty() && text.contains("Next: ilchul "),
                "{phase}"
            );
        }
    }
}

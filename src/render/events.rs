//! The journal as lines: one JSON object or one line of text for each event.
//!
//! The event's own fields stand beside `seq`, `at`, `kind`, `task` and `worker`,
//! whatever they are nested in where they are kept. It leaves out filtering.

use serde_json::{Map, Value, json};

use super::table::{Screen, Tone, toned};
use super::words::{extended, line, reason, time};
use super::wrap::broken;
use crate::engine::event::{ClaimStep, Event, ReportStep, RunEvent, TaskStep, WorkerStep};
use crate::engine::evidence::{ChildExit, Verdict};
use crate::engine::moment::Stamp;
use crate::engine::task_table::TaskPhase;

/// One line of `events --json`. `reason`, `attempt` and `token` are always there too.
#[must_use]
pub fn json(seq: u64, at: Stamp, event: &Event) -> Value {
    let mut fields = fields(event);
    let worker = event.worker();
    let attempt =
        worker.and_then(|id| id.rsplit_once('.')).and_then(|(_, attempt)| attempt.parse::<u32>().ok());
    let mut always = |name: &str, value: Value| {
        fields.entry(name).or_insert(value);
    };
    always("reason", Value::Null);
    always("attempt", attempt.into());
    always("token", Value::Null);
    fields.insert("seq".to_owned(), seq.into());
    fields.insert("at".to_owned(), time(at.wall_ms).into());
    fields.insert("kind".to_owned(), event.kind().into());
    fields.insert("task".to_owned(), event.task().into());
    fields.insert("worker".to_owned(), worker.into());
    Value::Object(fields)
}

/// What an event says beside whom it is about.
fn fields(event: &Event) -> Map<String, Value> {
    let value = match event {
        Event::Run(event) => run(event),
        Event::Task(event) => with_reason(&event.reason, step(&event.step)),
        Event::Worker(event) => with_reason(&event.reason, worker(&event.step)),
        Event::Claim(event) => {
            let mut fields = step(&event.step);
            fields["token"] = event.token.into();
            fields
        }
        Event::Report(event) => match &event.step {
            ReportStep::Accepted {
                status,
                summary,
                reason,
                outputs,
                claims,
                usage,
                retry_after,
                question,
                by_shim,
                sha256,
            } => json!({
                "status": status, "summary": summary, "reason": reason, "outputs": outputs,
                "evidence": claims, "usage": usage, "retry_after": retry_after, "question": question,
                "by": by_shim.then_some("shim"), "sha256": sha256,
            }),
            ReportStep::Refused { code, detail, sha256 } => {
                json!({"code": code, "detail": detail, "reason": format!("{code}: {detail}"), "sha256": sha256})
            }
        },
        // The item's kind has a name of its own: `kind` is the event's.
        Event::Evidence(event) => json!({
            "attempt": event.attempt, "item": event.item, "evidence": event.checked.kind,
            "verdict": event.checked.verdict.word(), "reason": event.checked.reason, "facts": event.checked.facts,
        }),
        Event::Ignored(event) => json!({
            "input": event.input, "code": event.code, "detail": event.detail,
            "reason": format!("{}: {}", event.code, event.detail),
        }),
    };
    match value {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

fn run(event: &RunEvent) -> Value {
    match event {
        RunEvent::Started(started) => json!({
            "run": started.run, "workflow": started.workflow.name, "path": started.path, "digest": started.digest,
            "base": started.base, "base_name": started.base_name, "bases": started.bases,
            "session": started.session.word(), "workers": started.workers, "only": started.only,
            "pid": started.pid, "boot": started.boot, "tasks": tasks(&started.workflow.tasks),
        }),
        RunEvent::Adopted(adopted) => json!({
            "workflow": adopted.workflow.name, "digest": adopted.digest, "copy": adopted.copy,
            "base": adopted.base, "base_name": adopted.base_name, "bases": adopted.bases,
            "workers": adopted.workers, "tasks": adopted.workflow.tasks.len(),
        }),
        RunEvent::Extended(extended) => {
            let submission = extended
                .submission
                .as_ref()
                .map(|submitted| json!({"worker": submitted.worker, "n": submitted.n}));
            json!({
                "by": extended.by, "why": extended.why, "tasks": tasks(&extended.tasks), "submission": submission,
            })
        }
        RunEvent::Resumed { .. }
        | RunEvent::Interrupted { .. }
        | RunEvent::Stopping { .. }
        | RunEvent::Ended { .. }
        | RunEvent::Halted(_)
        | RunEvent::Reopened { .. }
        | RunEvent::Drifted(_) => step(event),
    }
}

/// The tasks that the run has, in the workflow's order: with them the lines of `events` are
/// enough to know where every task is (law J4).
fn tasks(tasks: &[crate::workflow::Task]) -> Value {
    let task =
        |task: &crate::workflow::Task| json!({"id": task.id, "kind": task.word(), "parent": task.parent});
    tasks.iter().map(task).collect()
}

fn worker(found: &WorkerStep) -> Value {
    match found {
        WorkerStep::Ended { exit, survivors, usage } => {
            let (code, signal) = match exit {
                ChildExit::Code(code) => (Some(*code), None),
                ChildExit::Signal(signal) => (None, Some(*signal)),
                ChildExit::Unknown => (None, None),
            };
            let mut ended = json!({"code": code, "signal": signal, "survivors": survivors});
            if !usage.is_empty() {
                ended["usage"] = json!(usage);
            }
            ended
        }
        WorkerStep::Provisioning { .. }
        | WorkerStep::Launched { .. }
        | WorkerStep::Moved { .. }
        | WorkerStep::Echoed { .. }
        | WorkerStep::Stopping { .. }
        | WorkerStep::Stopped
        | WorkerStep::Found { .. }
        | WorkerStep::Departed
        | WorkerStep::Suspended
        | WorkerStep::Continued
        | WorkerStep::Captured { .. }
        | WorkerStep::SubmissionRefused { .. }
        | WorkerStep::Released { .. } => step(found),
    }
}

/// The fields inside `{"name_of_step": {fields}}`; none where the step is a bare word.
fn step(step: &impl serde::Serialize) -> Value {
    match serde_json::to_value(step) {
        Ok(Value::Object(outer)) => outer.into_iter().next().map_or_else(|| json!({}), |(_, inner)| inner),
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) | Err(_) => {
            json!({})
        }
    }
}

fn with_reason(reason: &str, mut fields: Value) -> Value {
    if !reason.is_empty() {
        fields["reason"] = reason.into();
    }
    fields
}

/// One line of `events` for people.
#[must_use]
pub fn text(screen: Screen, seq: u64, at: Stamp, event: &Event) -> String {
    let when =
        jiff::Timestamp::from_millisecond(at.wall_ms).unwrap_or_default().strftime("%Y-%m-%d %H:%M:%SZ");
    let kind = event.kind();
    let whom = event.worker().or(event.task()).unwrap_or("-");
    // Padded before it is coloured: a colour has a length, but no width.
    let painted = toned(screen, tone(event), &format!("{kind:<26}"));
    let (whom, said) = (format!("{:<12}", line(whom)), said(event));
    let used = 5 + 2 + 20 + 2 + 26 + 2 + whom.chars().count() + 2;
    let beginning = format!("{seq:>5}  {when}  {painted}  {whom}");
    match screen.width {
        // What doesn't fit stands below, broken between words.
        Some(width) if used + said.chars().count() > width && !said.is_empty() => {
            let below = broken(&format!("{:7}{said}", ""), width, 7);
            format!("{}\n{below}", beginning.trim_end())
        }
        Some(_) | None => format!("{beginning}  {said}").trim_end().to_owned(),
    }
}

fn said(event: &Event) -> String {
    match event {
        Event::Run(event) => run_words(event),
        Event::Task(event) if !event.reason.is_empty() => reason(&event.reason),
        Event::Task(event) => match &event.step {
            TaskStep::Claimed { attempt, recovered_from: None } => format!("attempt {attempt}"),
            TaskStep::Claimed { attempt, recovered_from: Some(worker) } => {
                format!("attempt {attempt}, recovered from {}", line(worker))
            }
            TaskStep::Verified { accepted } => {
                format!("{} verified", super::words::count(accepted.count(), "item"))
            }
            TaskStep::Answered { n, by, text } => format!("answer {n} by {}: {}", line(by), line(text)),
            TaskStep::NeedsMet
            | TaskStep::NeedsImpossible { .. }
            | TaskStep::Deferred { .. }
            | TaskStep::Denied { .. }
            | TaskStep::Opened
            | TaskStep::Asked
            | TaskStep::Acknowledged
            | TaskStep::HostFailed { .. }
            | TaskStep::LaunchFailed { .. }
            | TaskStep::Worked
            | TaskStep::AttemptFailed { .. }
            | TaskStep::WentPartial
            | TaskStep::Blocked
            | TaskStep::Unblocked
            | TaskStep::RateLimited { .. }
            | TaskStep::Requeued
            | TaskStep::Recovered { .. }
            | TaskStep::DecidedSkip
            | TaskStep::DecidedAccept
            | TaskStep::Refuted
            | TaskStep::Repaired { .. }
            | TaskStep::Cancelled
            | TaskStep::Reopened
            | TaskStep::Rearmed
            | TaskStep::Replanned
            | TaskStep::Withdrawn => String::new(),
        },
        Event::Worker(event) if !event.reason.is_empty() => reason(&event.reason),
        Event::Worker(event) => worker_words(&event.step),
        Event::Claim(event) => match &event.step {
            ClaimStep::Revoked { reason: why } => format!("token {}: {}", event.token, reason(why)),
            ClaimStep::Settled(charge) => format!("token {}: {}", event.token, charge.words()),
            ClaimStep::Granted { .. }
            | ClaimStep::Renewed { .. }
            | ClaimStep::Expired
            | ClaimStep::Closed => {
                format!("token {}", event.token)
            }
        },
        Event::Report(event) => match &event.step {
            ReportStep::Accepted { status, summary, .. } => format!("{}: {}", line(status), line(summary)),
            ReportStep::Refused { code, detail, .. } => format!("{}: {}", line(code), line(detail)),
        },
        Event::Evidence(event) => format!("{}: {}", line(&event.checked.kind), line(&event.checked.reason)),
        Event::Ignored(event) => {
            format!("{}: {}: {}", line(&event.input), line(&event.code), line(&event.detail))
        }
    }
}

fn run_words(event: &RunEvent) -> String {
    match event {
        RunEvent::Started(started) => {
            format!("{} from {}", line(&started.workflow.name), line(super::words::short(&started.base)))
        }
        RunEvent::Resumed { pid, .. } => format!("process {pid} goes on with it"),
        RunEvent::Interrupted { reason: why } => reason(why),
        RunEvent::Stopping { force: true } => "at once".to_owned(),
        RunEvent::Stopping { force: false } => "with grace".to_owned(),
        RunEvent::Ended { success: true, .. } => "with success".to_owned(),
        RunEvent::Ended { success: false, halted: None } => "without success".to_owned(),
        RunEvent::Ended { success: false, halted: Some(by) } => {
            format!("without success, stopped by its {}", by.word())
        }
        RunEvent::Halted(halted) => format!("{}: {}", halted.by.word(), line(&halted.reason)),
        RunEvent::Reopened { task } => format!("for a retry of `{}`", line(task)),
        RunEvent::Adopted(adopted) => {
            let tasks = super::words::count(adopted.workflow.tasks.len(), "task");
            format!("the edited workflow, now of {tasks}, kept as {}", line(&adopted.copy))
        }
        RunEvent::Extended(made) => extended(made),
        RunEvent::Drifted(drifted) => super::drift::told(drifted),
    }
}

fn worker_words(step: &WorkerStep) -> String {
    match step {
        WorkerStep::Provisioning { token, .. } => format!("token {token}"),
        WorkerStep::Launched { session, .. } => format!("{} {}", line(&session.kind), line(&session.id)),
        WorkerStep::Echoed { pid, .. } => format!("process {pid}"),
        WorkerStep::Ended { exit, .. } => exit.words(),
        WorkerStep::Stopping { force: true } => "at once".to_owned(),
        WorkerStep::Stopping { force: false } => "with grace".to_owned(),
        WorkerStep::Captured { snapshot: Some(snapshot) } => {
            format!("commit {}", line(super::words::short(&snapshot.commit)))
        }
        WorkerStep::SubmissionRefused { n, index, .. } => format!("submission {n}, at its task {index}"),
        WorkerStep::Released { observations } => line(&super::words::list(observations)),
        WorkerStep::Captured { snapshot: None }
        | WorkerStep::Stopped
        | WorkerStep::Found { .. }
        | WorkerStep::Departed
        | WorkerStep::Suspended
        | WorkerStep::Continued
        | WorkerStep::Moved { .. } => String::new(),
    }
}

fn tone(event: &Event) -> Tone {
    match event {
        Event::Run(RunEvent::Ended { success: true, .. }) => Tone::Good,
        Event::Run(RunEvent::Ended { success: false, .. } | RunEvent::Halted(_)) => Tone::Bad,
        Event::Run(
            RunEvent::Started(_)
            | RunEvent::Resumed { .. }
            | RunEvent::Interrupted { .. }
            | RunEvent::Stopping { .. }
            | RunEvent::Reopened { .. }
            | RunEvent::Adopted(_)
            | RunEvent::Extended(_),
        )
        | Event::Worker(_)
        | Event::Claim(_) => Tone::Plain,
        Event::Task(_) => match TaskPhase::ALL.into_iter().find(|phase| event.kind().ends_with(phase.word()))
        {
            Some(phase) => super::status::task_tone(phase),
            None => Tone::Plain,
        },
        Event::Report(event) => match event.step {
            ReportStep::Accepted { .. } => Tone::Plain,
            ReportStep::Refused { .. } => Tone::Warn,
        },
        Event::Evidence(event) => match event.checked.verdict {
            Verdict::Verified => Tone::Good,
            Verdict::Refuted => Tone::Bad,
            Verdict::Unverifiable => Tone::Warn,
        },
        Event::Ignored(_) | Event::Run(RunEvent::Drifted(_)) => Tone::Warn,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{at, place, screen};
    use super::*;
    use crate::engine::budget::Amounts;
    use crate::engine::event::{
        ClaimEvent, EvidenceEvent, Ignored, PlainMove, ReportEvent, TaskEvent, WorkerEvent,
    };
    use crate::engine::evidence::Checked;
    use crate::engine::moment::Moment;

    fn task(reason: &str, step: TaskStep) -> Event {
        Event::Task(TaskEvent { task: "fix".into(), reason: reason.into(), step })
    }

    fn worker(reason: &str, step: WorkerStep) -> Event {
        Event::Worker(WorkerEvent { worker: "fix.2".into(), reason: reason.into(), step })
    }

    fn all() -> Vec<Event> {
        let claim =
            |step| Event::Claim(ClaimEvent { task: "fix".into(), worker: "fix.2".into(), token: 7, step });
        let report = |step| Event::Report(ReportEvent { worker: "fix.2".into(), step });
        let refused = |code: &str| ReportStep::Refused {
            code: code.into(),
            detail: "a\u{1b}[1m".into(),
            sha256: "ab".into(),
        };
        vec![
            task("", TaskStep::Claimed { attempt: 2, recovered_from: None }),
            task("fatal_exit: exit code 1", TaskStep::AttemptFailed { again: false }),
            worker("", WorkerStep::Provisioning { token: 7, start: "c".into(), nonce_sha256: "d".into() }),
            worker(
                "",
                WorkerStep::Launched { workspace: None, session: place("tmux", "%3", &[]), port: None },
            ),
            worker("silent: no heartbeat for 12 s", WorkerStep::Moved { to: PlainMove::FellSilent }),
            worker(
                "",
                WorkerStep::Ended {
                    exit: ChildExit::Signal(9),
                    survivors: Vec::new(),
                    usage: Amounts::default(),
                },
            ),
            claim(ClaimStep::Granted { expires: Moment(9), reserved: Amounts::default() }),
            claim(ClaimStep::Revoked { reason: "timeout: 5 s were used up".into() }),
            report(ReportStep::Accepted {
                status: "done".into(),
                summary: "it\nworks".into(),
                reason: None,
                outputs: Map::new(),
                claims: Vec::new(),
                usage: Amounts { tokens: Some(5), usd_micros: None },
                retry_after: Some(30),
                question: None,
                by_shim: false,
                sha256: "ab".into(),
            }),
            report(refused("dead_token")),
            Event::Evidence(EvidenceEvent {
                task: "fix".into(),
                attempt: 2,
                item: 0,
                checked: Checked::new("exit", Verdict::Verified, "exit code 0").fact("code", 0),
            }),
            Event::Ignored(Ignored {
                worker: None,
                input: "mail".into(),
                code: "late".into(),
                detail: "x".into(),
            }),
            Event::Run(RunEvent::Ended { success: false, halted: None }),
        ]
    }

    #[test]
    fn an_events_own_fields_stand_beside_its_name() {
        let lines: Vec<String> =
            (1..).zip(all()).map(|(seq, event)| json(seq, at(1), &event).to_string()).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"at":"2023-11-14T22:13:21Z","attempt":2,"kind":"task.claimed","reason":null,"seq":1,"task":"fix","token":null,"worker":null}
        {"again":false,"at":"2023-11-14T22:13:21Z","attempt":null,"kind":"task.failed","reason":"fatal_exit: exit code 1","seq":2,"task":"fix","token":null,"worker":null}
        {"at":"2023-11-14T22:13:21Z","attempt":2,"kind":"worker.provisioning","nonce_sha256":"d","reason":null,"seq":3,"start":"c","task":"fix","token":7,"worker":"fix.2"}
        {"at":"2023-11-14T22:13:21Z","attempt":2,"kind":"worker.launched","reason":null,"seq":4,"session":{"fields":{},"id":"%3","kind":"tmux"},"task":"fix","token":null,"worker":"fix.2","workspace":null}
        {"at":"2023-11-14T22:13:21Z","attempt":2,"kind":"worker.unhealthy","move":"fell_silent","reason":"silent: no heartbeat for 12 s","seq":5,"task":"fix","token":null,"worker":"fix.2"}
        {"at":"2023-11-14T22:13:21Z","attempt":2,"code":null,"kind":"worker.ended","reason":null,"seq":6,"signal":9,"survivors":[],"task":"fix","token":null,"worker":"fix.2"}
        {"at":"2023-11-14T22:13:21Z","attempt":2,"expires":9,"kind":"claim.granted","reason":null,"seq":7,"task":"fix","token":7,"worker":"fix.2"}
        {"at":"2023-11-14T22:13:21Z","attempt":2,"kind":"claim.revoked","reason":"timeout: 5 s were used up","seq":8,"task":"fix","token":7,"worker":"fix.2"}
        {"at":"2023-11-14T22:13:21Z","attempt":2,"by":null,"evidence":[],"kind":"report.accepted","outputs":{},"question":null,"reason":null,"retry_after":30,"seq":9,"sha256":"ab","status":"done","summary":"it\nworks","task":"fix","token":null,"usage":{"tokens":5},"worker":"fix.2"}
        {"at":"2023-11-14T22:13:21Z","attempt":2,"code":"dead_token","detail":"a\u001b[1m","kind":"report.refused","reason":"dead_token: a\u001b[1m","seq":10,"sha256":"ab","task":"fix","token":null,"worker":"fix.2"}
        {"at":"2023-11-14T22:13:21Z","attempt":2,"evidence":"exit","facts":{"code":0},"item":0,"kind":"evidence.verified","reason":"exit code 0","seq":11,"task":"fix","token":null,"verdict":"verified","worker":null}
        {"at":"2023-11-14T22:13:21Z","attempt":null,"code":"late","detail":"x","input":"mail","kind":"input.ignored","reason":"late: x","seq":12,"task":null,"token":null,"worker":null}
        {"at":"2023-11-14T22:13:21Z","attempt":null,"kind":"run.ended","reason":null,"seq":13,"success":false,"task":null,"token":null,"worker":null}
        "#);
    }

    #[test]
    fn every_line_has_the_keys_that_scripts_filter_by() {
        for event in all() {
            let line = json(3, at(0), &event);
            for key in ["seq", "at", "kind", "task", "worker", "reason", "attempt", "token"] {
                assert!(line.get(key).is_some(), "{key} in {line}");
            }
            assert_eq!(line["kind"], event.kind());
            assert!(line.get("step").is_none() && line.get("checked").is_none(), "{line}");
        }
    }

    #[test]
    fn s8_a_line_of_text_is_one_line_and_shows_control_characters() {
        let lines: Vec<String> =
            (1..).zip(all()).map(|(seq, event)| text(screen(), seq, at(1), &event)).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
         1  2023-11-14 22:13:21Z  task.claimed                fix           attempt 2
         2  2023-11-14 22:13:21Z  task.failed                 fix           fatal exit: exit code 1
         3  2023-11-14 22:13:21Z  worker.provisioning         fix.2         token 7
         4  2023-11-14 22:13:21Z  worker.launched             fix.2         tmux %3
         5  2023-11-14 22:13:21Z  worker.unhealthy            fix.2         no heartbeat for 12 s
         6  2023-11-14 22:13:21Z  worker.ended                fix.2         ended by signal 9
         7  2023-11-14 22:13:21Z  claim.granted               fix.2         token 7
         8  2023-11-14 22:13:21Z  claim.revoked               fix.2         token 7: timed out: 5 s were used up
         9  2023-11-14 22:13:21Z  report.accepted             fix.2         done: it works
        10  2023-11-14 22:13:21Z  report.refused              fix.2         dead_token: a\u{1b}[1m
        11  2023-11-14 22:13:21Z  evidence.verified           fix           exit: exit code 0
        12  2023-11-14 22:13:21Z  input.ignored               -             mail: late: x
        13  2023-11-14 22:13:21Z  run.ended                   -             without success
        "#);
    }
}

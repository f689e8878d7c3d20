//! What holds after every step of any run, and that every run comes to its end.

use std::collections::BTreeMap;

use proptest::prelude::{ProptestConfig, any};
use proptest::proptest;

use super::random::{answers, moves, runs};
use super::{Play, stamp};
use crate::engine::Engine;
use crate::engine::budget::Channel;
use crate::engine::effect::Effect;
use crate::engine::event::{ClaimStep, Event, RunEvent, TaskStep, WorkerStep};
use crate::engine::evidence::{Checked, Verdict};
use crate::engine::outstanding::asked;
use crate::engine::review;
use crate::engine::state::{RunPhase, RunState, WorkerState};
use crate::engine::task_table::TaskPhase as T;
use crate::engine::worker_table::WorkerPhase;

/// More inputs than any run of the generator needs once every worker behaves.
const STEPS_TO_THE_END: usize = 2_000;

/// What is true of a state whatever led to it.
pub(super) fn check_state(state: &RunState) {
    let mut live: BTreeMap<usize, usize> = BTreeMap::new();
    for worker in state.workers.values().filter(|worker| worker.token_live) {
        *live.entry(worker.task).or_default() += 1;
        assert!(worker.phase.is_live(), "a live claim of a {} worker", worker.phase);
        assert!(state.tasks[worker.task].phase.is_held());
        assert!(!state.planned(worker.task).kind.is_control(), "a control task holds no worker");
        assert_eq!(worker.attempt, state.tasks[worker.task].attempt);
    }
    assert!(live.values().all(|count| *count == 1), "l4: {live:?}");
    assert!(live.len() <= usize::try_from(state.started.workers).unwrap(), "{} workers", live.len());
    let mut tokens: Vec<u64> = state.workers.values().map(|worker| worker.token).collect();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), state.workers.len(), "l6: tokens never repeat");
    for (index, task) in state.tasks.iter().enumerate() {
        let is_control = state.planned(index).kind.is_control();
        assert_eq!(state.ready.contains(index), task.phase == T::Ready && !is_control);
        assert_eq!(state.opening.contains(&index), task.phase == T::Ready && is_control);
        let held = task.phase.is_held() && !is_control;
        assert_eq!(live.contains_key(&index), held, "{}", state.planned(index).id);
        check_derived(state, index);
        if task.phase == T::Completed {
            let own = task.evidence.iter().take(state.planned(index).required());
            let all = own.into_iter().all(|checked| checked.verdict == Verdict::Verified);
            let items = state.planned(index).evidence.items();
            assert!(all && task.evidence.len() == items.len(), "law 2");
            let by_nobody = |checked: &&Checked| {
                let who = if checked.kind == "review" { "by" } else { "who" };
                checked.is_answer() && checked.facts.get(who).is_none()
            };
            assert!(!task.evidence.iter().any(|checked| by_nobody(&checked)), "an answer that nobody gave");
        }
    }
    check_ledger(state);
    let open = state.tasks.iter().filter(|task| !task.phase.is_terminal()).count();
    assert_eq!(state.open_count, open);
    check_reviews(state);
}

/// Whoever reviews works for a head that waits for it, and a verdict is about the very head and
/// attempt that it verified.
fn check_reviews(state: &RunState) {
    let at_work = |reviewer: &&usize| {
        !matches!(state.tasks[**reviewer].phase, T::Pending) && !state.tasks[**reviewer].phase.is_terminal()
    };
    let at_work: Vec<usize> = state.reviews.keys().filter(at_work).copied().collect();
    assert_eq!(state.reviewing.iter().copied().collect::<Vec<_>>(), at_work);
    if state.phase == RunPhase::Running {
        let idle = at_work.iter().find(|reviewer| !review::is_awaited(state, **reviewer));
        assert_eq!(idle, None, "e5: a reviewer works for nobody");
    }
    for (index, task) in state.tasks.iter().enumerate().filter(|(_, task)| task.phase == T::Completed) {
        let head = review::head(state, index);
        for checked in task.evidence.iter().filter(|checked| checked.kind == "review") {
            let fact = |name: &str| checked.facts.get(name).and_then(serde_json::Value::as_str);
            assert_eq!((fact("answer"), fact("commit")), (Some("pass"), head), "e5");
            let reviewer = &state.workers[fact("worker").expect("named")];
            assert_eq!(Some(&*reviewer.start), head, "e5");
            assert_ne!(reviewer.task, index, "never its own author");
        }
    }
}

/// D9: free + reserved + spent = total, and what is reserved is what the attempts hold that
/// aren't settled yet.
fn check_ledger(state: &RunState) {
    for channel in Channel::ALL {
        let account = state.ledger.of(channel);
        if let Some(total) = account.total {
            assert_eq!(account.free + account.reserved + account.spent, total, "d9: {channel:?}");
        }
        let held = |worker: &WorkerState| i64::try_from(worker.reserved.of(channel).unwrap_or(0)).unwrap();
        let held: i64 = state.workers.values().map(|worker| held(worker)).sum();
        assert_eq!(account.reserved, held, "d9: {channel:?}");
    }
    for (id, worker) in &state.workers {
        let holds = !worker.reserved.is_empty();
        assert!(!holds || state.unsettled.contains(id), "d9: nobody settles `{id}`");
        if state.phase == RunPhase::Running {
            assert!(!holds || worker.token_live, "d9: `{id}` is over and holds something");
        }
    }
}

/// What is kept beside a task, so that nobody has to walk the run, is what a walk would find.
fn check_derived(state: &RunState, index: usize) {
    let (task, planned) = (&state.tasks[index], state.planned(index));
    let is_open = |task: usize| !state.tasks[task].phase.is_terminal();
    let is_child = |child: &usize| state.control_parent(*child) == Some(index);
    let children: Vec<usize> = (0..state.tasks.len()).filter(is_child).collect();
    let open = children.iter().filter(|child| is_open(**child)).count();
    assert_eq!(task.open_children, open, "open children of {}", planned.id);
    if !task.removed {
        let unended = planned.needs.iter().filter_map(|need| state.task_index(&need.task));
        assert_eq!(task.unended, unended.filter(|need| is_open(*need)).count(), "{}", planned.id);
        for child in children.into_iter().filter(|child| !state.tasks[*child].removed) {
            assert!(child > index, "a maker stands before what it made");
            assert_eq!(state.asked_for[child], state.asked_for[index], "{}", state.planned(child).id);
            // A control task answers for what it made, so that may only go on while it does.
            assert!(!is_open(child) || is_open(index), "{} goes on alone", state.planned(child).id);
        }
    }
}

/// What is true of a journal as a whole: ordinals, terminal states, disjoint claims.
pub(super) fn check_journal(play: &Play) {
    let mut attempts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut ended: BTreeMap<&str, bool> = BTreeMap::new();
    let mut found: BTreeMap<&str, u32> = BTreeMap::new();
    let mut claimed: BTreeMap<&str, u64> = BTreeMap::new();
    // What was made, and after how many edits of the workflow: only those let it be made anew.
    let mut made: BTreeMap<&str, u32> = BTreeMap::new();
    let (mut edits, mut tokens) = (0, 0);
    let mut settled = std::collections::BTreeSet::new();
    for (_, event) in &play.journal {
        match event {
            Event::Task(event) => {
                let id = event.task.as_str();
                if ended.get(id) == Some(&true) {
                    let by_retry =
                        matches!(event.step, TaskStep::Reopened | TaskStep::Rearmed | TaskStep::Replanned);
                    assert!(by_retry, "d1: `{id}` left its end by {:?}", event.step);
                }
                if let TaskStep::Claimed { attempt, .. } = event.step {
                    let next = attempts.insert(id, attempt).unwrap_or_default() + 1;
                    let found = found.get(id).copied().unwrap_or_default() + 1;
                    assert_eq!(next.max(found), attempt, "l2");
                }
                if matches!(event.step, TaskStep::Opened | TaskStep::Asked) {
                    let found = found.get(id).copied().unwrap_or_default();
                    let last = attempts.entry(id).or_default();
                    *last = found.max(*last) + 1;
                }
                let terminal = ["completed", "partial", "failed", "skipped", "cancelled"];
                let kind = Event::Task(event.clone()).kind();
                ended.insert(id, terminal.iter().any(|word| kind == format!("task.{word}")));
            }
            Event::Worker(event) => {
                if let WorkerStep::Provisioning { token, .. } = event.step {
                    assert!(token > tokens, "l6");
                    tokens = token;
                }
                if let (WorkerStep::Found { token, .. }, Some((task, ordinal))) =
                    (&event.step, event.worker.rsplit_once('.'))
                {
                    tokens = tokens.max(token.unwrap_or_default());
                    let highest = found.entry(task).or_default();
                    *highest = ordinal.parse::<u32>().unwrap().max(*highest);
                }
            }
            Event::Claim(event) => match &event.step {
                ClaimStep::Granted { .. } => {
                    assert_eq!(claimed.insert(&event.task, event.token), None, "l2: intervals overlap");
                }
                step @ (ClaimStep::Revoked { .. } | ClaimStep::Closed) => {
                    assert!(names_an_observation(step), "l8: {step:?}");
                    assert_eq!(claimed.remove(event.task.as_str()), Some(event.token), "l3: settled twice");
                }
                ClaimStep::Settled(_) => {
                    assert!(!claimed.values().any(|live| *live == event.token), "d9: it lives");
                    assert!(settled.insert(event.token), "d9: settled twice");
                }
                ClaimStep::Renewed { .. } | ClaimStep::Expired => {
                    assert_eq!(claimed.get(event.task.as_str()), Some(&event.token));
                }
            },
            Event::Run(RunEvent::Extended(extended)) => {
                for task in &extended.tasks {
                    let again = made.insert(&task.id, edits);
                    assert!(again.is_none_or(|before| before < edits), "d3: `{}` is made twice", task.id);
                    ended.insert(&task.id, false);
                }
            }
            Event::Run(RunEvent::Adopted(_)) => edits += 1,
            Event::Run(_) | Event::Report(_) | Event::Evidence(_) | Event::Ignored(_) => {}
        }
    }
}

/// The observations that may end a claim, as codes; that its time is up is none of them.
const OBSERVATIONS: [&str; 17] = [
    "wall: ",
    "removed: ",
    "replanned: ",
    "launch_",
    "lost: no heartbeat for ",
    "worker_died: ",
    "timeout: ",
    "wall_time: ",
    "no_report: ",
    "reported_failed: ",
    "fatal_exit: ",
    "ended_",
    "stopped: `down`",
    "cancelled by a person",
    "decided by a person: ",
    "recovered: ",
    "start_failed: ",
];

fn names_an_observation(step: &ClaimStep) -> bool {
    match step {
        ClaimStep::Revoked { reason } => OBSERVATIONS.iter().any(|known| reason.starts_with(known)),
        // A report and the exit that came with it: both are events of their own.
        ClaimStep::Closed => true,
        ClaimStep::Granted { .. }
        | ClaimStep::Renewed { .. }
        | ClaimStep::Expired
        | ClaimStep::Settled(_) => false,
    }
}

/// Every worker and the shell behave from here on; people decide what waits for them.
pub(super) fn play_to_the_end(play: &mut Play) {
    play.crash_and_resume();
    let steps = STEPS_TO_THE_END.max(play.state().tasks.len() * 60);
    for step in 0..steps {
        if play.ended().is_some() {
            return;
        }
        let Some(effect) = play.engine.outstanding().into_iter().next() else {
            nudge(play);
            continue;
        };
        match effect {
            // The nonce of an older life is lost with it, and so is the launch.
            Effect::Provision { worker } if play.engine.nonce(&worker).is_none() => {
                let detail = "the nonce is gone".to_owned();
                play.see(
                    &worker,
                    crate::engine::input::Seen::LaunchFailed { step: "mail", detail, host: true },
                );
            }
            Effect::Provision { worker } => {
                play.launch(&worker);
                play.ready(&worker);
            }
            Effect::Deliver { worker, .. } => drop(play.ack(&worker)),
            Effect::Stop { worker, .. } => drop(play.stopped(&worker)),
            Effect::Capture { worker } => {
                let known = play.worker(&worker);
                let reviews = play.state().reviews.contains_key(&known.task);
                let commit = if reviews { known.start.clone() } else { format!("commit {step}") };
                play.capture(&worker, &commit);
            }
            Effect::Reply { .. } | Effect::Answer { .. } => {}
            Effect::Verify { worker } => drop(play.judge(&worker, Verdict::Verified)),
        }
    }
    let open: Vec<String> = play
        .state()
        .tasks
        .iter()
        .zip(&play.state().started.workflow.tasks)
        .filter(|(state, _)| !state.phase.is_terminal())
        .map(|(state, task)| format!("{} is {}", task.id, state.phase))
        .collect();
    panic!("the run never ends: {open:?}, owed {:?}, {:?}", play.owed(), play.state().phase);
}

/// Nothing is owed: a worker beats again, or ends its work, or time passes.
fn nudge(play: &mut Play) {
    let waits = play.state().workers.iter().find(|(_, worker)| {
        worker.token_live && worker.phase == WorkerPhase::Unhealthy && worker.dispatched_at.is_none()
    });
    if let Some(id) = waits.map(|(id, _)| id.clone()) {
        play.beat(&id);
        return;
    }
    if let Some(id) = play.state().at_large.first().cloned() {
        play.gone(&id);
        return;
    }
    let state = play.state();
    let asked = state.moving.iter().find(|task| asked(state, **task).is_some());
    if let Some(task) = asked.map(|task| state.planned(*task).id.clone()) {
        play.ask(super::approval::answer(&task, true)).expect("it is asked for");
        return;
    }
    let working = play.state().workers.iter().find(|(_, worker)| worker.token_live && worker.acknowledged);
    match working.map(|(id, _)| id.clone()) {
        Some(id) => {
            let outputs = answers(1);
            let report = play.report_of(&id, crate::protocol::ReportStatus::Done);
            let report = crate::protocol::Report { outputs, ..report };
            let sha256 = "the last word".to_owned();
            play.see(&id, crate::engine::input::Seen::Reported { report: Box::new(report), sha256 });
            play.exit(&id, 0);
        }
        None => drop(play.tick(61_000)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// J4 and J5 are checked by the harness itself, after every step.
    #[test]
    fn j4_j5_l2_l3_l4_l6_d1_whatever_happens_the_laws_hold(run in runs(), moves in moves()) {
        let mut play = Play::with(run);
        check_state(play.state());
        for one in &moves {
            let before = play.journal.len();
            play.make(one);
            check_state(play.state());
            let granted = play.journal[before..].iter().any(|(_, event)| event.kind() == "claim.granted");
            let limit = usize::try_from(play.state().started.workers).unwrap();
            assert!(!granted || play.state().live_count() <= limit, "a claim without a free place");
            assert_eq!(play.engine.outstanding(), play.engine.clone().outstanding());
        }
        check_journal(&play);
        // Runs that grew large aren't replayed after every step.
        assert_eq!(Engine::replay(play.journal.clone()).unwrap().state(), play.state(), "j5");
    }

    #[test]
    fn d1_l1_once_every_worker_behaves_the_run_ends_with_every_task_in_one_terminal_state(
        run in runs(),
        moves in moves(),
    ) {
        let mut play = Play::with(run);
        moves.iter().for_each(|one| play.make(one));
        play_to_the_end(&mut play);
        assert!(play.state().tasks.iter().all(|task| task.phase.is_terminal()));
        assert_eq!((play.owed(), play.engine.next_deadline()), (Vec::new(), None));
        check_journal(&play);
    }

    #[test]
    fn j12_every_prefix_replays_and_a_run_resumed_from_any_decision_ends(
        run in runs(),
        moves in moves(),
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut play = Play::with(run);
        moves.iter().for_each(|one| play.make(one));
        for length in 1..=play.journal.len() {
            let prefix = play.journal[..length].to_vec();
            assert!(Engine::replay(prefix).is_ok(), "the first {length} events");
        }
        let length = *cut.get(&play.cuts);
        let journal = play.journal[..length].to_vec();
        let now_ms = journal.last().map_or(0, |(at, _)| at.moment.0);
        let engine = Engine::replay(journal.clone()).unwrap();
        let mut resumed = Play { engine, journal, cuts: vec![length], now_ms, beats: 1_000 };
        play_to_the_end(&mut resumed);
        check_journal(&resumed);
    }

    #[test]
    fn j5_an_event_survives_its_own_bytes(run in runs(), moves in moves()) {
        let mut play = Play::with(run);
        moves.iter().for_each(|one| play.make(one));
        for (_, event) in &play.journal {
            let bytes = serde_json::to_vec(event).unwrap();
            assert_eq!(&serde_json::from_slice::<Event>(&bytes).unwrap(), event);
        }
    }

    #[test]
    fn a_corrupt_journal_is_a_value_and_never_a_panic(
        run in runs(),
        moves in moves(),
        left in any::<proptest::sample::Index>(),
        right in any::<proptest::sample::Index>(),
    ) {
        let mut play = Play::with(run);
        moves.iter().for_each(|one| play.make(one));
        let mut events: Vec<Event> = play.journal.iter().map(|(_, event)| event.clone()).collect();
        let (left, right) = (left.index(events.len()), right.index(events.len()));
        events.swap(left, right);
        if let Ok(engine) = Engine::replay(events.into_iter().map(|event| (stamp(0), event))) {
            assert!(!engine.state().tasks.is_empty());
        }
    }
}

//! Random graphs of 300 tasks with random outcomes, kills and bounds: one end for each task,
//! the budget conserved at every event, at most one claim for each task at any time.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Plan, Play, flow, started, task};
use crate::engine::Replay;
use crate::engine::budget::Channel;
use crate::engine::effect::Effect;
use crate::engine::event::{ClaimStep, Event, Started};
use crate::engine::input::Seen;
use crate::protocol::{ReportStatus, Usage};
use crate::workflow::{Ceiling, Failures, Limits, Task, TaskKind, When, Workflow};

const TASKS: u64 = 300;
/// More moves than such a run can need.
const MOVES: usize = 20_000;

/// Numbers that look random and are the same for each seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, of: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % of
    }
}

fn planned(dice: &mut Dice, n: u64) -> Task {
    let mut one = task(&format!("t{n}")).retries(u32::try_from(dice.roll(3)).unwrap());
    for _ in 0..dice.roll(4).min(n) {
        let need = format!("t{}", dice.roll(n));
        if one.needs.iter().all(|known| known.task != need) {
            one = one.needs(&[&need]);
        }
    }
    one.when = [When::Completed, When::Terminal, When::Optional, When::Failed, When::Terminal]
        [usize::try_from(dice.roll(5)).unwrap()];
    if dice.roll(2) == 0 {
        one.kind = TaskKind::Worker(vec!["own".to_owned()]);
        one.budget = Ceiling { tokens: (dice.roll(8) != 0).then(|| 1 + dice.roll(90)), usd: None };
    }
    one
}

fn run(seed: u64) -> Play {
    let mut dice = Dice(seed * 7_919 + 1);
    let tasks = (0..TASKS).map(|n| planned(&mut dice, n)).collect();
    let failures = Failures { max: 60, within: Duration::from_secs(30) };
    let limits = Limits {
        tokens: (seed % 4 != 3).then(|| 2_000 + dice.roll(9_000)),
        attempts: (seed % 4 == 1).then_some(250),
        wall: (seed % 4 == 2).then(|| Duration::from_secs(200)),
        failures: seed.is_multiple_of(5).then_some(failures),
        ..Limits::default()
    };
    let mut play = Play::with(Started { workers: 5, ..started(Workflow { limits, ..flow(tasks) }) });
    for _ in 0..MOVES {
        if play.ended().is_some() {
            return play;
        }
        if dice.roll(60) == 0 {
            play.crash_and_resume();
        }
        play.tick(dice.roll(120));
        let owed = play.engine.outstanding();
        let Some(effect) = owed.get(usize::try_from(dice.roll(owed.len().max(1) as u64)).unwrap()).cloned()
        else {
            continue_work(&mut play, &mut dice);
            continue;
        };
        answer(&mut play, &mut dice, effect);
    }
    panic!("seed {seed}: the run never ends");
}

/// What becomes of one thing that is owed.
fn answer(play: &mut Play, dice: &mut Dice, effect: Effect) {
    match effect {
        // The nonce of an older life is lost with it, and so is the launch.
        Effect::Provision { worker } if dice.roll(15) == 0 || play.engine.nonce(&worker).is_none() => {
            let host = dice.roll(2) == 0;
            play.see(&worker, Seen::LaunchFailed { step: "interrupted", detail: "x".to_owned(), host });
        }
        Effect::Provision { worker } => {
            play.launch(&worker);
            play.ready(&worker);
        }
        Effect::Deliver { worker, .. } => drop(play.ack(&worker)),
        Effect::Stop { worker, .. } => drop(play.stopped(&worker)),
        Effect::Capture { worker } => drop(play.capture(&worker, "c")),
        Effect::Reply { .. } | Effect::Answer { .. } => {}
        Effect::Verify { worker } => drop(play.judge(&worker, crate::engine::evidence::Verdict::Verified)),
    }
    continue_work(play, dice);
}

/// Somebody who works says something, ends, or dies.
fn continue_work(play: &mut Play, dice: &mut Dice) {
    let known = play.state().workers.iter();
    let workers: Vec<String> = known
        .filter(|(_, worker)| worker.token_live && worker.acknowledged)
        .map(|(id, _)| id.clone())
        .collect();
    let Some(worker) = workers.get(usize::try_from(dice.roll(workers.len().max(1) as u64)).unwrap()) else {
        play.tick(1_000);
        return;
    };
    if dice.roll(10) == 0 {
        play.gone(worker);
        return;
    }
    let status = if dice.roll(5) == 0 { ReportStatus::Failed } else { ReportStatus::Done };
    let mut report = play.report_of(worker, status);
    report.usage = (dice.roll(12) != 0).then(|| Usage { tokens: Some(dice.roll(110)), usd: None });
    play.see(worker, Seen::Reported { report: Box::new(report), sha256: format!("{worker} says") });
    play.exit(worker, i32::from(dice.roll(8) == 0));
}

#[test]
fn d1_d9_l4_random_graphs_of_300_tasks_end_whole_with_their_budget_conserved_at_every_event() {
    for seed in 0..12 {
        let play = run(seed);
        assert!(play.state().tasks.iter().all(|task| task.phase.is_terminal()), "d1: seed {seed}");
        let mut replay = Replay::default();
        let mut live: BTreeMap<String, u64> = BTreeMap::new();
        for (at, event) in &play.journal {
            if let Event::Claim(event) = event {
                match event.step {
                    ClaimStep::Granted { .. } => {
                        assert_eq!(live.insert(event.task.clone(), event.token), None, "l4: seed {seed}");
                    }
                    ClaimStep::Revoked { .. } | ClaimStep::Closed => drop(live.remove(&event.task)),
                    ClaimStep::Renewed { .. } | ClaimStep::Expired | ClaimStep::Settled(_) => {}
                }
            }
            replay.take(*at, event.clone()).expect("a legal past");
            let state = replay.0.as_ref().expect("it has begun");
            let account = state.ledger.of(Channel::Tokens);
            if let Some(total) = account.total {
                assert_eq!(account.free + account.reserved + account.spent, total, "d9: seed {seed}");
            }
            assert!(account.reserved >= 0 && account.spent >= 0);
        }
        assert_eq!(replay.finish().expect("whole").state(), play.state(), "j4: seed {seed}");
        assert_eq!(play.state().ledger.of(Channel::Tokens).reserved, 0, "d9: seed {seed}");
        assert!(play.state().unsettled.is_empty() && live.is_empty());
    }
}

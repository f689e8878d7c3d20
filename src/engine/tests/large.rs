//! Runs of three hundred tasks of every kind, with random outcomes, kills, gates and requests.
//!
//! Each task ends in exactly one way, and nobody holds one that another holds (laws D1, L4).
//! It leaves out small runs, which are looked at after every step (`properties.rs`).

use proptest::prelude::{ProptestConfig, any};
use proptest::proptest;

use super::Play;
use super::properties::{check_journal, check_state, play_to_the_end};
use super::random::{Edit, Move, answers, runs_of};
use crate::engine::Engine;
use crate::engine::effect::Effect;
use crate::engine::event::{Event, Started};
use crate::engine::evidence::Verdict;
use crate::engine::input::{Request, Seen};
use crate::engine::outstanding::asked;
use crate::protocol::{Report, ReportStatus, Usage};
use crate::workflow::Limits;

/// Inputs of a run while anything may happen.
const STEPS_WILD: usize = 2_500;

/// Chance with a seed: a replay takes the same steps.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, of: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % of.max(1) as u64).expect("below `of`")
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.roll(256)).expect("a byte")
    }
}

/// One input: mostly what some worker or effect comes to, sometimes a person, sometimes a kill.
fn step(play: &mut Play, dice: &mut Dice) {
    match dice.roll(1_000) {
        0..=2 => play.crash_and_resume(),
        3..=4 => play.make(&Move::Adopt(vec![Edit::Body(dice.byte()), Edit::Bound(dice.byte(), 2)])),
        5..=9 => drop(play.tick(61_000)),
        10..=24 => drop(play.ask(Request::Cancel { task: some_task(play, dice) })),
        25..=64 => drop(play.ask(Request::Retry { task: some_task(play, dice) })),
        65..=99 => answer(play, dice),
        100..=399 => work(play, dice),
        _ => perform(play, dice),
    }
}

fn some_task(play: &Play, dice: &mut Dice) -> String {
    let task = dice.roll(play.state().tasks.len());
    play.state().planned(task).id.clone()
}

fn answer(play: &mut Play, dice: &mut Dice) {
    let state = play.state();
    let waiting: Vec<usize> =
        state.moving.iter().copied().filter(|task| asked(state, *task).is_some()).collect();
    if let Some(task) = waiting.get(dice.roll(waiting.len())) {
        let request = super::approval::answer(&play.state().planned(*task).id.clone(), dice.roll(3) > 0);
        play.ask(request).expect("it is asked for");
    }
}

/// What is owed is done, or fails.
fn perform(play: &mut Play, dice: &mut Dice) {
    let owed = play.engine.outstanding();
    let Some(effect) = owed.get(dice.roll(owed.len())).cloned() else { return work(play, dice) };
    let fails = dice.roll(20) == 0;
    match effect {
        Effect::Provision { worker } if fails || play.engine.nonce(&worker).is_none() => {
            let detail = "it says so".to_owned();
            play.see(&worker, Seen::LaunchFailed { step: "session", detail, host: dice.roll(2) == 0 });
        }
        Effect::Provision { worker } => {
            play.launch(&worker);
            play.ready(&worker);
        }
        Effect::Deliver { worker, .. } => drop(play.ack(&worker)),
        // Nobody submits anything here.
        Effect::Reply { .. } | Effect::Answer { .. } => {}
        Effect::Stop { worker, .. } => drop(play.stopped(&worker)),
        Effect::Capture { worker } => {
            let known = play.worker(&worker);
            // Some reviewers move what they were to look at.
            let honest = play.state().reviews.contains_key(&known.task) && !fails;
            let commit = if honest { known.start.clone() } else { format!("head {}", play.journal.len()) };
            play.capture(&worker, &commit);
        }
        Effect::Verify { worker } => {
            let verdicts = [Verdict::Verified, Verdict::Verified, Verdict::Refuted, Verdict::Unverifiable];
            play.judge(&worker, verdicts[dice.roll(4)]);
        }
    }
}

/// Somebody who works says something, ends, or is killed.
fn work(play: &mut Play, dice: &mut Dice) {
    let state = play.state();
    let busy = |id: &&String| state.workers[*id].acknowledged && state.workers[*id].token_live;
    let busy: Vec<String> = state.active.iter().filter(busy).cloned().collect();
    let Some(worker) = busy.get(dice.roll(busy.len())) else { return };
    if dice.roll(12) == 0 {
        play.gone(worker);
        return;
    }
    use ReportStatus as R;
    let status = [R::Done, R::Done, R::Done, R::Done, R::Failed, R::Partial][dice.roll(6)];
    let usage =
        (dice.roll(8) > 0).then(|| Usage { tokens: Some(u64::from(dice.byte() % 64)), usd: Some(0.02) });
    let report = Report { outputs: answers(dice.byte()), usage, ..play.report_of(worker, status) };
    play.see(worker, Seen::Reported { report: Box::new(report), sha256: format!("{worker} {status:?}") });
    play.exit(worker, i32::from(dice.roll(10) == 0));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn d1_l4_three_hundred_tasks_of_every_kind_each_have_one_outcome_and_one_claim_at_a_time(
        run in runs_of(300..=300),
        seed in any::<u64>(),
    ) {
        let mut run = Started { workers: 12, only: Vec::new(), ..run };
        let Limits { tokens, usd, .. } = run.workflow.limits;
        // Enough for a part of so many; a run that is stopped early would show less.
        let tokens = tokens.map(|tokens| tokens * 40);
        run.workflow.limits = Limits { tokens, usd: usd.map(|usd| usd * 40.0), ..Limits::default() };
        let (mut play, mut dice) = (Play::with(run), Dice(seed));
        for number in 0..STEPS_WILD {
            step(&mut play, &mut dice);
            if number % 250 == 0 {
                check_state(play.state());
            }
        }
        play_to_the_end(&mut play);
        check_state(play.state());
        check_journal(&play);
        assert!(play.state().tasks.iter().all(|task| task.phase.is_terminal()));
        assert_eq!((play.owed(), play.engine.next_deadline()), (Vec::new(), None));
        let replayed = Engine::replay(play.journal.clone()).expect("a legal past");
        assert_eq!(replayed.state(), play.state(), "j5");
        let made = play.journal.iter().filter(|(_, event)| matches!(event, Event::Run(_)) && event.kind() == "run.extended");
        assert!(made.count() > 3, "nothing was made");
    }
}

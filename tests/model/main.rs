//! A model of claim, dispatch, report, recovery and crash over the real engine, exhaustive.
//!
//! **What is real.** `ilchul::engine`, whole: every decision, the fold, what is owed, the
//! pulses, `replay` and `resume`. A resumed supervisor replays the very events that were
//! committed, and the fold must be the one that was decided on.
//!
//! **What is abstracted.** The shell (`src/supervisor`) is spelled out again in `shell.rs`,
//! one step an action: a launch in three (tree and mail, session, outcome), delivery, stop
//! and its outcome, snapshot, verification, one file of mail, one look at a session, a
//! resume. A crash comes between any two. Deciding and committing are one step, because
//! nothing touches the world between them; that the real shell keeps to this is shown by
//! its own tests. Workers and their shims (`world.rs`) are honest, lying, failing, dead with
//! their child or without it, silent, late. Mail is whole or absent; its bytes, torn files,
//! disks and limits are the simulator's matter.
//!
//! **Time** goes in steps of 10 s: silence of one is unhealthy, of two is lost. In a step
//! the supervisor either looked (it read all mail and sessions before, and each beat when it
//! was written) or couldn't (then it says so, law L17). That a deadline falls into the
//! second between two looks is therefore left out.
//!
//! **Identity.** States are told apart by what can matter to what follows (`canon.rs`), not
//! by words or labels of time. `states_that_look_alike_behave_alike` compares the successors
//! of equal states that were reached on different ways.
//!
//! **What the laws allow here.** Under `retry` a lost worker may go on beside its successor.
//! `down`, `cancel`, `retain` and `retry` by a person are left out.
//!
//! **An older journal put back**: a copy is taken at any moment and put back after a crash.
//! The marks on disk (`Input::Remnants`) push ordinals and tokens up; what lives unknown to
//! the journal is at large, and nothing is started beside it.
//!
//! **Left out on purpose**: the moment between a child's start and its first heartbeat, in
//! which a dead shim's child is known to nobody. Here whoever looks for an orphan finds it.
//!
//! **Sizes** (tasks, attempts, crashes and what else goes wrong; states): crashes 1,3,2 13 k ·
//! silence 1,1,1 7 k · lost, fail and retry 1,2,0 7 k, 7 k and 13 k · doubt 1,1,0 8 k ·
//! timeout 1,2,1 13 k · deaths 1,3,1 and evidence 1,2,1 3 k and 4 k · two side by side 2,2,1
//! 13 k · two in a row 2,2,1 20 k · a journal put back 1,1,1 78 k ·
//! a loop of two 3 k · a classifier and two branches 4 k. All of it takes some 10 s
//! of two cores, unoptimised.
//! `ILCHUL_MODEL_SIZE=large` takes up to 400 k each, and minutes.

mod canon;
mod laws;
mod machine;
mod mutants;
mod plan;
mod shell;
mod state;
mod world;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use ilchul::workflow::OnLost;
use stateright::{Checker, HasDiscoveries, Model};

use machine::{Action, Machine};
use mutants::Mutant;
use plan::{Budget, Plan, Shape};
use state::State;

/// Nothing goes wrong.
const NONE: Budget = Budget {
    crashes: 0,
    deaths: 0,
    silences: 0,
    clock: 0,
    decisions: 0,
    lies: 0,
    murk: 0,
    blind: 0,
    restores: 0,
};

fn is_large() -> bool {
    std::env::var_os("ILCHUL_MODEL_SIZE").is_some_and(|size| size == "large")
}

/// The smaller number in CI, the larger where time is no matter.
fn up_to(small: u8, large: u8) -> u8 {
    if is_large() { large } else { small }
}

/// Visits every state, and holds every law against each.
#[track_caller]
fn holds(name: &str, plan: Plan) {
    let began = Instant::now();
    let threads = if is_large() { 2 } else { 1 };
    let checker = Machine { plan }.checker().threads(threads);
    let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_dfs().join();
    let (states, transitions) = (checker.unique_state_count(), checker.state_count());
    println!("{name}: {states} states, {transitions} transitions, {:?}", began.elapsed());
    let mut found = checker.discoveries();
    for property in checker.model().properties() {
        let path = found.remove(property.name).map(stateright::Path::into_actions);
        match (path, property.expectation.discovery_is_failure()) {
            (Some(path), true) => {
                panic!("{name}: `{}` fails in {} steps: {path:#?}", property.name, path.len())
            }
            (None, false) => panic!("{name}: `{}` never happens", property.name),
            (Some(_), false) | (None, true) => {}
        }
    }
}

/// Looks for the shortest way to break `law`, which must exist.
#[track_caller]
fn catches(mutant: Mutant, law: &'static str, plan: &Plan) {
    let machine = Machine { plan: Plan { mutant: Some(mutant), ..plan.clone() } };
    let one = HasDiscoveries::AnyOf(BTreeSet::from([law]));
    let checker = machine.checker().finish_when(one).spawn_bfs().join();
    let states = checker.unique_state_count();
    let Some(path) = checker.discovery(law) else {
        let others: Vec<&str> = checker.discoveries().into_keys().collect();
        panic!("{mutant:?} lives: `{law}` holds in {states} states; found: {others:?}");
    };
    let path = path.into_actions();
    println!("{mutant:?} breaks `{law}` in {} steps, after {states} states", path.len());
    assert!(!path.is_empty(), "{mutant:?} is wrong before the first step");
}

#[test]
fn crashes_alone_cost_no_execution() {
    let budget = Budget { crashes: up_to(2, 3), blind: 1, clock: 1, ..NONE };
    holds("crashes", Plan { retries: 2, budget, ..Plan::quiet() });
}

#[test]
fn l6_an_older_journal_put_back_repeats_no_ordinal_and_no_token() {
    let budget = Budget { crashes: 1, deaths: 1, clock: up_to(0, 1), blind: 1, restores: 1, ..NONE };
    holds("restore", Plan { budget, ..Plan::quiet() });
}

#[test]
fn a_silent_worker_waits_for_a_person_under_ask() {
    let lost = Budget { silences: 1, clock: 2, decisions: up_to(0, 1), ..NONE };
    holds("lost", Plan { retries: 0, budget: lost, ..Plan::quiet() });
    let doubt = Budget { crashes: up_to(0, 1), silences: 1, clock: 1, decisions: 1, ..NONE };
    holds("doubt", Plan { retries: 0, budget: doubt, ..Plan::quiet() });
}

#[test]
fn a_worker_that_was_silent_while_nobody_looked_is_taken_back() {
    let budget = Budget { crashes: 1, silences: 1, clock: up_to(1, 2), ..NONE };
    holds("silence", Plan { retries: 0, budget, ..Plan::quiet() });
}

#[test]
fn a_lost_worker_has_one_successor_under_retry() {
    let budget = Budget { crashes: up_to(0, 1), silences: 1, clock: 2, ..NONE };
    holds("retry", Plan { on_lost: OnLost::Retry, budget, ..Plan::quiet() });
}

#[test]
fn a_lost_worker_fails_its_attempt_under_fail() {
    let budget = Budget { crashes: up_to(0, 1), silences: 1, clock: 2, ..NONE };
    holds("fail", Plan { on_lost: OnLost::Fail, retries: 0, budget, ..Plan::quiet() });
}

#[test]
fn deaths_and_crashes_end_in_one_verdict_each() {
    let budget = Budget { crashes: 1, deaths: up_to(1, 2), ..NONE };
    holds("deaths", Plan { retries: 2, budget, ..Plan::quiet() });
}

#[test]
fn lies_and_murk_complete_nothing() {
    let budget = Budget { crashes: 1, lies: 1, murk: up_to(2, 3), deaths: up_to(0, 1), ..NONE };
    holds("evidence", Plan { trees: true, budget, ..Plan::quiet() });
}

#[test]
fn an_attempt_whose_time_is_up_is_ended_once() {
    let budget = Budget { crashes: 1, clock: up_to(1, 2), ..NONE };
    holds("timeout", Plan { timeout: 1, budget, ..Plan::quiet() });
}

#[test]
fn two_tasks_side_by_side_share_nothing() {
    let budget = Budget { crashes: up_to(1, 2), deaths: up_to(0, 1), ..NONE };
    holds("two", Plan { tasks: 2, budget, ..Plan::quiet() });
}

#[test]
fn two_tasks_in_a_row_with_one_place_for_both() {
    let budget = Budget { crashes: up_to(1, 2), deaths: 1, ..NONE };
    holds("chain", Plan { tasks: 2, chained: true, workers: 1, budget, ..Plan::quiet() });
}

#[test]
fn d3_a_loop_of_two_ends_by_its_condition_its_cap_or_a_failed_iteration() {
    let budget = Budget { crashes: 1, lies: 2, deaths: up_to(0, 1), murk: up_to(1, 2), ..NONE };
    holds("loop", Plan { shape: Shape::Loop, retries: 0, budget, ..Plan::quiet() });
}

#[test]
fn d4_a_classifier_opens_one_branch_whoever_crashes_meanwhile() {
    let budget = Budget { crashes: 1, lies: 1, deaths: up_to(1, 2), ..NONE };
    holds("choice", Plan { shape: Shape::Choice, retries: 0, budget, ..Plan::quiet() });
}

#[test]
fn mutant_without_a_fence_is_caught() {
    let budget = Budget { silences: 1, clock: 2, ..NONE };
    catches(Mutant::NoFence, laws::FENCED, &Plan { on_lost: OnLost::Retry, budget, ..Plan::quiet() });
}

#[test]
fn mutant_that_sends_again_after_a_crash_is_caught() {
    let plan = || Plan { budget: Budget { crashes: 1, ..NONE }, ..Plan::quiet() };
    catches(Mutant::Resend, laws::DELIVERED_ONCE, &plan());
    catches(Mutant::LaunchAgain, laws::ONE_SESSION, &plan());
}

#[test]
fn mutant_that_expires_by_a_workers_clock_is_caught() {
    let plan = |budget| Plan { budget, ..Plan::quiet() };
    catches(Mutant::WorkerClock, laws::OUR_CLOCK, &plan(Budget { clock: 1, ..NONE }));
    catches(Mutant::SilenceIsDeath, laws::PATIENT, &plan(Budget { silences: 1, clock: 2, ..NONE }));
    catches(Mutant::NoGrace, laws::OUR_CLOCK, &plan(Budget { clock: 2, ..NONE }));
}

#[test]
fn mutant_that_begins_its_tokens_again_is_caught() {
    let budget = Budget { crashes: 1, deaths: 1, restores: 1, ..NONE };
    catches(Mutant::TokenReset, laws::TOKENS, &Plan { budget, ..Plan::quiet() });
    let budget = Budget { crashes: 1, deaths: 1, restores: 1, ..NONE };
    catches(Mutant::MarksLate, laws::TOKENS, &Plan { budget, ..Plan::quiet() });
}

#[test]
fn mutant_that_verifies_without_looking_is_caught() {
    let plan = |budget| Plan { budget, ..Plan::quiet() };
    catches(Mutant::BelieveReport, laws::TRUE, &plan(Budget { lies: 1, ..NONE }));
    catches(Mutant::MurkPasses, laws::TRUE, &plan(Budget { lies: 1, murk: 1, ..NONE }));
    catches(Mutant::OneLook, laws::SEEN, &plan(Budget { murk: 1, ..NONE }));
}

#[test]
fn mutant_that_acts_before_its_commit_is_caught() {
    catches(Mutant::ActFirst, laws::RECORDED, &Plan::quiet());
}

#[test]
fn mutant_that_takes_trouble_for_an_answer_is_caught() {
    let plan = |budget| Plan { budget, ..Plan::quiet() };
    catches(Mutant::ErrorIsAbsence, laws::PATIENT, &plan(NONE));
    catches(Mutant::NoBurial, laws::ALONE, &plan(Budget { deaths: 1, ..NONE }));
}

#[test]
fn mutant_that_loops_or_chooses_by_something_else_than_the_truth_is_caught() {
    let plan = |shape, budget| Plan { shape, retries: 0, budget, ..Plan::quiet() };
    catches(Mutant::BelieveReport, laws::LOOPS, &plan(Shape::Loop, Budget { lies: 1, ..NONE }));
    catches(Mutant::OneLook, laws::ITERATES, &plan(Shape::Loop, Budget { murk: 1, ..NONE }));
    catches(Mutant::OtherLabel, laws::CHOOSES, &plan(Shape::Choice, NONE));
}

#[test]
fn mutant_that_swallows_an_outcome_is_caught() {
    let doubt = Budget { silences: 1, clock: 1, decisions: 1, ..NONE };
    catches(Mutant::SwallowStop, laws::CAN_END, &Plan { budget: doubt, ..Plan::quiet() });
}

#[test]
fn mutant_that_keeps_nothing_or_too_early_is_caught() {
    let plan = |budget| Plan { trees: true, budget, ..Plan::quiet() };
    catches(Mutant::NoCapture, laws::KEPT, &plan(NONE));
    let doubt = Budget { silences: 1, clock: 1, decisions: 1, ..NONE };
    catches(Mutant::StopUnproven, laws::KEPT, &plan(doubt));
}

/// All successors, by action.
fn successors(machine: &Machine, state: &State) -> Vec<(Action, State)> {
    let mut actions = Vec::new();
    machine.actions(state, &mut actions);
    actions.into_iter().filter_map(|a| Some((a, machine.next_state(state, a)?))).collect()
}

fn look(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn states_that_look_alike_behave_alike() {
    let all = Budget { crashes: 1, deaths: 1, silences: 1, clock: 2, decisions: 1, lies: 1, murk: 1, ..NONE };
    for budget in [all, Budget { crashes: 2, blind: 1, clock: 1, ..NONE }] {
        let machine = Machine { plan: Plan { trees: true, budget, ..Plan::quiet() } };
        let mut known: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        let mut open: VecDeque<State> = machine.init_states().into();
        let mut twins = 0;
        // Breadth first: most ways to one state are of equal length.
        while let Some(state) = open.pop_front().filter(|_| known.len() < 3_000) {
            let next = successors(&machine, &state);
            let words: Vec<String> =
                next.iter().map(|(action, state)| format!("{action:?} {}", look(state))).collect();
            if let Some(twin) = known.get(&look(&state)) {
                assert_eq!(twin, &words, "two states look alike and aren't");
                twins += 1;
                continue;
            }
            known.insert(look(&state), words);
            open.extend(next.into_iter().map(|(_, state)| state));
        }
        assert!(twins > 500, "only {twins} twins were met");
    }
}

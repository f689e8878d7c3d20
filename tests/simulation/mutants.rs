//! Planted defects: a check that can't fail proves nothing.
//!
//! Each is a way in which a supervisor, or its engine, could be wrong; the law that it
//! breaks must be the one that is named. It leaves out defects inside single functions
//! of the engine, which its own tables and the model refute.

use crate::shrink::shrink;
use crate::sim::{Order, play};

/// One planted defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Acts before its cause is committed.
    ActsFirst,
    /// Delivers again what was delivered, under the same token.
    ResendsAfterACrash,
    /// Writes an answer again that is there.
    AnswersAgain,
    /// Takes a late report for the word of whoever holds the task now.
    DropsTheFence,
    /// Overlooks a committed event when it starts again.
    ForgetsARow,
    /// Calls verified whatever the worker said.
    BelievesReports,
    /// Overlooks its own gaps.
    NeverBlind,
    /// Counts ages by the wall clock.
    AgesByTheWall,
    /// Takes a look that failed for an absence.
    UnknownIsAbsent,
    /// Says that a session was ended without looking.
    CallsItStopped,
    /// Makes again, in place, what an older life left half made.
    RetriesInPlace,
    /// Takes any echo for the right one.
    TakesAnyEcho,
    /// Says that an assignment was taken as soon as it is delivered.
    AcknowledgesForIt,
    /// Gives everybody a fresh grace with every look.
    AlwaysBlind,
    /// Never looks at any evidence.
    NeverVerifies,
    /// Commits a decision's events one by one, and dies in between.
    CommitsByHalves,
    /// Gives a loop one iteration more than was planned.
    LoopsOnceMore,
    /// Lets a loop end by itself, whatever its conditions are.
    OverlooksConditions,
    /// Never takes a condition for met.
    IsNeverContent,
    /// Opens the branch of another label.
    SwapsBranches,
    /// Takes any label.
    TakesAnyLabel,
    /// Forgets the last entrant.
    LeavesAnEntrantOut,
    /// Hears the other winner.
    MishearsJudges,
    /// Lets an entrant compete with itself.
    JudgesOneAlone,
    /// Makes a task for an element that nobody answered.
    AddsAnElement,
    /// Makes the same tasks twice.
    MakesThemTwice,
    /// Cancels a task, and not what it made.
    LeavesChildrenBehind,
    /// Opens a child again, and not who made it.
    ReopensAChildAlone,
    /// Says the contrary of how the run went.
    TwistsTheEnd,
    /// Loses count of what is open.
    MiscountsChildren,
}

/// Seeds among which a planted defect must be found.
const SEEDS: u64 = 3_000;
/// Runs that shrinking its report may cost: enough to see that it gets smaller. One that never
/// ends costs the most, and gets a quarter.
const SHRINKING: usize = 120;

/// The defect is found, by one of the laws that it breaks, and the report of it shrinks.
fn must_break(defect: Defect, laws: &[&str]) {
    // Where safety is meant, a healed run must not be the one that notices.
    let for_end = laws.contains(&"d1_every_run_ends");
    for seed in (0..SEEDS).filter(|seed| for_end || seed % 10 >= 4) {
        let order = Order { seed, defect: Some(defect), ..Order::default() };
        let outcome = play(&order);
        let Some(broken) = outcome.broken else { continue };
        assert!(laws.contains(&broken.law), "{defect:?}: seed {seed} breaks {broken}, not one of {laws:?}");
        let sound = Order { seed, ..Order::default() };
        assert!(play(&sound).broken.is_none(), "seed {seed} breaks without the defect, too");
        let shrunk = shrink(&order, broken.law, if for_end { SHRINKING / 4 } else { SHRINKING });
        let left = shrunk.outcome.broken.map(|broken| broken.law);
        assert_eq!(left, Some(broken.law), "{defect:?}: the shrunk run breaks the same law");
        assert!(shrunk.outcome.deviations.len() <= outcome.deviations.len());
        println!(
            "{defect:?}: seed {seed} breaks {}, {} choices shrunk to {}",
            broken.law,
            outcome.deviations.len(),
            shrunk.outcome.deviations.len()
        );
        return;
    }
    panic!("{defect:?} breaks no law in {SEEDS} seeds");
}

#[test]
fn law_1_breaks_where_a_supervisor_acts_before_its_commit() {
    must_break(Defect::ActsFirst, &["law_1_record_then_act"]);
}

#[test]
fn l16_breaks_where_an_assignment_is_sent_again_after_a_crash() {
    must_break(Defect::ResendsAfterACrash, &["l16_a_dispatch_is_delivered_at_most_once"]);
}

#[test]
fn l16_breaks_where_an_answer_is_written_again_after_a_crash() {
    must_break(Defect::AnswersAgain, &["l16_an_answer_is_delivered_at_most_once"]);
}

#[test]
fn l7_breaks_where_the_fence_is_dropped() {
    must_break(Defect::DropsTheFence, &["l7_a_report_counts_from_its_own_worker"]);
}

#[test]
fn j4_breaks_where_a_replay_forgets_a_row() {
    must_break(Defect::ForgetsARow, &["j4_the_state_is_the_fold_of_the_journal"]);
}

#[test]
fn law_2_breaks_where_a_report_is_believed() {
    must_break(Defect::BelievesReports, &["law_2_no_evidence_no_completion"]);
}

#[test]
fn l17_breaks_where_a_gap_is_overlooked() {
    must_break(
        Defect::NeverBlind,
        &["l17_blindness_is_not_death", "l12_l17_nobody_expires_early", "l17_a_timeout_comes_after_a_look"],
    );
}

#[test]
fn l12_breaks_where_ages_are_counted_by_the_wall() {
    must_break(
        Defect::AgesByTheWall,
        &[
            "l17_blindness_is_not_death",
            "l12_l17_nobody_expires_early",
            "l17_a_timeout_comes_after_a_look",
            // Clocks are set back, too.
            "l1_no_wait_outlives_its_worker",
        ],
    );
}

#[test]
fn l9_breaks_where_an_end_is_taken_for_granted() {
    must_break(Defect::CallsItStopped, &["l9_an_end_is_seen"]);
}

#[test]
fn r4b_breaks_where_a_half_made_launch_is_made_again_in_place() {
    must_break(Defect::RetriesInPlace, &["r4b_a_half_made_provision_is_never_retried_in_place"]);
}

#[test]
fn l19_l20_break_where_any_echo_is_taken() {
    must_break(Defect::TakesAnyEcho, &["l19_l20_only_a_proven_worker_is_ready"]);
}

#[test]
fn l18_breaks_where_granted_counts_as_started() {
    must_break(Defect::AcknowledgesForIt, &["l18_granted_is_not_started"]);
}

#[test]
fn l1_breaks_where_every_look_gives_a_fresh_grace() {
    must_break(Defect::AlwaysBlind, &["l1_no_wait_outlives_its_worker"]);
}

#[test]
fn d1_breaks_where_evidence_is_never_looked_at() {
    must_break(Defect::NeverVerifies, &["d1_every_run_ends"]);
}

#[test]
fn l5_breaks_where_a_claim_is_committed_by_halves() {
    must_break(Defect::CommitsByHalves, &["l5_a_claim_is_whole"]);
}

#[test]
fn l9_breaks_where_a_failed_look_counts_as_an_absence() {
    must_break(Defect::UnknownIsAbsent, &["l9_death_is_attested"]);
}

#[test]
fn d3_breaks_where_a_loop_outlives_its_cap() {
    must_break(Defect::LoopsOnceMore, &["d3_the_cap_holds"]);
}

#[test]
fn d3_breaks_where_conditions_are_overlooked() {
    must_break(Defect::OverlooksConditions, &["d3_a_loop_ends_as_its_last_iteration_tells"]);
}

#[test]
fn d3_breaks_where_a_condition_that_is_met_leads_to_another_iteration() {
    must_break(
        Defect::IsNeverContent,
        &["d3_an_iteration_follows_an_unmet_one", "d3_a_loop_ends_as_its_last_iteration_tells"],
    );
}

#[test]
fn d3_breaks_where_tasks_are_made_twice() {
    must_break(Defect::MakesThemTwice, &["d3_nothing_is_made_twice"]);
}

#[test]
fn d3_d5_break_where_a_child_goes_on_without_its_maker() {
    must_break(Defect::ReopensAChildAlone, &["d3_d5_a_child_goes_on_only_under_its_maker"]);
}

#[test]
fn d4_breaks_where_another_branch_is_opened() {
    must_break(Defect::SwapsBranches, &["d4_only_the_chosen_branch_starts", "d4_pruned_by_design"]);
}

#[test]
fn d4_breaks_where_any_label_is_taken() {
    must_break(Defect::TakesAnyLabel, &["d4_exactly_one_known_label"]);
}

#[test]
fn d5_breaks_where_an_entrant_is_left_out() {
    must_break(Defect::LeavesAnEntrantOut, &["d5_every_entrant_takes_part"]);
}

#[test]
fn d5_breaks_where_a_judge_is_misheard() {
    must_break(Defect::MishearsJudges, &["d5_the_champion_won", "d5_matches_follow_the_bracket"]);
}

#[test]
fn d5_breaks_where_an_entrant_meets_itself() {
    must_break(Defect::JudgesOneAlone, &["d5_no_judge_is_an_entrant"]);
}

#[test]
fn a_map_breaks_where_an_element_is_added() {
    must_break(Defect::AddsAnElement, &["map_makes_one_child_an_element"]);
}

#[test]
fn d1_breaks_where_what_a_cancelled_task_made_goes_on() {
    must_break(Defect::LeavesChildrenBehind, &["d1_a_maker_ends_after_what_it_made"]);
}

#[test]
fn d1_breaks_where_the_end_is_twisted() {
    must_break(Defect::TwistsTheEnd, &["d1_success_counts_children_through_their_maker"]);
}

#[test]
fn j4_breaks_where_open_children_are_miscounted() {
    must_break(Defect::MiscountsChildren, &["j4_derived_fields_equal_a_recount"]);
}

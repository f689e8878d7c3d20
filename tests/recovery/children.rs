//! Killed at every start of a child: each git, tmux and shim is unseen or reconciled.
//!
//! It leaves out what children do later on their own: shims outlive their supervisor in all
//! tests of this folder.

use super::life::setting;
use super::oracle;
use super::plan::Plan;
use super::tracer::{Moment, killed_at_child};

/// Kills a fresh run at its first child, its second, and so on; answers how many there were.
fn at_every_child(plan: &Plan, moment: Moment, stride: usize) -> usize {
    for nth in (1..).step_by(stride) {
        let world = plan.world();
        let killed = killed_at_child(&world, &plan.up(), moment, nth);
        let context = format!("{} killed with child {nth} {moment:?}", plan.session);
        oracle::ends_as_undisturbed(&world, plan, &context);
        if !killed {
            return nth - 1;
        }
    }
    unreachable!("a run starts a finite number of children")
}

#[test]
fn j6_killed_when_any_child_is_born_a_run_ends_as_if_nothing_had_happened() {
    let children = at_every_child(&Plan::three("subprocess"), Moment::Born, 1);
    // Four shims, three worktrees, one check.
    assert!(children >= 8, "only {children} children");
}

#[test]
fn j6_killed_when_any_child_has_just_started_a_run_ends_as_if_nothing_had_happened() {
    let children = at_every_child(&Plan::three("subprocess"), Moment::Started, 1);
    assert!(children >= 8, "only {children} children");
}

#[test]
fn j6_the_same_of_both_in_tmux() {
    let plan = Plan::three("tmux");
    let stride = setting("ILCHUL_CRASH_STRIDE", 1);
    for moment in [Moment::Born, Moment::Started] {
        let children = at_every_child(&plan, moment, stride);
        assert!(children >= 4, "only {children} children");
    }
}

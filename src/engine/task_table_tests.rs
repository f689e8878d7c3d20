//! The task table, row by row, written out by hand from laws.md: the expected
//! list is data, so a change of the table without a change of the laws is red.

use super::TaskMove as M;
use super::TaskPhase as P;
use super::{TaskMove, TaskPhase, next};

/// Every legal step of laws.md, as (from, step, to). Control tasks have steps of their own later.
fn legal() -> Vec<(TaskPhase, TaskMove, TaskPhase)> {
    let mut rows = vec![
        (P::Pending, M::NeedsMet, P::Ready),
        (P::Pending, M::NeedsImpossible, P::Skipped),
        (P::Ready, M::Claimed, P::Claimed),
        (P::Ready, M::Deferred, P::Ready),
        (P::Ready, M::Denied, P::Failed),
        (P::Ready, M::Opened, P::InProgress),
        (P::Ready, M::Asked, P::Verifying),
        (P::Claimed, M::Acknowledged, P::InProgress),
        (P::Claimed, M::HostFailed, P::Ready),
        (P::Claimed, M::LaunchFailed { again: true }, P::Ready),
        (P::Claimed, M::LaunchFailed { again: false }, P::Failed),
        (P::InProgress, M::Worked, P::Verifying),
        (P::Blocked, M::Worked, P::Verifying),
        (P::InProgress, M::WentPartial, P::Partial),
        (P::Blocked, M::WentPartial, P::Partial),
        (P::InProgress, M::Blocked, P::Blocked),
        (P::Blocked, M::Unblocked, P::InProgress),
        // A rate limit, beside the laws: see ARCHITECTURE.md.
        (P::InProgress, M::RateLimited, P::Ready),
        (P::Blocked, M::RateLimited, P::Ready),
        (P::Verifying, M::Verified, P::Completed),
        (P::Verifying, M::Refuted, P::RepairRequired),
        (P::RepairRequired, M::Repaired { again: true }, P::Ready),
        (P::RepairRequired, M::Repaired { again: false }, P::Failed),
        (P::Failed, M::Reopened, P::Ready),
        (P::Partial, M::Reopened, P::Ready),
        (P::Cancelled, M::Reopened, P::Ready),
        (P::Skipped, M::Rearmed, P::Pending),
    ];
    for held in [P::Claimed, P::InProgress, P::Blocked] {
        rows.extend([
            (held, M::AttemptFailed { again: true }, P::Ready),
            (held, M::AttemptFailed { again: false }, P::Failed),
            (held, M::Recovered { again: true }, P::Ready),
            (held, M::Recovered { again: false }, P::Failed),
            (held, M::Requeued, P::Ready),
            (held, M::DecidedSkip, P::Skipped),
            (held, M::DecidedAccept, P::Verifying),
        ]);
    }
    for open in TaskPhase::ALL.into_iter().filter(|phase| !phase.is_terminal()) {
        rows.push((open, M::Cancelled, P::Cancelled));
        rows.push((open, M::Withdrawn, P::Skipped));
    }
    // An adopted edit, beside the laws: see ARCHITECTURE.md.
    for planned in TaskPhase::ALL.into_iter().filter(|phase| *phase != P::Pending) {
        rows.push((planned, M::Replanned, P::Pending));
    }
    rows
}

#[test]
fn every_row_of_the_task_table_leads_where_the_laws_say() {
    for (from, step, to) in legal() {
        assert_eq!(next(from, step), Ok(to), "{from} {step:?}");
    }
}

#[test]
fn every_other_pair_of_the_task_table_is_an_illegal_value() {
    let legal = legal();
    let mut refused = 0;
    for from in TaskPhase::ALL {
        for step in TaskMove::ALL {
            if !legal.iter().any(|row| row.0 == from && row.1 == step) {
                let illegal = next(from, step).expect_err("not in the table");
                assert_eq!((illegal.from, illegal.tried), (from, step));
                refused += 1;
            }
        }
    }
    assert_eq!(refused + legal.len(), TaskPhase::ALL.len() * TaskMove::ALL.len());
}

#[test]
fn law_2_only_a_verified_task_is_completed() {
    for from in TaskPhase::ALL {
        for step in TaskMove::ALL {
            if next(from, step) == Ok(P::Completed) {
                assert_eq!((from, step), (P::Verifying, M::Verified));
            }
        }
    }
}

#[test]
fn d1_a_terminal_state_is_left_only_by_a_persons_retry_or_adopted_edit() {
    for from in TaskPhase::ALL.into_iter().filter(|phase| phase.is_terminal()) {
        for step in TaskMove::ALL {
            if next(from, step).is_ok() {
                assert!(matches!(step, M::Reopened | M::Rearmed | M::Replanned), "{from} {step:?}");
            }
        }
    }
}

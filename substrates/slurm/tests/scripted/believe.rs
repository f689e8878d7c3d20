//! What is believed of a job: its files, the controller, accounting, nobody.
//!
//! It leaves out how sessions are ended.

use crate::fakes::{Fakes, on_fakes};
use ilchul_conformance::{PATIENCE, wait_until};
use ilchul_substrate::{Exit, Handle, State, Substrate};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const DOWN: &str = "echo 'sacct: error: slurm_persist_conn_open_without_init: failed to open' >&2; exit 1";

/// Looks for a while; every answer is `Unknown`.
fn stays_unknown(fakes: &Fakes, handle: &Handle) -> String {
    let until = Instant::now() + Duration::from_millis(900);
    let mut last = String::new();
    while Instant::now() < until {
        match fakes.seen(handle).state {
            State::Unknown(why) => last = why,
            other => panic!("{other:?}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    last
}

#[test]
fn l10_a_job_that_slurm_forgot_after_it_began_is_absent_and_never_ended() {
    on_fakes("believe::l10_a_job_that_slurm_forgot_after_it_began_is_absent_and_never_ended", |fakes| {
        let handle = fakes.begun("a", 7);
        fakes.put("queue", &Fakes::line(&handle, 7, "RUNNING"));
        assert!(matches!(fakes.seen(&handle).state, State::Live(_)));
        fakes.put("queue", "");
        assert_eq!(fakes.settled(&handle).state, State::Absent);
        // One answer that has it counts more than all that hadn't.
        fakes.put("queue", &Fakes::line(&handle, 7, "RUNNING"));
        wait_until("it is listed", PATIENCE, || matches!(fakes.seen(&handle).state, State::Live(_)));
        // And its own word more than every list.
        let folder = PathBuf::from(&handle.fields["folder"]);
        fs::write(folder.join("exit"), format!("{} 3 \n", handle.fields["nonce"])).unwrap();
        assert_eq!(fakes.seen(&handle).state, State::Ended(Some(Exit::Code(3))));
    });
}

#[test]
fn accounting_is_asked_in_bulk_about_what_left_the_queue_and_never_again_about_an_end() {
    on_fakes(
        "believe::accounting_is_asked_in_bulk_about_what_left_the_queue_and_never_again_about_an_end",
        |fakes| {
            fakes.has_accounting();
            let handles: Vec<Handle> = (1..=5).map(|id| fakes.begun(&format!("t{id}"), id)).collect();
            let line =
                |id: u64, handle: &Handle| format!("{id}|{}|FAILED|9:0|2026-11-21T18:44:37\n", handle.mark);
            let all: String = (1..).zip(&handles).map(|(id, handle)| line(id, handle)).collect();
            fakes.put("accounts", &all);
            let look = || fakes.substrate.observe(&handles);
            wait_until("all are settled", PATIENCE, || look().iter().all(|seen| seen.state == State::Absent));
            let note = look()[0].note.clone();
            assert_eq!(note.as_deref(), Some("sacct says FAILED, exit 9:0"));
            let until = Instant::now() + Duration::from_millis(500);
            while Instant::now() < until {
                look();
            }
            let calls = fakes.calls("sacct");
            // Whoever was submitted after the first answer is lacked by one answer less.
            assert!(calls.len() <= 2 && calls[0].contains("--duplicates"), "{calls:?}");
            let ids = calls.iter().filter_map(|call| call.split(" -j ").nth(1)?.split(' ').next());
            let ids: Vec<&str> = ids.flat_map(|ids| ids.split(',')).collect();
            assert_eq!(ids, ["1", "2", "3", "4", "5"], "{calls:?}");
        },
    );
}

#[test]
fn l9_accounting_that_is_down_is_asked_ever_seldomer_and_what_it_says_when_it_is_back_counts() {
    on_fakes(
        "believe::l9_accounting_that_is_down_is_asked_ever_seldomer_and_what_it_says_when_it_is_back_counts",
        |fakes| {
            fakes.has_accounting();
            fakes.does("sacct", DOWN);
            let began = Instant::now();
            let handle = fakes.begun("a", 7);
            let later = || !matches!(fakes.seen(&handle).state, State::Live(_));
            wait_until("an answer after the submit", PATIENCE, later);
            let why = stays_unknown(fakes, &handle);
            assert!(why.contains("failed to open"), "{why}");
            let again = || {
                stays_unknown(fakes, &handle);
                fakes.calls("sacct").len() >= 3
            };
            wait_until("it is asked again", PATIENCE, again);
            // 50 ms, 100 ms, 200 ms and so on lie between.
            let count = u32::try_from(fakes.calls("sacct").len()).unwrap();
            let least = crate::fakes::pace().interval.mul_f64(0.9) * (2_u32.pow(count.min(7) - 1) - 1);
            assert!(least <= began.elapsed(), "{count} times in {:?}", began.elapsed());
            fakes.does("sacct", "cat \"$here/accounts\"");
            // After a restart it calls failed what it has lost sight of.
            fakes.put("accounts", &format!("7|{}|FAILED|0:0|Unknown\n", handle.mark));
            let why = stays_unknown(fakes, &handle);
            wait_until(
                "it answers again",
                PATIENCE,
                || matches!(fakes.seen(&handle).state, State::Unknown(why) if why.contains("knows no end")),
            );
            assert!(!why.is_empty());
            // Or has no record yet: that alone is no news either, for a while.
            fakes.put("accounts", "");
            wait_until(
                "it has none",
                PATIENCE,
                || matches!(fakes.seen(&handle).state, State::Unknown(why) if why.contains("no record of it yet")),
            );
            fakes.put("accounts", &format!("7|{}|FAILED|3:0|2026-11-21T18:44:37\n", handle.mark));
            wait_until("it is settled", PATIENCE, || fakes.seen(&handle).state == State::Absent);
        },
    );
}

#[test]
fn a_job_that_was_cancelled_before_it_began_has_ended_by_the_word_of_accounting() {
    on_fakes(
        "believe::a_job_that_was_cancelled_before_it_began_has_ended_by_the_word_of_accounting",
        |fakes| {
            fakes.has_accounting();
            let handle = fakes.submitted("a", "true");
            fakes.put("accounts", &format!("7|{}|CANCELLED by 0|0:0|2026-11-21T18:44:37\n", handle.mark));
            let seen = wait_ended(fakes, &handle);
            assert_eq!(seen.as_deref(), Some("sacct says CANCELLED by 0, exit 0:0"));
        },
    );
}

fn wait_ended(fakes: &Fakes, handle: &Handle) -> Option<String> {
    wait_until("it has ended", PATIENCE, || fakes.seen(handle).state == State::Ended(None));
    fakes.seen(handle).note
}

#[test]
fn the_end_of_a_twin_is_never_read_as_this_attempts_end() {
    on_fakes("believe::the_end_of_a_twin_is_never_read_as_this_attempts_end", |fakes| {
        // A submit that was doubtful and repeated: the handle has the second one's id.
        let handle = fakes.begun("a", 7);
        let mut second = handle.clone();
        second.id = "8".to_owned();
        let twin = Fakes::line(&handle, 8, "FAILED");
        fakes.put("queue", &(Fakes::line(&handle, 7, "COMPLETING") + &twin));
        assert!(matches!(fakes.seen(&second).state, State::Live(_)));
        fakes.put("queue", &(Fakes::line(&handle, 8, "RUNNING") + &Fakes::line(&handle, 7, "FAILED")));
        wait_until("the first one is over", PATIENCE, || fakes.seen(&second).state == State::Ended(None));
        let other = fakes.begun("b", 17);
        fakes.put("queue", &Fakes::line(&other, 18, "FAILED"));
        let later = || !matches!(fakes.seen(&other).state, State::Live(_));
        wait_until("an answer after the submit", PATIENCE, later);
        wait_until("it isn't called ended", PATIENCE, || match fakes.seen(&other).state {
            State::Absent => true,
            State::Unknown(_) => false,
            wrong => panic!("{wrong:?}"),
        });
    });
}

#[test]
fn words_of_newer_versions_and_lists_that_fail_are_unknown() {
    on_fakes("believe::words_of_newer_versions_and_lists_that_fail_are_unknown", |fakes| {
        let handle = fakes.begun("a", 7);
        for word in ["BEWITCHED", "POWER_UP_NODE", "REVOKED", ""] {
            fakes.put("queue", &Fakes::line(&handle, 7, word));
            wait_until(word, PATIENCE, || matches!(fakes.seen(&handle).state, State::Unknown(_)));
            stays_unknown(fakes, &handle);
        }
        // Half a list that failed is no list.
        fakes.does(
            "squeue",
            "head -c 5 \"$here/queue\"; echo 'slurm_load_jobs error: Zero Bytes' >&2; exit 1",
        );
        let why = stays_unknown(fakes, &handle);
        assert!(why.contains("Zero Bytes"), "{why}");
    });
}

#[test]
fn nothing_that_would_bend_slurms_commands_is_passed_on() {
    on_fakes("believe::nothing_that_would_bend_slurms_commands_is_passed_on", |fakes| {
        assert!(std::env::var_os("SQUEUE_FORMAT").is_some(), "it could have been");
        fakes.does("squeue", "env > \"$here/env\"");
        let handle = fakes.begun("a", 7);
        fakes.seen(&handle);
        let env = fakes.text("env");
        for name in ["SQUEUE_", "SBATCH_", "SLURM_CLUSTERS"] {
            assert!(!env.lines().any(|line| line.starts_with(name)), "{env}");
        }
    });
}

#[test]
fn l10_a_job_that_an_administrator_holds_waits_and_one_that_is_suspended_lives() {
    on_fakes(
        "believe::l10_a_job_that_an_administrator_holds_waits_and_one_that_is_suspended_lives",
        |fakes| {
            let handle = fakes.submitted("a", "true");
            let held = Fakes::line(&handle, 7, "PENDING").replace("|None|", "|JobHeldAdmin|");
            fakes.put("queue", &held);
            let until = Instant::now() + Duration::from_millis(600);
            while Instant::now() < until {
                assert!(matches!(fakes.seen(&handle).state, State::Queued(_)));
            }
            let begun = fakes.begun("b", 9);
            fakes.put("queue", &Fakes::line(&begun, 9, "SUSPENDED"));
            wait_until("it lives", PATIENCE, || matches!(fakes.seen(&begun).state, State::Live(_)));
        },
    );
}

#[test]
fn l17_a_job_that_is_suspended_is_said_to_be_whether_or_not_it_has_begun() {
    on_fakes("believe::l17_a_job_that_is_suspended_is_said_to_be_whether_or_not_it_has_begun", |fakes| {
        for (begun, task) in [(false, "a"), (true, "b")] {
            let handle = if begun { fakes.begun(task, 7) } else { fakes.submitted(task, "true") };
            let said = |name: &str| match fakes.seen(&handle).state {
                State::Live(facts) => facts.notes.iter().any(|(known, _)| *known == name),
                State::Queued(_) | State::Unknown(_) => false,
                wrong => panic!("{wrong:?}"),
            };
            fakes.put("queue", &Fakes::line(&handle, 7, "SUSPENDED"));
            wait_until("it is suspended", PATIENCE, || said("suspended"));
            assert_eq!(said("starts"), !begun);
            fakes.put("queue", &Fakes::line(&handle, 7, "RUNNING"));
            wait_until("it goes on", PATIENCE, || !said("suspended"));
        }
    });
}

//! Ending sessions whose controller is no help.
//!
//! It leaves out what is believed of those that nobody ends.

use crate::fakes::{Fakes, on_fakes};
use ilchul_conformance::{PATIENCE, wait_until};
use ilchul_substrate::{ErrorKind, Exit, State, Urgency};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn is_gone(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

#[test]
fn a_job_that_slurm_forgot_reads_in_its_folder_that_it_is_to_end() {
    on_fakes("ending::a_job_that_slurm_forgot_reads_in_its_folder_that_it_is_to_end", |fakes| {
        let script = "trap 'echo bye > bye; exit 12' TERM; echo $$ > pid; sleep 600 & wait";
        let handle = fakes.running("a", script);
        let pid = fakes.text("pid");
        fakes.release(&handle, Urgency::Asked).unwrap();
        assert_eq!(fakes.text("bye"), "bye\n");
        assert!(is_gone(&pid));
        assert_eq!(fakes.seen(&handle).state, State::Ended(Some(Exit::Code(12))));
        // Slurm was told nevertheless, by name and id.
        let told = format!("--name={} 7", handle.mark);
        assert!(fakes.calls("scancel").contains(&told), "{:?}", fakes.calls("scancel"));
    });
}

#[test]
fn a_job_that_slurm_forgot_and_that_is_deaf_to_terms_is_ended_at_once() {
    on_fakes("ending::a_job_that_slurm_forgot_and_that_is_deaf_to_terms_is_ended_at_once", |fakes| {
        let script =
            "trap '' TERM HUP; setsid sleep 7777 & echo $! > child; echo $$ > pid; while :; do sleep 1; done";
        let handle = fakes.running("a", script);
        let (pid, child) = (fakes.text("pid"), fakes.text("child"));
        fakes.release(&handle, Urgency::AtOnce).unwrap();
        wait_until("its tree is gone", PATIENCE, || is_gone(&pid) && is_gone(&child));
        assert!(matches!(fakes.seen(&handle).state, State::Ended(_)));
    });
}

#[test]
fn what_a_job_reads_under_another_nonce_isnt_for_it() {
    on_fakes("ending::what_a_job_reads_under_another_nonce_isnt_for_it", |fakes| {
        let handle = fakes.running("a", "while ! test -e go; do sleep 0.1; done; echo done > done");
        let folder = PathBuf::from(&handle.fields["folder"]);
        for text in ["", "rubbish\n", &format!("{} kill\n", "0".repeat(32))] {
            fs::write(folder.join("stop"), text).unwrap();
            let until = Instant::now() + Duration::from_millis(1500);
            while Instant::now() < until {
                assert!(!matches!(fakes.seen(&handle).state, State::Ended(_)), "{text:?}");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        fakes.put("go", "");
        assert_eq!(fakes.text("done"), "done\n");
    });
}

#[test]
fn l9_one_list_that_lacks_a_job_that_began_doesnt_end_it() {
    on_fakes("ending::l9_one_list_that_lacks_a_job_that_began_doesnt_end_it", |fakes| {
        let handle = fakes.begun("a", 7);
        let (lists, began) = (fakes.calls("squeue").len(), Instant::now());
        fakes.release(&handle, Urgency::AtOnce).unwrap();
        assert!(fakes.calls("squeue").len() - lists >= 3);
        assert!(began.elapsed() >= crate::fakes::pace().forget);
        let seen = fakes.seen(&handle);
        assert_eq!(seen.state, State::Ended(None));
        assert_eq!(
            seen.note.as_deref(),
            Some("Slurm knows nothing of its job any more, and it left no word")
        );
    });
}

#[test]
fn l9_a_controller_that_is_away_ends_nothing_on_record_and_the_job_is_told_in_its_folder() {
    on_fakes(
        "ending::l9_a_controller_that_is_away_ends_nothing_on_record_and_the_job_is_told_in_its_folder",
        |fakes| {
            let handle = fakes.running("a", "echo $$ > pid; sleep 600");
            let pid = fakes.text("pid");
            fakes.does("squeue", "echo 'Unable to contact slurm controller' >&2; exit 1");
            let error = fakes.release(&handle, Urgency::AtOnce).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            let folder = PathBuf::from(&handle.fields["folder"]);
            assert_eq!(fs::read_to_string(folder.join("exit")).unwrap(), "");
            wait_until("it ended by itself", PATIENCE, || is_gone(&pid));
            wait_until("it says so", PATIENCE, || matches!(fakes.seen(&handle).state, State::Ended(_)));
        },
    );
}

#[test]
fn a_release_takes_back_both_jobs_of_a_submit_that_was_repeated() {
    on_fakes("ending::a_release_takes_back_both_jobs_of_a_submit_that_was_repeated", |fakes| {
        let handle = fakes.begun("a", 7);
        let both = Fakes::line(&handle, 7, "RUNNING") + &Fakes::line(&handle, 8, "PENDING");
        fakes.put("queue", &both);
        // Each is over once it was cancelled by its own id.
        fakes.does(
            "scancel",
            "for id; do :; done; sed \"s/^$id|\\([^|]*\\)|[A-Z]*/$id|\\1|CANCELLED/\" \"$here/queue\" > \"$here/q.new\"\n\
             mv \"$here/q.new\" \"$here/queue\"",
        );
        fakes.release(&handle, Urgency::Asked).unwrap();
        let cancelled = fakes.calls("scancel");
        for id in ["7", "8"] {
            let name = format!("--name={} {id}", handle.mark);
            assert!(cancelled.iter().any(|call| call.ends_with(&name)), "{cancelled:?}");
        }
        assert_eq!(fakes.seen(&handle).state, State::Ended(None));
    });
}

#[test]
fn a_job_that_was_called_off_isnt_waited_for_where_slurm_knows_nothing_of_it() {
    on_fakes("ending::a_job_that_was_called_off_isnt_waited_for_where_slurm_knows_nothing_of_it", |fakes| {
        let handle = fakes.submitted("a", "true");
        fakes.release(&handle, Urgency::Asked).unwrap();
        assert_eq!(fakes.calls("squeue").len(), 2, "one before the submit, one now");
        assert_eq!(fakes.seen(&handle).state, State::Ended(None));
    });
}

#[test]
fn many_that_are_to_end_at_once_share_their_questions() {
    on_fakes("ending::many_that_are_to_end_at_once_share_their_questions", |fakes| {
        let handles: Vec<_> = (1..=30).map(|id| fakes.begun(&format!("t{id}"), id)).collect();
        let all = |state: &str| -> String {
            (1..).zip(&handles).map(|(id, handle)| Fakes::line(handle, id, state)).collect()
        };
        fakes.put("queue", &all("RUNNING"));
        fakes.put("over", &all("CANCELLED"));
        // It takes its time, as under load; the jobs end a second after the first of them is told.
        fakes.does("squeue", "sleep 0.02; cat \"$here/queue\"");
        fakes.does(
            "scancel",
            "mkdir \"$here/told\" 2> /dev/null && { (sleep 1; cp \"$here/over\" \"$here/next\"; mv \"$here/next\" \"$here/queue\") > /dev/null 2>&1 < /dev/null & } || :",
        );
        let (before, began) = (fakes.calls("squeue").len(), Instant::now());
        std::thread::scope(|scope| {
            for handle in &handles {
                scope.spawn(|| fakes.release(handle, Urgency::Asked).unwrap());
            }
        });
        let asked = fakes.calls("squeue").len() - before;
        // One in each 50 ms, for all of them together; alone each of the 30 would ask a dozen times.
        let most = usize::try_from(began.elapsed().as_millis() / 50).unwrap() + 2;
        assert!(asked <= most && asked < 150, "{asked} questions, {most} at most");
        for handle in &handles {
            assert_eq!(fakes.seen(handle).state, State::Ended(None));
        }
    });
}

#[test]
fn a_controller_that_is_down_is_asked_once_for_all_that_are_to_end() {
    on_fakes("ending::a_controller_that_is_down_is_asked_once_for_all_that_are_to_end", |fakes| {
        let handles: Vec<_> = (1..=20).map(|id| fakes.begun(&format!("t{id}"), id)).collect();
        fakes.does("squeue", "sleep 0.3; echo 'slurm_load_jobs error: Unable to contact' >&2; exit 1");
        let before = fakes.calls("squeue").len();
        std::thread::scope(|scope| {
            for handle in &handles {
                scope.spawn(|| {
                    let error = fakes.release(handle, Urgency::Asked).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Unavailable);
                });
            }
        });
        let asked = fakes.calls("squeue").len() - before;
        assert!(asked <= 4, "{asked} questions for 20 jobs");
    });
}

#[test]
fn a_job_at_its_set_up_lines_is_told_as_a_whole_and_says_who_told_it() {
    on_fakes("ending::a_job_at_its_set_up_lines_is_told_as_a_whole_and_says_who_told_it", |fakes| {
        let handle = fakes.begun("a", 7);
        fs::write(PathBuf::from(&handle.fields["folder"]).join("stage"), "module load x\n").unwrap();
        fakes.put("queue", &Fakes::line(&handle, 7, "RUNNING"));
        fakes.put("over", &Fakes::line(&handle, 7, "CANCELLED"));
        fakes.does("scancel", "cp \"$here/over\" \"$here/queue\"");
        fakes.release(&handle, Urgency::Asked).unwrap();
        // Its shell would hear nothing before its line has ended.
        assert_eq!(fakes.calls("scancel"), [format!("--name={} 7", handle.mark)]);
        let stop = fs::read_to_string(PathBuf::from(&handle.fields["folder"]).join("stop")).unwrap();
        assert_eq!(stop.trim(), format!("{} term", handle.fields["nonce"]));
    });
}

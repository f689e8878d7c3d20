//! Submits whose answers are odd, and places whose names are.
//!
//! It leaves out what only a real controller refuses.

use crate::fakes::{Fakes, STARTS, on_fakes};
use ilchul_conformance::{PATIENCE, wait_for, wait_until};
use ilchul_substrate::{ErrorKind, Exit, Mark, State, Substrate};

#[test]
fn a_request_that_was_refused_is_asked_about_again_after_a_while() {
    on_fakes("submitting::a_request_that_was_refused_is_asked_about_again_after_a_while", |fakes| {
        fakes.does(
            "sbatch",
            "test -e \"$here/up\" || { echo 'sbatch: error: invalid partition specified: new' >&2; exit 1; }\n\
             echo 7",
        );
        let ensure = |attempt| {
            let mark = Mark::new("r", "a", attempt).unwrap();
            fakes.substrate.ensure(&mark, &fakes.spec(&mark, "true"))
        };
        for attempt in [1, 2] {
            assert_eq!(ensure(attempt).unwrap_err().kind(), ErrorKind::Refused);
        }
        assert_eq!(fakes.calls("sbatch").len(), 1, "once for both");
        // An administrator makes it possible.
        fakes.put("up", "");
        let mut attempt = 2;
        wait_until("it is taken", PATIENCE, || {
            attempt += 1;
            ensure(attempt).is_ok()
        });
    });
}

#[test]
fn a_submit_that_timed_out_is_looked_up_and_not_repeated() {
    on_fakes("submitting::a_submit_that_timed_out_is_looked_up_and_not_repeated", |fakes| {
        // Taken, but not answered; the comment is the last but some words of the line.
        fakes.does(
            "sbatch",
            "case \"$*\" in *--test-only*) exit 0;; esac\n\
             for word; do case $word in --comment=*) comment=${word#--comment=};; --job-name=*) name=${word#--job-name=};; esac; done\n\
             echo \"41|$name|PENDING|Priority||$comment\" > \"$here/queue\"\n\
             echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1",
        );
        let handle = fakes.submitted("a", "true");
        assert_eq!(handle.id, "41");
        let submits = fakes.calls("sbatch").into_iter().filter(|call| !call.contains("--test-only"));
        assert_eq!(submits.count(), 1);
    });
}

#[test]
fn a_site_whose_sbatch_greets_first_is_understood() {
    on_fakes("submitting::a_site_whose_sbatch_greets_first_is_understood", |fakes| {
        fakes.does(
            "sbatch",
            "case \"$*\" in *--test-only*) exit 0;; esac; echo 'Welcome!'; echo '3 hours are left'; echo '42;west'",
        );
        assert_eq!(fakes.submitted("a", "true").id, "42");
    });
}

#[test]
fn a_home_whose_path_has_blanks_quotes_and_patterns_is_no_obstacle() {
    on_fakes("submitting::a_home_whose_path_has_blanks_quotes_and_patterns_is_no_obstacle", |fakes| {
        fakes.does("sbatch", STARTS);
        let handle = fakes.submitted("a", "echo hello-there; exit 5");
        let ended = wait_for("its end", PATIENCE, || match fakes.seen(&handle).state {
            State::Ended(exit) => Some(exit),
            State::Live(_) | State::Queued(_) | State::Unknown(_) | State::Absent | State::Stuck(_) => None,
        });
        assert_eq!(ended, Some(Exit::Code(5)));
        // What its terminal showed went where it should, and nowhere else.
        let log = fakes.text(&format!("{} 100%d 'log'", handle.mark));
        assert!(log.contains("hello-there"), "{log}");
        let asked = fakes.calls("sbatch").pop().unwrap();
        assert!(asked.contains("it's 100%%d #{x}/slurm/"), "{asked}");
    });
}

#[test]
fn a_job_that_the_site_renamed_is_cancelled_under_the_name_that_slurm_knows() {
    on_fakes(
        "submitting::a_job_that_the_site_renamed_is_cancelled_under_the_name_that_slurm_knows",
        |fakes| {
            let handle = fakes.submitted("a", "true");
            let name = format!("lab_{}", handle.mark);
            let line = |state| Fakes::line(&handle, 7, state).replacen(&handle.mark.to_string(), &name, 1);
            fakes.put("queue", &line("PENDING"));
            wait_until("it is listed", PATIENCE, || {
                fakes.seen(&handle).state == State::Queued("None".to_owned())
            });
            fakes.put("over", &line("CANCELLED"));
            fakes.does("scancel", "cp \"$here/over\" \"$here/queue\"");
            fakes.release(&handle, ilchul_substrate::Urgency::Asked).unwrap();
            assert_eq!(fakes.calls("scancel"), [format!("--name={name} 7")]);
        },
    );
}

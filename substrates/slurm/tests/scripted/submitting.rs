//! Submits whose answers are odd, and places whose names are.
//!
//! It leaves out what only a real controller refuses.

use crate::fakes::{Fakes, STARTS, on_fakes};
use ilchul_conformance::{PATIENCE, wait_for, wait_until};
use ilchul_substrate::{ErrorKind, Exit, Mark, State, Substrate};

#[test]
fn what_sbatch_says_decides_whether_a_submit_is_a_no_or_may_be_tried_later() {
    on_fakes(
        "submitting::what_sbatch_says_decides_whether_a_submit_is_a_no_or_may_be_tried_later",
        |fakes| {
            let mut attempt = 0;
            let mut ensure = |words: &str| {
                fakes.does("sbatch", &format!("echo 'sbatch: error: {words}' >&2; exit 1"));
                let before = fakes.calls("sbatch").len();
                attempt += 1;
                let mark = Mark::new("r", "a", attempt).unwrap();
                let error = fakes.substrate.ensure(&mark, &fakes.spec(&mark, "true")).unwrap_err();
                assert!(error.to_string().contains(words), "{error}");
                (error.kind(), fakes.calls("sbatch").len() - before)
            };
            assert_eq!(ensure("Invalid --mem specification"), (ErrorKind::Refused, 1));
            // As a plugin of a site may say it: proven twice that it led to nothing.
            assert_eq!(ensure("Your group has no hours left"), (ErrorKind::Refused, 2));
            assert_eq!(
                ensure("Batch job submission failed: Zero Bytes were transmitted or received").0,
                ErrorKind::Unavailable
            );
            assert_eq!(
                ensure("Job submit limit of user reached: job submit limit").0,
                ErrorKind::Unavailable
            );
        },
    );
}

#[test]
fn a_submit_that_timed_out_is_looked_up_and_not_repeated() {
    on_fakes("submitting::a_submit_that_timed_out_is_looked_up_and_not_repeated", |fakes| {
        // Taken, but not answered; the comment is the last but some words of the line.
        fakes.does(
            "sbatch",
            "for word; do case $word in --comment=*) comment=${word#--comment=};; --job-name=*) name=${word#--job-name=};; esac; done\n\
             echo \"41|$name|PENDING|Priority||$comment\" > \"$here/queue\"\n\
             echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1",
        );
        let handle = fakes.submitted("a", "true");
        assert_eq!(handle.id, "41");
        assert_eq!(fakes.calls("sbatch").len(), 1);
    });
}

#[test]
fn a_site_whose_sbatch_greets_first_is_understood() {
    on_fakes("submitting::a_site_whose_sbatch_greets_first_is_understood", |fakes| {
        fakes.does("sbatch", "echo 'Welcome!'; echo '3 hours are left'; echo '42;west'");
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

#[test]
fn a_refusal_after_a_doubtful_submit_adopts_the_job_that_has_begun() {
    on_fakes("submitting::a_refusal_after_a_doubtful_submit_adopts_the_job_that_has_begun", |fakes| {
        // The first submit is taken, not answered, and in no list; its job begins while the second
        // one is refused.
        fakes.does(
            "sbatch",
            "[ -e \"$here/second\" ] || { : > \"$here/second\"; \
             echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1; }\n\
             for word; do case $word in --chdir=*) folder=${word#--chdir=};; esac; done\n\
             printf 'job=41\\nnode=n1\\nsocket=/nowhere\\n' > \"$folder/claim\"\n\
             echo 'sbatch: error: Batch job submission failed: Invalid account specified' >&2; exit 1",
        );
        let handle = fakes.submitted("a", "true");
        assert_eq!((handle.id.as_str(), fakes.calls("sbatch").len()), ("41", 2));
        fakes.put("queue", &Fakes::line(&handle, 41, "RUNNING"));
        wait_until("it lives", PATIENCE, || matches!(fakes.seen(&handle).state, State::Live(_)));
    });
}

#[test]
fn a_limit_that_sbatch_names_is_a_no_and_one_that_it_doesnt_may_pass() {
    on_fakes("submitting::a_limit_that_sbatch_names_is_a_no_and_one_that_it_doesnt_may_pass", |fakes| {
        let any = "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, \
                   user'\\''s size and/or time limits)";
        for (attempt, (named, kind)) in [
            ("", ErrorKind::Limited),
            ("sbatch: error: AssocMaxSubmitJobLimit\n", ErrorKind::Unavailable),
            ("sbatch: error: QOSMaxMemoryPerJob and QOSMaxCpuPerJobLimit\n", ErrorKind::Refused),
            ("sbatch: error: QOSMaxGRESPerUserLimit\n", ErrorKind::Refused),
        ]
        .into_iter()
        .enumerate()
        {
            fakes.does("sbatch", &format!("printf '%b' '{named}{any}\\n' >&2; exit 1"));
            let mark = Mark::new("r", "a", u32::try_from(attempt).unwrap() + 1).unwrap();
            let error = fakes.substrate.ensure(&mark, &fakes.spec(&mark, "true")).unwrap_err();
            assert_eq!(error.kind(), kind, "{named}: {error}");
        }
    });
}

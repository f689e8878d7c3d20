//! What a person sees of a run on a cluster: waiting, attaching, ends from outside, a new life.
//!
//! It leaves out clusters that fail.

use crate::common::{Site, ended, slurm, until};
use crate::world::wait_until;

#[test]
fn a_worker_that_waits_in_the_queue_says_why_and_is_never_late() {
    // Ready within a second: it waits for longer than that.
    let site = Site::with(
        "limits: { ready: 3s }\ntasks: { a: { run: 'true', slurm: { sbatch: [--begin=now+20] } } }",
    );
    let up = site.start_up();
    until("the reason", || {
        let told = site.run(&["workers", "--json"]).stdout;
        told.contains("queued: BeginTime").then_some(())
    });
    let attach = site.run(&["attach", "a", "--print"]).exits(1);
    assert!(attach.stderr.contains("waits: BeginTime"), "{}", attach.stderr);
    let why = site.run(&["status"]).stdout;
    assert!(why.contains("BeginTime"), "{why}");
    ended(up).exits(0);
    assert_eq!(site.world.state().tasks[0].attempt, 1);
}

#[test]
fn e2_a_check_finds_what_the_set_up_lines_gave_its_worker() {
    let site = Site::with(
        "tasks:\n  a:\n    run: 'test \"$TOOL\" = gcc'\n    slurm: { setup: ['export TOOL=gcc; echo noise'] }\n    evidence: [ { exit: 0 }, { command: 'echo with $TOOL', match: '^with gcc' } ]\n  sum: { reduce: { run: 'echo $TOOL', over: [a] }, slurm: { setup: ['export TOOL=gcc; echo noise'] } }",
    );
    site.up().exits(0);
}

#[test]
fn nodes_that_are_drained_are_waited_for() {
    let site = Site::with("tasks: { a: { run: 'true' } }");
    slurm(&["scontrol", "update", "nodename=n[1-4]", "state=drain", "reason=maintenance"]);
    let up = site.start_up();
    until("the reason", || site.run(&["workers", "--json"]).stdout.contains("DOWN, DRAINED").then_some(()));
    // As long as a hopeless reason would have to last.
    let began = std::time::Instant::now();
    until("some looks", || (began.elapsed().as_secs() >= 3).then_some(()));
    slurm(&["scontrol", "update", "nodename=n[1-4]", "state=resume"]);
    ended(up).exits(0);
    assert_eq!(site.world.state().tasks[0].attempt, 1);
}

#[test]
fn a_job_that_slurm_would_hold_for_ever_fails_with_its_reason_and_is_taken_back() {
    let site = Site::with("tasks: { a: { run: 'true', slurm: { partition: short, time: 24h } } }");
    site.up().exits(3);
    assert!(site.world.told("a").contains("PartitionTimeLimit"), "{}", site.world.told("a"));
    until("the queue to be empty", || site.jobs("PENDING").is_empty().then_some(()));
}

#[test]
fn a_request_that_nobody_could_serve_fails_with_slurms_reason() {
    let site = Site::with("tasks: { a: { run: 'true', slurm: { cpus: 4000 } } }");
    site.up().exits(3);
    let told = site.world.told("a");
    // Queued for ever, or refused at once: versions differ.
    let reasons = ["PartitionConfig", "Requested node configuration is not available"];
    assert!(reasons.iter().any(|reason| told.contains(reason)), "{told}");
}

#[test]
fn a_job_that_somebody_cancels_ends_in_order_and_is_tried_again() {
    let script = "trap 'echo bye > $W/bye; exit 3' TERM; echo at >> $W/ledger; test -e $W/bye && exit 0; sleep 600 & wait";
    let site = Site::with(&format!("tasks: {{ a: {{ run: \"{script}\", retries: 1 }} }}"));
    let up = site.start_up();
    wait_until("the work", || site.world.ledger().len() == 1);
    let (_, job) = site.claim("a.1");
    slurm(&["scancel", &job]);
    ended(up).exits(0);
    assert_eq!(site.world.ledger().len(), 2);
    assert_eq!(site.world.state().tasks[0].attempt, 2);
}

#[test]
fn a_worker_is_told_to_end_before_its_wall_time_is_over() {
    let site = Site::with(
        "tasks: { a: { run: 'trap \"echo told > $W/told; exit 4\" TERM; sleep 600 & wait', slurm: { time: 1m } } }",
    );
    site.up().exits(3);
    assert!(site.world.root().join("told").exists());
    let log = site.run(&["logs", "a"]).stdout;
    assert_eq!(log.matches("wall time is nearly over").count(), 1, "{log}");
    assert_eq!(
        site.world.told("a"),
        "failed (wall_time: its wall time is nearly over, so it was told to end)"
    );
    let why = site.run(&["why", "a"]).stdout;
    assert!(why.contains("Its wall time is nearly over, so it was told to end"), "{why}");
    // Slurm itself never had to end it.
    assert_eq!(site.jobs("TIMEOUT"), [""; 0]);
}

#[test]
fn what_a_worker_commits_after_it_was_told_of_its_wall_time_is_kept() {
    let site = Site::with(
        "tasks: { a: { run: 'trap \"git add -A; git -c user.name=t -c user.email=t@localhost commit -qm done; exit 0\" TERM; echo work > work.txt; sleep 600 & wait', slurm: { time: 1m } } }",
    );
    site.up().exits(3);
    let run = site.world.run_id().unwrap();
    // It failed, because it ended when it was told to; its commit is there all the same.
    let shown = site.world.git(&["log", "-1", "--format=%s", &format!("refs/heads/ilchul/{run}/a.1")]);
    assert_eq!(shown.trim(), "done");
    assert!(site.world.told("a").contains("wall_time: "), "{}", site.world.told("a"));
}

#[test]
fn the_probe_of_doctor_runs_on_a_node_what_a_worker_needs() {
    let site = Site::with("tasks: { a: { run: 'true' } }");
    let told = site.run(&["doctor", "--session", "slurm", "--json"]).stdout;
    let words = "a job saw this folder, ran this program from it, and has git and tmux, ";
    assert!(told.contains(words), "{told}");
    assert_eq!(site.run(&["runs", "--json"]).stdout.matches("\"id\"").count(), 0);
}

#[test]
fn j6_a_supervisor_that_was_killed_adopts_its_jobs_and_repeats_nothing() {
    let site = Site::with(
        "limits: { workers: 2 }\ntasks:\n  a: { run: 'echo a >> $W/ledger; while ! test -e $W/go; do sleep 0.1; done' }\n  b: { run: 'echo b >> $W/ledger; exit 7', evidence: [ { exit: 7 } ] }\n  c: { needs: [a, b], run: 'echo c >> $W/ledger' }",
    );
    let up = site.start_up();
    wait_until("both at work", || site.world.ledger().len() >= 2);
    site.world.await_task("a", "in_progress");
    up.kill();
    let up = site.start_up();
    site.world.await_resumes(1);
    site.world.touch("go");
    ended(up).exits(0);
    let mut ledger = site.world.ledger();
    ledger.sort();
    assert_eq!(ledger, ["a", "b", "c"]);
}

#[test]
fn j6_a_job_that_ended_while_nobody_supervised_is_settled_from_its_files() {
    let site =
        Site::with("tasks: { a: { run: 'echo a >> $W/ledger; while ! test -e $W/go; do sleep 0.1; done' } }");
    let up = site.start_up();
    site.world.await_task("a", "in_progress");
    up.kill();
    site.world.touch("go");
    until("its end", || site.jobs("RUNNING,COMPLETING").is_empty().then_some(()));
    site.up().exits(0);
    assert_eq!(site.world.ledger(), ["a"]);
}

#[test]
fn a_person_gets_to_the_terminal_of_a_job() {
    let site = Site::with(
        "tasks: { a: { run: 'echo hello-from-the-job; while ! test -e $W/go; do sleep 0.1; done' } }",
    );
    let up = site.start_up();
    site.world.await_task("a", "in_progress");
    let line = site.run(&["attach", "a", "--print"]).exits(0).stdout;
    let words = shlex::split(line.trim()).unwrap();
    assert_eq!(words[0], "srun");
    assert_eq!(words[2..6], ["--overlap", "--pty", "tmux", "-S"]);
    // The same way without a terminal here: what would be attached to shows what was printed.
    let look = words.iter().filter(|word| *word != "--pty" && *word != "attach").map(String::as_str);
    let words: Vec<&str> = look.chain(["capture-pane", "-p"]).collect();
    until("what it printed", || slurm(&words).contains("hello-from-the-job").then_some(()));
    site.world.touch("go");
    ended(up).exits(0);
}

#[test]
fn down_ends_the_jobs_and_the_next_up_goes_on() {
    let site = Site::with("tasks: { a: { run: 'echo a >> $W/ledger; test -e $W/go || sleep 600' } }");
    let up = site.start_up();
    site.world.await_task("a", "in_progress");
    site.run(&["down"]).exits(0);
    ended(up).exits(4);
    assert_eq!(site.jobs("PENDING,RUNNING"), [""; 0]);
    site.world.touch("go");
    site.up().exits(0);
    assert_eq!(site.world.ledger(), ["a", "a"]);
}

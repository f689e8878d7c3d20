//! Nodes and controllers that fail, and what a run makes of it.
//!
//! It leaves out accounting, which this cluster has none of; see `accounting.rs`.

use nix::sys::signal::{Signal, kill};

use crate::common::{
    Site, cluster, controller, ended, forgotten_but_beating, node_aborted, processes_of, slurm, until,
};
use crate::world::wait_until;

/// The first attempt says where it is and waits; a later one ends at once. With its own words on
/// the standard output, so that a late writer is told from its successor.
const TWICE: &str = "heartbeat: { every: 1s, unhealthy_after: 5s, lost_after: 60s }\nlimits: { workers: 2, grace: 2s }\ntasks:\n  a:\n    retries: 1\n    run: 'echo $ILCHUL_ATTEMPT >> $W/ledger; echo $ILCHUL_ATTEMPT > out.txt; test $ILCHUL_ATTEMPT = 2 || while ! test -e $W/go; do sleep 0.1; done'\n    evidence: [ { exit: 0 }, { artifact: out.txt } ]\n";

#[test]
fn l7_a_node_that_hangs_costs_an_attempt_and_its_late_writer_changes_nothing() {
    let site = Site::with(TWICE);
    let up = site.start_up();
    wait_until("the work", || site.world.ledger().len() == 1);
    site.world.await_task("a", "in_progress");
    let (node, job) = site.claim("a.1");
    // Cut off whole: Slurm misses the node, and nothing that the job writes arrives.
    cluster(&["hang", &node]);
    let frozen = processes_of(&job);
    for pid in &frozen {
        // One of them may be a short nap of the script's, which is over by now.
        let _ = kill(*pid, Signal::SIGSTOP);
    }
    ended(up).exits(0);
    let state = site.world.state();
    assert_eq!(state.tasks[0].attempt, 2);
    let tasks = site.run(&["status", "--json"]).stdout;
    // Back again, and its file system hasn't heard yet that it is to stop: what the first attempt
    // still has to say is said under a dead token.
    let stop = site.session_folder("a.1").join("stop");
    std::fs::rename(&stop, stop.with_extension("unseen")).unwrap();
    site.world.touch("go");
    for pid in &frozen {
        let _ = kill(*pid, Signal::SIGCONT);
    }
    let exit = site.world.mail("a.1").join("exit.json");
    until("the late writer's word", || exit.exists().then_some(()));
    let again = site.run(&["status", "--json"]).stdout;
    let strip = |text: &str| {
        let whole: serde_json::Value = serde_json::from_str(text).unwrap();
        whole["data"]["tasks"][0].clone()
    };
    assert_eq!(strip(&again), strip(&tasks));
    site.up().exits(0);
    assert_eq!(site.world.ledger(), ["1", "2"]);
}

#[test]
fn r4_a_worker_that_was_cut_off_before_it_was_ready_isnt_safe_to_close_until_its_node_speaks() {
    let site = Site::with("tasks: { a: { run: 'true', slurm: { setup: ['sleep 600'] } } }");
    let up = site.start_up();
    until("the run", || site.world.run_id().map(drop));
    let (node, job) = site.claim("a.1");
    let stage = site.session_folder("a.1").join("stage");
    until("its set-up line", || {
        std::fs::read_to_string(&stage).is_ok_and(|text| !text.is_empty()).then_some(())
    });
    cluster(&["hang", &node]);
    let frozen = processes_of(&job);
    for pid in &frozen {
        let _ = kill(*pid, Signal::SIGSTOP);
    }
    // Slurm calls it over, as it has to; the job lives.
    ended(up).exits(3);
    let refused = site.run(&["release", "a.1"]).exits(1);
    let words = format!("nobody saw its end, so its job {job} may still run on {node}");
    assert!(refused.stderr.contains(&words), "{}", refused.stderr);
    for pid in &frozen {
        let _ = kill(*pid, Signal::SIGCONT);
    }
    // The node is back: its daemon ends what it finds, and that says so itself.
    cluster(&["start"]);
    let own = site.session_folder("a.1").join("exit");
    let told = |text: String| text.contains(" 143 ").then_some(());
    until("its own word", || std::fs::read_to_string(&own).ok().and_then(told));
    site.run(&["release", "a.1"]).exits(0);
}

#[test]
fn l10_a_node_that_slurm_misses_ends_no_worker_that_beats() {
    let site = Site::with(TWICE);
    let up = site.start_up();
    wait_until("the work", || site.world.ledger().len() == 1);
    site.world.await_task("a", "in_progress");
    let (node, _) = site.claim("a.1");
    cluster(&["hang", &node]);
    until("Slurm to give it up", || site.jobs("NODE_FAIL").pop());
    // Longer than its word is held back for the files' sake.
    let began = std::time::Instant::now();
    until("some looks", || (began.elapsed().as_secs() >= 8).then_some(()));
    site.world.touch("go");
    ended(up).exits(0);
    assert_eq!(site.world.ledger(), ["1"]);
    assert_eq!(site.world.state().tasks[0].attempt, 1);
}

#[test]
fn a_node_that_crashes_costs_an_attempt_and_no_more() {
    let site = Site::with(TWICE);
    let up = site.start_up();
    wait_until("the work", || site.world.ledger().len() == 1);
    site.world.await_task("a", "in_progress");
    let (node, _) = site.claim("a.1");
    cluster(&["crash", &node]);
    ended(up).exits(0);
    assert_eq!(site.world.ledger(), ["1", "2"]);
    assert_eq!(site.world.state().tasks[0].attempt, 2);
}

#[test]
fn l16_a_controller_that_is_frozen_during_a_submit_leads_to_one_execution() {
    let site = Site::with("tasks: { a: { run: 'echo a >> $W/ledger' } }");
    // Known to be there, so that only the submit meets the frozen one.
    slurm(&["sinfo"]);
    let pid = controller();
    kill(pid, Signal::SIGSTOP).unwrap();
    let up = site.start_up();
    // sbatch gives up after ten seconds, and the controller works off what it was sent.
    let folder = until("the intent", || {
        let run = site.world.run_id()?;
        let folder = site.world.home().run(&run).join(format!("slurm/ilchul.{run}.a.1"));
        folder.join("command").exists().then_some(folder)
    });
    let began = std::time::Instant::now();
    until("sbatch to give up", || (began.elapsed().as_secs() >= 14).then_some(()));
    assert!(!folder.join("job").exists());
    kill(pid, Signal::SIGCONT).unwrap();
    ended(up).exits(0);
    until("the queue to be empty", || site.jobs("PENDING,RUNNING").is_empty().then_some(()));
    assert_eq!(site.world.ledger(), ["a"]);
    assert_eq!(site.world.state().tasks[0].attempt, 1);
}

#[test]
fn a_controller_that_is_killed_just_after_a_submit_repeats_nothing_that_lives() {
    let site = Site::with("tasks: { a: { retries: 1, run: 'echo $ILCHUL_ATTEMPT >> $W/ledger; sleep 2' } }");
    let up = site.start_up();
    // Before it saved its state: the record of the job may be gone, its process isn't.
    wait_until("the work", || site.world.ledger().len() == 1);
    let (_, job) = site.claim("a.1");
    cluster(&["restart"]);
    ended(up).exits(0);
    let ledger = site.world.ledger();
    // A controller that took up an older state has the node abort what it doesn't know to run.
    // Only then was there anything to repeat.
    let expected: &[&str] = if node_aborted(&job) { &["1", "2"] } else { &["1"] };
    assert_eq!(ledger, expected);
    assert_eq!(site.world.state().tasks[0].attempt as usize, expected.len());
}

#[test]
fn l10_a_worker_that_beats_outlives_a_controller_that_forgot_its_job() {
    forgotten_but_beating();
}

#[test]
fn l1_a_worker_that_died_without_a_word_and_whose_job_was_forgotten_costs_an_attempt() {
    let site = Site::with(
        "heartbeat: { every: 1s, unhealthy_after: 4s, lost_after: 10m }\ntasks: { a: { retries: 1, run: 'echo $ILCHUL_ATTEMPT >> $W/ledger; test $ILCHUL_ATTEMPT = 2 || sleep 600' } }",
    );
    let up = site.start_up();
    wait_until("the work", || site.world.ledger().len() == 1);
    site.world.await_task("a", "in_progress");
    up.kill();
    cluster(&["murder", &site.claim("a.1").1]);
    cluster(&["forget"]);
    until("the controller", || slurm(&["sinfo", "-h", "-o", "%P"]).contains("main").then_some(()));
    ended(site.start_up()).exits(0);
    assert_eq!(site.world.ledger(), ["1", "2"]);
}

#[test]
fn l9_a_controller_that_is_away_ends_nothing() {
    let site =
        Site::with("tasks: { a: { run: 'echo a >> $W/ledger; while ! test -e $W/go; do sleep 0.1; done' } }");
    let up = site.start_up();
    site.world.await_task("a", "in_progress");
    let pid = controller();
    kill(pid, Signal::SIGSTOP).unwrap();
    let began = std::time::Instant::now();
    until("some looks that fail", || (began.elapsed().as_secs() >= 12).then_some(()));
    // The worker ends while nobody could ask Slurm: its own word is enough.
    site.world.touch("go");
    let exit = site.world.mail("a.1").join("exit.json");
    until("its end", || exit.exists().then_some(()));
    kill(pid, Signal::SIGCONT).unwrap();
    ended(up).exits(0);
    assert_eq!(site.world.ledger(), ["a"]);
    assert_eq!(site.world.state().tasks[0].attempt, 1);
}

#[test]
fn a_record_that_the_controller_forgot_is_settled_from_the_jobs_own_word() {
    let site =
        Site::with("tasks: { a: { run: 'echo a >> $W/ledger; while ! test -e $W/go; do sleep 0.1; done' } }");
    let up = site.start_up();
    site.world.await_task("a", "in_progress");
    up.kill();
    site.world.touch("go");
    // This cluster forgets soon; sites do after minutes.
    until("Slurm to forget it", || site.jobs("all").is_empty().then_some(()));
    site.up().exits(0);
    assert_eq!(site.world.ledger(), ["a"]);
    assert_eq!(site.world.state().tasks[0].attempt, 1);
}

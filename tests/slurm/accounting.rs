//! A cluster with accounting, and accounting that is away.
//!
//! It leaves out what accounting says in detail; see `substrates/slurm/tests`.

use crate::common::{Site, cluster, ended, forgotten_but_beating, slurm, until};
use crate::world::wait_until;

#[test]
fn l9_what_only_accounting_knows_stays_open_while_it_is_away_and_the_rest_goes_on() {
    let site = Site::with(
        "heartbeat: { every: 1s, unhealthy_after: 4s, lost_after: 10m }\ntasks:\n  a: { retries: 1, run: 'echo a$ILCHUL_ATTEMPT >> $W/ledger; test $ILCHUL_ATTEMPT = 2 || sleep 600' }\n  b: { run: 'while ! test -e $W/go; do sleep 0.1; done; echo b >> $W/ledger' }\n  c: { needs: [b], run: 'echo c >> $W/ledger' }",
    );
    let up = site.start_up();
    wait_until("the work", || site.world.ledger() == ["a1"]);
    site.world.await_task("a", "in_progress");
    site.world.await_task("b", "in_progress");
    let (_, job) = site.claim("a.1");
    let state = || slurm(&["sacct", "-n", "-P", "-X", "-D", "-j", &job, "-S", "now-1hours", "-o", "State"]);
    until("its record", || state().contains("RUNNING").then_some(()));
    cluster(&["dbd-stop"]);
    up.kill();
    cluster(&["murder", &job]);
    let mark = site.jobs("all").into_iter().find(|name| name.ends_with(".a.1"));
    until("Slurm to forget it", || (!site.jobs("all").contains(mark.as_ref()?)).then_some(()));
    let up = site.start_up();
    site.world.await_resumes(1);
    // Submits, and ends by the workers' own word, need no accounting.
    site.world.touch("go");
    site.world.await_task("c", "completed");
    assert_eq!(site.world.ledger(), ["a1", "b", "c"]);
    until("its silence", || site.run(&["workers", "--json"]).stdout.contains("unhealthy").then_some(()));
    assert!(!site.world.told("a").contains("fail"), "{}", site.world.told("a"));
    cluster(&["dbd-start"]);
    ended(up).exits(0);
    assert_eq!(site.world.ledger(), ["a1", "b", "c", "a2"]);
    assert_eq!(site.world.state().tasks[0].attempt, 2);
    let events = site.run(&["events"]).stdout;
    assert!(events.contains("sacct says"), "{events}");
}

#[test]
fn l10_a_worker_that_beats_outlives_a_controller_that_had_accounting_call_it_cancelled() {
    forgotten_but_beating();
}

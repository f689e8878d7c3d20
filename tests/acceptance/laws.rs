//! Laws that can be seen only from outside: what a worker needs, what two attempts share, what
//! is on the disk when a person is told.
//!
//! It leaves out those that smaller tests prove.

use std::collections::BTreeSet;
use std::fs;

use super::world::{World, wait_until};

#[test]
fn l14_a_worker_finishes_with_only_its_assignment_while_the_journal_is_out_of_reach() {
    for worker in [
        "run: 'until test -e $W/go; do sleep 0.02; done; echo $ILCHUL_WORKER >> $W/ledger'",
        "worker: [$FIXTURES/honest.sh, sh, -c, 'until test -e $W/go; do sleep 0.02; done; echo $ILCHUL_WORKER >> $W/ledger; touch made'], evidence: [ { artifact: made } ]",
    ] {
        let world = World::with(&format!("tasks: {{ a: {{ {worker} }} }}"));
        let up = world.start_up();
        world.await_task("a", "in_progress");
        up.kill();
        let mail = world.mail("a.1");
        let (home, away) = (world.home().journal(), world.root().join("away"));
        fs::create_dir(&away).unwrap();
        for name in ["journal.db", "journal.db-wal", "journal.db-shm", "supervisor.lock"] {
            if home.with_file_name(name).exists() {
                fs::rename(home.with_file_name(name), away.join(name)).unwrap();
            }
        }
        world.touch("go");
        wait_until("the report", || mail.join("report.json").exists());
        wait_until("the work", || world.ledger() == ["a.1"]);
        for name in ["journal.db", "journal.db-wal"] {
            if away.join(name).exists() {
                fs::rename(away.join(name), home.with_file_name(name)).unwrap();
            }
        }
        world.up().exits(0);
        assert_eq!((world.told("a").as_str(), world.ledger()), ("completed", vec!["a.1".to_owned()]));
    }
}

#[test]
fn l21_a_revoked_attempt_shares_nothing_with_its_successor() {
    let world = World::with(
        "defaults: { retries: 2 }\ntasks: { a: { run: 'echo $ILCHUL_ATTEMPT > mine; test $ILCHUL_ATTEMPT = 3' } }",
    );
    world.up().exits(0);
    let workers = world.run(&["workers", "--json"]).exits(0).stdout;
    let workers: serde_json::Value = serde_json::from_str(&workers).unwrap();
    let workers = workers["data"].as_array().unwrap();
    assert_eq!(workers.len(), 3);
    for key in ["id", "tree", "branch", "pid"] {
        let values: BTreeSet<String> = workers.iter().map(|worker| worker[key].to_string()).collect();
        assert_eq!(values.len(), 3, "{key}: {values:?}");
    }
    let mails: BTreeSet<_> = (1..=3).map(|n| world.mail(&format!("a.{n}"))).collect();
    assert!(mails.len() == 3 && mails.iter().all(|mail| mail.is_dir()));
    // What one wrote, the next found nothing of.
    for n in 1..=3 {
        let mine = fs::read_to_string(world.tree(&format!("a.{n}")).join("mine")).unwrap();
        assert_eq!(mine, format!("{n}\n"));
    }
}

#[test]
fn j11b_what_is_shown_is_synced_before() {
    let world = World::with(
        "defaults: { workspace: none }\ntasks: { a: { run: 'true' }, b: { run: 'true', needs: [a] } }",
    );
    let trace = world.root().join("trace");
    let ilchul = world.ilchul(&["up", "--session", "subprocess"]);
    let mut strace = std::process::Command::new("strace");
    strace.args(["-f", "-y", "-s", "400", "-e", "trace=write,pwrite64,fsync,fdatasync", "-o"]).arg(&trace);
    strace.arg(ilchul.get_program()).args(ilchul.get_args()).current_dir(world.repo()).env_clear();
    strace.envs(ilchul.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = strace.output().expect("strace");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut unsynced = false;
    let mut shown = 0;
    for line in fs::read_to_string(&trace).unwrap().lines() {
        let journal = line.contains("journal.db");
        if journal && line.contains(" pwrite64(") {
            unsynced = true;
        } else if journal && (line.contains(" fdatasync(") || line.contains(" fsync(")) {
            unsynced = false;
        } else if line.contains(" write(2<") && line.contains("completed") {
            shown += 1;
            assert!(!unsynced, "shown before it was synced: {line}");
        }
    }
    assert!(shown >= 2, "only {shown} lines were shown");
}

//! A cluster that is driven from a laptop, through ssh to its login node.
//!
//! It leaves out links that break, which `tests/host` has: nothing of them is a cluster's.

use crate::common::until;
use crate::remote::Remote;
use crate::world::wait_until;

#[test]
fn a_cluster_is_driven_from_a_laptop_by_its_login_node() {
    let remote = Remote::with(
        "slurm: { poll: 500ms }\ntasks:\n  a: { run: 'echo $SLURM_JOB_ID > job.txt; while [ ! -e $W/go ]; do sleep 0.05; done', evidence: [{ artifact: job.txt }, { exit: 0 }] }\n",
    );
    let up = remote.world.spawn(remote.ilchul(&["up", "--session", "slurm"]));
    let mut refused = String::new();
    let way = until("the way to its terminal", || {
        let ran = remote.run(&["attach", "a", "--print"]);
        // Shown where the wait was in vain.
        if ran.stderr != refused {
            refused.clone_from(&ran.stderr);
            println!("{refused}");
        }
        (ran.code == 0).then_some(ran.stdout)
    });
    assert!(way.starts_with("srun ") && way.contains("--jobid=") && way.contains("--overlap"), "{way}");
    wait_until("the supervisor there", || remote.supervisor() > 1);
    remote.world.touch("go");
    let ran = crate::common::ended(up).exits(0);
    assert!(ran.stderr.contains("ok a  completed"), "{}", ran.stderr);
    let evidence = remote.ok(&["evidence", "a"]);
    assert!(evidence.contains("verified  artifact") && evidence.contains("verified  exit"), "{evidence}");
    let session = remote.ok(&["workers"]);
    assert!(session.contains("slurm"), "{session}");
}

//! The same workflow on all three kinds of sessions: the same states, evidence and exit code.
//!
//! It leaves out times and names, which differ.

use serde_json::Value;

use crate::common::Site;

const WORKFLOW: &str = r"
limits: { workers: 4 }
tasks:
  build: { run: 'echo built > out.txt; echo said', evidence: [ { exit: 0 }, { artifact: out.txt }, { command: 'test -s out.txt' }, { log: { match: said } } ] }
  seven: { run: 'exit 7', evidence: [ { exit: 7 } ] }
  wrong: { run: 'exit 7', retries: 1 }
  left: { needs: [wrong], run: 'true' }
  mend: { needs: [wrong], when: failed, run: 'true' }
  change: { needs: [build], base: { task: build }, run: 'echo x >> README', evidence: [ { diff: { paths: [README, out.txt] } } ] }
  sum: { reduce: { run: 'wc -c < $ILCHUL_INPUTS > /dev/null; echo one', over: [build, seven] } }
  gone: { run: 'kill -9 $$' }
";

/// What is shown of each task, without times.
fn shown(site: &Site) -> Vec<Value> {
    let ran = site.run(&["status", "--json"]);
    let whole: Value = serde_json::from_str(&ran.stdout).unwrap();
    let tasks = whole["data"]["tasks"].as_array().unwrap_or_else(|| panic!("{ran:?}"));
    let strip = |task: &Value| {
        let evidence: Vec<Value> = task["evidence"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| serde_json::json!([item["kind"], item["verdict"]]))
            .collect();
        serde_json::json!([task["id"], task["state"], task["attempt"], evidence])
    };
    tasks.iter().map(strip).collect()
}

#[test]
fn one_workflow_has_the_same_states_evidence_and_exit_code_on_all_three_sessions() {
    let on = |kind: &str| {
        let site = Site::with(WORKFLOW);
        let ran = site.run(&["up", "--session", kind]);
        (ran.code, shown(&site))
    };
    let plain = on("subprocess");
    assert_eq!(plain.0, 3);
    assert_eq!(plain.1.len(), 8);
    assert_eq!(on("slurm"), plain);
    assert_eq!(on("tmux"), plain);
}

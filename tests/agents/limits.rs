//! A provider that says "too many requests": the task waits with a time, holds no place and
//! spends no retry.

use ilchul::journal::{Journal, Recorded};

use crate::model::script::{Answer, Scene};
use crate::sealed_test;
use crate::stage::{Agent, FIX, MEND, Stage, report};

/// How long the provider asks to be left alone.
const SECONDS: u64 = 4;

/// Refused once too often for its own patience, and let in after the wait.
#[track_caller]
fn waits(agent: Agent, refusals: u32, more: &str) {
    let done = report("done", "--summary 'It adds now.'");
    let scene = Scene::first().refused(refusals, SECONDS).shell(MEND).shell(&done).say("It adds now.");
    let stage = Stage::new(agent, vec![scene]);
    let other = "  other:\n    run: 'true'\n";
    stage.workflow(more, &format!("limits: {{ workers: 1 }}\norder: fifo\n{FIX}{other}"));
    let ran = stage.run(&["up", "--session", "subprocess"]);
    assert_eq!(ran.code, 0, "{}", stage.told(&ran));
    let status = stage.world.data(&["status"]);
    assert_eq!(status["tasks"][0]["state"], "completed", "without a single retry: {}", stage.told(&ran));
    let refused = stage.model.count(|answer| matches!(answer, Answer::Refused(_)));
    assert_eq!(refused, refusals as usize, "{}", stage.told(&ran));
    let told: Vec<(String, String)> =
        stage.world.events().iter().map(|event| (event.kind(), format!("{event:?}"))).collect();
    let at = |kind: &str, text: &str| told.iter().position(|(k, t)| k == kind && t.contains(text));
    let second = at("claim.granted", "fix.2").or_else(|| at("worker.provisioning", "fix.2"));
    let other = at("task.completed", "other");
    assert!(other.is_some() && other < second, "the only place was another's meanwhile: {told:#?}");
    assert!(waited(&stage) >= SECONDS * 1_000, "{} ms", waited(&stage));
}

/// Milliseconds from the end of the first claim to the next one of the same task.
fn waited(stage: &Stage) -> u64 {
    let rows =
        Journal::open_read(&stage.world.home()).unwrap().read_run(&stage.world.run_id().unwrap()).unwrap();
    let at = |kind: &str, nth: usize| {
        let of = |row: &&Recorded| row.event.kind() == kind && format!("{:?}", row.event).contains("fix");
        rows.iter().filter(of).nth(nth).map(|row| row.at.moment.0)
    };
    at("claim.granted", 1).unwrap() - at("claim.closed", 0).unwrap()
}

sealed_test! {
    fn claude_waits_for_a_rate_limit_without_a_place_or_a_retry() {
        waits(Agent::Claude, 1, "env: { CLAUDE_CODE_MAX_RETRIES: '0' }");
    }
}

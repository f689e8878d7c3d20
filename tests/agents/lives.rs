//! An agent's life against its supervisor's: killed while it works, and adopted; and an agent
//! that never begins, or never goes on.

use std::fs;

use nix::sys::signal::Signal;

use crate::model::script::{Answer, Scene, Step};
use crate::sealed_test;
use crate::stage::{Agent, FIX, MEND, Stage, report};
use crate::world::{runs, wait_until};

/// Works until `go` is there.
fn patient(stage_go: &str) -> Vec<Scene> {
    let done = report("done", "--summary 'It adds now.'");
    let wait = format!("until test -e {stage_go}; do sleep 0.05; done");
    vec![Scene::first().shell("cat add.sh").shell(&wait).shell(MEND).shell(&done).say("It adds now.")]
}

/// A supervisor that is killed while the agent runs a tool, and the next one.
#[track_caller]
fn is_adopted(agent: Agent, session: &str, more: &str) {
    let go = "/mnt/go";
    let stage = Stage::new(agent, patient(go));
    stage.workflow(more, FIX);
    let up = stage.start(&["up", "--session", session]);
    let waits = |answer: &Answer| matches!(answer, Answer::Step(Step::Shell(line)) if line.contains(go));
    wait_until("the agent at its tool", || stage.model.count(waits) > 0);
    let child = stage.world.child("fix.1");
    up.kill();
    assert!(runs(child), "it doesn't hang on its supervisor");
    let up = stage.start(&["up", "--session", session]);
    stage.world.await_resumes(1);
    fs::write(go, "").unwrap();
    let ran = up.wait();
    assert_eq!(ran.code, 0, "{}", stage.told(&ran));
    let status = stage.world.data(&["status"]);
    let task = &status["tasks"][0];
    assert_eq!((&task["state"], &task["attempt"]), (&"completed".into(), &1.into()), "{}", stage.told(&ran));
    assert_eq!(stage.sessions(), 1, "nothing was begun again: {}", stage.told(&ran));
}

sealed_test! {
    fn codex_is_killed_from_its_supervisor_and_adopted() {
        is_adopted(Agent::Codex, "subprocess", "");
    }

    fn pi_on_its_own_screen_is_killed_from_its_supervisor_and_adopted() {
        is_adopted(Agent::Pi, "tmux", "mode: terminal");
    }

    fn claude_that_stops_at_a_dialog_is_never_ready_and_ended() {
        let stage = Stage::new(Agent::Claude, vec![Scene::first().say("I was never asked.")]);
        Agent::Claude.distrusts(&stage);
        stage.user_settings("agents: { quick: { like: claude, ready_within: 4s } }\n");
        stage.workflow_as("quick", (&[], "mode: terminal"), FIX);
        let ran = stage.run(&["up", "--session", "tmux"]);
        assert_eq!(ran.code, 3, "{}", stage.told(&ran));
        let told = stage.world.told("fix");
        assert!(told.starts_with("failed (") && told.contains("not_ready"), "{told}");
        assert_eq!(stage.model.asked().len(), 0, "{}", stage.told(&ran));
        stage.has_no_agent();
    }

    fn pi_whose_model_never_answers_is_called_stalled_and_can_be_cancelled() {
        let stage = Stage::new(Agent::Pi, vec![Scene::first().shell("cat add.sh").wait()]);
        stage.workflow("", &format!("heartbeat: {{ every: 1s, stalled_after: 3s }}\nlimits: {{ grace: 1s }}\n{FIX}"));
        let up = stage.start(&["up", "--session", "subprocess"]);
        wait_until("a model that never answers", || {
            stage.model.count(|answer| *answer == Answer::Step(Step::Wait)) > 0
        });
        // It goes on beating, and pi on waiting; neither is progress.
        wait_until("a stalled worker", || {
            let workers = stage.world.data(&["workers"]);
            workers[0]["reason"].as_str().is_some_and(|reason| reason.starts_with("stalled"))
        });
        stage.world.ok(&["cancel", "fix"]);
        let ran = up.wait();
        assert_eq!(ran.code, 3, "{}", stage.told(&ran));
        assert!(stage.world.told("fix").starts_with("cancelled"), "{}", stage.told(&ran));
        stage.has_no_agent();
    }

    fn codex_is_ended_by_down_with_all_that_it_runs() {
        let stage = Stage::new(Agent::Codex, patient("/mnt/never"));
        stage.workflow("", &format!("limits: {{ grace: 1s }}\n{FIX}"));
        let up = stage.start(&["up", "--session", "subprocess"]);
        let waits = |answer: &Answer| matches!(answer, Answer::Step(Step::Shell(line)) if line.contains("never"));
        wait_until("the agent at its tool", || stage.model.count(waits) > 0);
        up.signal(Signal::SIGINT);
        assert_eq!(up.wait().code, 4);
        stage.run(&["down"]).exits(0);
        stage.has_no_agent();
    }
}

//! One task from its prompt to its verified end, by each agent, on plain processes and in tmux.

use crate::model::answer::{TOKENS_IN, TOKENS_OUT};
use crate::model::script::Scene;
use crate::sealed_test;
use crate::stage::{Agent, FIX, MEND, Stage, report};

/// Looks, edits, tests, commits and reports, a step each.
fn honest() -> Vec<Scene> {
    let done = report("done", "--summary 'It adds now.'");
    vec![Scene::first().shell("cat add.sh").shell(MEND).shell(&done).say("It adds now, and the test passes.")]
}

/// The whole task, in this session.
#[track_caller]
fn does_a_task(agent: Agent, session: &str, more: &str) {
    let stage = Stage::new(agent, honest());
    stage.workflow(more, &format!("limits: {{ tokens: 100000 }}\n{FIX}"));
    let ran = stage.run(&["up", "--session", session]);
    assert_eq!(ran.code, 0, "{}", stage.told(&ran));
    let status = stage.world.data(&["status"]);
    let task = &status["tasks"][0];
    assert_eq!((&task["state"], &task["attempt"]), (&"completed".into(), &1.into()), "{}", stage.told(&ran));
    let head = task["head"].as_str().unwrap();
    let commit = stage.world.git(&["log", "-1", "--format=%s by %an", head]);
    assert_eq!(commit.trim_end(), "Add what is to be added by a", "its own commit is what is kept");
    let heard = stage.model.heard().join("\n");
    assert!(heard.contains("The sum in add.sh is wrong."), "{heard}");
    assert_eq!(stage.sessions(), 1, "one session did it all: {heard}");
    if more.is_empty() {
        // What an agent shows on its own screen tells nothing of what it used.
        let used = status["budget"]["tokens"]["used"].as_u64();
        assert_eq!(used, Some(4 * (TOKENS_IN + TOKENS_OUT)), "{}", status["budget"]);
    }
    assert_eq!(stage.world.git(&["status", "--porcelain"]), "", "the user's own checkout is as it was");
}

sealed_test! {
    fn codex_does_a_task_on_plain_processes() {
        does_a_task(Agent::Codex, "subprocess", "");
    }

    fn pi_does_a_task_on_plain_processes() {
        does_a_task(Agent::Pi, "subprocess", "");
    }

    fn gemini_does_a_task_on_plain_processes() {
        does_a_task(Agent::Gemini, "subprocess", "");
    }

    fn claude_does_a_task_on_plain_processes() {
        does_a_task(Agent::Claude, "subprocess", "");
    }

    fn codex_does_a_task_headless_in_tmux() {
        does_a_task(Agent::Codex, "tmux", "");
    }

    fn codex_does_a_task_on_its_own_screen_in_tmux() {
        does_a_task(Agent::Codex, "tmux", "mode: terminal");
    }

    fn pi_does_a_task_on_its_own_screen_in_tmux() {
        does_a_task(Agent::Pi, "tmux", "mode: terminal");
    }

    fn gemini_does_a_task_on_its_own_screen_in_tmux() {
        does_a_task(Agent::Gemini, "tmux", "mode: terminal");
    }

    fn claude_does_a_task_on_its_own_screen_in_tmux() {
        does_a_task(Agent::Claude, "tmux", "mode: terminal");
    }
}

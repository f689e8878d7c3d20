//! What an agent and ilchul say to each other beside a task's work: a question and its answer,
//! a claim and its refutation, a reminder, a report from inside of a sandbox.

use crate::model::script::Scene;
use crate::sealed_test;
use crate::stage::{Agent, FIX, MEND, Stage, report};

/// Asks first, and mends once it is told how.
fn asks() -> Vec<Scene> {
    let question = report("needs_input", "--summary 'I looked.' --reason 'Is it to add or to multiply?'");
    let done = report("done", "--summary 'It adds now.'");
    vec![
        Scene::first().shell("cat add.sh").shell(&question).say("I wait for the answer."),
        Scene::on("To add, please.").shell(MEND).shell(&done).say("It adds now."),
    ]
}

/// One question, seen by a person, answered, and acted upon in the same session.
#[track_caller]
fn asks_and_is_answered(agent: Agent, session: &str, more: &str) {
    let stage = Stage::new(agent, asks());
    stage.workflow(more, FIX);
    let up = stage.start(&["up", "--session", session]);
    stage.world.await_task("fix", "blocked");
    let status = stage.world.ok(&["status"]);
    assert!(status.contains("Is it to add or to multiply?"), "{status}");
    stage.world.ok(&["answer", "fix", "To add, please."]);
    let ran = up.wait();
    assert_eq!(ran.code, 0, "{}", stage.told(&ran));
    let status = stage.world.data(&["status"]);
    let task = &status["tasks"][0];
    assert_eq!((&task["state"], &task["attempt"]), (&"completed".into(), &1.into()), "{}", stage.told(&ran));
    assert_eq!(stage.sessions(), 1, "the session that asked went on: {}", stage.told(&ran));
}

/// A false success, what was found instead, and the repair.
#[track_caller]
fn repairs_what_was_refuted(agent: Agent, session: &str) {
    let claim = report("done", "--summary 'All is well.'");
    let stage = Stage::new(
        agent,
        vec![
            Scene::first().shell("echo '# better' >> add.sh").shell(&claim).say("All tests pass."),
            Scene::on("two and three make -1").shell(MEND).shell(&claim).say("Now they do."),
        ],
    );
    stage.workflow("", &format!("{FIX}    retries: 1\n"));
    let ran = stage.run(&["up", "--session", session]);
    assert_eq!(ran.code, 0, "{}", stage.told(&ran));
    let status = stage.world.data(&["status"]);
    let task = &status["tasks"][0];
    assert_eq!((&task["state"], &task["attempt"]), (&"completed".into(), &2.into()), "{}", stage.told(&ran));
    let kinds: Vec<String> = stage.world.events().iter().map(ilchul::engine::event::Event::kind).collect();
    assert!(kinds.iter().any(|kind| kind == "evidence.refuted"), "{kinds:?}");
}

sealed_test! {
    fn pi_asks_and_goes_on_with_the_answer() {
        asks_and_is_answered(Agent::Pi, "subprocess", "");
    }

    fn codex_asks_and_goes_on_with_the_answer() {
        asks_and_is_answered(Agent::Codex, "subprocess", "");
    }

    fn claude_asks_on_its_own_screen_and_goes_on_with_the_answer() {
        asks_and_is_answered(Agent::Claude, "tmux", "mode: terminal");
    }

    fn codex_repairs_what_its_false_claim_was_refuted_with() {
        repairs_what_was_refuted(Agent::Codex, "subprocess");
    }

    fn gemini_repairs_what_its_false_claim_was_refuted_with() {
        repairs_what_was_refuted(Agent::Gemini, "tmux");
    }

    fn claude_that_forgets_its_report_is_asked_for_it_by_its_own_hook() {
        let done = report("done", "--summary 'It adds now.'");
        let stage = Stage::new(
            Agent::Claude,
            vec![
                Scene::first().shell(MEND).say("It adds now."),
                Scene::on("report what came of the task").shell(&done).say("Now it is there."),
            ],
        );
        stage.workflow("", FIX);
        let ran = stage.run(&["up", "--session", "subprocess"]);
        assert_eq!(ran.code, 0, "{}", stage.told(&ran));
        assert_eq!(stage.sessions(), 1, "{}", stage.told(&ran));
    }

    fn codex_whose_sandbox_lets_it_write_only_its_tree_reports_in_the_drop_box() {
        let body = "{\"schema\":\"ilchul.report/1\",\"task\":\"fix\",\"attempt\":1,\"token\":{token},\"status\":\"done\",\"summary\":\"It adds now.\"}";
        let write = format!(
            "mkdir -p .ilchul && printf '%s' '{body}' > .ilchul/report.json.tmp && mv .ilchul/report.json.tmp .ilchul/report.json"
        );
        let mend = "sed -i 's/-/+/' add.sh && sh check.sh; touch \"$ILCHUL_MAIL/x\" && echo mail can be written";
        let stage = Stage::new(Agent::Codex, vec![Scene::first().shell(mend).shell(&write).say("Done.")]);
        // Later arguments win: the folders that it was given besides are taken from it again.
        let closed = ["-c", "sandbox_workspace_write.writable_roots=[]"];
        stage.workflow_as("codex", (&closed, ""), &FIX.replace(", clean: true", ""));
        let ran = stage.run(&["up", "--session", "subprocess"]);
        assert_eq!(ran.code, 0, "{}", stage.told(&ran));
        assert!(!stage.model.results().contains("mail can be written"), "{}", stage.model.results());
    }
}

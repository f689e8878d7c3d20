//! What agents would be told: `plan --prompts`, before anything is known of a run.
//!
//! What only a run knows (a tree, a token, other workers' words) is named in its place.

use serde_json::{Map, Value, json};

use crate::agents::prompt::{self, Told, Values};
use crate::workflow::{Task, TaskKind, Workflow, made};

/// One prompt, as `--json` shows it.
pub struct Prompt {
    /// The task, or what it would make.
    task: String,
    agent: String,
    adapter: String,
    text: String,
}

/// Every prompt of a workflow, in its order; bodies under the ids of what is made of them.
#[must_use]
pub fn all(workflow: &Workflow) -> Vec<Prompt> {
    let mut prompts = Vec::new();
    for task in &workflow.tasks {
        collect(workflow, task, &task.id, &mut prompts);
    }
    prompts
}

fn collect(workflow: &Workflow, task: &Task, id: &str, prompts: &mut Vec<Prompt>) {
    prompts.extend(one(workflow, task, id));
    for part in made(task) {
        // No deeper than bodies may be nested.
        collect(workflow, part.body, &part.any(id), prompts);
    }
}

fn one(workflow: &Workflow, task: &Task, id: &str) -> Option<Prompt> {
    let TaskKind::Agent { agent, prompt, .. } = &task.kind else { return None };
    let known = workflow.agents.get(agent)?;
    let item = json!("(an element of the list)");
    let needs = task.needs.iter().map(|need| (need.task.clone(), said(&need.task, prompt)));
    let refuted = Some("(what was refuted last time)").filter(|_| prompt::places_refuted(prompt));
    let values = Values { needs: needs.collect(), item: Some(&item), refuted };
    let text = prompt::fill(prompt, &values);
    let worker = format!("{id}.1");
    let text = match &known.adapter {
        None => text,
        Some(_) => {
            let named = Task { id: id.to_owned(), ..task.clone() };
            let told = Told {
                task: text,
                worker: &worker,
                attempt: 1,
                attempts_left: Some(u64::from(task.retries)),
                tree: "(its tree)",
                token: json!(0),
                asks: !known.oneshot,
                ..Told::default()
            };
            prompt::render(&named, &told)
        }
    };
    Some(Prompt { task: id.to_owned(), agent: agent.clone(), adapter: known.adapter_name().to_owned(), text })
}

/// What a need would answer: its summary, and every output that the prompt names.
fn said(need: &str, prompt: &str) -> (String, Value) {
    let mut outputs = Map::new();
    // The form that templates are kept in (`workflow`): names stand in brackets and quotes.
    for rest in prompt.split("outputs[").skip(1) {
        let quote = rest.chars().next().unwrap_or('"');
        if let Some(name) = rest.split(quote).nth(1) {
            outputs.insert(name.to_owned(), json!(format!("(the output {name} of {need})")));
        }
    }
    (format!("(the summary of {need})"), Value::Object(outputs))
}

/// For people: each under a heading, indented.
#[must_use]
pub fn text(prompts: &[Prompt]) -> String {
    let one = |prompt: &Prompt| {
        let lines = prompt.text.trim_end().lines().map(|line| format!("    {line}"));
        let body: String = lines.map(|line| format!("{}\n", line.trim_end())).collect();
        format!("\nPrompt of `{}` (agent `{}`, {}):\n{body}", prompt.task, prompt.agent, prompt.adapter)
    };
    if prompts.is_empty() {
        "\nNo task has a prompt.\n".to_owned()
    } else {
        prompts.iter().map(one).collect()
    }
}

/// For scripts.
#[must_use]
pub fn json(prompts: &[Prompt]) -> Value {
    let one = |prompt: &Prompt| json!({"task": prompt.task, "agent": prompt.agent, "adapter": prompt.adapter, "text": prompt.text});
    prompts.iter().map(one).collect()
}

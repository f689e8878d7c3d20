//! Looking at agents' programs: which is there, in which version, and whether a run can use it.
//!
//! A program is only asked for its version, with a deadline. It leaves out what agents are
//! (`workflow`) and how they are launched (`agents`).

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::ask;
use super::error::CliError;
use crate::agents;
use crate::protocol::AgentMode;
use crate::workflow::{self, Adapter, SessionKind, Task, TaskKind, Workflow};

/// How long a program may take to say its version: some load half of Python or node first, and
/// one that isn't waited for is launched as if nothing were known of it.
const LIMIT: Duration = Duration::from_secs(60);

/// What was found of one adapter's program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Where it is.
    pub program: Option<PathBuf>,
    /// Its version, as it says it.
    pub version: Option<String>,
    /// Whether that version was tried.
    pub verified: bool,
    /// Why there is no program, or no version: a clause.
    pub trouble: Option<String>,
}

/// Looks at one.
#[must_use]
pub fn look(adapter: &Adapter) -> Look {
    let Some(name) = adapter.headless.argv.first() else { return Look::default() };
    let Some(program) = find(name) else {
        let trouble = Some(format!("there is no `{name}` in `PATH`"));
        return Look { trouble, ..Look::default() };
    };
    let Some((detect, args)) = adapter.detect.split_first() else {
        return Look { program: Some(program), ..Look::default() };
    };
    // The very file that was found, wherever we stand.
    let asked = if detect == name { program.display().to_string() } else { detect.clone() };
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let said = ask::within(&asked, &args, LIMIT).map(|answer| agents::read_version(&answer.text));
    let (version, trouble) = match said {
        Ok(Some(version)) => (Some(version), None),
        Ok(None) => (None, Some(format!("`{}` names no version", adapter.detect.join(" ")))),
        Err(why) => (None, Some(why)),
    };
    let verified = version.as_ref().is_some_and(|version| adapter.knows(version));
    Look { program: Some(program), version, verified, trouble }
}

/// Looks at several at once: each may take its time.
#[must_use]
pub fn look_at(adapters: &[&Adapter]) -> Vec<Look> {
    std::thread::scope(|scope| {
        let looks: Vec<_> = adapters.iter().map(|adapter| scope.spawn(|| look(adapter))).collect();
        looks.into_iter().map(|look| look.join().unwrap_or_default()).collect()
    })
}

/// An executable file of that name in `PATH`; relative entries of `PATH` count for nothing.
fn find(name: &str) -> Option<PathBuf> {
    let runs = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| runs(path));
    }
    let folders = std::env::var_os("PATH")?;
    let absolute = std::env::split_paths(&folders).filter(|folder| folder.is_absolute());
    absolute.map(|folder| folder.join(name)).find(|path| runs(path))
}

/// Writes into a workflow what its agents' programs are, as its run starts; the lines are for
/// people.
///
/// # Errors
/// `agent_missing` where the program of an agent that a task names isn't there;
/// `session_unavailable` for an agent that needs another kind of session.
pub fn settle(workflow: &mut Workflow, session: SessionKind) -> Result<Vec<String>, CliError> {
    let used = used(workflow);
    let names: Vec<String> = workflow
        .agents
        .iter()
        .filter(|(_, agent)| agent.adapter.is_some())
        .map(|(name, _)| name.clone())
        .collect();
    let adapters: Vec<&Adapter> =
        names.iter().filter_map(|name| workflow.agents.get(name)?.adapter.as_deref()).collect();
    let looks = look_at(&adapters);
    let mut lines = Vec::new();
    for (name, look) in names.iter().zip(looks) {
        let Some(agent) = workflow.agents.get_mut(name) else { continue };
        let Some(adapter) = agent.adapter.as_deref() else { continue };
        if !used.contains(name) {
            // A task that is submitted may name it later; what it is then, its worker will see.
            continue;
        }
        if look.program.is_none() {
            let why = look.trouble.unwrap_or_default();
            let install = Some(&adapter.install).filter(|text| !text.is_empty());
            let install = install.map(|text| format!("Install it: {text}. ")).unwrap_or_default();
            return Err(CliError::new("agent_missing", format!("start the agent `{name}`: {why}"))
                .hint(format!("{install}Run `ilchul agents {}` for what it needs.", adapter.name)));
        }
        if agent.mode == AgentMode::Terminal && session != SessionKind::Tmux {
            let kind = session.word();
            let message =
                format!("start the agent `{name}` in a terminal: sessions are `{kind}`, which has none");
            return Err(CliError::new("session_unavailable", message)
                .hint("Name `--session tmux`, or leave `mode: terminal` out."));
        }
        agent.oneshot = !look.verified;
        agent.version = look.version;
        if agent.oneshot {
            agent.mode = AgentMode::Headless;
        }
        lines.extend(agents::degraded(name, agent));
    }
    Ok(lines)
}

/// The agents of a workflow, for `plan`.
pub struct Found {
    /// For people.
    pub lines: Vec<String>,
    /// For scripts.
    pub json: Value,
}

/// As [`settle`], told for each agent.
///
/// # Errors
/// As [`settle`].
pub fn found(workflow: &mut Workflow, session: SessionKind) -> Result<Found, CliError> {
    let mut degraded = settle(workflow, session)?;
    let used = used(workflow);
    let agents =
        workflow.agents.iter().filter(|(name, agent)| used.contains(*name) && agent.adapter.is_some());
    let mut lines = Vec::new();
    let mut all = Vec::new();
    for (name, agent) in agents {
        let version = agent.version.as_deref().unwrap_or("of a version that it doesn't say");
        let mode = if agent.mode == AgentMode::Terminal { "on a terminal" } else { "headless" };
        lines.push(format!(
            "{name}: {} {version}, {mode}, access {}",
            agent.adapter_name(),
            agent.access.word()
        ));
        all.push(json!({
            "name": name, "adapter": agent.adapter_name(), "version": agent.version, "tried": !agent.oneshot,
            "mode": agent.mode, "access": agent.access, "model": agent.model,
        }));
    }
    lines.append(&mut degraded);
    Ok(Found { lines, json: all.into() })
}

/// What a run knows of its agents, where they still have the same adapter.
pub fn inherit(workflow: &mut Workflow, old: &Workflow) {
    for (name, agent) in &mut workflow.agents {
        let known = old.agents.get(name).filter(|known| known.adapter_name() == agent.adapter_name());
        if let Some(known) = known {
            agent.version.clone_from(&known.version);
            agent.oneshot = known.oneshot;
        }
    }
}

/// Whether an edited workflow names agents that its run knows nothing of.
#[must_use]
pub fn has_unknown(workflow: &Workflow) -> bool {
    let used = used(workflow);
    let unknown = |name: &String| {
        let agent = workflow.agents.get(name);
        agent.is_some_and(|agent| agent.adapter.is_some() && agent.version.is_none() && !agent.oneshot)
    };
    used.iter().any(unknown)
}

/// The agents that tasks name, in any body.
fn used(workflow: &Workflow) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let mut open: Vec<&Task> = workflow.tasks.iter().collect();
    while let Some(task) = open.pop() {
        if let TaskKind::Agent { agent, .. } = &task.kind {
            used.insert(agent.clone());
        }
        open.extend(workflow::made(task).iter().map(|part| part.body));
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_executable_file_is_a_program() {
        assert!(find("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(find("no-such-program-here"), None);
        assert_eq!(find("/etc/passwd"), None);
        assert_eq!(find("/"), None);
    }

    #[test]
    fn agents_are_found_in_every_body() {
        let text = "version: 1\nagents: { a: { adapter: command, argv: [x] }, b: { adapter: command, argv: [x] }, c: { adapter: command, argv: [x] } }\n\
                    tasks:\n  l: { loop: { max: 2, until: { exit: 0 }, each: { agent: a, prompt: p } } }\n  \
                    t: { agent: b, prompt: p, evidence: [{ exit: 0 }] }\n";
        let workflow = workflow::load("x.yaml", text.as_bytes()).unwrap().workflow;
        assert_eq!(used(&workflow), BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    }
}

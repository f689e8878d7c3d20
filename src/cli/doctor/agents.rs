//! What the agents of the workflow need: their programs, versions, logins.
//!
//! A login is named and never looked at: whether it holds only the agent can say.

use super::Finding;
use crate::cli::place::Place;
use crate::cli::{agent_look, agents, settings, workflow_file};
use crate::workflow::{self, Adapter};

/// The settings, and a line for each kind of agent that the workflow at the root names.
pub(super) fn all(place: Option<&Place>) -> Vec<Finding> {
    let settings = match settings::load() {
        Ok(settings) => settings,
        Err(error) => return vec![Finding::fail("settings", error.message, error.hint)],
    };
    let Some(place) = place else { return Vec::new() };
    let path = place.repository.main_checkout().join(workflow_file::NAME);
    let loaded = workflow::read(&path)
        .ok()
        .and_then(|bytes| workflow::load_for(&settings, workflow_file::NAME, &bytes).ok());
    let Some(loaded) = loaded else { return Vec::new() };
    let mut adapters: Vec<&Adapter> =
        loaded.workflow.agents.values().filter_map(|agent| agent.adapter.as_deref()).collect();
    adapters.sort_unstable_by_key(|adapter| &adapter.name);
    adapters.dedup_by_key(|adapter| &adapter.name);
    let looks = agent_look::look_at(&adapters);
    adapters.iter().zip(looks).map(|(adapter, look)| one(adapter, &look)).collect()
}

fn one(adapter: &Adapter, look: &agent_look::Look) -> Finding {
    let name = &adapter.name;
    let login = login(adapter);
    match (&look.program, &look.version) {
        (None, _) => {
            let why = look.trouble.clone().unwrap_or_default();
            Finding::fail("agent", format!("{name}: {why}"), format!("Install it: {}.", adapter.install))
        }
        (Some(_), Some(version)) if look.verified => {
            Finding { advice: login, ..Finding::ok("agent", format!("{name} {version}")) }
        }
        (Some(_), version) => {
            let found = version.clone().unwrap_or_else(|| "says no version".to_owned());
            let known = if adapter.verified.is_empty() {
                "no version of it was tried".to_owned()
            } else {
                format!("tried: {}", adapter.verified.join(", "))
            };
            let advice = format!("It is launched plainly and once, without hooks and further turns. {login}");
            Finding::warn("agent", format!("{name} {found} ({known})"), advice)
        }
    }
}

/// How one logs in, and which of the variables that are passed on is there.
fn login(adapter: &Adapter) -> String {
    let set: Vec<&str> =
        adapter.pass.iter().map(String::as_str).filter(|name| agents::is_set(name)).collect();
    let passed = match set.as_slice() {
        [] => String::new(),
        set => format!(" Passed on: {}.", set.join(", ")),
    };
    if adapter.login.is_empty() {
        passed.trim_start().to_owned()
    } else {
        format!("Login: {}.{passed}", adapter.login)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::agent_look::Look;
    use crate::cli::doctor::Level;

    fn codex() -> Adapter {
        workflow::Catalogue::default().get("codex").unwrap()
    }

    #[test]
    fn a_missing_program_fails_and_an_untried_version_warns() {
        let missing = Look { trouble: Some("there is no `codex` in `PATH`".to_owned()), ..Look::default() };
        let found = one(&codex(), &missing);
        assert_eq!(
            (found.level, found.found.as_str()),
            (Level::Fail, "codex: there is no `codex` in `PATH`")
        );
        let there = |version: &str, verified| Look {
            program: Some("/x/codex".into()),
            version: Some(version.to_owned()),
            verified,
            trouble: None,
        };
        assert_eq!(one(&codex(), &there("0.169.1", true)).level, Level::Ok);
        let untried = one(&codex(), &there("9.0.0", false));
        assert_eq!(untried.level, Level::Warn);
        assert!(untried.found.starts_with("codex 9.0.0 (tried: 0.169"), "{}", untried.found);
    }
}

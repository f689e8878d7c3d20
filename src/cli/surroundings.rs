//! What a workflow takes from where `up` is run into the jobs of a cluster: looked at before
//! anything starts, because on a node it would only be an attempt that failed.
//!
//! It leaves out what stands in a file of variables: nobody reads it here.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use super::error::CliError;
use crate::workflow::{SessionKind, SlurmRequest, Task, Workflow, made};

/// What is worth a word; nothing where no job is submitted.
///
/// # Errors
/// `env_file` where a file of variables isn't there, or others can read it.
pub fn look(workflow: &Workflow, kind: SessionKind) -> Result<Vec<String>, CliError> {
    look_in(workflow, kind, &|name| std::env::var_os(name))
}

fn look_in(
    workflow: &Workflow,
    kind: SessionKind,
    var: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Vec<String>, CliError> {
    if kind != SessionKind::Slurm {
        return Ok(Vec::new());
    }
    let mut asked = Vec::new();
    workflow.tasks.iter().for_each(|task| take(task, workflow, &mut asked));
    let files: BTreeSet<&String> = asked.iter().filter_map(|asked| asked.env_file.as_ref()).collect();
    for file in files {
        if let Some(why) = ilchul_slurm::unfit_env_file(Path::new(file)) {
            return Err(CliError::new("env_file", format!("give jobs the variables of a file: {why}"))
                .hint("See `slurm.env_file` in the workflow."));
        }
    }
    let names: BTreeSet<&String> = asked.iter().flat_map(|asked| &asked.export).collect();
    let missing = names.into_iter().filter(|name| var(name).is_none());
    Ok(missing.map(|name| format!("`{name}` of `slurm.export` isn't set here: jobs won't have it")).collect())
}

/// What the jobs of a task, and of all that it makes, ask for.
fn take(task: &Task, workflow: &Workflow, asked: &mut Vec<SlurmRequest>) {
    if !task.kind.is_control() {
        asked.push(task.slurm.or(&workflow.slurm));
    }
    made(task).iter().for_each(|part| take(part.body, workflow, asked));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn workflow(slurm: &str) -> Workflow {
        let text = format!(
            "version: 1\nslurm: {slurm}\ntasks: {{ a: {{ run: x }}, m: {{ map: {{ over: a.outputs.list, max: 2, each: {{ run: y, slurm: {{ export: [INNER] }} }} }}, needs: [a] }} }}\n"
        );
        crate::workflow::load("x.yaml", text.as_bytes()).unwrap().workflow
    }

    #[test]
    fn variables_that_arent_set_are_told_once_also_those_of_what_is_only_made() {
        let workflow = workflow("{ export: [HERE, NOTSET] }");
        let var = |name: &str| (name == "HERE").then(OsString::new);
        let told = look_in(&workflow, SessionKind::Slurm, &var).unwrap();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("`INNER` ") && told[1].starts_with("`NOTSET` "), "{told:?}");
        assert_eq!(look_in(&workflow, SessionKind::Tmux, &var).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn s13_a_file_of_variables_that_is_missing_or_open_to_others_is_refused_before_anything_starts() {
        let top = tempfile::tempdir().unwrap();
        let file = top.path().join("keys");
        let workflow = workflow(&format!("{{ env_file: '{}' }}", file.display()));
        let look = || look_in(&workflow, SessionKind::Slurm, &|_| Some(OsString::new()));
        assert_eq!(look().unwrap_err().code, "env_file");
        fs::write(&file, "A=B\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(look().unwrap_err().message.contains("chmod 600"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(look().unwrap(), Vec::<String>::new());
    }
}

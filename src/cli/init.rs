//! `ilchul init`: a first workflow at the repository's root.
//!
//! It never replaces a file. It leaves out running anything.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use clap::Args;
use serde_json::json;

use super::Global;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::workflow_file;

/// The workflows that can be written, by name; the first one is the default.
const TEMPLATES: [(&str, &str); 7] = [
    ("minimal", include_str!("templates/minimal.yaml")),
    ("agent", include_str!("templates/agent.yaml")),
    ("fan-out", include_str!("templates/fan-out.yaml")),
    ("generate-filter", include_str!("templates/generate-filter.yaml")),
    ("fix-until-green", include_str!("templates/fix-until-green.yaml")),
    ("best-of-n", include_str!("templates/best-of-n.yaml")),
    ("review-panel", include_str!("templates/review-panel.yaml")),
];

/// Their names.
pub fn names() -> impl Iterator<Item = &'static str> {
    TEMPLATES.iter().map(|(name, _)| *name)
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Which workflow to write: `minimal`, `agent`, `fan-out`, `generate-filter`,
    /// `fix-until-green`, `best-of-n` or `review-panel`. None of them needs an account.
    #[arg(long, value_name = "NAME", default_value = "minimal")]
    template: String,
}

/// Runs it.
///
/// # Errors
/// When there is a file already, no such template, or the system refuses.
pub fn run(_global: &Global, args: &InitArgs, output: Output) -> Result<Exit, CliError> {
    let (name, text) = template(&args.template)?;
    let here = workflow_file::here()?;
    let path = workflow_file::locate(&here, None);
    write(&path, text)?;
    let in_repository = workflow_file::root(&here).is_some();
    let next = if in_repository {
        "Run `ilchul plan` to see what it would do, then `ilchul up`."
    } else {
        "This is no git repository: run `git init` and make a commit, then `ilchul up`."
    };
    output.result(
        || json!({"file": path, "template": name, "next": next}),
        || format!("Wrote `{}`.\n{next}\n", path.display()),
    );
    Ok(Exit::Done)
}

fn template(wanted: &str) -> Result<(&'static str, &'static str), CliError> {
    TEMPLATES.into_iter().find(|(name, _)| *name == wanted).ok_or_else(|| {
        let names: Vec<String> = TEMPLATES.iter().map(|(name, _)| format!("`{name}`")).collect();
        CliError::new("unknown_template", format!("find the template `{}`", wanted.escape_debug()))
            .hint(format!("The templates are {}.", names.join(", ")))
    })
}

/// Makes the file; one that is there, even a dangling link, stays as it is.
fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let shown = path.display();
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    let written = made.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => CliError::new("exists", format!("write `{shown}`: it is there already"))
            .hint("Nothing was changed. Run `ilchul validate` to check it, or move it away first."),
        _ => CliError::new("io", format!("write `{shown}`: {error}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_a_valid_workflow_without_warnings() {
        for (name, text) in TEMPLATES {
            match crate::workflow::load("ilchul.yaml", text.as_bytes()) {
                Ok(loaded) => assert_eq!(loaded.warnings, [], "{name}"),
                Err(errors) => panic!("{name}: {}", crate::workflow::render(&errors, false, 100)),
            }
        }
    }

    #[test]
    fn an_unknown_template_is_answered_with_the_list() {
        let error = template("huge\n").unwrap_err();
        assert_eq!(error.message, "find the template `huge\\n`");
        assert_eq!(
            error.hint,
            "The templates are `minimal`, `agent`, `fan-out`, `generate-filter`, `fix-until-green`, `best-of-n`, `review-panel`."
        );
    }

    #[test]
    fn the_help_names_every_template_and_each_is_short_and_commented() {
        use clap::Args as _;
        let help = InitArgs::augment_args(clap::Command::new("init")).render_long_help().to_string();
        for (name, text) in TEMPLATES {
            assert!(help.contains(&format!("`{name}`")), "{name}: {help}");
            assert!(text.lines().count() <= 60, "{name}");
            assert!(text.starts_with("# "), "{name}");
        }
    }

    #[test]
    fn no_template_but_the_agents_names_an_agent() {
        for (name, text) in TEMPLATES {
            let workflow = crate::workflow::load("ilchul.yaml", text.as_bytes()).unwrap().workflow;
            assert_eq!(workflow.agents.is_empty(), name != "agent", "{name}");
        }
    }
}

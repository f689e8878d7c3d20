//! `ilchul docs TOPIC`: the guides, as they stand in `src/docs`.
//!
//! Carried in the program, so that they are those of this version, on a machine without
//! network. It leaves out the pages of single commands: `--help` and `man` have them.

use clap::Args;
use serde_json::json;

use super::Global;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;

/// The guides: a word, what it is about, the text.
const GUIDES: [(&str, &str, &str); 9] = [
    ("tasks", "writing a workflow: tasks, evidence, control tasks, setup", include_str!("../docs/tasks.md")),
    ("agents", "coding agents as workers: launching, asking, limits", include_str!("../docs/agents.md")),
    ("developer", "from the first run to one that you steer", include_str!("../docs/developer.md")),
    ("operator", "runs that go on without you: homes, crashes, metrics", include_str!("../docs/operator.md")),
    ("ci", "recipes for GitHub Actions and GitLab", include_str!("../docs/ci.md")),
    ("workflow", "every key of the workflow file", include_str!("../docs/workflow.md")),
    ("worker-protocol", "for those who write their own worker", include_str!("../docs/worker-protocol.md")),
    ("errors", "exit codes, and errors with their cures", include_str!("../docs/errors.md")),
    ("compare", "beside the tools that people come from", include_str!("../docs/compare.md")),
];

/// Their words.
pub fn names() -> impl Iterator<Item = &'static str> {
    GUIDES.iter().map(|(name, _, _)| *name)
}

/// Arguments of `docs`.
#[derive(Debug, Args)]
pub struct DocsArgs {
    /// Which guide; without one, what there is.
    topic: Option<String>,
}

/// Runs it.
///
/// # Errors
/// When there is no such guide.
pub fn run(_global: &Global, args: &DocsArgs, output: Output) -> Result<Exit, CliError> {
    let Some(topic) = &args.topic else {
        let all = || GUIDES.iter().map(|(name, about, _)| json!({"topic": name, "about": about})).collect();
        output.result(all, list);
        return Ok(Exit::Done);
    };
    let (name, _, text) = GUIDES.iter().find(|(name, _, _)| name == topic).ok_or_else(|| {
        let names: Vec<String> = names().map(|name| format!("`{name}`")).collect();
        CliError::new("unknown_topic", format!("find the guide `{}`", topic.escape_debug()))
            .hint(format!("The guides are {}.", names.join(", ")))
    })?;
    output.result(|| json!({"topic": name, "text": text}), || shown(text));
    Ok(Exit::Done)
}

/// Without what only a test or a page maker reads.
fn shown(text: &str) -> String {
    let lines = text.split_inclusive('\n').filter(|line| !line.starts_with("<!--"));
    lines.collect()
}

fn list() -> String {
    let lines = GUIDES.iter().map(|(name, about, _)| format!("  {name:<16} {about}\n"));
    format!("Guides, for `ilchul docs TOPIC`:\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guide_of_the_folder_is_carried() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/docs");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<String> =
            files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        let mut known: Vec<String> = names().map(str::to_owned).collect();
        files.sort();
        known.sort();
        assert_eq!(files, known);
        assert!(list().lines().all(|line| line.chars().count() <= 80), "{}", list());
    }

    #[test]
    fn what_only_a_test_reads_is_left_out_and_nothing_else() {
        assert_eq!(
            shown("a\n<!-- tested -->\n```sh\nilchul up  # <!--\n```"),
            "a\n```sh\nilchul up  # <!--\n```"
        );
    }
}

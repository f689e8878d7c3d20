//! `ilchul completions SHELL`: the script that makes Tab ask ilchul.
//!
//! It prints, and installs nothing. It leaves out the answers (`complete.rs`): the script is
//! short and stays right when ilchul is replaced by a newer one.

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::json;

use super::Global;
use super::complete::{ASKED, SHELLS};
use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;

/// What is put into a shell, where, by the name of the shell.
const HELP: &str = "\
Once, for the shell that you are in:
  bash  source <(ilchul completions bash)
  zsh   source <(ilchul completions zsh)       # after `compinit`
  fish  ilchul completions fish | source

For good:
  bash  ilchul completions bash > ~/.local/share/bash-completion/completions/ilchul
  zsh   ilchul completions zsh > DIR/_ilchul   # DIR: a folder of $fpath
  fish  ilchul completions fish > ~/.config/fish/completions/ilchul.fish

The script starts ilchul at each Tab, which only looks: names of tasks, workers and runs are
those of the latest run, or of the one that `--run` names.";

/// Arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct CompletionsArgs {
    /// Which shell.
    #[arg(value_parser = PossibleValuesParser::new(SHELLS.map(|(name, _)| name)))]
    shell: String,
}

/// Runs it.
///
/// # Errors
/// None but a shell that the parser has refused before.
pub fn run(_global: &Global, args: &CompletionsArgs, output: Output) -> Result<Exit, CliError> {
    let script = script(&args.shell)
        .ok_or_else(|| CliError::new("unknown_shell", format!("find the shell `{}`", args.shell)))?;
    output.result(|| json!({"shell": args.shell, "script": script}), || script.clone());
    Ok(Exit::Done)
}

/// The script of a shell. It finds `ilchul` by `PATH`, as whoever types it does.
fn script(shell: &str) -> Option<String> {
    let (_, shell) = SHELLS.iter().find(|(name, _)| *name == shell)?;
    let mut script = Vec::new();
    shell.write_registration(ASKED, "ilchul", "ilchul", "ilchul", &mut script).ok()?;
    let script = String::from_utf8(script).ok()?;
    Some(format!("{}\n", script.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_has_a_script_that_asks_by_our_variable_and_names_no_path() {
        for (name, _) in SHELLS {
            let script = script(name).unwrap();
            assert!(script.contains(&format!("{ASKED}=")), "{name}: {script}");
            let program = std::env::current_exe().unwrap();
            assert!(!script.contains(program.parent().unwrap().to_str().unwrap()), "{name}: {script}");
            assert!(!script.contains("COMPLETER"), "{name}: {script}");
        }
        assert!(script("zsh").unwrap().starts_with("#compdef ilchul\n"), "zsh finds it by its first line");
        assert_eq!(script("tcsh"), None);
    }
}

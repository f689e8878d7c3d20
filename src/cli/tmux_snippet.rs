//! `ilchul tmux-snippet`: lines for a tmux configuration, printed and never installed.
//!
//! A segment for the status line, and key bindings in a table of their own, so that no key of
//! anybody's is taken unless they ask with `--keys`. It leaves out the segment's words
//! (`status_line.rs`).

use clap::Args;
use serde_json::json;

use super::Global;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;

/// The segment: tmux asks at its own rhythm, in the folder of the pane that is looked at.
const STATUS: &str = r##"# The run of the repository that the active pane is in; nothing where there is none.
set-option -g @ilchul '#(cd #{q:pane_current_path} && ilchul status --line 2>/dev/null)'
# Once, however often this is read.
if-shell -F '#{m:*@ilchul*,#{status-right}}' '' "set-option -ag status-right ' #{E:@ilchul}'"
set-option -g status-right-length 120
"##;

/// The keys, after the prefix and the first one: what runs in a popup, which needs tmux 3.2.
const KEYS: [(&str, &str, &str); 6] = [
    ("d", "the whole screen, with keys of its own", "ilchul dash"),
    ("s", "status", "ilchul status --watch"),
    ("w", "workers", "ilchul workers | less -R"),
    ("e", "events as they come", "ilchul events -f"),
    ("g", "the graph", "ilchul graph | less -R"),
    ("r", "every run", "ilchul runs | less -R"),
];

/// How it is used.
const HELP: &str = "\
Try it in the tmux that you are in, until the server ends:
  ilchul tmux-snippet | tmux source-file -
For good, once you like it:
  ilchul tmux-snippet >> ~/.tmux.conf";

/// Arguments of `tmux-snippet`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct SnippetArgs {
    /// Bind the keys too; without it they are comments.
    #[arg(long)]
    keys: bool,
    /// The key after the prefix that leads to the others.
    #[arg(long, value_name = "KEY", default_value = "I", value_parser = key)]
    key: String,
}

/// A key as tmux names one: nothing that could end the line or begin another word.
fn key(text: &str) -> Result<String, String> {
    let fits = (1..=16).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if fits {
        Ok(text.to_owned())
    } else {
        Err("a key is a letter, or a name such as `F5` or `M-i`".to_owned())
    }
}

/// Runs it.
///
/// # Errors
/// None.
pub fn run(_global: &Global, args: &SnippetArgs, output: Output) -> Result<Exit, CliError> {
    let text = text(args);
    output.result(|| json!({"snippet": text}), || text.clone());
    Ok(Exit::Done)
}

fn text(args: &SnippetArgs) -> String {
    let key = &args.key;
    let off = if args.keys { "" } else { "#" };
    let title = if args.keys { "" } else { " Take the `#` away from those that you want." };
    let mut text = format!("{STATUS}\n# Keys: prefix, {key}, then one of these.{title}\n");
    text.push_str(&format!("{off}bind-key {key} switch-client -T ilchul\n"));
    for (key, what, line) in KEYS {
        text.push_str(&format!(
            "{off}bind-key -T ilchul {key} display-popup -E -w 90% -h 80% -d '#{{pane_current_path}}' '{line}' # {what}\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_can_bring_no_other_command_into_the_snippet() {
        for right in ["I", "F5", "M-i", "C-Space"] {
            assert_eq!(key(right), Ok(right.to_owned()));
        }
        for wrong in ["", ";", "I run-shell x", "a\nb", "'", "#", "a-very-long-name-of-a-key"] {
            assert!(key(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn keys_are_comments_until_they_are_asked_for() {
        let of = |keys| text(&SnippetArgs { keys, key: "I".to_owned() });
        let bound = |text: &str| text.lines().filter(|line| line.starts_with("bind-key")).count();
        assert_eq!((bound(&of(false)), bound(&of(true))), (0, KEYS.len() + 1));
    }
}

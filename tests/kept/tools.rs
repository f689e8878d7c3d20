//! A git and a tmux that write down how they are called, and refuse to take anything away.
//!
//! They are first in `PATH`, and hand everything else on to the real ones. What a worker calls
//! is written down as its own and never refused. They leave out what tmux is told by its
//! standard input; the sources have no such verb either (`tests/architecture.rs`).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::world::World;

/// The code that a refused call ends with.
pub const REFUSED: i32 = 97;

/// Whether `git "$@"` takes nothing away.
const GIT: &str = r#"is_harmless() {
    while :; do
        case "${1:-}" in
        -c | -C | --git-dir | --work-tree | --namespace) shift 2 ;;
        -*) shift ;;
        *) break ;;
        esac
    done
    verb=${1:-}
    [ $# = 0 ] || shift
    all=" $* "
    case "$verb" in
    clean | stash | gc | prune | prune-packed | repack | maintenance | push | rm | mv | filter-branch) return 1 ;;
    restore | reset | rebase | merge | pull | am | cherry-pick | revert | replace) return 1 ;;
    worktree) case "$all" in *' remove '* | *' prune '* | *' move '* | *' unlock '* | *' -f '* | *' --force '* | *' -B '*) return 1 ;; esac ;;
    branch | tag) case "$all" in *' -d '* | *' -D '* | *' -m '* | *' -M '* | *' -f '* | *' --delete '* | *' --move '* | *' --force '* | *' -C '*) return 1 ;; esac ;;
    checkout | switch) case "$all" in *' -f '* | *' --force '* | *' -B '* | *' -C '* | *' -- '* | *' --discard-changes '*) return 1 ;; esac ;;
    update-ref) case "$all" in *' --stdin '*) return 1 ;; *' -d refs/ilchul/'*) ;; *' -d '*) return 1 ;; esac ;;
    reflog | notes | remote | submodule) case "$all" in *' expire '* | *' delete '* | *' remove '* | *' rm '* | *' deinit '*) return 1 ;; esac ;;
    read-tree) case "$all" in *' --reset '*) return 1 ;; esac ;;
    esac
}
"#;

/// The same of tmux, whose words may be parts of one argument.
const TMUX: &str = r#"is_harmless() {
    case " $* " in
    *kill-server* | *kill-ses* | *kill-window* | *kill-pane* | *killw* | *killp* | *respawn* | *unlink* | *clear-history* | *delete-buffer*) return 1 ;;
    esac
}
"#;

/// What follows in both.
const REST: &str = r#"line=$(printf '\t%s' "$@" | tr '\n' ' ')
if [ -n "${ILCHUL_WORKER:-}" ]; then
    printf '%s\n' "worker:$tool$line" >> "$log"
elif is_harmless "$@"; then
    read -r who < "/proc/$PPID/comm"
    printf '%s\n' "$who:$tool$line" >> "$log"
else
    printf '%s\n' "refused:$tool$line" >> "$log"
    echo "refused, because it takes something away: $tool$line" >&2
    exit 97
fi
exec "$real" "$@"
"#;

/// Puts both first in the `PATH` of a world.
pub fn watch(world: &mut World) {
    let tools = world.root().join("watched");
    fs::create_dir(&tools).unwrap();
    let log = log_of(world);
    for (tool, rules) in [("git", GIT), ("tmux", TMUX)] {
        let (real, log) = (real(world, tool), log.display());
        let head = format!("#!/bin/sh\ntool={tool} real={} log={log}\n", real.display());
        write_program(&tools.join(tool), &format!("{head}{rules}{REST}"));
    }
    put_first(world, &tools);
}

/// Puts a folder of programs first in the `PATH` of a world.
pub fn put_first(world: &mut World, tools: &Path) {
    let others = std::env::split_paths(&world.path).collect::<Vec<_>>();
    world.path = std::env::join_paths(std::iter::once(tools.to_owned()).chain(others)).unwrap();
}

/// The real program of that name, as the world finds it.
pub fn real(world: &World, tool: &str) -> PathBuf {
    let found = std::env::split_paths(&world.path).map(|dir| dir.join(tool)).find(|path| path.exists());
    found.unwrap()
}

/// Writes a program.
pub fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn log_of(world: &World) -> PathBuf {
    world.root().join("calls.log")
}

/// Every call so far: who made it (`worker`, `refused`, or the name of the program, `ilchul`
/// among them), and its words, the tool first.
pub fn calls(world: &World) -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(log_of(world)).unwrap_or_default();
    let read = |line: &str| {
        let (who, words) = line.split_once(':').unwrap();
        (who.to_owned(), words.split('\t').map(str::to_owned).collect())
    };
    text.lines().map(read).collect()
}

/// What a call of git does: its verb and, of `worktree`, the verb's own.
pub fn verb(words: &[String]) -> String {
    let mut rest = words.iter().skip(1);
    while let Some(word) = rest.next() {
        if ["-c", "-C"].contains(&word.as_str()) {
            rest.next();
        } else if !word.starts_with('-') || word == "--version" {
            let own = if word == "worktree" { rest.next().map(String::as_str) } else { None };
            return [Some(word.as_str()), own].into_iter().flatten().collect::<Vec<_>>().join(" ");
        }
    }
    String::new()
}

//! Whose call it is: ilchul's, of a git or tmux that it started, or of a worker.
//!
//! Told by ancestry alone. What a shim starts, through the trampoline or at once, is a worker's
//! from the moment that it is another program; so is a command of evidence, and so is all that
//! either starts. It leaves out what each may do (`guard.rs`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::places::joined;
use super::trace::{Call, Line, What, path_of, string, strings};

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ilchul, or whatever it or its tmux has started for itself.
    Ours,
    /// ilchul as the process inside a session.
    Shim,
    /// Just forked by a shim, and not yet another program.
    Forked,
    /// The trampoline: its next program is a worker's.
    Trampoline,
    /// A worker's.
    Worker,
}

/// One process, from its fork to its end.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its number, which may be used again later.
    pub pid: u32,
    /// What it is.
    pub kind: Kind,
    /// Where relative paths begin.
    pub cwd: PathBuf,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// A worker's own tree: where it was when it became one.
    pub tree: Option<PathBuf>,
}

/// A call, and the process that made it, as it was then.
#[derive(Debug, Clone)]
pub struct Act {
    /// When it was done.
    pub at: u64,
    /// Tells processes apart, over all traces.
    pub id: (usize, usize),
    /// Who did it.
    pub by: Process,
    /// What was done.
    pub call: Call,
}

/// One thread's life in a trace.
struct Life {
    parent: Option<usize>,
    is_thread: bool,
    began: usize,
}

/// The lives of a trace, by the number of their thread.
#[derive(Default)]
struct Lives {
    all: Vec<Life>,
    current: HashMap<u32, usize>,
    /// Also those that are gone: a child may end before its parent's call returns.
    latest: HashMap<u32, usize>,
}

impl Lives {
    fn begin(&mut self, pid: u32, began: usize) -> usize {
        let life = self.all.len();
        self.all.push(Life { parent: None, is_thread: false, began });
        self.current.insert(pid, life);
        self.latest.insert(pid, life);
        life
    }
}

/// The acts of one trace, each with its process; `cwd` is where the first one was started.
#[track_caller]
pub fn acts(trace: usize, lines: &[Line], cwd: &Path) -> Vec<Act> {
    let (lives, of) = lives(lines);
    let mut processes: Vec<Process> = Vec::new();
    let mut process_of: HashMap<usize, usize> = HashMap::new();
    let mut acts = Vec::new();
    for (line, life) in lines.iter().zip(of) {
        let process = enter(life, &lives, &mut processes, &mut process_of, (line.pid, cwd));
        let What::Call(call) = &line.what else { continue };
        step(&mut processes[process], call);
        let by = processes[process].clone();
        acts.push(Act { at: line.at, id: (trace, process), by, call: call.clone() });
    }
    acts
}

/// Whether everybody in a trace is gone, so that nothing will be added to it.
pub fn is_over(lines: &[Line]) -> bool {
    let mut alive = HashMap::new();
    for line in lines {
        alive.insert(line.pid, line.what != What::Gone);
    }
    !alive.is_empty() && alive.values().all(|alive| !alive)
}

/// Every life, and the life that each line belongs to.
fn lives(lines: &[Line]) -> (Vec<Life>, Vec<usize>) {
    let mut lives = Lives::default();
    let mut of = Vec::new();
    for line in lines {
        let known = lives.current.get(&line.pid).copied();
        let life = known.unwrap_or_else(|| lives.begin(line.pid, line.lines.0));
        of.push(life);
        let What::Call(call) = &line.what else {
            lives.current.remove(&line.pid);
            continue;
        };
        let Some((child, is_thread)) = child(call) else { continue };
        // Its number may have been another's before the call began.
        let seen = lives.latest.get(&child).copied().filter(|seen| lives.all[*seen].began >= line.lines.0);
        let child = seen.unwrap_or_else(|| lives.begin(child, line.lines.0));
        lives.all[child].parent = Some(life);
        lives.all[child].is_thread = is_thread;
    }
    (lives.all, of)
}

/// The thread or process that a call made.
fn child(call: &Call) -> Option<(u32, bool)> {
    if !["clone", "clone3", "fork", "vfork"].contains(&call.name.as_str()) {
        return None;
    }
    let pid = u32::try_from(call.number()?).ok().filter(|pid| *pid > 0)?;
    Some((pid, call.args.iter().any(|arg| arg.contains("CLONE_THREAD"))))
}

/// The process of a life; made like its parent where this is its first line.
fn enter(
    life: usize,
    lives: &[Life],
    processes: &mut Vec<Process>,
    of: &mut HashMap<usize, usize>,
    (pid, cwd): (u32, &Path),
) -> usize {
    if let Some(process) = of.get(&life) {
        return *process;
    }
    let parent = lives[life].parent.map(|parent| enter(parent, lives, processes, of, (pid, cwd)));
    let process = match parent {
        Some(parent) if lives[life].is_thread => parent,
        Some(parent) => {
            let parent = processes[parent].clone();
            let kind = if parent.kind == Kind::Shim { Kind::Forked } else { parent.kind };
            processes.push(Process { pid, kind, ..parent });
            processes.len() - 1
        }
        None => {
            let argv = Vec::new();
            processes.push(Process { pid, kind: Kind::Ours, cwd: cwd.to_owned(), argv, tree: None });
            processes.len() - 1
        }
    };
    of.insert(life, process);
    process
}

/// What a call makes of its process.
fn step(process: &mut Process, call: &Call) {
    if !call.succeeded() {
        return;
    }
    match call.name.as_str() {
        "chdir" => {
            if let Some(path) = string(&call.args[0]) {
                process.cwd = joined(&process.cwd, &path);
            }
        }
        "fchdir" => {
            if let Some(path) = path_of(&call.args[0]) {
                process.cwd = path.into();
            }
        }
        "execve" => executed(process, strings(&call.args[1])),
        "execveat" => executed(process, strings(&call.args[2])),
        _ => {}
    }
}

fn executed(process: &mut Process, argv: Vec<String>) {
    let word = |at: usize| argv.get(at).map(String::as_str).unwrap_or_default();
    let is_shim = word(0).rsplit('/').next() == Some("ilchul") && word(1) == "shim";
    let is_trampoline = is_shim && word(2) == "--exec";
    let before = process.kind;
    process.kind = match process.kind {
        Kind::Worker => Kind::Worker,
        Kind::Trampoline => Kind::Worker,
        Kind::Forked if is_trampoline => Kind::Trampoline,
        Kind::Forked => Kind::Worker,
        Kind::Ours | Kind::Shim if is_shim && !is_trampoline => Kind::Shim,
        Kind::Ours | Kind::Shim => Kind::Ours,
    };
    if process.kind == Kind::Worker && before != Kind::Worker {
        process.tree = Some(process.cwd.clone());
    }
    process.argv = argv;
}

#[cfg(test)]
mod tests {
    use super::super::trace;
    use super::*;

    const TEXT: &str = "1 1.000001 execve(\"/x/ilchul\", [\"ilchul\", \"up\"], 0x1 /* 1 var */) = 0\n\
        1 1.000002 clone3({flags=CLONE_VM|CLONE_THREAD} => {parent_tid=[2]}, 88) = 2\n\
        2 1.000003 clone3({flags=CLONE_VM|CLONE_VFORK}, 88 <unfinished ...>\n\
        3 1.000004 chdir(\"/w/t\") = 0\n\
        3 1.000005 execve(\"/x/ilchul\", [\"/x/ilchul\", \"shim\"], 0x1 /* 1 var */ <unfinished ...>\n\
        2 1.000006 <... clone3 resumed>) = 3\n\
        3 1.000007 <... execve resumed>) = 0\n\
        3 1.000008 unlink(\"a\") = 0\n\
        3 1.000009 clone(child_stack=NULL, flags=SIGCHLD) = 4\n\
        4 1.000010 unlink(\"b\") = 0\n\
        4 1.000011 execve(\"/x/ilchul\", [\"/x/ilchul\", \"shim\", \"--exec\", \"--\", \"sh\"], 0x1 /* 1 var */) = 0\n\
        4 1.000012 unlink(\"c\") = 0\n\
        4 1.000013 execve(\"/bin/sh\", [\"sh\"], 0x1 /* 1 var */) = 0\n\
        4 1.000014 clone(child_stack=NULL, flags=SIGCHLD) = 5\n\
        5 1.000015 unlink(\"d\") = 0\n\
        5 1.000016 +++ exited with 0 +++\n\
        1 1.000017 clone(child_stack=NULL, flags=SIGCHLD) = 5\n\
        5 1.000018 execve(\"/bin/git\", [\"git\", \"x\"], 0x1 /* 1 var */) = 0\n\
        5 1.000019 unlink(\"e\") = 0\n";

    #[test]
    fn a_call_is_its_process_s_and_a_number_that_is_used_again_is_another() {
        let lines = trace::read(TEXT);
        let told: Vec<_> = acts(0, &lines, Path::new("/repo"))
            .into_iter()
            .filter(|act| act.call.name == "unlink")
            .map(|act| (string(&act.call.args[0]).unwrap(), act.by.kind, act.by.cwd, act.by.tree))
            .collect();
        let tree = PathBuf::from("/w/t");
        let of = |name: &str, kind, cwd: &Path, tree: Option<&Path>| {
            (name.to_owned(), kind, cwd.to_owned(), tree.map(Path::to_owned))
        };
        assert_eq!(
            told,
            [
                of("a", Kind::Shim, &tree, None),
                of("b", Kind::Forked, &tree, None),
                of("c", Kind::Trampoline, &tree, None),
                of("d", Kind::Worker, &tree, Some(&tree)),
                of("e", Kind::Ours, Path::new("/repo"), None),
            ]
        );
        assert!(!is_over(&lines));
    }
}

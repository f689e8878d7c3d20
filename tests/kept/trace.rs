//! What strace wrote, as calls with their arguments and results.
//!
//! It leaves out whose calls they are (`lives.rs`) and whether they are allowed (`guard.rs`).

use std::collections::HashMap;

/// One line that means something: a call that has returned, or an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The thread.
    pub pid: u32,
    /// Which line of its file the call began at, and which one it returned at.
    pub lines: (usize, usize),
    /// When it returned, in microseconds of the wall clock, which all tracers share.
    pub at: u64,
    /// What happened.
    pub what: What,
}

/// What a line tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A system call.
    Call(Call),
    /// The thread is gone.
    Gone,
}

/// A system call that has returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// Its arguments, as strace shows them.
    pub args: Vec<String>,
    /// What it returned, with the error's name.
    pub result: String,
}

impl Call {
    /// The number that it returned; none for `?`.
    pub fn number(&self) -> Option<i64> {
        let end = self.result.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(self.result.len());
        self.result[..end].parse().ok()
    }

    /// The error that it failed with.
    pub fn error(&self) -> Option<&str> {
        self.result.strip_prefix("-1 ").and_then(|rest| rest.split(' ').next())
    }

    /// Whether it did what it was asked to.
    pub fn succeeded(&self) -> bool {
        self.number().is_some_and(|number| number >= 0)
    }
}

/// Reads what `strace -f -ttt -y` wrote into a file.
#[track_caller]
pub fn read(text: &str) -> Vec<Line> {
    let mut begun: HashMap<u32, (usize, u64, String)> = HashMap::new();
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let (pid, at, rest) = head(line).unwrap_or_else(|| panic!("line {index} is no trace: {line}"));
        let mut push = |first: usize, at: u64, what: What| {
            lines.push(Line { pid, lines: (first, index), at, what });
        };
        if rest.starts_with("--- ") {
            continue;
        }
        if rest.starts_with("+++ ") {
            // Killed in the middle of a call: whether that took place isn't known, so it counts.
            if let Some((first, at, half)) = begun.remove(&pid) {
                push(first, at, What::Call(call(&format!("{half}) = ?"))));
            }
            push(index, at, What::Gone);
        } else if let Some(half) = rest.strip_suffix("<unfinished ...>") {
            begun.insert(pid, (index, at, half.to_owned()));
        } else if let Some(resumed) = rest.strip_prefix("<... ") {
            let (first, _, half) = begun.remove(&pid).unwrap_or_else(|| panic!("nothing began: {line}"));
            let other = resumed.split_once(" resumed>").unwrap().1;
            push(first, at, What::Call(call(&format!("{half}{other}"))));
        } else {
            push(index, at, What::Call(call(rest)));
        }
    }
    lines
}

/// Thread, microseconds, and the rest of a line.
fn head(line: &str) -> Option<(u32, u64, &str)> {
    let (pid, rest) = line.split_once(' ')?;
    let (at, rest) = rest.trim_start().split_once(' ')?;
    let (seconds, micros) = at.split_once('.')?;
    let micros = seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?;
    Some((pid.parse().ok()?, micros, rest))
}

#[track_caller]
fn call(text: &str) -> Call {
    let whole = || panic!("no call: {text}");
    let (name, rest) = text.split_once('(').unwrap_or_else(whole);
    let result = |at: &usize| rest[at + 1..].trim_start().starts_with("= ");
    let ends = rest.rmatch_indices(')').map(|(at, _)| at).find(result);
    let end = ends.unwrap_or_else(|| panic!("no result: {text}"));
    let result = rest[end + 1..].trim_start().trim_start_matches("= ").to_owned();
    Call { name: name.to_owned(), args: split(&rest[..end]), result }
}

/// At the commas that are in no string, no list and no path of a descriptor.
pub fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped, mut depth, mut path) = (false, false, 0_usize, false);
    let mut last = ' ';
    for c in text.chars() {
        let plain = !quoted && !path;
        match c {
            '"' if !escaped && !path => quoted = !quoted,
            // `3</x>` and `AT_FDCWD</x>`, and not `=> {`.
            '<' if plain && (last.is_ascii_digit() || last == 'D') => path = true,
            '>' if path => path = false,
            '[' | '{' if plain => depth += 1,
            ']' | '}' if plain => depth = depth.saturating_sub(1),
            _ => {}
        }
        escaped = quoted && c == '\\' && !escaped;
        last = c;
        if c == ',' && plain && depth == 0 {
            parts.push(String::new());
        } else {
            parts.last_mut().unwrap().push(c);
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

/// The text of a string as strace shows it; none for anything else.
pub fn string(shown: &str) -> Option<String> {
    let inner = shown.trim_end_matches("...").strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::new();
    let mut rest = inner.bytes().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next()? {
            b'n' => bytes.push(b'\n'),
            b't' => bytes.push(b'\t'),
            b'r' => bytes.push(b'\r'),
            digit @ b'0'..=b'7' => {
                let mut value = u32::from(digit - b'0');
                for _ in 0..2 {
                    let Some(more) = rest.next_if(|byte| (b'0'..=b'7').contains(byte)) else { break };
                    value = value * 8 + u32::from(more - b'0');
                }
                bytes.push(u8::try_from(value).ok()?);
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}

/// The strings of a list, as `execve` shows its arguments.
pub fn strings(shown: &str) -> Vec<String> {
    let inner = shown.trim().trim_start_matches('[').trim_end_matches(']');
    split(inner).iter().filter_map(|part| string(part)).collect()
}

/// The path that `-y` shows behind a descriptor: `5</a/b>`, `AT_FDCWD</a>`.
pub fn path_of(shown: &str) -> Option<String> {
    let (_, path) = shown.split_once('<')?;
    string(&format!("\"{}\"", path.strip_suffix('>')?))
}

#[test]
fn lines_of_all_shapes_are_read() {
    let text = "7 1.000002 openat(AT_FDCWD</a, b>, \"x\\\"y, \\303\\266\", O_RDONLY|O_CLOEXEC) = 3</a/x>\n\
        7 1.000003 unlink(\"z\" <unfinished ...>\n\
        8 1.000004 execve(\"/bin/sh\", [\"sh\", \"-c\", \"a, [b]\"], 0x7f /* 3 vars */) = 0\n\
        7 1.000005 <... unlink resumed>)       = -1 ENOENT (No such file or directory)\n\
        8 1.000006 --- SIGCHLD {si_signo=SIGCHLD} ---\n\
        7 1.000007 clone3({flags=CLONE_VM|CLONE_THREAD} => {parent_tid=[9]}, 88) = 9\n\
        8 1.000008 rename(\"a\", \"b\" <unfinished ...>\n\
        8 1.000009 +++ killed by SIGKILL +++\n";
    let found = read(text);
    let calls: Vec<&Call> = found
        .iter()
        .filter_map(|line| match &line.what {
            What::Call(call) => Some(call),
            What::Gone => None,
        })
        .collect();
    assert_eq!(calls[0].args, ["AT_FDCWD</a, b>", "\"x\\\"y, \\303\\266\"", "O_RDONLY|O_CLOEXEC"]);
    assert_eq!(string(&calls[0].args[1]).unwrap(), "x\"y, ö");
    assert_eq!(path_of(&calls[0].args[0]).unwrap(), "/a, b");
    assert_eq!((calls[0].number(), calls[0].error()), (Some(3), None));
    assert_eq!(strings(&calls[1].args[1]), ["sh", "-c", "a, [b]"]);
    assert_eq!((calls[2].name.as_str(), calls[2].error()), ("unlink", Some("ENOENT")));
    assert_eq!((found[2].lines, found[2].at), ((1, 3), 1_000_005));
    assert_eq!((calls[3].number(), calls[3].args.len()), (Some(9), 2));
    assert_eq!((calls[4].args.as_slice(), calls[4].number()), (&["\"a\"".into(), "\"b\"".into()][..], None));
    assert_eq!(found.last().unwrap().what, What::Gone);
}

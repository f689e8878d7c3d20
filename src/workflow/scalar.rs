//! The small languages inside of scalars: durations, sizes, whole numbers, ids, paths, globs.
//!
//! Pure functions from text to a value, or to what is wrong and what to write
//! instead. They know nothing of YAML and nothing of positions.

use std::time::Duration;

use globset::{GlobBuilder, GlobSetBuilder};

/// The longest duration: ten years. Longer is a slip of the hand, and no deadline.
pub(super) const MAX_DURATION: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// The largest size: a petabyte.
pub(super) const MAX_SIZE: u64 = 1_000_000_000_000_000;
/// The longest glob: beyond some size a matcher refuses to be built.
const MAX_GLOB: usize = 1024;
/// The longest id.
pub(super) const MAX_SLUG: usize = 63;

/// What is wrong with a text, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// What is allowed; what was found is for the reader to say, which knows its place.
    pub(super) message: String,
    /// What to write instead, if there is one thing to write.
    pub(super) help: Option<String>,
}

impl Fault {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    fn with(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: Some(help.into()) }
    }
}

/// Units, longest first, and what one is in milliseconds.
const DURATION_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// Units and what one is in bytes.
const SIZE_UNITS: [(&str, u64); 11] = [
    ("B", 1),
    ("KB", 1_000),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("", 1),
];

/// `90s`, `1h30m`, `500ms`: whole numbers with units, longest first, each once.
pub(super) fn duration(text: &str) -> Result<Duration, Fault> {
    const EXPECTED: &str = "a duration is a whole number with a unit, as in 500ms, 2s, 30m, 1h30m or 2d";
    let is_bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_bare && text.bytes().any(|byte| byte != b'0') {
        return Err(Fault::with(
            "a duration needs a unit",
            format!("write {text}s for seconds, {text}m for minutes"),
        ));
    }
    let mut rest = if is_bare { "" } else { text };
    let mut total: u64 = 0;
    let mut allowed = DURATION_UNITS.as_slice();
    while !rest.is_empty() {
        let (digits, tail) = split_number(rest);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let Some(index) = allowed.iter().position(|(name, _)| *name == unit) else {
            return Err(Fault::new(EXPECTED));
        };
        // Too many digits for a number is too long as well.
        let count = if digits.is_empty() { return Err(Fault::new(EXPECTED)) } else { digits.parse::<u64>() };
        let Ok(count) = count else { return Err(too_long()) };
        let Some(sum) = count.checked_mul(allowed[index].1).and_then(|ms| ms.checked_add(total)) else {
            return Err(too_long());
        };
        total = sum;
        allowed = &allowed[index + 1..];
        rest = tail;
    }
    let value = Duration::from_millis(total);
    if text.is_empty() {
        return Err(Fault::new(EXPECTED));
    }
    if value.is_zero() {
        return Err(Fault::with("a duration must be longer than zero", "leave the key out for the default"));
    }
    if value > MAX_DURATION { Err(too_long()) } else { Ok(value) }
}

/// Kept apart from what isn't a duration at all: the notation was right, the number wasn't meant.
fn too_long() -> Fault {
    Fault::new("a duration may be ten years at most")
}

/// The digits that a text begins with, and what follows them.
fn split_number(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// `2GiB`, `500MB` or plain bytes.
pub(super) fn size(text: &str) -> Result<u64, Fault> {
    const EXPECTED: &str = "a size is a whole number of bytes, or one with a unit, as in 500MB or 2GiB";
    let (digits, unit) = split_number(text);
    let found = SIZE_UNITS.iter().find(|(name, _)| *name == unit);
    let (false, Some((_, factor))) = (digits.is_empty(), found) else { return Err(Fault::new(EXPECTED)) };
    let bytes = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(*factor));
    match bytes {
        Some(0) => Err(Fault::with("a size must be larger than zero", "leave the key out for no bound")),
        Some(bytes) if bytes <= MAX_SIZE => Ok(bytes),
        Some(_) | None => Err(Fault::new("a size may be 1000TB at most")),
    }
}

/// A whole number in plain decimal notation, within bounds.
pub(super) fn integer(text: &str, min: u64, max: u64) -> Result<u64, Fault> {
    let allowed = format!("a whole number from {min} to {max} is allowed here");
    // A negative number is a number, and gets the bounds as an answer.
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::new(allowed));
    }
    if digits.len() > 1 && digits.starts_with('0') {
        // Octal to some readers and decimal to others.
        let bare = digits.trim_start_matches('0');
        let bare = if bare.is_empty() { "0" } else { bare };
        return Err(Fault::with("a number can't begin with 0", format!("write {bare}")));
    }
    match text.parse::<u64>() {
        Ok(value) if (min..=max).contains(&value) => Ok(value),
        Ok(_) | Err(_) => Err(Fault::new(allowed)),
    }
}

/// An amount of money: a plain decimal number larger than zero.
pub(super) fn amount(text: &str) -> Result<f64, Fault> {
    // Rust's own notation has words and exponents that nobody would write for money.
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    match text.parse::<f64>() {
        Ok(value) if plain && begins && value > 0.0 && value <= 1e9 => Ok(value),
        Ok(_) | Err(_) => Err(Fault::new("an amount larger than 0, as in 20 or 0.5, is allowed here")),
    }
}

/// Whether a text is an id: `[a-z0-9][a-z0-9_-]{0,62}`.
pub(super) fn is_slug(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    text.len() <= MAX_SLUG
        && text.bytes().all(inner)
        && text.bytes().next().is_some_and(|byte| byte != b'_' && byte != b'-')
}

/// Checks an id. They become names of branches, folders and windows: nothing else is safe in all three.
pub(super) fn slug(text: &str) -> Result<(), Fault> {
    if is_slug(text) {
        return Ok(());
    }
    let message = if text.is_empty() {
        "an id can't be empty"
    } else if text.len() > MAX_SLUG && text.is_ascii() {
        "an id has at most 63 characters"
    } else {
        "an id is made of a-z, 0-9, `-` and `_`, and begins with a letter or digit"
    };
    // Only what people can copy as it stands is worth proposing.
    let near = slugified(text);
    Err(if near.is_empty() { Fault::new(message) } else { Fault::with(message, format!("write `{near}`")) })
}

/// Whether templates and conditions can name an output so.
pub(super) fn is_output(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|byte| word(*byte)) && bytes.iter().all(|byte| word(*byte) || *byte == b'-')
}

/// The nearest id to a text; empty if nothing of it can stay.
fn slugified(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars().take(4 * MAX_SLUG) {
        let lower = character.to_ascii_lowercase();
        if lower.is_ascii_lowercase() || lower.is_ascii_digit() || (lower == '_' && !out.is_empty()) {
            out.push(lower);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.truncate(MAX_SLUG);
    out.trim_end_matches('-').to_owned()
}

/// Checks the name of a variable for workers. What steers git, tmux, the loader or ilchul itself isn't theirs to set.
pub(super) fn variable(name: &str) -> Result<(), Fault> {
    if name.is_empty() {
        return Err(Fault::new("a variable needs a name"));
    }
    if !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'=') {
        return Err(Fault::new("the name of a variable is visible ASCII without `=` and blanks"));
    }
    let owned = ["ILCHUL_", "GIT_", "TMUX", "LD_"].into_iter().find(|prefix| name.starts_with(prefix));
    if let Some(prefix) = owned {
        return Err(Fault::with(
            format!("variables that begin with {prefix} can't be set by a workflow"),
            "set it inside of the command that needs it",
        ));
    }
    if name == "PATH" {
        return Err(Fault::with("PATH can't be set by a workflow", "call the program by its path"));
    }
    Ok(())
}

/// Checks a path or glob below the tree: relative, without `..`, outside of git's and ilchul's own folders.
pub(super) fn inside_tree(text: &str) -> Result<(), Fault> {
    const HELP: &str = "write it relative to the worktree's root";
    if text.is_empty() {
        return Err(Fault::new("a path can't be empty"));
    }
    if text.contains('\0') {
        return Err(Fault::new("a path can't hold a NUL"));
    }
    if text.starts_with('/') {
        return Err(Fault::with("an absolute path leaves the worktree", HELP));
    }
    if text.starts_with('~') {
        return Err(Fault::with("`~` leaves the worktree", HELP));
    }
    // `./x` and `x` are one path, so that a leading dot hides no folder.
    let mut parts = text.split('/').filter(|part| *part != ".").peekable();
    let first = parts.peek().copied().unwrap_or_default();
    if matches!(first, ".git" | ".ilchul") {
        return Err(Fault::new(format!("`{first}` isn't part of the work")));
    }
    if parts.any(|part| part == "..") {
        return Err(Fault::with("`..` may leave the worktree", HELP));
    }
    Ok(())
}

/// Checks a glob for changed paths: `*` stays within a folder, `**` doesn't.
pub(super) fn glob(text: &str) -> Result<(), Fault> {
    inside_tree(text)?;
    if text.len() > MAX_GLOB {
        return Err(Fault::new("a glob has at most 1024 bytes"));
    }
    // Parsing isn't enough: deep alternatives parse, and then can't become a matcher.
    let parsed = GlobBuilder::new(text).literal_separator(true).build();
    let built = parsed.and_then(|glob| match text.contains('{') {
        true => GlobSetBuilder::new().add(glob).build().map(drop),
        false => Ok(()),
    });
    built.map_err(|error| Fault::with(format!("this isn't a glob: {}", error.kind()), "as in src/** or *.rs"))
}

/// Checks a commit-ish as far as text can tell; whether it exists is for the run's start to see.
pub(super) fn commitish(text: &str) -> Result<(), Fault> {
    if text.trim().is_empty() {
        return Err(Fault::with("a base can't be empty", "leave the key out for HEAD"));
    }
    // A leading dash would be an option to git; no ref can begin with one.
    if text.starts_with('-') || text.chars().any(char::is_control) || text.len() > 1024 {
        return Err(Fault::new("a base is a branch, tag or commit, and can't begin with `-`"));
    }
    if text.contains("..") {
        return Err(Fault::new("a base is one commit, not a range"));
    }
    Ok(())
}

/// The known name that a mistaken one most likely means: at most a third of it differs.
pub(super) fn nearest<'k>(found: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // Longer texts are no slips of the hand, and the distance costs their square.
    if found.len() > 2 * MAX_SLUG {
        return None;
    }
    // One edit makes any short name of any other: there only the case may differ.
    let most = (found.chars().count() / 3).min(4);
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(same) = known.iter().find(|name| name.eq_ignore_ascii_case(found)) {
        return Some(same);
    }
    let close = known.into_iter().filter(|name| name.len().abs_diff(found.len()) <= 2 * most);
    let scored = close.map(|name| (distance(found, name), name)).filter(|(score, _)| *score <= most);
    scored.filter(|(score, _)| *score > 0).min_by_key(|(score, _)| *score).map(|(_, name)| name)
}

/// Edits between two texts, a swap of neighbours counted as one.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (index, row) in rows.iter_mut().enumerate() {
        row[0] = index;
    }
    rows[0] = (0..=right.len()).collect();
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            // Changing, leaving out, putting in.
            let change = usize::from(left[i - 1] != right[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}

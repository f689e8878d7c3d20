//! Long lines for a terminal: broken between words, never inside a command that somebody pastes.
//!
//! It leaves out tables, which break by themselves, and texts that go to no terminal.

use super::table::Screen;

/// The narrowest line that is worth breaking for.
const NARROW: usize = 30;
/// Words that a command may have before it is broken like any other text.
const COMMAND_MAX: usize = 8;

/// The text with its long lines broken; what follows a break stands two columns further in.
#[must_use]
pub fn wrapped(text: &str, screen: Screen) -> String {
    let Some(width) = screen.width.filter(|width| *width >= NARROW) else { return text.to_owned() };
    text.split_inclusive('\n').fold(String::with_capacity(text.len() + 16), |mut out, line| {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        let lead = line.len() - line.trim_start_matches(' ').len();
        let hang = if lead > 0 { lead + 2 } else { 0 };
        out.push_str(&broken(line, width, hang));
        out.push_str(end);
        out
    })
}

/// One line at most `width` wide, as far as its words allow; the lines after the first begin
/// with `hang` blanks.
#[must_use]
pub fn broken(line: &str, width: usize, hang: usize) -> String {
    if columns(line) <= width {
        return line.to_owned();
    }
    let lead = line.len() - line.trim_start_matches(' ').len();
    let mut out = " ".repeat(lead);
    let (mut used, mut first) = (lead, true);
    for piece in pieces(line.trim_start_matches(' ')) {
        let wide = columns(&piece);
        if !first && used + 1 + wide > width {
            out.push('\n');
            out.push_str(&" ".repeat(hang));
            used = hang;
        } else if !first {
            out.push(' ');
            used += 1;
        }
        out.push_str(&piece);
        used += wide;
        first = false;
    }
    out
}

/// Words, and commands of ours as one piece each.
fn pieces(line: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut command = 0;
    for word in line.split(' ') {
        match pieces.last_mut().filter(|_| command > 0) {
            Some(piece) => {
                piece.push(' ');
                piece.push_str(word);
                command += 1;
            }
            None => {
                pieces.push(word.to_owned());
                command = usize::from(word.trim_start_matches(['`', '(']) == "ilchul");
            }
        }
        if command > COMMAND_MAX || (command > 1 && word.ends_with([',', '.', '`', ')', ':', ';'])) {
            command = 0;
        }
    }
    pieces
}

/// How wide a text is without its colours; every character of ours is one column.
pub(super) fn columns(text: &str) -> usize {
    anstream::adapter::strip_str(text).to_string().chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(width: Option<usize>) -> Screen {
        Screen { color: false, width, now_ms: 0 }
    }

    #[test]
    fn words_stay_whole_and_a_broken_line_hangs_below_its_beginning() {
        let text = "one two three four five six seven eight\n  task  pending: it waits for another task\n";
        assert_eq!(
            wrapped(text, screen(Some(30))),
            "one two three four five six\nseven eight\n  task  pending: it waits for\n    another task\n"
        );
        assert_eq!(wrapped(text, screen(None)), text);
    }

    #[test]
    fn a_command_that_can_be_pasted_is_in_one_line() {
        let text =
            "It waits for you. Answer: ilchul approve package, or `ilchul deny package --run 2026`. Or wait.";
        assert_eq!(
            wrapped(text, screen(Some(40))),
            "It waits for you. Answer:\nilchul approve package, or\n`ilchul deny package --run 2026`. Or\nwait."
        );
    }

    #[test]
    fn colours_take_no_room_and_a_long_word_is_never_cut() {
        let red = "\u{1b}[31mfailed\u{1b}[0m";
        assert_eq!(
            wrapped(&format!("a task that {red} in there"), screen(Some(30))),
            format!("a task that {red} in there")
        );
        let long = "x".repeat(50);
        assert_eq!(wrapped(&format!("at {long} so"), screen(Some(30))), format!("at\n{long}\nso"));
    }
}

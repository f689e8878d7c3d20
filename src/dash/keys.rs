//! Keys, as far as the dashboard knows them, and the lines that tell people about them.
//!
//! It leaves out the terminal's own coding of keys.

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A letter, digit or sign, with Shift already in it.
    Char(char),
    /// The same held with Ctrl.
    Ctrl(char),
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// The key that takes the last letter away.
    Backspace,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// One page up.
    PageUp,
    /// One page down.
    PageDown,
    /// To the beginning.
    Home,
    /// To the end.
    End,
}

/// How far a key moves something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// So many lines, up where it is below zero.
    Lines(isize),
    /// So many pages.
    Pages(isize),
    /// To the beginning.
    First,
    /// To the end.
    Last,
}

impl Key {
    /// The movement that it asks for, in a list or in a text alike.
    pub(super) fn step(self) -> Option<Step> {
        Some(match self {
            Self::Char('j') | Self::Down | Self::Ctrl('n') => Step::Lines(1),
            Self::Char('k') | Self::Up | Self::Ctrl('p') => Step::Lines(-1),
            Self::Char('g') | Self::Home => Step::First,
            Self::Char('G') | Self::End => Step::Last,
            Self::PageUp | Self::Ctrl('b' | 'u') => Step::Pages(-1),
            Self::PageDown | Self::Ctrl('f' | 'd') => Step::Pages(1),
            Self::Char(_) | Self::Ctrl(_) | Self::Enter | Self::Esc | Self::Tab | Self::Backspace => {
                return None;
            }
        })
    }
}

/// Every key and what it does, for `?`: short enough for 80 columns and 24 lines.
pub(super) const HELP: &[(&str, &str)] = &[
    ("j k g G, arrows", "the next task, the one before, the first, the last"),
    ("w", "the next task that waits for you, else the next that failed"),
    ("/", "only tasks with these words in their name, state or kind"),
    ("t", "as a tree of what tasks need, or in the workflow's order"),
    ("Enter", "its terminal; leave that as tmux has it, and come back"),
    ("y", "why the task is where it is, and what would change it"),
    ("l", "what its worker printed, as it comes"),
    ("e", "its evidence"),
    ("D", "what it has committed, against its base"),
    ("PgUp PgDn, Ctrl-u d", "scroll that text"),
    ("Tab", "that text alone, where j and k scroll it; and back"),
    ("Esc", "close what is open; then show all tasks again"),
    ("a", "answer: a question, an approval; decide about a lost worker"),
    ("r", "retry what ended without success"),
    ("c", "cancel; what its worker made stays"),
    ("Ctrl-l, Ctrl-z", "draw anew; to the shell, until `fg`"),
    ("q, Ctrl-c", "leave; the run goes on"),
];

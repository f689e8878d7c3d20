//! The picture: a head with what matters most, the tasks, a text beside them, and the keys.
//!
//! Only what is in sight is drawn. Every place fits whatever size there is, and the words alone
//! say everything: colour is a second cue, and the selected line has a mark of its own. It
//! leaves out the columns of the list (`columns`).

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use super::columns::Columns;
use super::decide;
use super::model::{Dash, Mode};
use super::pane::{Kind, Topic};
use crate::engine::budget::Channel;
use crate::engine::state::RunPhase;
use crate::engine::task_table::TaskPhase;
use crate::render::bar::bar;
use crate::render::fit::{fit, width, wrap};
use crate::render::table::Tone;
use crate::render::words::{ago, count, line, list, short, span, up};

/// Lines of the head where there is room for all.
const HEAD: u16 = 3;
/// Under this height the head is one line.
const LOW: u16 = 10;
/// The fewest lines of the list beside a text.
const LIST_MIN: usize = 4;
/// The fewest lines of a text; with fewer it has the place to itself.
const TEXT_MIN: usize = 4;
/// The most lines of a question.
const QUESTION_MAX: usize = 6;
/// The widest bar.
const BAR_MAX: usize = 42;
/// What is said of a run without a supervisor, before what to type.
const NOBODY: &str = "Nobody drives this run. Go on with: ";
/// Tasks that are named where they are counted.
const NAMED: usize = 3;

/// What is drawn on.
pub(super) struct Paper<'b> {
    buffer: &'b mut Buffer,
    color: bool,
}

impl Paper<'_> {
    /// Writes a line of text, cut or filled to the width of `place`; only its first line is used.
    pub(super) fn line(&mut self, place: Rect, text: &str, style: Style) {
        if place.width > 0 && place.height > 0 {
            let columns = usize::from(place.width);
            self.buffer.set_stringn(place.x, place.y, fit(text, columns), columns, style);
        }
    }

    /// The style of a tone; without colour, words and marks have to do.
    pub(super) fn tone(&self, tone: Tone) -> Style {
        let color = match tone {
            Tone::Plain => return Style::new(),
            Tone::Dim => return Style::new().add_modifier(Modifier::DIM),
            Tone::Good => Color::Green,
            Tone::Warn => Color::Yellow,
            Tone::Bad => Color::Red,
        };
        if self.color { Style::new().fg(color) } else { Style::new() }
    }
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// The first `lines` of a place, and the rest.
fn split(place: Rect, lines: u16) -> (Rect, Rect) {
    let lines = lines.min(place.height);
    let top = Rect { height: lines, ..place };
    (top, Rect { y: place.y + lines, height: place.height - lines, ..place })
}

/// The `line`th line of a place; empty beyond its end.
pub(super) fn nth(place: Rect, line: usize) -> Rect {
    let line = u16::try_from(line).unwrap_or(u16::MAX).min(place.height);
    Rect { y: place.y + line, height: (place.height - line).min(1), ..place }
}

fn lines(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

impl Dash {
    /// Draws it on all of `buffer`.
    pub fn draw(&mut self, buffer: &mut Buffer, color: bool) {
        let all = *buffer.area();
        let mut paper = Paper { buffer, color };
        if all.width == 0 || all.height == 0 {
            return;
        }
        let foot = self.foot(usize::from(all.width));
        let head = if all.height < LOW { 1 } else { HEAD };
        let (head, rest) = split(all, head);
        let (body, last) = split(rest, rest.height.saturating_sub(lines(foot.len())));
        self.head(&mut paper, head);
        for (number, (text, style)) in foot.iter().enumerate() {
            paper.line(nth(last, number), text, *style);
        }
        self.body(&mut paper, body);
    }

    fn head(&self, paper: &mut Paper<'_>, place: Rect) {
        let columns = usize::from(place.width);
        let ((what, more), id) = (self.title(), &self.look.view.id);
        let room = columns.saturating_sub(width(id) + 2);
        let whole = format!("{what}{more}");
        let first = match [&whole, &what].into_iter().find(|title| width(title) <= room) {
            Some(title) => format!("{}  {id}", fit(title, room)),
            None => whole.clone(),
        };
        paper.line(nth(place, 0), &first, bold());
        let line = self.tally(columns);
        paper.line(nth(place, 1), &line, Style::new());
        let (alert, tone) = self.alert();
        let style = paper.tone(tone).add_modifier(if tone == Tone::Warn {
            Modifier::BOLD
        } else {
            Modifier::empty()
        });
        paper.line(nth(place, 2), &alert, style);
    }

    /// Which run, where it is, and since when; what may be left out.
    fn title(&self) -> (String, String) {
        let (view, now) = (&self.look.view, self.look.now_ms);
        let name = line(&view.workflow);
        let from = format!(" from {} ({})", line(&view.base_name), line(short(&view.base)));
        let started = ago(now, view.started_at.wall_ms);
        match (view.phase, self.look.held) {
            (RunPhase::Running, true) => (format!("{name} is running, started {started}"), from),
            (RunPhase::Running, false) | (RunPhase::Interrupted, _) => {
                let last = span(now.saturating_sub(view.last_at.wall_ms));
                (format!("{name} is interrupted for {last}"), format!(", started {started}"))
            }
            (RunPhase::Ended { success }, _) => {
                let how = if success { "with success" } else { "without success" };
                let ended = view.ended_at.unwrap_or(view.last_at).wall_ms;
                let took = span(ended.saturating_sub(view.started_at.wall_ms));
                (format!("{name} has ended {how} {}", ago(now, ended)), format!(", after {took}"))
            }
        }
    }

    /// How far it is, and what is used of its bounds.
    fn tally(&self, columns: usize) -> String {
        let view = &self.look.view;
        let number = |which: &dyn Fn(TaskPhase) -> bool| {
            view.tasks.iter().filter(|task| !task.removed && which(task.phase)).count()
        };
        let fine = number(&|phase| matches!(phase, TaskPhase::Completed | TaskPhase::Skipped));
        let over = number(&TaskPhase::is_terminal);
        let now = number(&|phase| phase.is_held() || phase == TaskPhase::Verifying);
        let total = number(&|_| true);
        let bar = bar(&[('#', fine), ('x', over - fine), ('>', now)], total, (columns / 4).min(BAR_MAX));
        let mut parts = vec![format!("{bar} {over} of {total} ended")];
        let budget = &view.budget;
        if let Some(total) = budget.workers.total {
            parts.push(format!("workers {}/{total}", budget.workers.used));
        }
        // What has a bound first: there may not be room for all.
        if let Some(total) = budget.wall.total {
            // On the run's own line it stands still between two events.
            let since =
                if self.look.held { self.look.now_ms.saturating_sub(view.last_at.wall_ms) } else { 0 };
            let since = if self.is_over() { 0 } else { since.max(0) };
            parts.push(format!("time {} of {}", span(budget.wall.used.saturating_add(since)), span(total)));
        }
        for (channel, line) in [(Channel::Tokens, &budget.tokens), (Channel::Usd, &budget.usd)] {
            if let Some(total) = line.total {
                let number = |amount: i64| channel.number(amount);
                let used = line.used.saturating_add(line.reserved);
                parts.push(format!("{} {}/{}", channel.word(), number(used), number(total)));
            }
        }
        parts.push(match budget.attempts.total {
            Some(total) => format!("attempts {}/{total}", budget.attempts.used),
            None => format!("attempts {}", budget.attempts.used),
        });
        parts.join("  ")
    }

    /// The one thing that a person should know.
    fn alert(&self) -> (String, Tone) {
        let view = &self.look.view;
        let named = |places: &[usize]| {
            let mut names: Vec<&str> =
                places.iter().take(NAMED).map(|at| view.tasks[*at].id.as_str()).collect();
            let more = places.len().saturating_sub(NAMED);
            let more = format!("{more} more");
            if places.len() > NAMED {
                names.push(&more);
            }
            list(&names)
        };
        let is_over = self.is_over();
        let verb = if self.waiting.len() == 1 { "waits" } else { "wait" };
        let waits = format!("{} {verb} for you: w goes there", named(&self.waiting));
        match (is_over, self.look.held, self.waiting.is_empty()) {
            (false, false, true) => return (format!("! {NOBODY}{}", up(&view.path)), Tone::Warn),
            (false, false, false) => return (format!("! {NOBODY}{}; {waits}", up(&view.path)), Tone::Warn),
            (false, true, false) => return (format!("! {waits}"), Tone::Warn),
            (true, _, _) | (false, true, true) => {}
        }
        if let Some(halted) = view.halted.as_ref().filter(|_| !is_over) {
            return (format!("! Nothing new starts: {}", line(&halted.reason)), Tone::Warn);
        }
        if !self.failed.is_empty() {
            return (format!("x {} failed: w goes there", named(&self.failed)), Tone::Bad);
        }
        (String::new(), Tone::Plain)
    }

    /// The lines at the bottom: a question, a filter, what was said, or the keys.
    fn foot(&self, columns: usize) -> Vec<(String, Style)> {
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        match (&self.mode, &self.said) {
            (Mode::Asked(asked), _) => {
                let words = wrap(&asked.words, columns, true).into_iter().take(QUESTION_MAX - 1);
                let mut foot: Vec<(String, Style)> =
                    words.map(|part| (asked.words[part].to_owned(), reversed)).collect();
                foot.push((asked.keys.to_owned(), reversed));
                foot
            }
            (Mode::Reply(reply), _) => {
                let asked = format!("`{}` asks: {}", reply.task, reply.question);
                let words = wrap(&asked, columns, true).into_iter().take(QUESTION_MAX - 1);
                let mut foot: Vec<(String, Style)> =
                    words.map(|part| (asked[part].to_owned(), reversed)).collect();
                foot.push((typed(&reply.text, columns), reversed));
                foot
            }
            (Mode::Filter(_), _) => {
                let found = count(self.rows.len(), "task");
                vec![(format!("/{}_  {found}; Enter keeps it, Esc doesn't", self.order.filter), reversed)]
            }
            (Mode::Browse, Some((words, tone))) => {
                let tone = if *tone == Tone::Plain { Style::new() } else { bold() };
                let parts = wrap(words, columns, true).into_iter().take(QUESTION_MAX);
                parts.map(|part| (words[part].to_owned(), tone)).collect()
            }
            (Mode::Browse, None) => {
                let dim = Style::new().add_modifier(Modifier::DIM);
                let mut foot = vec![(self.keys(columns), dim)];
                if !self.order.filter.is_empty() {
                    // What is hidden is said for as long as it is.
                    let (shown, all) = (self.rows.len(), count(self.look.view.tasks.len(), "task"));
                    let words = format!("/{}: {shown} of {all}; Esc shows all", self.order.filter);
                    foot.insert(0, (words, reversed));
                }
                foot
            }
        }
    }

    /// As many keys as there is room for, those first that one looks for first.
    fn keys(&self, columns: usize) -> String {
        let zoomed = self.is_zoomed();
        // What the selected task needs of a person comes first, where there is always room for it.
        let task = self.task().filter(|_| !zoomed);
        let first: &[&str] = match task {
            Some(task) if decide::waits(task, self.worker(task)) => &["a answer"],
            Some(task) if task.phase == TaskPhase::Failed => &["r retry"],
            Some(_) | None => &[],
        };
        let keys: &[&str] = if zoomed {
            &["j k scroll", "g G ends", "Esc back", "? keys", "q quit"]
        } else {
            &[
                "? keys",
                "q quit",
                "Enter attach",
                "l log",
                "e evidence",
                "D diff",
                "y why",
                "w waiting",
                "/ filter",
                "t tree",
                "a answer",
                "r retry",
                "c cancel",
            ]
        };
        if self.pane.as_ref().is_some_and(|pane| pane.kind == Kind::Help) {
            return "j k scroll  any other key goes back".to_owned();
        }
        let rest = keys.iter().filter(|key| !first.contains(key));
        first.iter().chain(rest).fold(String::new(), |mut text, key| {
            let gap = if text.is_empty() { "" } else { "  " };
            if width(&text) + gap.len() + key.len() <= columns {
                text.push_str(gap);
                text.push_str(key);
            }
            text
        })
    }

    fn body(&mut self, paper: &mut Paper<'_>, place: Rect) {
        let all = usize::from(place.height);
        let has_text = self.pane.is_some();
        let fits = all >= LIST_MIN + TEXT_MIN + 2;
        if has_text && (self.is_zoomed() || !fits) {
            return self.text(paper, place);
        }
        // With its heading, as long as it is, but never more than half where there is a text.
        let wanted = self.rows.len().max(1) + 1;
        let most = if has_text { (all / 2).max(LIST_MIN + 1) } else { all };
        let (top, rest) = split(place, lines(wanted.min(most)));
        self.list(paper, top);
        if has_text {
            self.text(paper, rest);
        }
    }

    fn list(&mut self, paper: &mut Paper<'_>, place: Rect) {
        let (head, body) = split(place, 1);
        self.height = usize::from(body.height);
        self.top = self.top.min(self.selected).min(self.rows.len().saturating_sub(self.height));
        if self.height > 0 && self.selected >= self.top + self.height {
            self.top = self.selected + 1 - self.height;
        }
        let columns = Columns::new(self, usize::from(place.width));
        paper.line(head, &columns.head(), Style::new().add_modifier(Modifier::DIM));
        if self.rows.is_empty() {
            let filter = &self.order.filter;
            paper.line(
                nth(body, 0),
                &format!("  No task has all of `{filter}`. Esc shows all."),
                Style::new(),
            );
        }
        for (number, row) in self.rows.iter().enumerate().skip(self.top).take(self.height) {
            let cells = columns.row(self, row);
            columns.draw(paper, nth(body, number - self.top), (&cells, number == self.selected));
        }
    }

    fn text(&mut self, paper: &mut Paper<'_>, place: Rect) {
        self.explain();
        let wanted = self.topic();
        let task = self.task().map(|task| (task.id.clone(), task.worker.clone()));
        let Some(pane) = &mut self.pane else { return };
        let (title, body) = split(place, 1);
        pane.lay_out(usize::from(body.width), usize::from(body.height));
        let (task, worker) = task.unwrap_or_default();
        let worker = worker.unwrap_or_else(|| task.clone());
        let mut name = match pane.kind {
            Kind::Why => format!("why {task}"),
            Kind::Log => format!("log of {worker}"),
            Kind::Evidence => format!("evidence of {worker}"),
            Kind::Diff => format!("diff of {worker}"),
            Kind::Help => "keys".to_owned(),
        };
        for more in
            [Some(pane.note.clone()), pane.place()].into_iter().flatten().filter(|more| !more.is_empty())
        {
            name.push_str(&format!("  {more}"));
        }
        let line = format!("── {name} ");
        let rule = "─".repeat(usize::from(title.width).saturating_sub(width(&line)));
        paper.line(title, &format!("{line}{rule}"), Style::new().add_modifier(Modifier::DIM));
        let has = |wanted: &Topic| pane.topic.as_ref().is_some_and(|topic| topic.is_about(wanted));
        if !wanted.as_ref().is_none_or(has) {
            // What is there is about another task; the right text is on its way.
            return;
        }
        let is_diff = pane.kind == Kind::Diff;
        let parts: Vec<(String, Tone)> = pane
            .shown()
            .map(|(part, whole)| (part.to_owned(), if is_diff { diff_tone(whole) } else { Tone::Plain }))
            .collect();
        for (number, (part, tone)) in parts.iter().enumerate() {
            let style = paper.tone(*tone);
            paper.line(nth(body, number), part, style);
        }
    }
}

/// The end of an answer that is being typed: what is typed next is always in sight.
fn typed(text: &str, columns: usize) -> String {
    let room = columns.saturating_sub("> _".len());
    let mut rest = text;
    while width(rest) > room {
        let mut letters = rest.chars();
        letters.next();
        rest = letters.as_str();
    }
    let keys = "   Enter sends it, Esc doesn't";
    let keys = if width(rest) + keys.len() <= room { keys } else { "" };
    format!("> {rest}_{keys}")
}

/// The colour of a line of a diff.
fn diff_tone(line: &str) -> Tone {
    match line.as_bytes() {
        [b'+', ..] => Tone::Good,
        [b'-', ..] => Tone::Bad,
        [b'@', b'@', ..] => Tone::Warn,
        [b' ', ..] => Tone::Plain,
        _ => Tone::Dim,
    }
}

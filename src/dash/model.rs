//! The dashboard's state: what a look and a key do to it.
//!
//! It leaves out the drawing (`draw`) and the asking before a decision (`decide`).

use std::collections::HashMap;

use super::decide::{self, Asked, Reply};
use super::keys::{Key, Step};
use super::list::{Order, Row};
use super::pane::{Kind, Pane, Topic, signed};
use super::{Look, Progress, Wish, help};
use crate::engine::state::RunPhase;
use crate::engine::task_table::TaskPhase;
use crate::engine::view::{TaskView, WorkerView};
use crate::render::table::{Screen as Paper, Tone};
use crate::render::why::Why;
use crate::render::{Beside, control, fit};

/// From this height on, in lines, a first look has room for the reasons below the list.
const ROOMY: u16 = 20;
/// The longest filter, in letters.
const FILTER_MAX: usize = 80;
/// The longest answer that is typed here, in letters; `ilchul answer TASK -` takes longer ones.
const REPLY_MAX: usize = 1_000;

/// What keys mean right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    Browse,
    /// A filter is being typed; what it was before.
    Filter(String),
    /// A decision waits for its confirmation.
    Asked(Asked),
    /// An answer is being typed.
    Reply(Reply),
}

/// The dashboard.
#[derive(Debug)]
pub struct Dash {
    pub(super) look: Look,
    /// How many looks there were.
    looks: usize,
    /// The run was named by its user, so commands name it too.
    named: bool,
    pub(super) order: Order,
    pub(super) rows: Vec<Row>,
    /// The widest name with what stands before it, in columns.
    pub(super) widest: usize,
    /// The longest word for a state among the tasks.
    pub(super) state: usize,
    /// The places of workers in the view.
    workers: HashMap<String, usize>,
    /// The places of the tasks that wait for a person; of those that failed for good.
    pub(super) waiting: Vec<usize>,
    pub(super) failed: Vec<usize>,
    pub(super) selected: usize,
    pub(super) top: usize,
    /// Lines of the list on the screen.
    pub(super) height: usize,
    pub(super) pane: Option<Pane>,
    /// What was open before the keys were.
    beneath: Option<Kind>,
    /// The text has the screen to itself.
    pub(super) zoomed: bool,
    pub(super) mode: Mode,
    pub(super) said: Option<(String, Tone)>,
}

/// Whether a letter may stand on the screen as it is.
fn is_plain(c: char) -> bool {
    let text = String::from(c);
    crate::render::clean(&text) == text && !c.is_control()
}

impl Dash {
    /// A first look, on a screen of so many lines.
    #[must_use]
    pub fn new(look: Look, named: bool, lines: u16) -> Self {
        let mut dash = Self {
            look,
            looks: 0,
            named,
            order: Order::default(),
            rows: Vec::new(),
            widest: 0,
            state: 0,
            workers: HashMap::new(),
            waiting: Vec::new(),
            failed: Vec::new(),
            selected: 0,
            top: 0,
            height: 0,
            pane: (lines >= ROOMY).then(|| Pane::new(Kind::Why)),
            beneath: None,
            zoomed: false,
            mode: Mode::Browse,
            said: None,
        };
        dash.index();
        dash.arrange();
        dash
    }

    /// Another look at the same run, or at the one that came after it.
    pub fn observe(&mut self, look: Look) {
        let selected = self.task().map(|task| task.id.clone());
        let another = self.look.view.id != look.view.id;
        self.look = look;
        self.looks += 1;
        self.index();
        self.arrange();
        self.select(selected.as_deref());
        if another {
            self.pane = self.pane.take().map(|pane| Pane::new(pane.kind));
            self.say(&format!("Another run has begun: {}", self.look.view.id), Tone::Warn);
        }
        if let Mode::Asked(asked) = &self.mode
            && !asked.still_holds(&self.look)
        {
            let task = asked.task.clone();
            self.mode = Mode::Browse;
            self.say(&format!("`{task}` has changed meanwhile: nothing was done."), Tone::Warn);
        }
        if let Mode::Reply(reply) = &self.mode
            && !reply.still_holds(&self.look)
        {
            let task = reply.task.clone();
            self.mode = Mode::Browse;
            self.say(&format!("`{task}` asks that no more: nothing was sent."), Tone::Warn);
        }
    }

    /// What moves without an event: heartbeats, and the time.
    pub fn pulse(
        &mut self,
        beside: Beside,
        progress: std::collections::BTreeMap<String, Progress>,
        now_ms: i64,
    ) {
        (self.look.beside, self.look.progress, self.look.now_ms) = (beside, progress, now_ms);
    }

    /// Tells something, until the next key.
    pub fn say(&mut self, words: &str, tone: Tone) {
        self.said = Some((crate::render::words::line(words), tone));
    }

    /// The run that is shown.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.look.view.id
    }

    /// The text that somebody has to fetch for what is open now.
    #[must_use]
    pub fn topic(&self) -> Option<Topic> {
        let kind = self.pane.as_ref()?.kind;
        let task = self.task()?;
        let version = match kind {
            Kind::Why | Kind::Help => return None,
            Kind::Log => (0, 0),
            Kind::Evidence | Kind::Diff => (task.evidence.len(), task.since.moment.0),
        };
        Some(Topic { kind, task: task.id.clone(), attempt: task.attempt, version })
    }

    /// Shows a text that was fetched, if it is still what is wanted.
    pub fn put(&mut self, topic: &Topic, text: &str, note: &str) {
        if self.topic().is_some_and(|wanted| wanted.is_about(topic))
            && let Some(pane) = &mut self.pane
        {
            pane.put(Some(topic.clone()), text, note);
        }
    }

    /// One key.
    pub fn key(&mut self, key: Key) -> Option<Wish> {
        self.said = None;
        match (&self.mode, key) {
            // These mean the same everywhere.
            (_, Key::Ctrl('c')) => return Some(Wish::Quit),
            (_, Key::Ctrl('z')) => return Some(Wish::Suspend),
            (_, Key::Ctrl('l')) => return Some(Wish::Redraw),
            (Mode::Asked(asked), key) => {
                let wish = asked.answer(key);
                self.mode = Mode::Browse;
                if wish.is_none() {
                    self.say("Nothing was done.", Tone::Plain);
                }
                return wish;
            }
            (Mode::Reply(_), key) => return self.type_reply(key),
            (Mode::Filter(before), key) => {
                let before = before.clone();
                self.type_filter(key, before);
            }
            (Mode::Browse, key) => return self.browse(key),
        }
        None
    }

    fn type_reply(&mut self, key: Key) -> Option<Wish> {
        let Mode::Reply(reply) = &mut self.mode else { return None };
        match key {
            Key::Enter if !reply.text.trim().is_empty() => {
                let wish = Wish::Reply(reply.task.clone(), reply.text.clone());
                self.mode = Mode::Browse;
                return Some(wish);
            }
            Key::Esc | Key::Enter => {
                self.mode = Mode::Browse;
                self.say("Nothing was sent.", Tone::Plain);
            }
            Key::Backspace => {
                reply.text.pop();
            }
            Key::Ctrl('u') => reply.text.clear(),
            Key::Char(c) if reply.text.chars().count() < REPLY_MAX && is_plain(c) => reply.text.push(c),
            Key::Char(_)
            | Key::Ctrl(_)
            | Key::Tab
            | Key::Up
            | Key::Down
            | Key::PageUp
            | Key::PageDown
            | Key::Home
            | Key::End => {}
        }
        None
    }

    fn type_filter(&mut self, key: Key, before: String) {
        let filter = &mut self.order.filter;
        match key {
            Key::Enter => self.mode = Mode::Browse,
            Key::Esc => {
                self.order.filter = before;
                self.mode = Mode::Browse;
            }
            Key::Backspace => {
                filter.pop();
            }
            Key::Ctrl('u') => filter.clear(),
            Key::Char(c) if filter.chars().count() < FILTER_MAX && is_plain(c) => filter.push(c),
            Key::Up | Key::Down | Key::PageUp | Key::PageDown | Key::Home | Key::End => {
                self.go(key.step());
            }
            Key::Char(_) | Key::Ctrl(_) | Key::Tab => {}
        }
        self.rearrange();
    }

    fn browse(&mut self, key: Key) -> Option<Wish> {
        if self.is_zoomed()
            && let Some(pane) = &mut self.pane
        {
            match (key.step(), pane.kind) {
                (Some(step), _) => {
                    pane.scroll(step);
                    return None;
                }
                // A page to read: whatever is pressed, nothing happens to a task that isn't seen.
                (None, Kind::Help) => {
                    self.pane = self.beneath.take().map(Pane::new);
                    return None;
                }
                (None, Kind::Why | Kind::Log | Kind::Evidence | Kind::Diff) => {}
            }
        }
        match (key.step(), &mut self.pane) {
            // A page belongs to the text, where there is one.
            (Some(step @ Step::Pages(_)), Some(pane)) => {
                pane.scroll(step);
                return None;
            }
            (Some(step), _) => {
                self.go(Some(step));
                return None;
            }
            (None, _) => {}
        }
        match key {
            Key::Char('q') => return Some(Wish::Quit),
            Key::Enter => return self.attach(),
            Key::Esc => self.close(),
            Key::Tab => self.zoomed = self.pane.is_some() && !self.zoomed,
            Key::Char('w') => self.next_waiting(),
            Key::Char('/') => self.mode = Mode::Filter(self.order.filter.clone()),
            Key::Char('t') => {
                self.order.tree = !self.order.tree;
                self.rearrange();
            }
            Key::Char('y') => self.open(Kind::Why),
            Key::Char('l') => self.open(Kind::Log),
            Key::Char('e') => self.open(Kind::Evidence),
            Key::Char('D') => self.open(Kind::Diff),
            Key::Char('?') => self.open(Kind::Help),
            Key::Char(c @ ('a' | 'r' | 'c')) => self.ask(c),
            Key::Char(c) => self.say(&format!("`{c}` does nothing; `?` shows the keys."), Tone::Plain),
            Key::Ctrl(_)
            | Key::Backspace
            | Key::Up
            | Key::Down
            | Key::PageUp
            | Key::PageDown
            | Key::Home
            | Key::End => {}
        }
        None
    }

    fn ask(&mut self, key: char) {
        let Some(task) = self.task() else { return };
        // Whose worker is lost is decided about; nobody is there who would read an answer.
        let reply = Reply::to(task).filter(|_| key == 'a' && !decide::is_lost(self.worker(task)));
        if let Some(reply) = reply {
            self.mode = Mode::Reply(reply);
            return;
        }
        match decide::ask(key, task, self.worker(task)) {
            Ok(asked) => self.mode = Mode::Asked(asked),
            Err(why) => self.say(&why, Tone::Plain),
        }
    }

    fn attach(&mut self) -> Option<Wish> {
        let task = self.task()?;
        match &task.worker {
            Some(worker) => Some(Wish::Attach(worker.clone())),
            None => {
                let why = format!("`{}` has no worker: it is {}.", task.id, task.phase);
                self.say(&why, Tone::Plain);
                None
            }
        }
    }

    /// Opens a text; the one that is open already is closed.
    pub fn open(&mut self, kind: Kind) {
        if self.pane.as_ref().is_some_and(|pane| pane.kind == kind) {
            self.close();
            return;
        }
        let mut pane = Pane::new(kind);
        if kind == Kind::Help {
            self.beneath = self.pane.as_ref().map(|pane| pane.kind);
            pane.put(None, &help::lines().join("\n"), "");
        }
        self.pane = Some(pane);
    }

    fn close(&mut self) {
        if self.zoomed && self.pane.is_some() {
            self.zoomed = false;
        } else if self.pane.take().is_none() && !self.order.filter.is_empty() {
            self.order.filter.clear();
            self.rearrange();
        }
    }

    /// Whether the text has the screen to itself; the keys always have.
    pub(super) fn is_zoomed(&self) -> bool {
        self.pane.as_ref().is_some_and(|pane| self.zoomed || pane.kind == Kind::Help)
    }

    fn next_waiting(&mut self) {
        let (places, word) = match (self.waiting.is_empty(), self.failed.is_empty()) {
            (false, _) => (&self.waiting, None),
            (true, false) => (&self.failed, Some("Nothing waits for you; this one failed.")),
            (true, true) => return self.say("Nothing waits for you.", Tone::Plain),
        };
        let row_of = |task: &usize| self.rows.iter().position(|row| row.task == *task);
        let mut rows: Vec<usize> = places.iter().filter_map(row_of).collect();
        rows.sort_unstable();
        let Some(next) = rows.iter().find(|row| **row > self.selected).or(rows.first()).copied() else {
            return self.say("What waits for you isn't among what the filter shows.", Tone::Warn);
        };
        self.selected = next;
        if let Some(word) = word {
            self.say(word, Tone::Plain);
        }
    }

    fn go(&mut self, step: Option<Step>) {
        let last = self.rows.len().saturating_sub(1);
        let page = signed(self.height.saturating_sub(1).max(1));
        self.selected = match step {
            Some(Step::Lines(by)) => self.selected.saturating_add_signed(by),
            Some(Step::Pages(by)) => self.selected.saturating_add_signed(by.saturating_mul(page)),
            Some(Step::First) => 0,
            Some(Step::Last) => last,
            None => self.selected,
        }
        .min(last);
    }

    /// The task that is selected.
    pub(super) fn task(&self) -> Option<&TaskView> {
        self.rows.get(self.selected).map(|row| &self.look.view.tasks[row.task])
    }

    /// The worker of a task's last attempt.
    pub(super) fn worker(&self, task: &TaskView) -> Option<&WorkerView> {
        let place = *self.workers.get(task.worker.as_ref()?)?;
        self.look.view.workers.get(place)
    }

    fn rearrange(&mut self) {
        let selected = self.task().map(|task| task.id.clone());
        self.arrange();
        self.select(selected.as_deref());
    }

    fn arrange(&mut self) {
        self.rows = self.order.rows(&self.look.view);
        let width = |row: &Row| 2 * row.depth + fit::width(&self.look.view.tasks[row.task].id);
        self.widest = self.rows.iter().map(width).max().unwrap_or(0);
        let states = self.look.view.tasks.iter().map(|task| task.phase.word().len());
        self.state = states.max().unwrap_or(0);
    }

    /// Stays on a task, or else where it stood.
    fn select(&mut self, task: Option<&str>) {
        let stays = |row: &Row| Some(self.look.view.tasks[row.task].id.as_str()) == task;
        let found = self.rows.iter().position(stays).unwrap_or(self.selected);
        self.selected = found.min(self.rows.len().saturating_sub(1));
    }

    fn index(&mut self) {
        let view = &self.look.view;
        let workers = view.workers.iter().enumerate();
        self.workers = workers.map(|(place, worker)| (worker.id.clone(), place)).collect();
        let (mut waiting, mut failed) = (Vec::new(), Vec::new());
        for (place, task) in view.tasks.iter().enumerate() {
            if decide::waits(task, self.worker(task)) {
                waiting.push(place);
            } else if task.phase == TaskPhase::Failed && !control::is_made_good(view, task) {
                failed.push(place);
            }
        }
        (self.waiting, self.failed) = (waiting, failed);
    }

    /// Why the selected task is where it is; needs nothing that isn't here.
    pub(super) fn explain(&mut self) {
        let Some(task) = self.task() else { return };
        let version = (self.looks, self.look.now_ms.unsigned_abs());
        let about = Topic { kind: Kind::Why, task: task.id.clone(), attempt: task.attempt, version };
        let is_known = |pane: &Pane| pane.kind != Kind::Why || pane.topic.as_ref() == Some(&about);
        // A chain of causes may be as long as the run is large: it is followed once a look.
        if self.pane.as_ref().is_none_or(is_known) {
            return;
        }
        let paper = Paper { color: false, width: None, now_ms: self.look.now_ms };
        let why = Why::new((&self.look.view, self.look.held), task, &self.look.beside, self.named);
        let words = why.text(paper);
        if let Some(pane) = &mut self.pane {
            pane.put(Some(about), &words, "");
        }
    }

    /// Whether time alone changes what is shown: somebody's age is told.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.look.view.phase, RunPhase::Ended { .. })
    }
}

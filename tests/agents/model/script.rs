//! What the model does: scenes, each opened by words that somebody said to it.
//!
//! Nothing here counts requests or remembers sessions. Which scene it is and how far it has
//! got is read from the conversation that each request carries, so that a retry, a resumed
//! session and a fresh attempt all get the answer that belongs to them.

/// One thing that the model does when it's its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Calls the shell tool that the agent offers.
    Shell(String),
    /// Says this, which ends the agent's turn.
    Say(String),
    /// Answers as it would the step after it, but never.
    Wait,
}

/// What the model does from some words on.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The words of the user that open it; empty ones open it at once.
    opens: String,
    /// Its steps, one for each result of a tool.
    steps: Vec<Step>,
    /// Requests in it that are refused first, and for how many seconds each.
    refused: Option<(u32, u64)>,
}

impl Scene {
    /// From the first message of the user that holds `opens`.
    pub fn on(opens: &str) -> Self {
        Self { opens: opens.to_owned(), steps: Vec::new(), refused: None }
    }

    /// From the beginning.
    pub fn first() -> Self {
        Self::on("")
    }

    /// Then it runs a command.
    pub fn shell(mut self, command: &str) -> Self {
        self.steps.push(Step::Shell(command.to_owned()));
        self
    }

    /// Then it says something, and its turn is over.
    pub fn say(mut self, text: &str) -> Self {
        self.steps.push(Step::Say(text.to_owned()));
        self
    }

    /// Then it's never heard of again.
    pub fn wait(mut self) -> Self {
        self.steps.push(Step::Wait);
        self
    }

    /// Its first requests are refused: too many, come back in so many seconds.
    pub fn refused(mut self, times: u32, seconds: u64) -> Self {
        self.refused = Some((times, seconds));
        self
    }
}

/// One line of a conversation, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// What the user said: the prompt, an answer, a reminder.
    User(String),
    /// What the model said.
    Model(String),
    /// What a tool gave back.
    Result(String),
}

/// What a request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This step.
    Step(Step),
    /// Too many requests: come back in so many seconds.
    Refused(u64),
}

/// All scenes, and how often each has refused.
#[derive(Debug)]
pub struct Script {
    scenes: Vec<Scene>,
    refusals: Vec<u32>,
}

impl Script {
    /// The later a scene stands here, the more it counts.
    pub fn new(scenes: Vec<Scene>) -> Self {
        let refusals = scenes.iter().map(|scene| scene.refused.map_or(0, |(times, _)| times)).collect();
        Self { scenes, refusals }
    }

    /// What comes next in this conversation.
    pub fn next(&mut self, lines: &[Line]) -> Answer {
        let opened = |scene: &Scene| {
            lines.iter().position(|line| matches!(line, Line::User(text) if text.contains(&scene.opens)))
        };
        let found = self.scenes.iter().enumerate().rev().find_map(|(at, scene)| Some((at, opened(scene)?)));
        let Some((at, from)) = found else { return Answer::Step(Step::Say("Nothing to do.".to_owned())) };
        if self.refusals[at] > 0 {
            self.refusals[at] -= 1;
            return Answer::Refused(self.scenes[at].refused.map_or(0, |(_, seconds)| seconds));
        }
        let done = lines[from..].iter().filter(|line| matches!(line, Line::Result(_))).count();
        let said = Step::Say("That is all.".to_owned());
        Answer::Step(self.scenes[at].steps.get(done).cloned().unwrap_or(said))
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Line, Scene, Script, Step};

    fn user(text: &str) -> Line {
        Line::User(text.to_owned())
    }

    fn result() -> Line {
        Line::Result(String::new())
    }

    fn shell(command: &str) -> Answer {
        Answer::Step(Step::Shell(command.to_owned()))
    }

    #[test]
    fn a_step_is_told_by_the_results_since_its_scene_was_opened() {
        let mut script = Script::new(vec![
            Scene::first().shell("one").shell("two").say("asked"),
            Scene::on("answer: blue").shell("paint"),
        ]);
        assert_eq!(script.next(&[user("do it")]), shell("one"));
        assert_eq!(script.next(&[user("do it"), result()]), shell("two"));
        assert_eq!(script.next(&[user("do it"), result()]), shell("two"), "a retry gets the same");
        let answered = [user("do it"), result(), result(), user("answer: blue")];
        assert_eq!(script.next(&answered), shell("paint"));
    }

    #[test]
    fn the_first_requests_of_a_scene_may_be_refused() {
        let mut script = Script::new(vec![Scene::first().shell("one").refused(2, 3)]);
        let asked = [user("do it")];
        assert_eq!(script.next(&asked), Answer::Refused(3));
        assert_eq!(script.next(&asked), Answer::Refused(3));
        assert_eq!(script.next(&asked), shell("one"));
    }
}

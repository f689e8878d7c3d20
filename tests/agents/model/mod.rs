//! A scripted model on the loopback: what real agents talk to instead of a provider.
//!
//! It speaks the four protocols that agents use, plays a [`Script`], and keeps what it was
//! asked. It leaves out everything that makes a model one.

pub mod answer;
pub mod script;
pub mod wire;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tiny_http::{Header, Request, Response, Server};

use answer::{Body, Said};
use script::{Answer, Line, Scene, Script, Step};
use wire::Wire;

/// One model, for as long as its test runs.
pub struct Model {
    /// Where it listens.
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Dropped with the model: whoever is kept waiting is let go.
    _release: Sender<()>,
}

/// One request, and what it got.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The conversation that it carried.
    pub lines: Vec<Line>,
    /// The answer; none where no tool was offered, as for a title.
    pub answer: Option<Answer>,
    /// The path.
    pub url: String,
}

impl Model {
    /// Starts one.
    pub fn play(scenes: Vec<Scene>) -> Self {
        let server = Server::http("127.0.0.1:0").unwrap();
        let port = server.server_addr().to_ip().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (release, held) = channel::<()>();
        let stage = Arc::new(Stage {
            script: Mutex::new(Script::new(scenes)),
            asked: Arc::clone(&asked),
            held: Mutex::new(held),
        });
        std::thread::spawn(move || {
            for request in server.incoming_requests() {
                let stage = Arc::clone(&stage);
                // One that is never answered must not hold up the others.
                std::thread::spawn(move || stage.serve(request));
            }
        });
        Self { port, asked, _release: release }
    }

    /// All that it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// All that users said to it, in the order of its requests, each once.
    pub fn heard(&self) -> Vec<String> {
        let mut heard = Vec::new();
        for line in self.asked().into_iter().flat_map(|asked| asked.lines) {
            if let Line::User(text) = line
                && !heard.contains(&text)
            {
                heard.push(text);
            }
        }
        heard
    }

    /// All that tools gave back.
    pub fn results(&self) -> String {
        let lines = self.asked().into_iter().flat_map(|asked| asked.lines);
        lines
            .filter_map(|line| if let Line::Result(text) = line { Some(text + "\n") } else { None })
            .collect()
    }

    /// How many requests got this answer.
    pub fn count(&self, is: impl Fn(&Answer) -> bool) -> usize {
        self.asked().iter().filter(|asked| asked.answer.as_ref().is_some_and(&is)).count()
    }
}

/// What the threads share.
struct Stage {
    script: Mutex<Script>,
    asked: Arc<Mutex<Vec<Asked>>>,
    held: Mutex<Receiver<()>>,
}

impl Stage {
    fn serve(&self, mut request: Request) {
        let mut text = String::new();
        // A client that is killed while it asks gets no answer, and needs none.
        if request.as_reader().read_to_string(&mut text).is_err() {
            return;
        }
        let url = request.url().to_owned();
        let asked: Value = serde_json::from_str(&text).unwrap_or_default();
        let Some(wire) = Wire::of(&url) else {
            let models = json!({"object": "list", "data": [{"id": "scripted", "object": "model"}], "models": [], "input_tokens": 1});
            return reply(request, 200, &Body { kind: "application/json", text: models.to_string() }, None);
        };
        match self.answer(wire, &url, &asked) {
            Some(Answer::Refused(seconds)) => {
                reply(request, 429, &answer::refusal(wire, seconds), Some(seconds));
            }
            Some(Answer::Step(Step::Wait)) => {
                // Until the model is dropped.
                let _ = self.held.lock().unwrap().recv();
            }
            Some(Answer::Step(Step::Say(text))) => {
                reply(request, 200, &answer::body(wire, &url, &asked, &Said::Text(text)), None);
            }
            Some(Answer::Step(Step::Shell(command))) => {
                let command = command.replace("{token}", &token(&wire.lines(&asked)));
                let none = || Said::Text(format!("no shell is offered in {}", asked["tools"]));
                let said =
                    Wire::shell(&asked, &command).map_or_else(none, |(name, args)| Said::Call(name, args));
                reply(request, 200, &answer::body(wire, &url, &asked, &said), None);
            }
            None => {
                let title = Said::Text("A title".to_owned());
                reply(request, 200, &answer::body(wire, &url, &asked, &title), None);
            }
        }
    }

    fn answer(&self, wire: Wire, url: &str, asked: &Value) -> Option<Answer> {
        let lines = wire.lines(asked);
        let has_tools = asked["tools"].as_array().is_some_and(|tools| !tools.is_empty());
        let answer = has_tools.then(|| self.script.lock().unwrap().next(&lines));
        let asked = Asked { lines, answer: answer.clone(), url: url.to_owned() };
        self.asked.lock().unwrap().push(asked);
        answer
    }
}

/// The number that the prompt's sketch of a report has as its token.
fn token(lines: &[Line]) -> String {
    let texts = lines.iter().filter_map(|line| if let Line::User(text) = line { Some(text) } else { None });
    let after = texts.filter_map(|text| Some(text.split_once("\"token\":")?.1.trim_start())).next_back();
    after.unwrap_or_default().chars().take_while(char::is_ascii_digit).collect()
}

fn reply(request: Request, status: u16, body: &Body, retry_after: Option<u64>) {
    let header = |name: &str, value: &str| Header::from_bytes(name, value).unwrap();
    let response = Response::from_string(body.text.as_str()).with_status_code(status);
    let mut response = response.with_header(header("Content-Type", body.kind));
    if let Some(seconds) = retry_after {
        response = response.with_header(header("Retry-After", &seconds.to_string()));
    }
    // A client that is gone gets none.
    let _ = request.respond(response);
}

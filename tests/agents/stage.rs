//! One real agent in a sealed world: a repository with a fault, a model that is scripted, and
//! the settings by which the agent finds it on the loopback.
//!
//! What stands here of an agent is only where its model is and what its own first start would
//! ask a person. How it is launched and heard is the adapters', which these tests are about.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::model::script::{Answer, Line, Scene};
use crate::model::{Asked, Model};
use crate::sealed::{self, ROOM};
use crate::world::{Ran, Up, World, ran, wait_until};

/// The agents that `scripts/agents` installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agent {
    /// Codex CLI.
    Codex,
    /// pi.
    Pi,
    /// Gemini CLI.
    Gemini,
    /// Claude Code.
    Claude,
}

/// A task that is verified by looking at what was changed and by running its test again.
pub const FIX: &str = "tasks:
  fix:
    agent: fixer
    prompt: The sum in add.sh is wrong. Mend it; `sh check.sh` must pass.
    evidence:
      - diff: { paths: [add.sh], clean: true }
      - command: sh check.sh
";
/// The key that every agent is given: none.
const KEY: &str = "dummy";
/// Asked of whoever claims to have mended it, and says why it isn't so.
const CHECK: &str =
    "test \"$(sh add.sh 2 3)\" = 5 || { echo two and three make $(sh add.sh 2 3); exit 1; }\n";
/// Mends it, runs the test, commits.
pub const MEND: &str = "sed -i 's/-/+/' add.sh && sh check.sh && git add -A && \
                        git -c user.name=a -c user.email=a@localhost commit -qm 'Add what is to be added'";

/// A command line that reports.
pub fn report(status: &str, more: &str) -> String {
    format!("{} report --status {status} {more}", env!("CARGO_BIN_EXE_ilchul"))
}

impl Agent {
    /// What it's called, as an adapter and as a program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Codex => "codex",
            Self::Pi => "pi",
            Self::Gemini => "gemini",
            Self::Claude => "claude",
        }
    }

    /// What the workflow says of it besides its name, for a model on this port.
    fn settings(self, port: u16, args: &[&str]) -> String {
        let provider = format!(
            r#"model_providers.loop={{name="loop",base_url="http://127.0.0.1:{port}/v1",env_key="OPENAI_API_KEY",wire_api="responses"}}"#
        );
        let (model, own) = match self {
            Self::Codex => ("scripted", vec!["-c", r#"model_provider="loop""#, "-c", &provider]),
            Self::Pi => ("scripted", vec!["--provider", "loop"]),
            Self::Gemini => ("gemini-2.5-pro", Vec::new()),
            Self::Claude => ("claude-sonnet-4-5", Vec::new()),
        };
        // A list of JSON is one of YAML.
        format!("model: {model}, args: {}", serde_json::json!([own, args.to_vec()].concat()))
    }

    /// Variables of the supervisor, which an adapter names to be passed on.
    fn passed(self, stage: &Stage) -> Vec<(&'static str, String)> {
        let url = format!("http://127.0.0.1:{}", stage.model.port);
        match self {
            Self::Codex => vec![("OPENAI_API_KEY", KEY.to_owned())],
            Self::Pi => vec![("PI_CODING_AGENT_DIR", stage.user().join("pi").display().to_string())],
            Self::Gemini => vec![("GEMINI_API_KEY", KEY.to_owned()), ("GOOGLE_GEMINI_BASE_URL", url)],
            Self::Claude => vec![("ANTHROPIC_API_KEY", KEY.to_owned()), ("ANTHROPIC_BASE_URL", url)],
        }
    }

    /// Takes back that the user trusts any folder.
    pub fn distrusts(self, stage: &Stage) {
        let file = stage.user().join(".claude.json");
        let text = fs::read_to_string(&file)
            .unwrap()
            .replace("\"hasTrustDialogAccepted\":true", "\"hasTrustDialogAccepted\":false");
        fs::write(file, text).unwrap();
    }

    /// Puts into the home what the agent would have asked for at its first start.
    fn settle(self, stage: &Stage) {
        let user = stage.user();
        match self {
            Self::Codex | Self::Gemini => {}
            Self::Pi => {
                fs::create_dir(user.join("pi")).unwrap();
                let models = format!(
                    r#"{{"providers":{{"loop":{{"baseUrl":"http://127.0.0.1:{}","api":"anthropic-messages","apiKey":"{KEY}","models":[{{"id":"scripted","cost":{{"input":1,"output":2,"cacheRead":0,"cacheWrite":0}}}}]}}}}}}"#,
                    stage.model.port
                );
                fs::write(user.join("pi/models.json"), models).unwrap();
            }
            Self::Claude => {
                let trusted = json!({ROOM: {"hasTrustDialogAccepted": true}});
                let said = json!({"hasCompletedOnboarding": true, "projects": trusted,
                    "customApiKeyResponses": {"approved": [KEY], "rejected": []}});
                fs::write(user.join(".claude.json"), said.to_string()).unwrap();
            }
        }
    }
}

/// A world with one agent in it.
pub struct Stage {
    /// The repository, the home, and everything of the product.
    pub world: World,
    /// What the agent talks to.
    pub model: Model,
    /// The agent.
    pub agent: Agent,
}

impl Stage {
    /// A stage on which `agent` talks to a model that plays `scenes`.
    #[track_caller]
    pub fn new(agent: Agent, scenes: Vec<Scene>) -> Self {
        let bin = sealed::agents().join("bin");
        assert!(
            bin.join(agent.name()).exists(),
            "{} isn't in `{}`: run `scripts/agents`",
            agent.name(),
            bin.display()
        );
        let mut world = World::new();
        let others = std::env::split_paths(&world.path).collect::<Vec<_>>();
        world.path = std::env::join_paths(std::iter::once(bin).chain(others)).unwrap();
        fs::write(world.repo().join("add.sh"), "echo $(($1 - $2))\n").unwrap();
        fs::write(world.repo().join("check.sh"), CHECK).unwrap();
        let stage = Self { world, model: Model::play(scenes), agent };
        agent.settle(&stage);
        stage
    }

    /// The agents' home.
    pub fn user(&self) -> PathBuf {
        self.world.root().join("user")
    }

    /// Writes the workflow: `tasks`, with the agent as `fixer`, of which `more` is said besides.
    pub fn workflow(&self, more: &str, tasks: &str) {
        self.workflow_as(self.agent.name(), (&[], more), tasks);
    }

    /// The same by an adapter of this name, and with further arguments.
    pub fn workflow_as(&self, adapter: &str, (args, more): (&[&str], &str), tasks: &str) {
        let settings = self.agent.settings(self.model.port, args);
        let comma = if more.is_empty() { "" } else { ", " };
        self.world.workflow(&format!(
            "agents:\n  fixer: {{ adapter: {adapter}, {settings}{comma}{more} }}\n{tasks}"
        ));
    }

    /// Writes the settings of the user.
    pub fn user_settings(&self, text: &str) {
        let folder = self.user().join(".config/ilchul");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.yaml"), text).unwrap();
    }

    /// The binary in the environment of somebody who uses this agent.
    pub fn ilchul(&self, args: &[&str]) -> Command {
        let mut command = self.world.ilchul(args);
        command.envs(self.agent.passed(self));
        command
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        ran(&self.ilchul(args).output().unwrap())
    }

    /// Starts it in the background.
    pub fn start(&self, args: &[&str]) -> Up {
        self.world.spawn(self.ilchul(args))
    }

    /// How often the agent began from nothing.
    pub fn sessions(&self) -> usize {
        let fresh = |asked: &Asked| asked.lines.iter().all(|line| matches!(line, Line::User(_)));
        let begun = |asked: &&Asked| matches!(asked.answer, Some(Answer::Step(_))) && fresh(asked);
        self.model.asked().iter().filter(begun).count()
    }

    /// That nothing of the agent runs any more, whatever it started.
    #[track_caller]
    pub fn has_no_agent(&self) {
        wait_until("the end of the agent", || living("ILCHUL_TASK=fix").is_empty());
    }

    /// All that a person would look at where a test failed.
    pub fn told(&self, ran: &Ran) -> String {
        let look = |args: &[&str]| {
            let ran = self.world.run(args);
            format!("{}{}", ran.stdout, ran.stderr)
        };
        let asked: Vec<String> =
            self.model.asked().iter().map(|asked| format!("{} -> {:?}", asked.url, asked.answer)).collect();
        format!(
            "\n{}\n{}\n--- its log\n{}\n--- why\n{}\n--- the model was asked\n{}\n--- and heard\n{}\n--- events\n{}\n--- mail\n{}",
            ran.stdout,
            ran.stderr,
            look(&["logs", "fix"]),
            look(&["why", "fix"]),
            asked.join("\n"),
            self.model.heard().join("\n"),
            look(&["events"]),
            self.letters(),
        )
    }

    /// The files of the last worker's mail, as far as they are text.
    fn letters(&self) -> String {
        let Some(state) = self.world.peek() else { return String::new() };
        let Some(worker) = state.workers.keys().last() else { return String::new() };
        let mail = self.world.mail(worker);
        let files = ["report.json", "exit.json", "heartbeat.json", "agent/events.jsonl"];
        let text =
            |name: &&str| format!("{name}: {}\n", fs::read_to_string(mail.join(name)).unwrap_or_default());
        files.iter().map(text).collect()
    }
}

/// The processes that were started with this variable: a shim, an agent, whatever these run.
fn living(variable: &str) -> Vec<PathBuf> {
    let has = |folder: &PathBuf| {
        // A process that has ended has none.
        let all = fs::read(folder.join("environ")).unwrap_or_default();
        all.split(|byte| *byte == 0).any(|one| one == variable.as_bytes())
    };
    fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()).filter(has).collect()
}

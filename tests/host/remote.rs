//! A world with a second machine: an sshd whose sessions have another home.
//!
//! The developer's own ssh is never read: `ssh` in the world's `PATH` names one configuration.
//! It leaves out assertions.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::world::{Ran, Up, World, ran, wait_for, wait_until};

/// A laptop (the world) and a machine that it calls `there`.
pub struct Remote {
    pub world: World,
    sshd: Option<Child>,
    port: u16,
    /// What each session there is forced to; the shell where none is.
    forced: Option<String>,
    /// More variables that each session there has, from the next [`Remote::serve`] on.
    pub environment: String,
    /// Holds the namespace in which the home there is a small disk.
    disk: Option<Child>,
}

fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file()).unwrap()
}

fn tool(name: &str, text: &str, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(name), text).unwrap();
    fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
}

impl Remote {
    /// A laptop with this workflow, and a machine with nothing.
    pub fn with(workflow: &str) -> Self {
        Self::forced(workflow, None)
    }

    /// The same, whose sessions are forced to a line that may run `$SSH_ORIGINAL_COMMAND`.
    pub fn forced(workflow: &str, forced: Option<&str>) -> Self {
        let world = World::with(workflow);
        let forced = forced.map(str::to_owned);
        let mut remote = Self { world, sshd: None, port: 0, forced, environment: String::new(), disk: None };
        remote.keys();
        remote.serve();
        let (ssh, config) = (program("ssh"), remote.etc("ssh_config"));
        let text = format!("#!/bin/sh\nexec {} -F {} \"$@\"\n", ssh.display(), config.display());
        let tools = remote.world.root().join("sshbin");
        tool("ssh", &text, &tools);
        let others: Vec<_> = std::env::split_paths(&remote.world.path).collect();
        remote.world.path = std::env::join_paths(std::iter::once(tools).chain(others)).unwrap();
        remote
    }

    pub fn etc(&self, name: &str) -> PathBuf {
        self.world.root().join("etc").join(name)
    }

    /// The home of the machine there.
    pub fn home(&self) -> PathBuf {
        self.world.root().join("there")
    }

    /// The checkout there.
    pub fn checkout(&self) -> PathBuf {
        self.home().join("ilchul/repo")
    }

    fn keys(&self) {
        for folder in ["etc", "there", "r"] {
            fs::create_dir_all(self.world.root().join(folder)).unwrap();
        }
        for name in ["host", "id"] {
            let made = Command::new(program("ssh-keygen"))
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(self.etc(name))
                .stdin(Stdio::null())
                .status();
            assert!(made.unwrap().success());
        }
    }

    /// Starts the sshd, on the port that it had. One that was free a moment ago may be somebody
    /// else's by now: then it is another at first, and waited for later.
    pub fn serve(&mut self) {
        let had = self.port;
        wait_until("sshd to listen", || {
            if had == 0 {
                self.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            }
            self.listens()
        });
    }

    /// Whether an sshd that is started now has its port.
    fn listens(&mut self) -> bool {
        let (port, home) = (self.port, self.home());
        let forced = self.forced.as_ref().map(|line| format!("ForceCommand {line}\n")).unwrap_or_default();
        // Where the tests have a cluster, that machine is its login node.
        let cluster =
            std::env::var("SLURM_CONF").map(|path| format!("SLURM_CONF={path}")).unwrap_or_default();
        // The test's own git settings hold there too; of the developer's none.
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n\
             SetEnv HOME={} TMUX_TMPDIR={} GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null {cluster} {}\n{forced}",
            self.etc("host").display(),
            self.etc("id.pub").display(),
            home.display(),
            home.display(),
            self.environment,
        );
        fs::write(self.etc("sshd_config"), config).unwrap();
        let host = fs::read_to_string(self.etc("host.pub")).unwrap();
        let known = host.split(' ').take(2).collect::<Vec<_>>().join(" ");
        fs::write(self.etc("known"), format!("[127.0.0.1]:{port} {known}\n")).unwrap();
        let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name;
        let config = format!(
            "Host there other\n HostName 127.0.0.1\n Port {port}\n User {user}\n IdentityFile {}\n \
             IdentitiesOnly yes\n UserKnownHostsFile {}\n GlobalKnownHostsFile /dev/null\n",
            self.etc("id").display(),
            self.etc("known").display()
        );
        fs::write(self.etc("ssh_config"), config).unwrap();
        let log = fs::File::create(self.etc("sshd.log")).unwrap();
        let mut sshd = Command::new(program("sshd"))
            .args(["-D", "-e", "-f"])
            .arg(self.etc("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let said = format!("Server listening on 127.0.0.1 port {port}.");
        let listens = wait_for("sshd to listen or to end", || {
            let ended = sshd.try_wait().unwrap().is_some();
            let log = fs::read_to_string(self.etc("sshd.log")).unwrap();
            if log.contains(&said) { Some(true) } else { ended.then_some(false) }
        });
        self.sshd = listens.then_some(sshd);
        listens
    }

    /// Ends the sshd that listens, and every link that it had.
    pub fn cut(&mut self) {
        let mut sshd = self.sshd.take().unwrap();
        let links = children(sshd.id());
        sshd.kill().unwrap();
        sshd.wait().unwrap();
        links.into_iter().for_each(end);
    }

    /// The home there becomes a file system of its own with these options of `mount`, which only
    /// the sessions there see.
    pub fn mount_home(&mut self, options: &str) {
        let script = format!(
            "mount -t tmpfs -o {options} home {0} && echo mounted && exec sleep 1000",
            self.home().display()
        );
        let mut holder = Command::new(program("unshare"));
        let holder = holder.args(["-rm", "sh", "-c", &script]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut holder = holder.spawn().unwrap();
        let mut said = [0; 7];
        std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut said).unwrap();
        assert_eq!(&said, b"mounted");
        let enter = self.inside(holder.id());
        self.forced = Some(format!("{enter} sh -c 'cd \"$HOME\" && eval \"$SSH_ORIGINAL_COMMAND\"'"));
        self.disk = Some(holder);
        self.cut();
        self.serve();
    }

    /// What a program there sees as its file systems.
    fn inside(&self, holder: u32) -> String {
        format!("{} -t {holder} -U -m --preserve-credentials", program("nsenter").display())
    }

    /// Runs a line of `sh` inside of the small disk's namespace.
    #[track_caller]
    pub fn on_disk(&self, line: &str) -> Ran {
        let enter = self.inside(self.disk.as_ref().unwrap().id());
        let mut words = enter.split(' ');
        let mut command = self.world.sealed(words.next().unwrap());
        command.args(words).args(["sh", "-c", line]).env("HOME", self.home());
        ran(&command.output().unwrap())
    }

    /// A folder there with these tools and no others, as `PATH` of the next links.
    pub fn with_tools_only(&mut self, tools: &[&str]) {
        let bare = self.home().join("bare");
        fs::create_dir(&bare).unwrap();
        for tool in tools {
            std::os::unix::fs::symlink(program(tool), bare.join(tool)).unwrap();
        }
        self.with_path(&bare.display().to_string());
    }

    /// The `PATH` of the next links.
    pub fn with_path(&mut self, path: &str) {
        self.environment = format!("PATH={path}");
        self.end_master();
        self.cut();
        self.serve();
    }

    /// What the laptop's settings say of machines.
    pub fn settings(&self, text: &str) {
        let folder = self.world.root().join("user/.config/ilchul");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.yaml"), text).unwrap();
    }

    /// How many processes there have these words.
    pub fn processes(&self, words: &str) -> usize {
        let home = format!("HOME={}", self.home().display());
        let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let reads = |path: &PathBuf| {
            let read = |name: &str| {
                String::from_utf8_lossy(&fs::read(path.join(name)).unwrap_or_default()).into_owned()
            };
            read("cmdline").contains(words) && read("environ").split('\0').any(|entry| entry == home)
        };
        processes.filter(reads).count()
    }

    /// A shell's line on a terminal of the laptop, whose `$I` is ilchul.
    pub fn on_terminal(&self, typed: &str) -> Command {
        let mut command = self.world.sealed("script");
        let typed = format!("I={}; {typed}", env!("CARGO_BIN_EXE_ilchul"));
        command.args(["-qec", &typed, "/dev/null"]).env("TERM", "xterm");
        command.env("XDG_RUNTIME_DIR", self.world.root().join("r"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command
    }

    /// What such a line shows.
    pub fn shown(&self, typed: &str) -> String {
        let child = self.on_terminal(typed).spawn().unwrap();
        String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned()
    }

    /// The binary on the laptop, with the machine named.
    pub fn ilchul(&self, args: &[&str]) -> Command {
        self.on("there", args)
    }

    pub fn on(&self, host: &str, args: &[&str]) -> Command {
        let mut command = self.world.ilchul(&[&["--host", host], args].concat());
        command.env("XDG_RUNTIME_DIR", self.world.root().join("r"));
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        ran(&self.ilchul(args).output().unwrap())
    }

    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        self.run(args).exits(0).stdout
    }

    /// `up` on plain processes there, followed to the end.
    pub fn up(&self) -> Ran {
        self.run(&["up", "--session", "subprocess"])
    }

    pub fn start_up(&self) -> Up {
        self.world.spawn(self.ilchul(&["up", "--session", "subprocess"]))
    }

    /// Git in the checkout there.
    #[track_caller]
    pub fn git_there(&self, args: &[&str]) -> String {
        let mut git = self.world.sealed("git");
        ran(&git.current_dir(self.checkout()).args(args).output().unwrap()).exits(0).stdout
    }

    /// A commit of one file here.
    pub fn commit(&self, file: &str, text: &str) {
        fs::write(self.world.repo().join(file), text).unwrap();
        self.world.git(&["add", "-A"]);
        self.world.git(&["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-q", "-m", "More"]);
    }

    /// The supervisor's process there, if there is one that drives a run.
    pub fn holder(&self) -> Option<u32> {
        let lock = self.home().join("ilchul/repo.ilchul/supervisor.lock");
        ilchul::journal::lock::held(&lock).ok()??.filter(|holder| !holder.run.is_empty()).map(|one| one.pid)
    }

    /// The same, once there is one.
    pub fn supervisor(&self) -> u32 {
        wait_for("the supervisor there", || self.holder())
    }

    /// Ends the master of the laptop's link, if there is one.
    pub fn end_master(&self) {
        let _ = self.to_master("exit");
    }

    /// Whether there is one.
    pub fn has_master(&self) -> bool {
        self.to_master("check")
    }

    fn to_master(&self, word: &str) -> bool {
        let path = format!("ControlPath={}/r/ilchul/%C", self.world.root().display());
        let mut ssh = self.world.sealed("ssh");
        let ssh = ssh.args(["-o", &path, "-O", word, "there"]).stderr(Stdio::null());
        ssh.status().unwrap().success()
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.end_master();
        if self.sshd.is_some() {
            self.cut();
        }
        if let Some(mut disk) = self.disk.take() {
            // Its file system goes with the last process inside.
            let _ = disk.kill();
            let _ = disk.wait();
        }
    }
}

/// Ends one process as nobody can prepare for.
pub fn end(pid: u32) {
    let pid = i32::try_from(pid).unwrap();
    assert!(pid > 1);
    // It may have ended by itself.
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

/// The processes that sshd runs for links: what it forked, and what that forked while it was still sshd.
fn children(of: u32) -> Vec<u32> {
    let mut found = vec![of];
    let mut at = 0;
    while at < found.len() {
        let path = format!("/proc/{0}/task/{0}/children", found[at]);
        let text = fs::read_to_string(path).unwrap_or_default();
        let is_sshd = |pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim().starts_with("sshd"))
        };
        found.extend(text.split_whitespace().filter_map(|pid| pid.parse().ok()).filter(is_sshd));
        at += 1;
    }
    found.split_off(1)
}

//! Traps: programs that leave a mark when anything runs them, in every place where a
//! repository can name one.
//!
//! It leaves out who walks by: each test runs its own commands.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::world::World;

/// Every hook that githooks(5) knows.
const HOOKS: [&str; 28] = [
    "applypatch-msg",
    "pre-applypatch",
    "post-applypatch",
    "pre-commit",
    "pre-merge-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "pre-rebase",
    "post-checkout",
    "post-merge",
    "pre-push",
    "pre-receive",
    "update",
    "proc-receive",
    "post-receive",
    "post-update",
    "reference-transaction",
    "push-to-checkout",
    "pre-auto-gc",
    "post-rewrite",
    "sendemail-validate",
    "fsmonitor-watchman",
    "p4-changelist",
    "p4-prepare-changelist",
    "p4-post-changelist",
    "p4-pre-submit",
    "post-index-change",
];

/// A mark that something was run.
#[derive(Debug)]
pub struct Canary {
    /// The program; its arguments are of no matter.
    pub program: PathBuf,
    fired: PathBuf,
}

impl Canary {
    /// One in the folder of `world`.
    pub fn new(world: &World) -> Self {
        let canary = Self { program: world.root().join("canary"), fired: world.root().join("fired") };
        canary.at(&canary.program);
        canary
    }

    /// The same program at one more path.
    pub fn at(&self, path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // It reads what it is given, as a filter would, so that nobody waits for it.
        fs::write(path, format!("#!/bin/sh\necho \"$0 $*\" >> {}\ncat\n", self.fired.display())).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// All hooks in `folder`.
    pub fn hooks(&self, folder: &Path) {
        HOOKS.iter().for_each(|hook| self.at(&folder.join(hook)));
    }

    /// Settings of git that name it wherever git would run something.
    pub fn settings(&self) -> String {
        let program = self.program.to_str().unwrap();
        format!(
            "[core]\nfsmonitor = {program}\nsshCommand = {program}\npager = {program}\neditor = {program}\n\
             askPass = {program}\ngitProxy = {program}\nalternateRefsCommand = {program}\n\
             [credential]\nhelper = !{program}\n[sequence]\neditor = {program}\n[gpg]\nprogram = {program}\n\
             [gpg \"ssh\"]\nprogram = {program}\ndefaultKeyCommand = {program}\n[commit]\ngpgSign = true\n\
             [tag]\ngpgSign = true\n[merge]\nverifySignatures = true\n\
             [filter \"evil\"]\nsmudge = {program}\nclean = {program}\nprocess = {program}\nrequired = true\n\
             [diff]\nexternal = {program}\n[diff \"evil\"]\ntextconv = {program}\ncommand = {program}\n\
             [merge \"evil\"]\ndriver = {program}\n[interactive]\ndiffFilter = {program}\n\
             [pager]\nstatus = {program}\ndiff = {program}\nlog = {program}\nworktree = {program}\n\
             [alias]\nworktree = !{program}\nread-tree = !{program}\nstatus = !{program}\n\
             [uploadpack]\npackObjectsHook = {program}\n[gc]\nauto = 1\n[maintenance]\nauto = true\n\
             [remote \"origin\"]\nurl = ext::{program}\nvcs = {program}\nuploadpack = {program}\n\
             receivepack = {program}\nfetch = +refs/heads/*:refs/remotes/origin/*\n\
             [protocol \"ext\"]\nallow = always\n\
             [submodule]\nrecurse = true\n\
             [submodule \"lib\"]\nurl = ext::{program}\nupdate = !{program}\nactive = true\n\
             [status]\nsubmoduleSummary = true\n[trailer \"evil\"]\ncommand = {program}\n"
        )
    }

    /// Sets every trap in the repository of `world`, whose workflow is committed already.
    pub fn plant(&self, world: &World) {
        let (repo, settings) = (world.repo(), self.settings());
        fs::write(repo.join(".gitattributes"), "* filter=evil diff=evil merge=evil\n").unwrap();
        let modules = format!(
            "[submodule \"lib\"]\npath = lib\nurl = ext::{0}\nupdate = !{0}\n",
            self.program.display()
        );
        fs::write(repo.join(".gitmodules"), modules).unwrap();
        let commit = world.head();
        world.git(&["add", ".gitattributes", ".gitmodules"]);
        world.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},lib")]);
        world.git(&["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "Traps"]);
        let config = repo.join(".git/config");
        let before = fs::read_to_string(&config).unwrap();
        // A part of them behind an include: git reads on there.
        fs::write(repo.join(".git/more"), &settings).unwrap();
        fs::write(config, format!("{before}[include]\npath = more\n{settings}")).unwrap();
        self.hooks(&repo.join(".git/hooks"));
    }

    /// Nothing has run it.
    #[track_caller]
    pub fn silent(&self, after: &str) {
        assert!(!self.fired.exists(), "after {after}: {}", fs::read_to_string(&self.fired).unwrap());
    }

    /// Something has: the trap is real.
    #[track_caller]
    pub fn fired(&self) {
        assert!(self.fired.exists(), "the trap never worked");
        fs::remove_file(&self.fired).unwrap();
    }
}

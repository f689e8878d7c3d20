"""What every bar needs: sealed environments, one clock for child processes, verdicts.

It leaves out what is measured.
"""
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

NULL = subprocess.DEVNULL
# Bytes that 32 checkouts of 5,000 files need, with room to spare, for all runs of a bar.
ROOMY = 8 << 30


class Failed(Exception):
    """A measurement that could not be made."""


def cpu_of(pid):
    """Seconds of CPU of one process without its children; works until it is reaped."""
    # The kernel's id of another process's CPU clock (CPUCLOCK_SCHED): in nanoseconds,
    # where /proc only has ticks.
    return time.clock_gettime((~pid << 3) | 2)


def text_of(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=NULL, text=True, check=False)
    return done.stdout.strip()


def wait_until(met, patience, what, every=0.005):
    deadline = time.monotonic() + patience
    while True:
        answer = met()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Failed("%s: not within %d s" % (what, patience))
        time.sleep(every)


def timed(argv, patience=300, **options):
    """Wall seconds, own CPU seconds without children, exit code."""
    options = {"stdin": NULL, "stdout": NULL, "stderr": NULL, **options}
    begun = time.monotonic()
    child = subprocess.Popen(argv, **options)
    alarm = signal.signal(signal.SIGALRM, lambda *_: child.kill())
    signal.alarm(patience)
    try:
        # Left unreaped for a moment: its CPU clock can still be read.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        wall = time.monotonic() - begun
        cpu = cpu_of(child.pid)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, alarm)
        if child.poll() is None:
            child.terminate()
            child.wait()
    return wall, cpu, child.returncode


class Series:
    """One side's measurements."""

    def __init__(self, name, unit, digits=3):
        self.name, self.unit, self.digits, self.values = name, unit, digits, []

    def add(self, value):
        self.values.append(value)

    @property
    def median(self):
        return statistics.median(self.values)

    def __str__(self):
        form = "%s %.{0}f %s (%.{0}f-%.{0}f)".format(self.digits)
        return form % (self.name, self.median, self.unit, min(self.values), max(self.values))

    def record(self):
        return {"name": self.name, "unit": self.unit, "values": self.values}


class Bench:
    """The programs, the folders and the verdicts of one invocation."""

    def __init__(self, binary, floor, runs, work, keep):
        self.binary, self.floor, self.runs, self.keep = binary, floor, runs, keep
        self.verdicts, self.notes, self.tops, self.enders = [], [], [], []
        self.serial = 0
        on_disk = work or ("/var/tmp" if os.access("/var/tmp", os.W_OK) else None)
        self.disk = self.top(on_disk)
        memory = "/dev/shm"
        room = os.path.isdir(memory) and os.access(memory, os.W_OK)
        room = room and shutil.disk_usage(memory).free >= ROOMY
        self.memory = self.top(memory) if room else self.disk
        # A socket's path has 108 bytes, so the folder of tmux servers has a short one.
        self.short = self.top("/tmp")

    def top(self, parent):
        path = tempfile.mkdtemp(prefix="ilb", dir=parent)
        self.tops.append(path)
        return path

    def fresh(self, parent, name):
        self.serial += 1
        path = os.path.join(parent, "%s%d" % (name, self.serial))
        os.mkdir(path)
        return path

    def environment(self, home, **more):
        """A sealed world: nothing of the user's settings, no tmux that we are in."""
        env = {name: value for name, value in os.environ.items()
               if not name.startswith(("TMUX", "GIT_", "ILCHUL_", "XDG_"))}
        env.update(HOME=home, XDG_CONFIG_HOME=home + "/.config", XDG_STATE_HOME=home + "/.state",
                   GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL="/dev/null", SHELL="/bin/sh",
                   TERM="xterm-256color", **more)
        return env

    def say(self, text):
        print(text, flush=True)

    def introduce(self):
        cores = len(os.sched_getaffinity(0))
        kinds = {path: text_of("stat", "-f", "-c", "%T", path) for path in (self.disk, self.memory)}
        self.machine = {
            "cores": cores, "kernel": platform.release(), "disk": kinds[self.disk],
            "memory": kinds[self.memory], "jbd2": os.path.isdir("/proc/fs/jbd2"),
            "git": text_of("git", "--version"), "tmux": text_of("tmux", "-V"),
            "ilchul": text_of(self.binary, "--version"), "load_before": os.getloadavg(),
        }
        self.say("%d cores, kernel %s, %s, %s; journal on %s, worktrees on %s; %d runs; load %s" % (
            cores, self.machine["kernel"], self.machine["git"], self.machine["tmux"],
            kinds[self.disk], kinds[self.memory], self.runs, load()))
        if kinds[self.disk] == "tmpfs":
            self.note("the work folder is in memory: a durable commit costs nothing there; see --work")
        if os.getloadavg()[0] > cores / 2:
            self.note("others use this machine (load %s): repeat when it is calm" % load())

    def note(self, text):
        self.notes.append(text)
        self.say("note: " + text)

    def ratio(self, bar, ours, theirs, at_most):
        """A bar on the ratio of two medians; `theirs` may be missing."""
        if theirs is None or not theirs.values or not ours.values:
            return self.verdict(bar, ours, theirs, None, at_most, "x")
        return self.verdict(bar, ours, theirs, ours.median / theirs.median, at_most, "x")

    def limit(self, bar, ours, at_most, unit):
        """A bar on the median itself."""
        return self.verdict(bar, ours, None, ours.median if ours.values else None, at_most, unit)

    def verdict(self, bar, ours, theirs, figure, at_most, unit):
        holds = None if figure is None else figure <= at_most
        sides = [str(side) for side in (ours, theirs) if side is not None and side.values]
        word = {True: "holds", False: "MISSED", None: "not measured"}[holds]
        shown = "-" if figure is None else "%.3g %s" % (figure, unit)
        line = "%-4s %s | %s | bar %.3g %s | %s" % (bar, " | ".join(sides), shown, at_most, unit, word)
        self.say(line)
        self.verdicts.append({
            "bar": bar, "ours": ours.record(), "theirs": theirs.record() if theirs else None,
            "figure": figure, "at_most": at_most, "unit": unit, "holds": holds, "line": line,
        })

    def table(self, verdicts):
        self.machine["load_after"] = os.getloadavg()
        self.say("\nload %s\n%-4s %-52s %12s %10s  %s" % (load(), "bar", "what", "measured", "bar", ""))
        for found in verdicts:
            theirs = " / " + found["theirs"]["name"] if found["theirs"] else ""
            shown = "-" if found["figure"] is None else "%.3g %s" % (found["figure"], found["unit"])
            word = {True: "holds", False: "MISSED", None: "not measured"}[found["holds"]]
            self.say("%-4s %-52s %12s %10.3g  %s" % (
                found["bar"], (found["ours"]["name"] + theirs)[:52], shown, found["at_most"], word))
        for text in self.notes:
            self.say("note: " + text)

    def record(self, verdicts):
        return {"machine": self.machine, "runs": self.runs, "notes": self.notes,
                "bars": [{key: found[key] for key in found if key != "line"} for found in verdicts]}

    def close(self):
        for end in reversed(self.enders):
            try:
                end()
            except (OSError, subprocess.SubprocessError) as error:
                print("failed to tidy up: %s" % error, file=sys.stderr)
        if self.keep:
            self.say("kept: " + " ".join(self.tops))
            return
        for path in self.tops:
            shutil.rmtree(path, ignore_errors=True)


def load():
    return "%.1f" % os.getloadavg()[0]


def repository(path, files, extra=None):
    """A git repository of `files` files of about 2,000 bytes, 50 in a folder, packed."""
    os.makedirs(path)
    words = ["".join(chr(97 + (i * j + j) % 26) for j in range(3, 9)) for i in range(1, 400)]
    for number in range(files):
        folder = os.path.join(path, "d%03d" % (number // 2500), "s%03d" % (number // 50 % 50))
        if number % 50 == 0:
            os.makedirs(folder, exist_ok=True)
        # Sizes and contents differ from file to file and are the same in every run.
        lines, left, at = [], 400 + (number * 7919) % 3200, number
        while left > 0:
            line = " ".join(words[(at * k) % len(words)] for k in range(1, 8))
            lines.append(line)
            left, at = left - len(line) - 1, at + 31
        with open(os.path.join(folder, "f%06d.rs" % number), "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    for name, text in (extra or {}).items():
        with open(os.path.join(path, name), "w", encoding="utf-8") as file:
            file.write(text)
    git = ["git", "-C", path, "-c", "user.name=bench", "-c", "user.email=bench@example.invalid"]
    for words in (["init", "-q", "-b", "main"], ["config", "gc.auto", "0"],
                  ["config", "maintenance.auto", "false"], ["add", "-A"],
                  ["commit", "-q", "-m", "base"], ["gc", "-q"]):
        subprocess.run(git + words, check=True, stdin=NULL, stdout=NULL)
    return path


def workflow(tasks, session, workspace, run, workers):
    """A flat workflow of the same plain command `tasks` times."""
    head = ("version: 1\nname: bench\n"
            "defaults: { session: %s, workspace: %s, timeout: 1h }\n"
            "limits: { workers: %d, tasks: 10000, attempts: 20000 }\n"
            "tasks:\n" % (session, workspace, workers))
    return head + "".join('  t%03d: { run: "%s" }\n' % (number, run) for number in range(tasks))

"""P1 and P3: how long 32 workers take until the last one is ready.

A worker is a worktree, a tmux window and a file that a process in that window writes. Each
measurement has a repository, a tmux server and folders of its own; the server is there
before the clock starts. It leaves out what workers do afterwards.
"""
import os
import shutil
import subprocess
import time

from common import NULL, Failed, Series, repository, wait_until, workflow

WORKERS = 32
PATIENCE = 180


def p1(bench):
    files = 5000
    bench.say("\nP1: %d workers, %d files" % (WORKERS, files))
    wall = measure(bench, files)
    bench.ratio("P1", wall["ilchul"], wall["script"], 0.80)
    bench.ratio("P1", wall["ilchul"], wall["best raw"], 1.05)


def p3(bench):
    files = 100
    bench.say("\nP3: %d workers, %d files" % (WORKERS, files))
    wall = measure(bench, files)
    each = Series("ilchul a worker", "ms", 2)
    each.values = [seconds * 1e3 / WORKERS for seconds in wall["ilchul"].values]
    for name in ("script", "best raw"):
        bench.say("     for comparison: %s" % wall[name])
    bench.limit("P3", each, 12.0, "ms")


def measure(bench, files):
    model = repository(os.path.join(bench.fresh(bench.memory, "model"), "repo"), files,
                       {"ilchul.yaml": workflow(WORKERS, "tmux", "worktree", "sleep 600", WORKERS)})
    ways = {"ilchul": ilchul, "script": script, "best raw": best}
    wall = {name: Series(name, "s") for name in ways}
    for number in range(-1, bench.runs):
        for name, way in ways.items():
            place = Place(bench, model, name.replace(" ", ""))
            try:
                seconds = way(bench, place)
            finally:
                place.close()
            if number >= 0:
                wall[name].add(seconds)
    return wall


class Place:
    """The repository, the folders and the tmux server of one measurement."""

    def __init__(self, bench, model, name):
        self.bench = bench
        self.top = bench.fresh(bench.memory, name)
        self.repo = os.path.join(self.top, "repo")
        # A copy of the same inodes would share what git writes; a plain copy doesn't.
        subprocess.run(["cp", "-a", model, self.repo], check=True)
        # The copy has other inodes; a checkout that somebody works in has a fresh index.
        subprocess.run(["git", "-C", self.repo, "update-index", "-q", "--refresh"], check=True)
        self.ready = os.path.join(self.top, "ready")
        os.mkdir(self.ready)
        sockets = bench.fresh(bench.short, "t")
        self.env = bench.environment(self.top, TMUX_TMPDIR=sockets,
                                     ILCHUL_HOME=os.path.join(self.top, "h"))
        self.tmux = ["tmux", "-f", "/dev/null"]
        self.run(self.tmux + ["new-session", "-d", "-s", "m", "-x", "200", "-y", "50", "sleep 3600"])
        self.pid = int(subprocess.run(self.tmux + ["display-message", "-p", "#{pid}"], env=self.env,
                                      stdout=subprocess.PIPE, text=True, check=True).stdout)
        self.up = None
        self.closed = False
        bench.enders.append(self.close)

    def run(self, argv, check=True):
        subprocess.run(argv, env=self.env, cwd=self.repo, stdin=NULL, stdout=NULL, stderr=NULL,
                       check=check)

    def close(self):
        if self.closed:
            return
        self.closed = True
        if self.up is not None:
            self.run([self.bench.binary, "down", "--force"], check=False)
            if self.up.poll() is None:
                self.up.terminate()
            self.up.wait()
        # TMUX_TMPDIR names a folder that holds this server's socket only.
        self.run(["tmux", "kill-server"], check=False)
        wait_until(lambda: not os.path.exists("/proc/%d" % self.pid), 20, "the tmux server's end")
        if self.bench.memory != self.bench.disk and not self.bench.keep:
            # In memory, nothing remembers what was deleted.
            shutil.rmtree(self.top, ignore_errors=True)


def all_there(names):
    """Whether all these files exist. One look a time until they do: looking takes from the
    same processors."""
    left = list(names)

    def met():
        while left and os.path.exists(left[-1]):
            left.pop()
        return not left

    return met


def raw(place, text):
    begun = time.monotonic()
    done = subprocess.run(["sh", "-c", "set -e; " + text], env=place.env, cwd=place.repo, stdin=NULL,
                          stdout=NULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Failed("the raw commands ended with %d: %s" % (done.returncode, done.stderr[-500:]))
    names = [os.path.join(place.ready, "w%d" % number) for number in range(WORKERS)]
    wait_until(all_there(names), PATIENCE, "raw workers are ready", 0.002)
    return time.monotonic() - begun


def window(place, number):
    return ("new-window -d -t m: -n w%d -c %s/wt/w%d sh -c ': >%s/w%d; exec sleep 3600'"
            % (number, place.top, number, place.ready, number))


def script(_, place):
    """What a shell script does: one after the other, one client each."""
    add = "git worktree add -q -b w%d %s/wt/w%d HEAD; tmux %s"
    steps = (add % (number, place.top, number, window(place, number)) for number in range(WORKERS))
    return raw(place, "\n".join(steps))


def best(_, place):
    """Administration in sequence, checkout two at once, one client for all windows."""
    add = "git worktree add -q --no-checkout -b w%d %s/wt/w%d HEAD"
    steps = [add % (number, place.top, number) for number in range(WORKERS)]
    steps.append("seq 0 %d | xargs -P%d -I{} git -C %s/wt/w{} read-tree --reset -u HEAD"
                 % (WORKERS - 1, max(2, len(os.sched_getaffinity(0))), place.top))
    steps.append("tmux " + " \\; ".join(window(place, number) for number in range(WORKERS)))
    return raw(place, "\n".join(steps))


def ilchul(bench, place):
    argv = [bench.binary, "up", "--session", "tmux", "--workers", str(WORKERS)]
    said = os.path.join(place.top, "said")
    begun = time.monotonic()
    with open(said, "wb") as file:
        place.up = subprocess.Popen(argv, env=place.env, cwd=place.repo, stdin=NULL, stdout=file,
                                    stderr=file)
    runs = os.path.join(place.top, "h", "runs")
    found = wait_until(lambda: os.path.isdir(runs) and os.listdir(runs), PATIENCE, "ilchul starts", 0.002)
    mail = os.path.join(runs, found[0], "mail")
    names = [os.path.join(mail, "t%03d.1" % number, "ready.json") for number in range(WORKERS)]
    there = all_there(names)

    def ready():
        if place.up.poll() is not None:
            with open(said, encoding="utf-8", errors="replace") as file:
                raise Failed("ilchul up ended with %d: %s" % (place.up.returncode, file.read()[-800:]))
        return there()

    wait_until(ready, PATIENCE, "ilchul's workers are ready", 0.002)
    return time.monotonic() - begun

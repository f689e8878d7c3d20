"""P12: start-up of the program, and its size.

It leaves out start-up with a journal: that is P8.
"""
import os
import subprocess
import time

from common import NULL, Failed, Series, repository

STARTS = 100


def p12(bench):
    bench.say("\nP12: start-up, %d in turns; size" % STARTS)
    top = bench.fresh(bench.disk, "start")
    repo = repository(os.path.join(top, "repo"), 1)
    env = bench.environment(top, ILCHUL_HOME=os.path.join(top, "h"))
    commands = {
        "git --version": ["git", "--version"],
        "ilchul --version": [bench.binary, "--version"],
        "ilchul status, empty home": [bench.binary, "status"],
    }
    took = {name: Series(name, "ms", 2) for name in commands}
    said = subprocess.run(commands["ilchul status, empty home"], cwd=repo, env=env, stdin=NULL,
                          stdout=NULL, stderr=subprocess.PIPE, text=True, check=False)
    bench.say("     `ilchul status` answers %d: %s" % (said.returncode, said.stderr.partition("\n")[0]))
    # Without a run the answer is an error of its own kind; a command that isn't there is
    # quick as well, and proves nothing.
    if said.returncode not in (0, 1) or "to run this command" in said.stderr:
        raise Failed("`ilchul status` ended with %d: %s" % (said.returncode, said.stderr.strip()))
    for number in range(-3, STARTS):
        for name, argv in commands.items():
            begun = time.monotonic()
            subprocess.run(argv, cwd=repo, env=env, stdin=NULL, stdout=NULL, stderr=NULL, check=False)
            if number >= 0:
                took[name].add((time.monotonic() - begun) * 1e3)
    bench.say("     for comparison: %s" % took["git --version"])
    bench.limit("P12", took["ilchul --version"], 3.0, "ms")
    bench.limit("P12", took["ilchul status, empty home"], 10.0, "ms")
    size = Series("release binary", "MiB", 2)
    size.add(os.path.getsize(bench.binary) / (1 << 20))
    bench.limit("P12", size, 12.0, "MiB")

"""P10: a supervisor that was stopped while 40,000 reports arrived.

A worker has one mail folder and one `report.json` in it: a later report replaces the one
before it, and only the last that stands there can be read. So 400 workers get 100 reports
each, in turns, by rename, while the supervisor is stopped: twice and a half of what the
kernel keeps of unread notifications, so most of them are dropped. None is lost when the
last report of every worker stands in the journal, by its hash; the time counts from
SIGCONT until then, as seen by a reader of the journal every 2 ms. The other side reads
and parses 40,000 files with the same bytes, each once, with nothing else to do. It leaves
out folders that can't be watched.
"""
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import time

from common import NULL, Failed, Series, repository, wait_until, workflow
from wakeup import mail_of

WORKERS = 400
REPORTS = 40000


def p10(bench):
    bench.say("\nP10: %d reports for %d workers while the supervisor is stopped" % (REPORTS, WORKERS))
    top = bench.fresh(bench.disk, "flood")
    plan = workflow(WORKERS, "subprocess", "none", "sleep 3600", WORKERS)
    repo = repository(os.path.join(top, "repo"), 1, {"ilchul.yaml": plan})
    home = os.path.join(top, "h")
    env = bench.environment(top, ILCHUL_HOME=home)
    with open(os.path.join(top, "said"), "wb") as said:
        up = subprocess.Popen([bench.binary, "up", "--session", "subprocess", "--workers", str(WORKERS)],
                              cwd=repo, env=env, stdin=NULL, stdout=said, stderr=said)

    def end():
        if up.returncode is None:
            up.send_signal(signal.SIGCONT)
            subprocess.run([bench.binary, "down", "--force"], cwd=repo, env=env, stdin=NULL, stdout=NULL,
                           stderr=NULL, timeout=60, check=False)
            if up.poll() is None:
                up.terminate()
            up.wait()

    bench.enders.append(end)
    mail = wait_until(lambda: mail_of(home, WORKERS), 120, "all workers beat", 0.1)
    ours = Series("last of all reports in the journal", "s")
    plain = Series("plain scan and parse", "s")
    for number in range(bench.runs):
        batch = reports(mail, number)
        ours.add(flood(up, mail, os.path.join(home, "journal.db"), batch))
        plain.add(scan(bench, top, batch))
    bench.ratio("P10", ours, plain, 2.0)
    end()


def reports(mail, number):
    """(worker, bytes) of every report, in the order in which they are written."""
    batch = []
    told = {}
    for worker in sorted(os.listdir(mail)):
        with open(os.path.join(mail, worker, "assignment.json"), "rb") as file:
            assignment = json.load(file)
        told[worker] = {name: assignment[name] for name in ("task", "attempt", "token")}
    for turn in range(REPORTS // WORKERS):
        for worker, whose in told.items():
            body = {"schema": "ilchul.report/1", **whose, "status": ("blocked", "needs_input")[turn % 2],
                    "summary": "report %d of round %d" % (turn, number), "reason": "it is measured"}
            batch.append((worker, json.dumps(body).encode()))
    return batch


def flood(up, mail, journal, batch):
    """Seconds from the supervisor's awakening until nothing that stands in mail is missing."""
    last = {worker: hashlib.sha256(body).hexdigest() for worker, body in batch}
    reader = sqlite3.connect("file:%s?mode=ro" % journal, uri=True, isolation_level=None)
    seq = reader.execute("SELECT max(seq) FROM events").fetchone()[0]
    up.send_signal(signal.SIGSTOP)
    try:
        for worker, body in batch:
            folder = os.path.join(mail, worker)
            half = os.path.join(folder, ".tmp", "flood")
            with open(half, "wb") as file:
                file.write(body)
            os.rename(half, os.path.join(folder, "report.json"))
    finally:
        begun = time.monotonic()
        up.send_signal(signal.SIGCONT)
    missing = set(last.values())
    while missing:
        rows = reader.execute("SELECT seq, data FROM events WHERE seq > ? AND kind = 'report.accepted'", (seq,))
        for seq, data in rows.fetchall():
            missing.discard(json.loads(data)["report"]["step"]["accepted"]["sha256"])
        if up.poll() is not None or time.monotonic() - begun > 60:
            raise Failed("%d of %d last reports are lost" % (len(missing), len(last)))
        time.sleep(0.002)
    reader.close()
    return time.monotonic() - begun


def scan(bench, top, batch):
    folder = bench.fresh(top, "plain")
    for number, (_, body) in enumerate(batch):
        with open(os.path.join(folder, "%d.json" % number), "wb") as file:
            file.write(body)
    argv = [bench.floor, "scan", folder]
    found = json.loads(subprocess.run(argv, stdin=NULL, stdout=subprocess.PIPE, check=True).stdout)
    if found["reports"] != len(batch):
        raise Failed("the plain scan found %d of %d reports" % (found["reports"], len(batch)))
    return found["wall_s"]

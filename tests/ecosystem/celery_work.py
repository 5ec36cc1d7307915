"""Celery: workers with processes, as they are started in production, against the server.

What is held: every result arrives, once; what is asked of chains, groups and chords comes out right;
priorities, times and revocations are heeded; a worker that is killed loses no task.
"""
import datetime
import gc
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import celery
import kombu
import redis

from server import Child, Traffic, children, eventually, main_on_servers, same

WAIT = 30
MAIN, VICTIM = ("%s@%s" % (name, socket.gethostname()) for name in ("main", "victim"))
VISIBILITY_SECONDS = 2


def worker(name, queues, processes, **environment):
    return Child(sys.executable, "-m", "celery", "-A", "celery_app", "worker", "-n", name + "@%h", "-Q", ",".join(queues),
                 "-c", str(processes), "-E", "--loglevel", "info", "--heartbeat-interval", "1", **environment)


def results(a):
    same(a.add.delay(2, 3).get(timeout=WAIT), 5)
    sent = [a.add.apply_async((i, 1)) for i in range(60)]
    same([r.get(timeout=WAIT) for r in sent], list(range(1, 61)))
    r = a.fail.delay("no")
    try:
        r.get(timeout=WAIT)
        raise AssertionError("a task that fails gave a result")
    except ValueError as error:
        same(str(error), "no")
    same([r.state, r.failed(), "ValueError" in r.traceback], ["FAILURE", True, True])
    r = a.add.delay(1, 1)
    same([r.get(timeout=WAIT), r.name, r.args, r.queue], [2, "celery_app.add", [1, 1], "celery"])
    meta = redis.Redis(port=int(os.environ["RINGDOVE_PORT"]))
    assert 3500 < meta.ttl("celery-task-meta-" + r.id) <= 3600
    r.forget()
    same(meta.exists("celery-task-meta-" + r.id), 0)
    same(a.third_time.delay("thrice").get(timeout=WAIT), [3, 2])


def chains_groups_and_chords(a):
    from celery import chain, chord, group
    same(chain(a.add.s(1, 2), a.add.s(4), a.add.s(8))().get(timeout=WAIT), 15)
    same(group(a.add.s(i, i) for i in range(20))().get(timeout=WAIT), [2 * i for i in range(20)])
    same(chord((a.add.s(i, i) for i in range(20)), a.total.s())().get(timeout=WAIT), 380)
    same((group(a.add.s(1, i) for i in range(3)) | a.total.s() | a.add.s(100))().get(timeout=WAIT), 106)
    same(chain(a.add.s(1, 1), group(a.add.s(10), a.add.s(20)))().get(timeout=WAIT), [12, 22])
    same(chord([chord([a.add.s(i, j) for i in range(3)], a.total.s()) for j in range(3)], a.total.s())().get(timeout=WAIT), 18)
    same(a.add.starmap([(1, 2), (3, 4)]).apply_async().get(timeout=WAIT), [3, 7])
    same(sum(a.add.chunks(zip(range(10), range(10)), 4).apply_async().get(timeout=WAIT), []), [2 * i for i in range(10)])
    got = []
    many = group(a.add.s(i, 0) for i in range(30))()
    for _, r in many.iter_native():
        got.append(r["result"])
    same(sorted(got), list(range(30)))
    failed = chord([a.add.s(1, 1), a.fail.s("in a chord")], a.total.s())()
    eventually(lambda: failed.state == "FAILURE", "the failure of a chord")
    assert isinstance(failed.result, celery.exceptions.ChordError) and "in a chord" in str(failed.result), failed.result


def times_and_priorities(a):
    began = time.time()
    later = a.when.apply_async(countdown=1.2)
    dated = a.when.apply_async(eta=datetime.datetime.fromtimestamp(began + 1, datetime.timezone.utc))
    never = a.when.apply_async(queue="mail", expires=0.01)
    for n in range(48):
        a.note.apply_async((n % 10,), queue="mail", priority=n % 10)
    # At the worker of one process, which takes them one by one.
    a.app.control.add_consumer("mail", reply=True, limit=1, destination=[VICTIM], timeout=WAIT)
    eventually(lambda: a.store.llen("noted") == 48, "what has priorities")
    steps = [max(s for s in (0, 3, 6, 9) if s <= int(p)) for p in a.store.lrange("noted", 0, -1)]
    same(steps, sorted(steps), "the order of priorities")
    assert later.get(timeout=WAIT) >= began + 1.2 and dated.get(timeout=WAIT) >= began + 1
    eventually(lambda: never.state == "REVOKED", "the task that expired")


def remote_control(a):
    inspect = a.app.control.inspect(destination=[MAIN], timeout=WAIT, limit=1)
    same(inspect.ping(), {MAIN: {"ok": "pong"}})
    assert "celery_app.add" in inspect.registered()[MAIN]
    same(sorted(q["name"] for q in inspect.active_queues()[MAIN]), ["celery"])
    same(inspect.stats()[MAIN]["broker"]["transport"], "redis")
    running = a.hold.delay("terminated")
    waiting = a.hold.apply_async(("revoked",), queue="elsewhere")
    eventually(lambda: a.store.lrange("held", 0, -1) == [b"terminated"] and running.state == "STARTED", "a running task")
    same([t["id"] for t in inspect.active()[MAIN]], [running.id])
    a.app.control.revoke(running.id, terminate=True, signal="SIGKILL")
    eventually(lambda: running.state == "REVOKED", "the end of a running task")
    a.app.control.revoke(waiting.id)
    eventually(lambda: waiting.id in inspect.revoked()[MAIN], "the worker's knowledge of what is revoked")
    a.app.control.add_consumer("elsewhere", reply=True, limit=1, destination=[MAIN], timeout=WAIT)
    eventually(lambda: waiting.state == "REVOKED", "the revocation of a task in its queue")
    a.app.control.cancel_consumer("elsewhere", reply=True, limit=1, destination=[MAIN], timeout=WAIT)
    assert a.dies_once.delay("mayfly").get(timeout=WAIT) is True, "a task whose process was killed comes again"


class Events(threading.Thread):
    """What Flower does: collects what workers tell of their tasks."""

    def __init__(self, app):
        super().__init__(daemon=True)
        self.app, self.seen, self.ending = app, [], False
        self.start()

    def run(self):
        with self.app.connection() as c:
            receiver = self.app.events.Receiver(c, handlers={"*": self.seen.append})
            for _ in receiver.consume(limit=None, timeout=None, wakeup=False):
                if self.ending:
                    return

    def of(self, uuid):
        return [e["type"] for e in list(self.seen) if e.get("uuid") == uuid]


def events(a, collector):
    r = a.add.delay(5, 5)
    same(r.get(timeout=WAIT), 10)
    wanted = {"task-sent", "task-received", "task-started", "task-succeeded"}
    eventually(lambda: wanted <= set(collector.of(r.id)), "the events of a task")
    eventually(lambda: any(e["type"] == "worker-heartbeat" for e in collector.seen), "a heartbeat")


def what_operators_see(a, server):
    """redis-cli's MONITOR, CLIENT LIST, SLOWLOG and INFO while workers wait and work."""
    def cli(*words):
        return subprocess.run(["redis-cli", "-p", str(server.port), *words], capture_output=True, check=True, timeout=30,
                              stdin=subprocess.DEVNULL).stdout.decode()

    if not shutil.which("redis-cli"):
        return
    with children() as watching:
        watching.append(Child("redis-cli", "-p", str(server.port), "monitor"))
        eventually(lambda: watching[0].says("OK"), "MONITOR")
        cli("config", "set", "slowlog-log-slower-than", "0")
        same(a.add.delay(1, 41).get(timeout=WAIT), 42)
        cli("config", "set", "slowlog-log-slower-than", "10000")
        for wanted in ('"LPUSH" "celery', '"BRPOP" "', '"ZADD" "unacked_index"', '"HSET" "unacked"', '"MULTI"', '"EXEC"',
                       '"SETEX" "celery-task-meta-', '"PUBLISH" "celery-task-meta-'):
            eventually(lambda: watching[0].says(wanted), wanted)
        lines = [line for line in watching[0].log().splitlines() if "celery-task-meta-" in line]
        assert all(re.match(r'\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "', line) for line in lines), lines
    clients = [dict(field.split("=", 1) for field in line.split()) for line in cli("client", "list").splitlines()]
    eventually(lambda: "cmd=brpop" in cli("client", "list"), "a worker in BRPOP")
    assert any(int(c["psub"]) > 0 for c in clients), "nobody listens to patterns"
    same({c["db"] for c in clients if c["cmd"] == "brpop"} | {"0"}, {"0"})
    assert re.search(r"blocked_clients:[1-9]", cli("info", "clients")), cli("info", "clients")
    slow = cli("slowlog", "get", "128").split("\n")
    assert "LPUSH" in slow and ("EXEC" in slow or "HSET" in slow), slow


def a_worker_is_killed(a, server, workers):
    r = redis.Redis(port=server.port)
    a.store.delete("held")
    sent = [a.hold.apply_async((str(n),), queue="fragile") for n in range(4)]
    eventually(lambda: a.store.llen("held") == 1 and r.hlen("unacked") >= 1, "a task at the worker")
    workers[1].end(signal.SIGKILL)
    a.store.set("let go", 1)
    same(r.hlen("unacked") + r.llen("fragile\x06\x166"), 4, "nobody has acknowledged anything")
    taken = lambda: [score for _, score in r.zrange("unacked_index", 0, -1, withscores=True)]  # noqa: E731
    eventually(lambda: max(taken(), default=0) < time.time() - VISIBILITY_SECONDS - 0.1, "the visibility timeout")
    # Its successor looks for lost tasks when it starts.
    workers.append(worker("successor", ["fragile"], 1, CELERY_VISIBILITY=str(VISIBILITY_SECONDS)))
    same([s.get(timeout=WAIT) for s in sent], ["0", "1", "2", "3"])
    eventually(lambda: r.hlen("unacked") == 0 and r.zcard("unacked_index") == 0, "everything acknowledged")
    same(sorted(set(a.store.lrange("held", 0, -1))), [b"0", b"1", b"2", b"3"])
    workers[2].end()


def workers_at_work(server):
    os.environ["RINGDOVE_PORT"] = str(server.port)
    sys.modules.pop("celery_app", None)
    import celery_app as a
    with children() as workers, Traffic(server) as traffic:
        workers += [worker("main", ["celery"], 2), worker("victim", ["fragile"], 1)]
        collector = Events(a.app)
        for w in workers:
            eventually(lambda: w.says(" ready."), "a worker that is ready", 60)
        for step, more in ((results, ()), (chains_groups_and_chords, ()), (times_and_priorities, ()), (remote_control, ()),
                           (events, (collector,)), (what_operators_see, (server,)), (a_worker_is_killed, (server, workers))):
            began = time.time()
            step(a, *more)
            print("    %-40s %5.1f s" % (step.__name__.replace("_", " "), time.time() - began), flush=True)
        collector.ending = True
        a.add.delay(1, 1).get(timeout=WAIT)
        workers[0].end()
        # Results unsubscribe when they are forgotten, and would try that for ever without a server.
        gc.collect()
    traffic.had("LPUSH", "BRPOP", "SETEX", "PUBLISH", "SUBSCRIBE", "PSUBSCRIBE", "MGET", "ZADD", "HSET", "ZREM", "HDEL",
                "WATCH", "EVALSHA")
    collector.join(WAIT)
    a.app.close()


if __name__ == "__main__":
    print("Celery %s, kombu %s, redis-py %s" % (celery.__version__, kombu.__version__, redis.__version__))
    main_on_servers(workers_at_work)

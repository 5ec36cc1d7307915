"""Dramatiq: everything it asks of its broker goes through one script, which makes the names of its keys
from its arguments. Messages, results, retries, delays, pipelines, groups, rate limits, and a worker that is
killed, whose messages another one takes over.
"""
import os
import signal
import sys
import time
from importlib.metadata import version

import redis

from server import Child, Traffic, children, eventually, main_on_servers, same

WAIT = 30_000


def worker(**environment):
    return Child(sys.executable, "-m", "dramatiq", "dramatiq_app", "--processes", "1", "--threads", "4", **environment)


def messages(a):
    import dramatiq
    sent = [a.add.send(n, 1) for n in range(60)]
    same([m.get_result(block=True, timeout=WAIT) for m in sent], list(range(1, 61)))
    same(a.third_time.send("thrice").get_result(block=True, timeout=WAIT), 3)
    began = time.time()
    same(a.add.send_with_options(args=(1, 1), delay=500).get_result(block=True, timeout=WAIT), 2)
    assert time.time() - began >= 0.5
    same((a.add.message(1, 2) | a.add.message(10) | a.add.message(100)).run().get_result(block=True, timeout=WAIT), 113)
    same(sorted(dramatiq.group([a.add.message(n, n) for n in range(10)]).run().get_results(block=True, timeout=WAIT)),
         [2 * n for n in range(10)])
    a.fail.send()
    r = a.broker.client
    eventually(lambda: r.zcard("dramatiq:default.XQ") == 1, "the message of a task that failed for good")
    for n in range(8):
        a.limited.send(n)
    eventually(lambda: a.store.llen("limited") == 8, "what is limited")
    same(sorted(a.store.lrange("limited", 0, -1)), [b"0"] * 5 + [b"1"] * 3)
    with a.alone.acquire():
        with a.alone.acquire(raise_on_failure=False) as got:
            same(got, False)
    a.broker.join("default", timeout=WAIT)


def a_worker_is_killed(a, alive):
    for n in range(6):
        a.hold.send(n)
    eventually(lambda: a.store.llen("held") == 4, "four busy threads")
    alive[0].end(signal.SIGKILL)
    a.store.set("let go", 1)
    alive.append(worker(HEARTBEAT_TIMEOUT_MS="1000"))
    eventually(lambda: a.store.smembers("done") == {b"%d" % n for n in range(6)}, "the messages of the lost worker")
    a.broker.join("fragile", timeout=WAIT)
    same(alive[1].end(), 0)


def workers(server):
    os.environ["RINGDOVE_PORT"] = str(server.port)
    sys.modules.pop("dramatiq_app", None)
    import dramatiq_app as a
    with children() as alive, Traffic(server) as traffic:
        alive.append(worker())
        for step, more in ((messages, ()), (a_worker_is_killed, (alive,))):
            began = time.time()
            step(a, *more)
            print("    %-40s %5.1f s" % (step.__name__.replace("_", " "), time.time() - began), flush=True)
    a.broker.close()
    traffic.had("EVALSHA", "WATCH", "RPOPLPUSH" if traffic.commands["RPOPLPUSH"] else "BRPOPLPUSH")


if __name__ == "__main__":
    print("dramatiq %s, redis-py %s" % (version("dramatiq"), redis.__version__))
    main_on_servers(workers)

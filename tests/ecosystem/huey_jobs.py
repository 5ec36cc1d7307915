"""Huey: a consumer process for each of its Redis storages: results, retries, times, priorities, periodic
tasks, locks, pipelines of tasks. Its scheduler takes what is due with a script, once a second.
"""
import datetime
import os
import sys
import time

import huey
import redis

from server import Child, Traffic, children, eventually, main_on_servers, same

WAIT = 30


def storage(server, kind):
    os.environ.update(RINGDOVE_PORT=str(server.port), HUEY_KIND=kind)
    sys.modules.pop("huey_app", None)
    import huey_app as a
    a.store.flushall()
    result = lambda r: r.get(blocking=True, timeout=WAIT)  # noqa: E731
    workers = "1" if kind.startswith("priority") else "2"
    with children() as consumers, Traffic(server) as traffic:
        consumers.append(Child(sys.executable, "-m", "huey.bin.huey_consumer", "huey_app.app", "-w", workers, "-k",
                               "process" if kind == "plain" else "thread", "-s", "1"))
        soon = a.add.schedule((1, 2), delay=1)
        dated = a.add.schedule((3, 4), eta=datetime.datetime.now() + datetime.timedelta(seconds=1))
        never = a.add.schedule((1, 1), delay=3600)
        never.revoke()
        assert never.is_revoked() and soon.get() is None and dated.get() is None
        got = [a.add(n, 1) for n in range(100)]
        same([result(r) for r in got], list(range(1, 101)))
        a.third_time("thrice")
        eventually(lambda: a.store.get("thrice") == b"3", "a task that is tried again")
        steps = a.app.enqueue(a.add.s(1, 2).then(a.add, 10).then(a.add, 100))
        same(list(steps.get(blocking=True, timeout=WAIT)), [3, 13, 113])
        same(result(a.locked()), "alone")
        a.app.put("k", {"a": 1})
        same([a.app.get("k", peek=True), a.app.get("k")], [{"a": 1}] * 2)
        eventually(lambda: a.store.get("periods"), "the periodic task")
        if kind.startswith("priority"):
            # The worker is busy while what is urgent comes last.
            a.hold()
            eventually(lambda: a.store.exists("holding"), "a busy worker")
            for n in range(12):
                a.note(n, priority=n)
            same(a.app.pending_count(), 12)
            a.store.set("let go", 1)
            eventually(lambda: a.store.llen("noted") == 12, "what has priorities")
            same([int(n) for n in a.store.lrange("noted", 0, -1)], list(range(11, -1, -1)))
        same([result(soon), result(dated), a.app.scheduled_count()], [3, 7, 1])
        consumers[0].end()
    traffic.had("EVALSHA", "ZADD", *(("BZPOPMIN",) if kind.startswith("priority") else ("LPUSH", "BRPOP")))


def every_storage(server):
    for kind in ("plain", "expire", "priority", "priority_expire"):
        began = time.time()
        storage(server, kind)
        print("    %-40s %5.1f s" % (kind, time.time() - began), flush=True)


if __name__ == "__main__":
    print("huey %s, redis-py %s" % (huey.__version__, redis.__version__))
    main_on_servers(every_storage)

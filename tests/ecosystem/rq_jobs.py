"""RQ: jobs, results, failures, retries, times, dependencies, and its workers as processes: in burst mode,
with the scheduler, told to stop over pub/sub, and killed.
"""
import os
import signal
import sys
import time
from datetime import timedelta

import redis
import rq
from rq import Queue, Retry, Worker
from rq.command import send_stop_job_command
from rq.job import Job
from rq.registry import FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry, StartedJobRegistry

from server import Child, Traffic, children, eventually, main_on_servers, same

VERSION = tuple(int(n) for n in rq.VERSION.split(".")[:2])


def worker(server, *words):
    return Child(sys.executable, "-m", "rq.cli", "worker", "--url", "redis://127.0.0.1:%d/0" % server.port, "--path", ".",
                 *words)


def bursts(server, r, alive):
    """A worker that goes when there is nothing left to do."""
    high, low = Queue("high", connection=r), Queue("low", connection=r)
    jobs = [low.enqueue("rq_app.add", n, 1) for n in range(8)]
    first = high.enqueue("rq_app.note", "first")
    failed = low.enqueue("rq_app.fail", "no")
    again = low.enqueue("rq_app.third_time", "thrice", retry=Retry(max=3))
    many = low.enqueue_many([Queue.prepare_data("rq_app.note", args=("many %d" % n,)) for n in range(3)])
    after = low.enqueue("rq_app.note", "after", depends_on=[first, jobs[3]])
    at_front = low.enqueue("rq_app.note", "front", at_front=True)
    same([len(high), len(low), low.get_job_ids()[0], after.get_status()], [1, 14, at_front.id, "deferred"])
    same({q.name for q in Queue.all(connection=r)}, {"high", "low"})
    alive.append(worker(server, "--burst", "high", "low"))
    same(alive[-1].process.wait(timeout=60), 0)
    same([job.return_value() for job in jobs], list(range(1, 9)))
    same([job.get_status(refresh=True) for job in many + [failed, again, after]], ["finished"] * 3 + ["failed", "finished", "finished"])
    same(again.return_value(), 3)
    noted = r_store(server).lrange("noted", 0, -1)
    same([noted[0], noted[1], sorted(noted[2:])], [b"first", b"front", [b"after", b"many 0", b"many 1", b"many 2"]])
    failures = FailedJobRegistry(queue=low)
    same([failures.get_job_ids(), len(FinishedJobRegistry(queue=low)), len(low), len(StartedJobRegistry(queue=low))],
         [[failed.id], 14, 0, 0])
    assert "ValueError: no" in (failed.latest_result().exc_string or "")
    failures.requeue(failed.id)
    same([len(low), Job.fetch(failed.id, connection=r).get_status()], [1, "queued"])
    low.empty()  # a script whose keys are made of what it pops
    same([len(low), Job.exists(failed.id, connection=r)], [0, False])


def times(server, r, alive):
    queue = Queue("later", connection=r)
    # The scheduler looks once a second.
    alive.append(worker(server, "--with-scheduler", "later"))
    soon = queue.enqueue_in(timedelta(seconds=1), "rq_app.add", 1, 2)
    never = queue.enqueue_in(timedelta(hours=1), "rq_app.add", 1, 2)
    assert never.id in ScheduledJobRegistry(queue=queue).get_job_ids()
    kept = queue.enqueue("rq_app.add", 5, 6)
    result = kept.latest_result(timeout=30) if VERSION >= (1, 16) else eventually(lambda: kept.latest_result(), "a result")
    same(result.return_value, 11)
    if VERSION >= (2, 4):
        queue.enqueue("rq_app.hold", unique=True, job_id="only")
        try:
            queue.enqueue("rq_app.hold", unique=True, job_id="only")
            raise AssertionError("the same job twice")
        except rq.exceptions.DuplicateJobError:
            pass
    else:
        queue.enqueue("rq_app.hold", job_id="only")
    eventually(lambda: r_store(server).exists("holding"), "a running job")
    workers = Worker.all(connection=r)
    same([w.get_state() for w in workers], ["busy"])
    send_stop_job_command(r, "only")
    eventually(lambda: Job.fetch("only", connection=r).get_status() in ("stopped", "failed"), "the end of a job")
    eventually(lambda: soon.return_value() == 3, "what was due")
    never.cancel()
    same([ScheduledJobRegistry(queue=queue).count, never.get_status()], [0, "canceled"])


def a_worker_is_killed(server, r, alive):
    """Its job is found when its lease is over, and fails or is tried again."""
    store, queue = r_store(server), Queue("later", connection=r)
    store.delete("holding")
    job = queue.enqueue("rq_app.hold", retry=Retry(max=1))
    eventually(lambda: store.exists("holding"), "a running job")
    eventually(lambda: StartedJobRegistry(queue=queue).count == 1, "the registry")
    alive[-1].end(signal.SIGKILL)
    store.set("let go", 1)
    registry = StartedJobRegistry(queue=queue)
    r.zadd(registry.key, {member: 1 for member in r.zrange(registry.key, 0, -1)})  # years later
    registry.cleanup()
    same([registry.count, len(queue)], [0, 1])
    alive.append(worker(server, "--burst", "later"))
    same(alive[-1].process.wait(timeout=60), 0)
    same(job.get_status(refresh=True), "finished")


def r_store(server):
    return redis.Redis(port=server.port, db=1)


def workers(server):
    os.environ["RINGDOVE_PORT"] = str(server.port)
    r = redis.Redis(port=server.port)
    with children() as alive, Traffic(server) as traffic:
        for step in (bursts, times, a_worker_is_killed):
            began = time.time()
            step(server, r, alive)
            print("    %-40s %5.1f s" % (step.__name__.replace("_", " "), time.time() - began), flush=True)
    traffic.had("EVALSHA", "HSET", "RPUSH", "ZADD", "SADD", "SUBSCRIBE", "PUBLISH", "WATCH", "XADD", "CLIENT", "INFO")
    assert traffic.commands["BLMOVE"] or traffic.commands["BLPOP"]


if __name__ == "__main__":
    print("RQ %s, redis-py %s" % (rq.VERSION, redis.__version__))
    main_on_servers(workers)

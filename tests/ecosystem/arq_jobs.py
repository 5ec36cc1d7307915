"""arq: jobs, results, retries, times, unique jobs, cron, aborted jobs, and a worker that is killed."""
import asyncio
import os
import signal
import sys
import time
from datetime import timedelta
from importlib.metadata import version

import arq
import redis
from arq.jobs import Job, JobStatus

from server import Child, Traffic, children, eventually, main_on_servers, same


def worker():
    return Child(sys.executable, "-m", "arq", "arq_app.WorkerSettings")


async def result(job):
    try:
        return await job.result(timeout=30, poll_delay=0.05)
    except arq.jobs.ResultNotFound:
        # Old versions look for the result and for the job one after the other.
        return await job.result(timeout=30, poll_delay=0.05)


async def jobs(a, pool, r):
    sent = [await pool.enqueue_job("add", n, 1) for n in range(40)]
    same([await result(job) for job in sent], list(range(1, 41)))
    same(await result(await pool.enqueue_job("third_time")), 3)
    failed = await pool.enqueue_job("fail")
    try:
        await result(failed)
        raise AssertionError("a job that fails gave a result")
    except ValueError as error:
        same(str(error), "no")
    same([await failed.status(), (await failed.result_info()).success], [JobStatus.complete, False])
    later = await pool.enqueue_job("add", 1, 2, _defer_by=timedelta(seconds=0.7))
    same(await later.status(), JobStatus.deferred)
    same([await pool.enqueue_job("hold", "one", _job_id="only") is None, await pool.enqueue_job("hold", "two", _job_id="only")],
         [False, None])
    await asyncio.to_thread(eventually, lambda: r.lrange("held", 0, -1) == [b"one"], "a running job")
    only = Job("only", pool)
    same(await only.status(), JobStatus.in_progress)
    same(await only.abort(timeout=30, poll_delay=0.05), True)
    same(await result(later), 3)
    await asyncio.to_thread(eventually, lambda: int(r.get("seconds") or 0) >= 1, "cron")
    await asyncio.to_thread(eventually, lambda: r.exists("arq:queue:health-check"), "the worker's word of its health")


async def a_worker_is_killed(a, pool, r, alive):
    """The job's lease is as long as its timeout; when it is over, another worker runs it."""
    job = await pool.enqueue_job("hold", "again", _job_id="again")
    await asyncio.to_thread(eventually, lambda: b"again" in r.lrange("held", 0, -1), "a running job")
    alive[0].end(signal.SIGKILL)
    r.set("let go", 1)
    assert r.pttl("arq:in-progress:again") > 0
    r.pexpire("arq:in-progress:again", 1)
    alive.append(worker())
    same(await result(job), "again")
    same(r.lrange("held", 0, -1).count(b"again"), 2)
    alive[1].end()


async def all_of(server, alive):
    import arq_app as a
    pool = await arq.create_pool(a.SETTINGS)
    r = redis.Redis(port=server.port)
    for step, more in ((jobs, ()), (a_worker_is_killed, (alive,))):
        began = time.time()
        await step(a, pool, r, *more)
        print("    %-40s %5.1f s" % (step.__name__.replace("_", " "), time.time() - began), flush=True)
    await (pool.aclose() if hasattr(pool, "aclose") else pool.close())


def workers(server):
    os.environ["RINGDOVE_PORT"] = str(server.port)
    sys.modules.pop("arq_app", None)
    with children() as alive, Traffic(server) as traffic:
        alive.append(worker())
        asyncio.run(all_of(server, alive))
    traffic.had("WATCH", "MULTI", "EXEC", "PSETEX", "ZADD", "ZRANGEBYSCORE", "ZREM", "ZSCORE", "INFO", "DBSIZE", "DEL")


if __name__ == "__main__":
    print("arq %s, redis-py %s" % (version("arq"), redis.__version__))
    main_on_servers(workers)

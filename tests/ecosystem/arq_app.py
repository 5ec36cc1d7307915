"""The functions and the worker's settings of `arq_jobs.py`."""
import asyncio
import os

from arq import Retry, cron
from arq.connections import RedisSettings

SETTINGS = RedisSettings(port=int(os.environ["RINGDOVE_PORT"]), conn_timeout=5)


async def add(ctx, x, y):
    return x + y


async def fail(ctx):
    raise ValueError("no")


async def third_time(ctx):
    if ctx["job_try"] < 3:
        raise Retry(defer=0.05)
    return ctx["job_try"]


async def hold(ctx, name):
    await ctx["redis"].rpush("held", name)
    while not await ctx["redis"].exists("let go"):
        await asyncio.sleep(0.02)
    return name


async def every_second(ctx):
    await ctx["redis"].incr("seconds")


class WorkerSettings:
    functions = [add, fail, third_time, hold]
    cron_jobs = [cron(every_second, second=set(range(60)))]
    redis_settings = SETTINGS
    poll_delay = 0.1
    max_jobs = 4
    job_timeout = 20
    allow_abort_jobs = True
    health_check_interval = 1

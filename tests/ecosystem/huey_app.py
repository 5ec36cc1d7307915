"""The tasks of `huey_jobs.py`, with the storage that HUEY_KIND names."""
import os
import time

import redis
from huey import PriorityRedisExpireHuey, PriorityRedisHuey, RedisExpireHuey, RedisHuey, crontab

KINDS = {"plain": RedisHuey, "expire": RedisExpireHuey, "priority": PriorityRedisHuey, "priority_expire": PriorityRedisExpireHuey}
PORT = int(os.environ["RINGDOVE_PORT"])
app = KINDS[os.environ["HUEY_KIND"]]("shop", host="127.0.0.1", port=PORT)
store = redis.Redis(port=PORT, db=1)


@app.task()
def add(a, b):
    return a + b


@app.task(retries=3, retry_delay=0)
def third_time(name):
    n = store.incr(name)
    if n < 3:
        raise ValueError("not yet")
    return n


@app.task()
def note(what):
    store.rpush("noted", what)


@app.task()
def hold():
    store.incr("holding")
    end = time.time() + 30
    while not store.exists("let go") and time.time() < end:
        time.sleep(0.02)


@app.periodic_task(crontab(minute="*"))
def every_minute():
    store.incr("periods")


@app.task()
@app.lock_task("only one")
def locked():
    return "alone"

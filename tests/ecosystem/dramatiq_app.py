"""The actors of `dramatiq_jobs.py`."""
import os
import time

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.rate_limits import ConcurrentRateLimiter, WindowRateLimiter
from dramatiq.rate_limits.backends import RedisBackend as RateLimits
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend as ResultsInRedis

PORT = int(os.environ["RINGDOVE_PORT"])
# Every command looks after dead workers, who are dead after so much silence.
broker = RedisBroker(host="127.0.0.1", port=PORT, maintenance_chance=1_000_000,
                     heartbeat_timeout=int(os.environ.get("HEARTBEAT_TIMEOUT_MS", 60_000)))
broker.add_middleware(Results(backend=ResultsInRedis(host="127.0.0.1", port=PORT)))
dramatiq.set_broker(broker)
store = redis.Redis(port=PORT, db=1)
limits = RateLimits(host="127.0.0.1", port=PORT)
window = WindowRateLimiter(limits, "window", limit=3, window=60)
alone = ConcurrentRateLimiter(limits, "alone", limit=1, ttl=30_000)


@dramatiq.actor(store_results=True)
def add(x, y):
    return x + y


@dramatiq.actor(store_results=True, max_retries=3, min_backoff=10, max_backoff=20)
def third_time(name):
    n = store.incr(name)
    if n < 3:
        raise ValueError("not yet")
    return n


@dramatiq.actor(max_retries=0)
def fail():
    raise ValueError("no")


@dramatiq.actor
def limited(n):
    with window.acquire(raise_on_failure=False) as got:
        store.rpush("limited", int(got))


@dramatiq.actor(queue_name="fragile")
def hold(n):
    store.rpush("held", n)
    end = time.time() + 30
    while not store.exists("let go") and time.time() < end:
        time.sleep(0.02)
    store.sadd("done", n)

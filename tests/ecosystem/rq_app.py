"""The functions that `rq_jobs.py` sends to workers."""
import os
import time

import redis

store = redis.Redis(port=int(os.environ["RINGDOVE_PORT"]), db=1)


def add(x, y):
    return x + y


def fail(text):
    raise ValueError(text)


def third_time(name):
    n = store.incr(name)
    if n < 3:
        raise ValueError("not yet")
    return n


def note(what):
    store.rpush("noted", what)
    return what


def hold():
    store.set("holding", 1)
    end = time.time() + 30
    while not store.exists("let go") and time.time() < end:
        time.sleep(0.02)

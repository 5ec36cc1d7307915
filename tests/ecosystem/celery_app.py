"""The Celery application of `celery_work.py`: broker, results and settings as sites have them, in one
database."""
import os
import signal
import time

import redis
from celery import Celery

URL = "redis://127.0.0.1:%s/0" % os.environ["RINGDOVE_PORT"]
VISIBILITY_SECONDS = int(os.environ.get("CELERY_VISIBILITY", 3600))

app = Celery("shop", broker=URL, backend=URL)
app.conf.update(
    broker_connection_retry_on_startup=True,
    # What is restored comes from workers that are gone; `unacked_restore_*` are heard by kombu since 5.7.
    broker_transport_options={"visibility_timeout": VISIBILITY_SECONDS, "queue_order_strategy": "priority",
                              "unacked_restore_interval": 1, "unacked_restore_throttle": 1},
    redis_socket_timeout=30,
    # Results that are forgotten after the server has gone do not wait for it.
    result_backend_transport_options={"retry_policy": {"max_retries": 2, "interval_start": 0, "interval_step": 0.1}},
    result_expires=3600,
    result_extended=True,
    task_acks_late=True,
    task_default_priority=6,
    task_reject_on_worker_lost=True,
    task_send_sent_event=True,
    task_track_started=True,
    timezone="UTC",
    worker_prefetch_multiplier=1,
)
store = redis.Redis(port=int(os.environ["RINGDOVE_PORT"]), db=1, socket_timeout=30)


@app.task
def add(x, y):
    return x + y


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def fail(text):
    raise ValueError(text)


@app.task
def note(what):
    store.rpush("noted", what)


@app.task
def when():
    return time.time()


@app.task(bind=True, max_retries=5)
def third_time(self, name):
    times = store.incr(name)
    if times < 3:
        raise self.retry(countdown=0.1)
    return [times, self.request.retries]


@app.task
def hold(name):
    """Runs until it is let go."""
    store.rpush("held", name)
    while not store.exists("let go"):
        time.sleep(0.02)
    return name


@app.task(bind=True)
def dies_once(self, name):
    if store.incr(name) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return self.request.delivery_info["redelivered"]

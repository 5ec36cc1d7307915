"""kombu by itself against the server: the broker traffic that Celery makes.

Each queue is four lists, one for each step of priority, and a worker waits at all lists of all its
queues with one BRPOP; what a worker holds is written down in the hash `unacked` and the sorted set
`unacked_index`. So nearly every command here is about keys that lie on different shards, and what is
held is that a message is delivered exactly once, in the order of its priority, and comes back when
its worker is lost.
"""
import os
import signal
import subprocess
import sys
import threading
import traceback

import kombu
import redis
from kombu import Connection, Consumer, Exchange, Producer, Queue

from server import Traffic, eventually, main_on_servers, same

STEPS = (0, 3, 6, 9)
OPTIONS = {"socket_timeout": 30}
VISIBILITY_SECONDS = 1


def url(server, db=0):
    return "redis://127.0.0.1:%d/%d" % (server.port, db)


def connection(server, **options):
    return Connection(url(server), transport_options=dict(OPTIONS, **options))


def queue(name, kind="direct", key=None, **more):
    return Queue(name, Exchange(name if kind == "direct" else "ex." + kind, type=kind), routing_key=key or name, **more)


class Worker(threading.Thread):
    """Consumes in a thread with a connection of its own, and comes back when that is lost."""

    def __init__(self, server, queues, ack=True, prefetch=0, **options):
        super().__init__(daemon=True)
        self.server, self.queues, self.ack, self.prefetch, self.options = server, queues, ack, prefetch, options
        self.got, self.lost, self.ending, self.ready = [], 0, threading.Event(), threading.Event()
        self.error = None
        self.start()
        assert self.ready.wait(30), self.error

    def run(self):
        try:
            while not self.ending.is_set():
                with connection(self.server, **self.options) as c:
                    c.ensure_connection(interval_start=0.05, interval_step=0.05, interval_max=0.2)
                    try:
                        self.consume(c)
                    except c.connection_errors:
                        self.lost += 1
        except Exception as error:
            traceback.print_exc()
            self.error = error
            self.ready.set()

    def consume(self, c):
        channel = c.channel()
        if self.prefetch:
            channel.basic_qos(0, self.prefetch, False)
        with Consumer(channel, self.queues, callbacks=[self.on_message]):
            while not self.ending.is_set():
                # The first turns send SUBSCRIBE and BRPOP.
                try:
                    c.drain_events(timeout=0.1)
                except TimeoutError:
                    pass
                self.ready.set()

    def on_message(self, body, message):
        if self.ack:
            message.ack()
        self.got.append((message.delivery_info["routing_key"], body, message))

    def bodies(self):
        return [body for _, body, _ in self.got]



def stop(*workers):
    """Each ends when its BRPOP has: all at the same time."""
    for w in workers:
        w.ending.set()
    for w in workers:
        w.join(30)
        assert not w.is_alive(), "a worker does not end"
        if w.error:
            raise w.error


def nothing_is_left(server, *queues):
    r = redis.Redis(port=server.port)
    for key in ["unacked", "unacked_index"] + [q + s for q in queues for s in ("", "\x06\x163", "\x06\x166", "\x06\x169")]:
        same(r.exists(key), 0, key)


def every_message_once_at_one_of_many_workers(server):
    names = ["celery", "mail", "reports"]
    queues = [queue(name) for name in names]
    with Traffic(server) as traffic:
        workers = [Worker(server, queues) for _ in range(4)]
        with connection(server) as c:
            producer = Producer(c.channel())
            wanted = ["%s-%d" % (names[i % 3], i) for i in range(300)]
            for i, body in enumerate(wanted):
                producer.publish(body, exchange=names[i % 3] if i % 2 else "", routing_key=names[i % 3], declare=queues[:1],
                                 priority=STEPS[i % 4])
        eventually(lambda: sum(len(w.got) for w in workers) >= len(wanted), "300 messages")
        stop(*workers)
    got = [body for w in workers for body in w.bodies()]
    same(sorted(got), sorted(wanted))
    assert all(body.startswith(key) for w in workers for key, body, _ in w.got)
    assert all(len(w.got) for w in workers), "some worker got nothing: %s" % [len(w.got) for w in workers]
    nothing_is_left(server, *names)
    traffic.had("LPUSH", "BRPOP", "MULTI", "ZADD", "HSET", "EXEC", "ZREM", "HDEL", "SADD", "SMEMBERS", "LLEN")


def priorities_before_queues_and_arrival(server):
    """BRPOP names the lists of all queues step by step, so what is more urgent in the last queue comes
    before what is less so in the first."""
    names = ["celery", "mail"]
    queues = [queue(name) for name in names]
    with connection(server) as c:
        channel = c.channel()
        producer = Producer(channel)
        for q in queues:
            q(channel).declare()
        sent = []
        for n in range(60):
            priority, name = (n * 7) % 10, names[(n // 2) % 2]
            producer.publish([priority, name, n], exchange=name, routing_key=name, priority=priority)
            sent.append([priority, name, n])
        same([q(channel).queue_declare(passive=True).message_count for q in queues], [30, 30])
    worker = Worker(server, queues, prefetch=1)
    eventually(lambda: len(worker.got) == 60, "60 messages")
    stop(worker)
    steps = [max(s for s in STEPS if s <= priority) for priority, _, _ in worker.bodies()]
    same(steps, sorted(steps), "the order of priorities")
    for step in STEPS:
        for name in names:
            of_list = [n for p, where, n in worker.bodies() if where == name and max(s for s in STEPS if s <= p) == step]
            same(of_list, sorted(of_list), "first come, first served")
    same(sorted(worker.bodies()), sorted(sent))
    nothing_is_left(server, *names)


def exchanges_bind_queues(server):
    """Direct, topic and fanout exchanges; the last are published to whoever listens now."""
    topics = [queue("logs.all", "topic", "#"), queue("logs.errors", "topic", "*.error")]
    fanouts = [Queue("listener.%d" % i, Exchange("news", type="fanout"), auto_delete=True) for i in range(3)]
    pattern = Queue("listener.p", Exchange("news", type="fanout"), routing_key="sport.#")
    with Traffic(server) as traffic:
        workers = [Worker(server, [q]) for q in topics] + [Worker(server, [q]) for q in fanouts]
        special = Worker(server, [pattern])
        r = redis.Redis(port=server.port)
        eventually(lambda: r.pubsub_numpat() >= 2, "the patterns of fanout exchanges")
        with connection(server) as c:
            producer = Producer(c.channel())
            topic, news = topics[0].exchange, pattern.exchange
            for i, key in enumerate(["mail.error", "mail.info", "web.error"]):
                producer.publish(i, exchange=topic, routing_key=key, declare=[topic])
            for i in range(5):
                producer.publish(i, exchange=news, declare=[news])
            producer.publish("goal", exchange=news, routing_key="sport.football")
        eventually(lambda: [len(w.got) for w in workers] == [3, 2, 5, 5, 5] and len(special.got) == 1,
                   "messages through exchanges")
        stop(*workers, special)
    same([sorted(w.bodies()) for w in workers], [[0, 1, 2], [0, 2]] + [[0, 1, 2, 3, 4]] * 3)
    same(special.bodies(), ["goal"])
    same(workers[2].bodies(), [0, 1, 2, 3, 4], "the order of a publisher")
    traffic.had("PSUBSCRIBE", "PUBLISH", "SMEMBERS")


def refused_and_forgotten_messages_come_back(server):
    r = redis.Redis(port=server.port)
    with connection(server) as c:
        channel = c.channel()
        producer, q = Producer(channel), queue("celery")(channel)
        q.declare()
        for n in range(4):
            producer.publish(n, exchange="celery", routing_key="celery", priority=3)
        first = q.get()
        same([first.payload, first.delivery_info["routing_key"], r.hlen("unacked")], [0, "celery", 1])
        first.requeue()
        same([r.hlen("unacked"), q.queue_declare(passive=True).message_count], [0, 4])
        taken = [q.get() for _ in range(4)]
        same(sorted(m.payload for m in taken), [0, 1, 2, 3])
        same([m.payload for m in taken if m.headers.get("redelivered")], [0])
        taken[0].reject()
        taken[1].ack()
        same([r.hlen("unacked"), r.zcard("unacked_index")], [2, 2])
        left = [m.payload for m in taken[2:]]
    # The end of a connection gives back what was not acknowledged.
    with connection(server) as c:
        channel = c.channel()
        q = queue("celery")(channel)
        same(sorted(q.get(no_ack=True).payload for _ in range(2)), sorted(left))
        same(q.get(), None)
        Producer(channel).publish("x", exchange="", routing_key="celery")
        same(q.purge(), 1)
        q.delete()
        simple = c.SimpleQueue("simple")
        for n in range(3):
            simple.put({"n": n})
        same([simple.qsize(), len(simple)], [3, 3])
        for n in range(3):
            message = simple.get(timeout=10)
            same(message.payload, {"n": n})
            message.ack()
        simple.close()
    nothing_is_left(server, "celery", "simple")


def tasks_of_a_lost_worker_are_delivered_again(server):
    """A worker takes eight messages of all priorities, and is killed. When their visibility timeout is
    over, another worker restores them."""
    r = redis.Redis(port=server.port)
    with connection(server) as c:
        channel = c.channel()
        for name in ("celery", "mail"):
            queue(name)(channel).declare()
        producer = Producer(channel)
        for n in range(8):
            name = ("celery", "mail")[n % 2]
            producer.publish(n, exchange=name, routing_key=name, priority=STEPS[n // 2])
    lost = subprocess.Popen([sys.executable, os.path.realpath(__file__), "worker", str(server.port)],
                            stdin=subprocess.DEVNULL)
    try:
        eventually(lambda: r.hlen("unacked") == 8 and r.zcard("unacked_index") == 8, "8 messages at the worker")
    finally:
        lost.send_signal(signal.SIGKILL)
        lost.wait()
    with Traffic(server) as traffic:
        worker = Worker(server, [queue("celery"), queue("mail")], visibility_timeout=VISIBILITY_SECONDS)
        eventually(lambda: len(worker.got) == 8, "the messages of the lost worker")
        stop(worker)
    same(sorted(worker.bodies()), list(range(8)))
    assert all(m.headers["redelivered"] for _, _, m in worker.got)
    nothing_is_left(server, "celery", "mail")
    same(r.exists("unacked_mutex"), 0, "the lock of who restores")
    traffic.had("WATCH", "HGET", "SET", "EVALSHA", "RPUSH")
    assert traffic.commands["ZREVRANGEBYSCORE"] or traffic.commands["ZRANGE"]


def lose_worker(port):
    with Connection("redis://127.0.0.1:%s/0" % port, transport_options=OPTIONS) as c:
        with Consumer(c.channel(), [queue("celery"), queue("mail")], callbacks=[lambda body, message: None]):
            while True:
                c.drain_events()


def workers_outlive_their_connections_and_the_server(server):
    """Every connection is cut, and then the server is killed and started again with another number of
    shards: what was sent is delivered, what was acknowledged is not delivered again."""
    names = ["celery", "mail"]
    queues = [queue(name) for name in names]
    workers = [Worker(server, queues) for _ in range(3)]
    r = redis.Redis(port=server.port)
    sent, shards = [], server.shards
    with connection(server) as c:
        producer = Producer(c, auto_declare=False)

        def send(count):
            for _ in range(count):
                sent.append(len(sent))
                producer.publish(sent[-1], exchange=names[sent[-1] % 2], routing_key=names[sent[-1] % 2], retry=True,
                                 priority=STEPS[sent[-1] % 4], declare=queues, retry_policy={"interval_start": 0.05})
        send(100)
        eventually(lambda: sum(len(w.got) for w in workers) >= 100, "100 messages")
        r.client_kill_filter(_type="normal", skipme=True)
        send(100)
        eventually(lambda: set(sent) <= {b for w in workers for b in w.bodies()}, "200 messages")
        send(50)
        eventually(lambda: set(sent) <= {b for w in workers for b in w.bodies()}, "250 messages")
        nothing_is_left(server, *names)
        server.kill()
        server.start(shards=shards + 1)
        send(100)
        eventually(lambda: set(sent) <= {b for w in workers for b in w.bodies()}, "350 messages")
    stop(*workers)
    assert all(w.lost for w in workers), "nobody lost a connection"
    # The only ones that may come twice are those whose acknowledgement was cut off.
    twice = sum(len(w.got) for w in workers) - len(sent)
    assert 0 <= twice <= 2 * len(workers), "%d messages came twice" % twice
    nothing_is_left(server, *names)
    server.kill()
    server.start(shards=shards)


def a_prefix_for_every_key(server):
    with connection(server, global_keyprefix="site1:") as c:
        channel = c.channel()
        q = queue("celery")(channel)
        q.declare()
        Producer(channel).publish("mine", exchange="celery", routing_key="celery", priority=9)
    worker = Worker(server, [queue("celery")], global_keyprefix="site1:")
    eventually(lambda: worker.bodies() == ["mine"], "the message under a prefix")
    stop(worker)
    keys = redis.Redis(port=server.port).keys("*")
    assert keys and all(key.startswith(b"site1:") for key in keys), keys


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        lose_worker(sys.argv[2])
    print("kombu %s, redis-py %s" % (kombu.__version__, redis.__version__))
    main_on_servers(every_message_once_at_one_of_many_workers, priorities_before_queues_and_arrival, exchanges_bind_queues,
                    refused_and_forgotten_messages_come_back, tasks_of_a_lost_worker_are_delivered_again,
                    workers_outlive_their_connections_and_the_server, a_prefix_for_every_key)

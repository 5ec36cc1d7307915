"""Channels' layers in Redis: the core layer (sorted sets, BZPOPMIN, scripts over keys that they do not
declare) and the pub/sub layer, within a process and between processes.
"""
import asyncio
import os
import subprocess
import sys
import time

import channels
import channels_redis
import redis
from channels.exceptions import ChannelFull
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer

from server import IS_RINGDOVE, Traffic, eventually, main_on_servers, same

LAYERS = {"core": RedisChannelLayer, "pubsub": RedisPubSubChannelLayer}
MEMBERS = 1000
# Longer than the five seconds of BZPOPMIN and of redis-py 8's socket timeout, which are the same.
IDLE_SECONDS = 6
REDIS_PY = int(redis.__version__.split(".")[0])


def layer(port, kind="core", **how):
    how = dict({"capacity": 1500, "expiry": 10, "group_expiry": 86400} if kind == "core" else {}, **how)
    return LAYERS[kind](hosts=[{"address": "redis://127.0.0.1:%d/0" % port}], **how)


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, 30)


async def closing(*layers):
    for one in layers:
        await (one.close_pools() if hasattr(one, "close_pools") else one.flush())


def run(coroutine):
    return asyncio.run(coroutine)


async def messages_arrive_in_order(port):
    one, two = layer(port), layer(port)
    wanted = [{"type": "test.message", "text": "Hello \u00fc", "n": n, "bytes": b"\x00\xff", "float": 1.5, "more": [None, {}]}
              for n in range(50)]
    for message in wanted:
        await one.send("test_channel", message)
    same([await soon(two.receive("test_channel")) for _ in wanted], wanted)
    own = [await two.new_channel() for _ in range(5)]
    for n in range(50):
        await one.send(own[n % 5], {"type": "x", "n": n})
    for at, channel in enumerate(own):
        same([(await soon(two.receive(channel)))["n"] for _ in range(10)], list(range(at, 50, 5)))
    big = {"type": "x", "text": "x" * (1 << 20)}
    await one.send("test_channel", big)
    same(await soon(two.receive("test_channel")), big)
    await closing(one, two)


async def a_group_of_a_thousand(port):
    one = layer(port, capacity=10, expiry=60)
    names = ["member.%d" % n for n in range(MEMBERS)]
    for at in range(0, MEMBERS, 50):  # redis-py 8 has a hundred connections at most
        await asyncio.gather(*[one.group_add("all", name) for name in names[at:at + 50]])
    for n in range(3):
        await one.group_send("all", {"type": "x", "n": n})
    r = redis.Redis(port=port)
    same({r.zcard("asgimember.%d" % n) for n in range(MEMBERS)}, {3})
    assert all(0 < r.ttl("asgimember.%d" % n) <= 60 for n in range(0, MEMBERS, 50))
    same([(await soon(one.receive(names[7])))["n"] for _ in range(3)], [0, 1, 2])
    # Those whose channel is full miss the message, the others do not.
    for n in range(10):
        await one.send(names[3], {"type": "filler"}) if n < 7 else None
    await one.group_send("all", {"type": "x", "n": 3})
    same([r.zcard("asgi" + names[n]) for n in (3, 4, 7)], [10, 4, 1])
    await one.group_discard("all", names[4])
    await one.group_send("all", {"type": "x", "n": 4})
    same([r.zcard("asgi" + names[n]) for n in (4, 5)], [4, 5])
    await one.flush()
    same(r.keys("asgi*"), [])
    await closing(one)


async def capacity_and_expiry(port):
    one = layer(port, capacity=3, expiry=3, group_expiry=3)
    for _ in range(3):
        await one.send("full", {"type": "x"})
    try:
        await one.send("full", {"type": "x"})
        raise AssertionError("a full channel took a message")
    except ChannelFull:
        pass
    await one.group_add("short", "lived")
    r = redis.Redis(port=port)
    same([r.exists("asgifull"), r.exists("asgi:group:short")], [1, 1])
    await asyncio.to_thread(eventually, lambda: not r.exists("asgifull", "asgi:group:short"), "the end of what expires")
    await one.send("full", {"type": "y"})
    same(await soon(one.receive("full")), {"type": "y"})
    await closing(one)


async def receivers_that_give_up_take_nothing_along(port):
    """What a receiver had taken when its process ended lies in a backup, from where the next receiver's
    script brings it back, and one that waits no more gets nothing."""
    one, two = layer(port), layer(port)
    r = redis.Redis(port=port)
    blocked = lambda: r.info("clients")["blocked_clients"]  # noqa: E731
    # The one that idles all the time is the first.
    channel = await two.new_channel()
    for _ in range(5):
        waiting = asyncio.ensure_future(two.receive(channel))
        await asyncio.to_thread(eventually, lambda: blocked() == 2, "a waiting receiver")
        waiting.cancel()
        await asyncio.wait([waiting])
        await asyncio.to_thread(eventually, lambda: blocked() == 1, "its end")
    for n in range(5):
        await one.send(channel, {"type": "x", "n": n})
    key = "asgi" + channel.split("!")[0] + "!"
    same([r.zcard(key), r.zcard(key + "$inflight")], [5, 0])
    r.zadd(key + "$inflight", dict(r.zpopmin(key, 3)))
    same([(await soon(two.receive(channel)))["n"] for _ in range(5)], [0, 1, 2, 3, 4])
    await closing(one, two)


async def encrypted_and_prefixed(port):
    how = {"symmetric_encryption_keys": ["secret"], "prefix": "site2"}
    one, two = layer(port, **how), layer(port, **how)
    await one.group_add("g", "a")
    await one.group_send("g", {"type": "x", "text": "hidden"})
    r = redis.Redis(port=port)
    assert all(key.startswith(b"site2") for key in r.keys("*")) and b"hidden" not in r.zrange("site2a", 0, -1)[0]
    same(await soon(two.receive("a")), {"type": "x", "text": "hidden"})
    await closing(one, two)


async def processes(port, kind):
    """Two more processes with thirty channels each in a group; what anybody sends to the group comes
    back from all of them, and what is sent to one comes back from that one."""
    own = layer(port, kind)
    home = await own.new_channel()
    peers = [subprocess.Popen([sys.executable, os.path.realpath(__file__), "peer", str(port), kind, home], stdin=subprocess.DEVNULL)
             for _ in range(2)]
    try:
        their = [(await soon(own.receive(home)))["channel"] for _ in range(60)]
        same(len(set(their)), 60)
        for n in range(5):
            await own.group_send("peers", {"type": "ask", "n": n})
        heard = {}
        for _ in range(5 * 60):
            answer = await soon(own.receive(home))
            heard.setdefault(answer["channel"], []).append(answer["n"])
        same(set(heard), set(their))
        assert all(ns == [0, 1, 2, 3, 4] for ns in heard.values()), "the order of a sender"
        await own.send(their[13], {"type": "ask", "n": 99})
        answer = await soon(own.receive(home))
        same([answer["channel"], answer["n"]], [their[13], 99])
        await own.group_send("peers", {"type": "end"})
        for p in peers:
            same(p.wait(timeout=30), 0)
    finally:
        for p in peers:
            p.kill()
            p.wait()
    await closing(own)


async def peer(port, kind, home):
    own = layer(port, kind)

    async def member():
        channel = await own.new_channel()
        await own.group_add("peers", channel)
        await own.send(home, {"type": "here", "channel": channel})
        while True:
            message = await own.receive(channel)
            if message["type"] == "end":
                return
            await own.send(home, {"type": "answer", "channel": channel, "n": message["n"]})
    await asyncio.gather(*[member() for _ in range(30)])


async def groups_of_the_pubsub_layer(port):
    one, two = layer(port, "pubsub"), layer(port, "pubsub", prefix="other")
    channel = await one.new_channel()
    deaf = await two.new_channel()
    await two.group_add("group.1", deaf)
    for n in range(MEMBERS):
        await one.group_add("group.%d" % n, channel)
    r = redis.Redis(port=port)
    subscribed = lambda: len(r.pubsub_channels("asgi__group__*"))  # noqa: E731
    await asyncio.to_thread(eventually, lambda: subscribed() == MEMBERS, "the subscriptions")
    for n in range(0, MEMBERS, 10):
        await one.group_send("group.%d" % n, {"type": "x", "n": n})
    same([(await soon(one.receive(channel)))["n"] for _ in range(MEMBERS // 10)], list(range(0, MEMBERS, 10)))
    for n in range(MEMBERS):
        await one.group_discard("group.%d" % n, channel)
    await asyncio.to_thread(eventually, lambda: subscribed() == 0, "the end of the subscriptions")
    await closing(one, two)


async def all_of(port):
    """A receiver that hears nothing for longer than its timeouts keeps its connection: started first,
    sent to last."""
    idle = layer(port)
    channel, began = await idle.new_channel(), time.monotonic()
    waiting = asyncio.ensure_future(idle.receive(channel))
    connections = None
    for test, more in ((messages_arrive_in_order, ()), (capacity_and_expiry, ()), (encrypted_and_prefixed, ()),
                       (receivers_that_give_up_take_nothing_along, ()), (processes, ("core",)), (processes, ("pubsub",)),
                       (groups_of_the_pubsub_layer, ())):
        if connections is None:
            connections = redis.Redis(port=port).info("stats")["total_connections_received"]
        since = time.monotonic()
        await test(port, *more)
        print("    %-44s %5.1f s" % (" ".join([test.__name__.replace("_", " "), *more]), time.monotonic() - since), flush=True)
    if IS_RINGDOVE or REDIS_PY < 8:
        await asyncio.sleep(max(0.0, IDLE_SECONDS - (time.monotonic() - began)))
        assert not waiting.done(), "the receiver was thrown out: %r" % waiting
        await layer(port).send(channel, {"type": "late"})
        same(await soon(waiting), {"type": "late"})
        await closing(idle)
    else:
        # Where the server answers when the client has given up, the receiver is lost (channels_redis#422).
        waiting.cancel()
    await a_group_of_a_thousand(port)


def layers_at_work(server):
    with Traffic(server) as traffic:
        run(all_of(server.port))
    traffic.had("EVAL", "BZPOPMIN", "ZADD", "ZPOPMIN", "ZREMRANGEBYSCORE", "ZCOUNT", "EXPIRE", "ZRANGE", "PUBLISH", "SUBSCRIBE")


if __name__ == "__main__":
    if sys.argv[1:2] == ["peer"]:
        run(peer(int(sys.argv[2]), sys.argv[3], sys.argv[4]))
        sys.exit()
    print("channels %s, channels_redis %s, redis-py %s" % (channels.__version__, channels_redis.__version__, redis.__version__))
    main_on_servers(layers_at_work)

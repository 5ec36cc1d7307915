"""redis-py, whichever version is installed, in its default protocol and in both by name, with the
parser that its users install (hiredis) and with its own.
"""
import threading
import time

import hiredis
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.exceptions import (AuthenticationError, ConnectionError, DataError, ExecAbortError, LockError, NoPermissionError,
                              ResponseError, WatchError)

from server import IS_RINGDOVE, Server, Traffic, main, same

VERSION = tuple(int(n) for n in redis.__version__.split(".")[:2])
HIREDIS = tuple(int(n) for n in hiredis.__version__.split(".")[:2])
PARSERS = {}
if VERSION >= (5, 0):
    from redis._parsers import _HiredisParser, _RESP2Parser, _RESP3Parser
    PARSERS = {"hiredis": (_HiredisParser, None), "resp2": (_RESP2Parser, 2), "resp3": (_RESP3Parser, 3)}


def connections(server, **more):
    """A client for each way to speak: (name, client)."""
    for protocol in (None, 2, 3):
        how = dict(more, **({} if protocol is None else {"protocol": protocol}))
        yield "protocol %s" % protocol, redis.Redis(port=server.port, **how)
    for name, (parser, protocol) in PARSERS.items():
        how = dict(more, **({} if protocol is None else {"protocol": protocol}))
        single = how.pop("single_connection_client", False)
        pool = redis.ConnectionPool(host="127.0.0.1", port=server.port, parser_class=parser, **how)
        yield name, redis.Redis(connection_pool=pool, single_connection_client=single)


def strings_and_keys():
    with Server() as server:
        for name, r in connections(server):
            r.flushall()
            assert r.ping()
            same(r.set("test_key", "test_value"), True)
            same(r.get("test_key"), b"test_value")
            same(r.get("absent"), None)
            same(r.set("n", 1, nx=True, ex=100), True)
            same(r.set("n", 2, nx=True), None)
            same(r.set("n", 5, get=True, keepttl=True), b"1")
            assert 0 < r.ttl("n") <= 100 and 0 < r.pttl("n") <= 100_000
            same([r.incr("n"), r.decr("n", 2), r.incrbyfloat("f", 1.5)], [6, 4, 1.5])
            same(r.mset({"a": "1", "b": b"\x00\xff\r\n", "c": ""}), True)
            same(r.mget("a", "b", "c", "d"), [b"1", b"\x00\xff\r\n", b"", None])
            same(r.msetnx({"a": 1, "z": 1}), False)
            same([r.append("a", "23"), r.strlen("a"), r.getrange("a", 1, 2)], [3, 3, b"23"])
            same([r.setrange("a", 1, "x"), r.get("a")], [3, b"1x3"])
            same([r.getdel("a"), r.exists("a", "b", "c")], [b"1x3", 2])
            same(r.getex("b", px=60_000), b"\x00\xff\r\n")
            same([r.persist("b"), r.ttl("b"), r.ttl("absent")], [True, -1, -2])
            same([r.expire("b", 50, nx=True), r.expire("b", 10, gt=True), r.expireat("b", 1)], [True, False, True])
            same(r.exists("b"), 0)
            same([r.type("c"), r.rename("c", "d"), r.renamenx("d", "n")], [b"string", True, False])
            same([r.copy("d", "e"), r.unlink("d", "e", "absent"), r.touch("n")], [True, 2, 1])
            same(r.move("n", 3), True)
            same([r.delete("test_key", "f"), r.dbsize(), r.randomkey()], [2, 0, None])
            same(r.setex("s", 10, "v"), True)
            same(r.echo("h\u00e9"), "h\u00e9".encode())
            same(r.object("encoding", "s"), b"embstr")
            assert len(r.time()) == 2 and r.lastsave() is not None and r.memory_usage("s") > 0
            same(r.lcs("s", "s"), b"v")
            same(r.flushdb(asynchronous=True), True)
            same(r.swapdb(0, 3), True)
            same(r.get("n"), b"4")
            r.close()
            print("  " + name, flush=True)


def decoded_answers():
    with Server() as server:
        for _, r in connections(server, decode_responses=True):
            r.set("k", "gr\u00fc\u00dfe")
            same([r.get("k"), r.mget("k", "x"), r.keys("*"), r.type("k")],
                 ["gr\u00fc\u00dfe", ["gr\u00fc\u00dfe", None], ["k"], "string"])
            same(r.client_getname() or "", "")
            r.close()


def errors_keep_their_classes():
    with Server("--maxclients", "10") as server:
        for _, r in connections(server, retry=Retry(NoBackoff(), 0)):
            r.set("k", "text")
            for call, kind, text in [
                (lambda: r.incr("k"), ResponseError, "value is not an integer or out of range"),
                (lambda: r.execute_command("NOSUCH", "a"), ResponseError,
                 "unknown command 'NOSUCH', with args beginning with: 'a' "),
                (lambda: r.execute_command("GET"), ResponseError, "wrong number of arguments for 'get' command"),
                (lambda: r.execute_command("SET", "k", "v", "EX", "0"), ResponseError,
                 "invalid expire time in 'set' command"),
                (lambda: r.auth("x", "nobody"), AuthenticationError,
                 "invalid username-password pair or user is disabled."),
            ]:
                try:
                    call()
                    raise AssertionError("no error")
                except kind as error:
                    same(str(error), text)
            r.close()
        many = []
        try:
            for _ in range(14):
                many.append(redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0)))
                many[-1].ping()
            raise AssertionError("maxclients let 14 in")
        except ConnectionError as error:
            assert "max number of clients reached" in str(error) or "closed" in str(error), error
        for r in many:
            r.close()


def passwords():
    with Server(password="s3cret") as server:
        for protocol in (2, 3):
            good = redis.from_url("redis://:s3cret@127.0.0.1:%d/1?protocol=%d" % (server.port, protocol))
            assert good.ping()
            named = redis.Redis(port=server.port, username="default", password="s3cret", protocol=protocol)
            assert named.ping()
            for wrong in ({}, {"password": "no"}, {"username": "nobody", "password": "s3cret"}):
                try:
                    redis.Redis(port=server.port, protocol=protocol, retry=Retry(NoBackoff(), 0), **wrong).ping()
                    raise AssertionError("let in with %r" % wrong)
                except (AuthenticationError, NoPermissionError):
                    pass


def pipelines():
    with Server() as server:
        for _, r in connections(server):
            r.flushall()
            pipe = r.pipeline(transaction=False)
            for i in range(5000):
                pipe.set("key:%d" % i, i).get("key:%d" % i)
            same(pipe.execute()[1::2], [b"%d" % i for i in range(5000)])
            pipe = r.pipeline()
            same(pipe.set("a", 1).incr("a").mget("a", "b").execute(), [True, 2, [b"2", None]])
            pipe = r.pipeline()
            got = pipe.set("a", "x").incr("a").set("b", 2).execute(raise_on_error=False)
            assert got[0] is True and isinstance(got[1], ResponseError) and got[2] is True
            try:
                r.pipeline().set("c", 1).execute_command("NOSUCH").execute()
                raise AssertionError("no error")
            except (ResponseError, ExecAbortError):
                pass
            same(r.exists("c"), 0)
            same(r.pipeline().execute(), [])
            r.close()


def watch_and_transaction():
    with Server() as server:
        for _, r in connections(server):
            r.flushall()
            r.set("n", 0)
            with r.pipeline() as pipe:
                pipe.watch("n", "m")
                n = int(pipe.get("n"))
                r.set("m", "changed")
                pipe.multi()
                pipe.set("n", n + 1)
                try:
                    pipe.execute()
                    raise AssertionError("executed in spite of WATCH")
                except WatchError:
                    pass
                pipe.watch("n")
                same(pipe.get("n"), b"0")
                pipe.unwatch()
                same(pipe.get("n").execute(), [b"0"])

            def add_one():
                def body(pipe):
                    n, m = int(pipe.get("n")), pipe.get("m")
                    pipe.multi()
                    pipe.set("n", n + 1).set("m", m + b".")
                for _ in range(25):
                    r.transaction(body, "n", "m")

            threads = [threading.Thread(target=add_one) for _ in range(4)]
            [t.start() for t in threads]
            [t.join() for t in threads]
            same([r.get("n"), r.strlen("m")], [b"100", len("changed") + 100])
            r.close()


def scans():
    with Server() as server:
        for _, r in connections(server):
            r.flushall()
            keys = {b"%s:%d" % (kind, i) for kind in (b"user", b"page") for i in range(700)}
            for key in keys:
                r.set(key, 1)
            same(set(r.scan_iter()), keys)
            same(len(list(r.scan_iter(match="user:*", count=37))), 700)
            same(len(list(r.scan_iter(_type="string", count=1000))), 1400)
            same(list(r.scan_iter(_type="hash")), [])
            same(sorted(r.keys("page:69?")), [b"page:69%d" % i for i in range(10)])
            cursor, page = r.scan(0, count=5)
            assert isinstance(cursor, int) and page
            r.close()


def server_commands():
    with Server() as server:
        for name, r in connections(server, client_name="shop"):
            info = r.info()
            assert info["redis_version"] and info["connected_clients"] >= 1 and info["used_memory"] > 0
            assert r.info("server")["process_id"] == server.process.pid
            assert set(r.info("keyspace")) == set()
            r.set("k", "v", ex=100)
            same([r.info("keyspace")["db0"][f] for f in ("keys", "expires")], [1, 1])
            assert "cmdstat_set" in r.info("commandstats") and "used_cpu_user" in r.info("cpu")
            me = r.client_info()
            same([me["name"], int(me["db"])], ["shop", 0])
            assert any(c["name"] == "shop" and int(c["id"]) == r.client_id() for c in r.client_list())
            if IS_RINGDOVE and VERSION >= (5, 0):  # CLIENT SETINFO came with Redis 7.2
                same(me["lib-name"], "redis-py")
            assert r.client_getname() in ("shop", b"shop") and r.client_setname("till")
            same(r.config_get("maxmemory-policy"), {"maxmemory-policy": "noeviction"})
            same(r.config_get("port"), {"port": str(server.port)})
            same(len(r.config_get("slowlog-*")), 2)
            same(r.config_set("slowlog-max-len", 99), True)
            same(r.config_get("slowlog-max-len"), {"slowlog-max-len": "99"})
            same(r.config_resetstat(), True)
            assert r.command_count() > 50
            if name != "protocol 3" or HIREDIS >= (2, 3):  # hiredis 2.2 crashes on Redis's reply, too
                assert "get" in r.command()
            r.config_set("slowlog-log-slower-than", 0)
            r.slowlog_reset()
            r.get("k")
            same([e["command"] for e in r.slowlog_get(10)][-2:], [b"GET k", b"SLOWLOG RESET"])
            r.config_set("slowlog-log-slower-than", 10_000)
            assert r.slowlog_len() >= 2 and r.slowlog_reset()
            assert r.client_no_evict("ON") and r.client_pause(1) and r.client_unpause()
            same(r.client_kill_filter(_id="999999"), 0)
            other = redis.Redis(port=server.port, single_connection_client=True)
            same(r.client_kill_filter(_id=other.client_id()), 1)
            try:
                other.ping()
            except ConnectionError:
                pass
            assert other.ping()  # on a new connection
            other.close()
            r.flushall()
            r.close()


def unknown_questions_of_new_clients():
    """redis-py 8 asks for maintenance notifications on every connection: an error is fine, a closed
    connection is not."""
    with Server() as server:
        for _, r in connections(server, single_connection_client=True):
            before = r.client_id()
            for words in (("CLIENT", "MAINT_NOTIFICATIONS", "ON", "moving-endpoint-type", "internal-ip"),
                          ("CLIENT", "NOSUCH"), ("HELLO", "4")):
                try:
                    r.execute_command(*words)
                    raise AssertionError("no error")
                except ResponseError:
                    pass
            same(r.client_id(), before, "the connection")
            r.close()


def databases():
    with Server() as server:
        for _, r in connections(server, db=9):
            r.set("k", "nine")
            zero = redis.from_url("redis://127.0.0.1:%d" % server.port)
            same([zero.get("k"), zero.info("keyspace")["db9"]["keys"]], [None, 1])
            r.flushdb()
            r.close()
        try:
            redis.Redis(port=server.port, db=16).ping()
            raise AssertionError("there is no database 16")
        except ResponseError as error:
            same(str(error), "DB index is out of range")


def data_types():
    with Server(shards=4) as server:
        for _, r in connections(server, decode_responses=True):
            r.flushall()
            same([r.rpush("l", "a", "b", "c"), r.lpop("l"), r.lrange("l", 0, -1), r.lmove("l", "m")], [3, "a", ["b", "c"], "b"])
            same([r.brpop("none", 0.01), list(r.blpop(["none", "l"], 1))], [None, ["l", "c"]])
            same([r.hset("h", mapping={"a": 1, "b": 2}), r.hgetall("h"), r.hincrby("h", "a")], [2, {"a": "1", "b": "2"}, 2])
            same([r.sadd("s", "x", "y"), r.smembers("s"), r.sinter("s", "none")], [2, {"x", "y"}, set()])
            same([r.zadd("z", {"one": 1, "two": 2.5}), r.zscore("z", "two"), r.zrange("z", 0, -1)], [2, 2.5, ["one", "two"]])
            same([r.zunionstore("u", ["z", "z"]), r.zscore("u", "two")], [2, 5.0])
            first = r.xadd("x", {"n": 1})
            same([r.xlen("x"), r.xrange("x")], [1, [(first, {"n": "1"})]])
            same([r.xgroup_create("x", "g", 0), len(r.xreadgroup("g", "me", {"x": ">"})), r.xack("x", "g", first)], [True, 1, 1])
            same([r.pfadd("p", 1, 2, 3), r.pfcount("p"), r.setbit("b", 7, 1), r.bitcount("b")], [1, 3, 0, 1])
            same([r.geoadd("geo", (13.36, 38.11, "Palermo")), len(r.geosearch("geo", member="Palermo", radius=1))], [1, 1])
            r.close()


def locks_and_scripts():
    with Server(shards=4) as server, Traffic(server) as traffic:
        for _, r in connections(server):
            r.flushall()
            r.script_flush()
            for name in ("lock:a", "lock:b"):  # the scripts are loaded for the first of them
                lock = r.lock(name, timeout=10, blocking_timeout=0.05)
                assert lock.acquire() and lock.locked() and lock.owned()
                same(r.lock(name, timeout=10).acquire(blocking=False), False)
                assert lock.extend(20) and lock.extend(30, replace_ttl=True) and 20 < r.ttl(name) <= 30
                assert lock.reacquire() and 0 < r.ttl(name) <= 10
                r.set(name, "another's")
                for call in (lock.extend, lock.reacquire, lambda *_: lock.release()):
                    try:
                        call(*([1] if call == lock.extend else []))
                        raise AssertionError("somebody else's lock")
                    except LockError:
                        lock.local.token = lock.local.token or b"lost"
                r.delete(name)
                with r.lock(name, timeout=5):
                    same(r.exists(name), 1)
                same(r.exists(name), 0)
            counted = r.register_script("""
                redis.call('SET', KEYS[1], ARGV[1])
                local n = redis.call('INCRBY', KEYS[2], ARGV[2])
                return {n, redis.call('GET', KEYS[1]), ARGV, false, {ok = 'fine'}}""")
            same(counted(keys=["a", "b"], args=["x", 5]), [5, b"x", [b"x", b"5"], None, b"fine"])
            pipe = r.pipeline()
            counted(keys=["c", "b"], args=["y", 1], client=pipe)
            pipe.get("c")
            same(pipe.execute(), [[6, b"y", [b"y", b"1"], None, b"fine"], b"y"])
            same(r.script_exists(counted.sha, "f" * 40), [True, False])
            same(r.eval("return redis.call('MGET', unpack(KEYS))", 3, "a", "b", "none"), [b"x", b"6", None])
            try:
                r.eval("return redis.call('INCR', KEYS[1])", 1, "a")
                raise AssertionError("no error")
            except ResponseError as error:
                assert "value is not an integer or out of range" in str(error), error
            threads = [threading.Thread(target=add_under_lock, args=(server,)) for _ in range(4)]
            [t.start() for t in threads]
            [t.join() for t in threads]
            same(r.get("sum"), b"40")
            r.close()
    traffic.had("EVALSHA", "EVAL", "SCRIPT")


def add_under_lock(server):
    r = redis.Redis(port=server.port)
    for _ in range(10):
        with r.lock("sum:lock", timeout=20, sleep=0.002):
            r.set("sum", int(r.get("sum") or 0) + 1)
    r.close()


def publish_and_subscribe():
    with Server(shards=4) as server:
        for name, r in connections(server):
            if "3" in name and HIREDIS < (2, 3):  # redis-py finds no messages with it, on Redis neither
                continue
            p = r.pubsub()
            p.subscribe("news", "weather")
            p.psubscribe("sport.*")
            same([next_message(p)["type"] for _ in range(3)], ["subscribe", "subscribe", "psubscribe"])
            same([r.publish("news", "a"), r.publish("sport.x", b"\x00"), r.publish("nobody", "")], [1, 1, 0])
            same([(m["channel"], m["pattern"], m["data"]) for m in (next_message(p), next_message(p))],
                 [(b"news", None, b"a"), (b"sport.x", b"sport.*", b"\x00")])
            same([sorted(r.pubsub_channels()), r.pubsub_numpat(), r.pubsub_numsub("news", "x")],
                 [[b"news", b"weather"], 1, [(b"news", 1), (b"x", 0)]])
            p.ping("still here?")
            same(next_message(p)["type"], "pong")
            for n in range(500):
                r.publish("news", n)
            same([int(next_message(p)["data"]) for _ in range(500)], list(range(500)))
            p.unsubscribe()
            p.punsubscribe()
            same([next_message(p)["type"] for _ in range(3)], ["unsubscribe", "unsubscribe", "punsubscribe"])
            p.close()
            r.close()


def next_message(p):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        message = p.get_message(timeout=1)
        if message is not None:
            return message
    raise AssertionError("no message")


def idle_connections_are_checked():
    """health_check_interval sends PING before a command; a connection that was cut is made again."""
    with Server() as server:
        r = redis.Redis(port=server.port, health_check_interval=1, socket_timeout=5, retry_on_timeout=True)
        r.set("k", "v")
        before = r.info("clients")
        server.kill()
        server.start(shards=3)
        same(r.get("k"), b"v", "after kill -9 and a restart")
        assert before


def data_that_redis_py_refuses():
    with Server() as server:
        r = redis.Redis(port=server.port)
        try:
            r.set("k", None)
            raise AssertionError("redis-py took None")
        except DataError:
            pass
        big = b"x" * (8 << 20)
        same([r.set("big", big), r.get("big") == big], [True, True])


if __name__ == "__main__":
    print("redis-py %s, RESP%s by default, hiredis %s" % (
        redis.__version__, redis.Redis().connection_pool.make_connection().protocol,
        hiredis.__version__))
    main(strings_and_keys, decoded_answers, errors_keep_their_classes, passwords, pipelines, watch_and_transaction,
         scans, server_commands, unknown_questions_of_new_clients, databases, data_types, locks_and_scripts,
         publish_and_subscribe, idle_connections_are_checked, data_that_redis_py_refuses)

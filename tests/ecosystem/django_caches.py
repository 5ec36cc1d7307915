"""Django's own RedisCache and django-redis with the settings that sites use: key prefixes, versions,
pool options, compressors, serializers, a password in the URL.

django-redis's incr and its locks are scripts; what counts is that they count right while others do
the same.
"""
import importlib.util
import threading
import time

import django
import django_redis
import redis
from django.conf import settings

from server import Server, Traffic, main, same

PASSWORD = "a-production-password"
SERVER = Server(password=PASSWORD)
URL = "redis://:%s@127.0.0.1:%d" % (PASSWORD, SERVER.port)
DEFAULT_CLIENT = "django_redis.client.DefaultClient"


def django_redis_cache(db, prefix, **options):
    return {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "%s/%d" % (URL, db),
            "OPTIONS": {"CLIENT_CLASS": DEFAULT_CLIENT, **options}, "KEY_PREFIX": prefix, "TIMEOUT": 900, "VERSION": 1}


CACHES = {
    # The site that caches pages and invalidates them by pattern.
    "default": django_redis_cache(
        1, "app", CONNECTION_POOL_KWARGS={"max_connections": 50, "retry_on_timeout": True, "health_check_interval": 30},
        PARSER="redis.connection.HiredisParser", COMPRESSOR="django_redis.compressors.zlib.ZlibCompressor",
        SOCKET_CONNECT_TIMEOUT=5, SOCKET_TIMEOUT=5, IGNORE_EXCEPTIONS=False),
    "plain": django_redis_cache(2, ""),
    "gzip": django_redis_cache(3, "z", COMPRESSOR="django_redis.compressors.gzip.GzipCompressor"),
    "lzma": django_redis_cache(4, "z", COMPRESSOR="django_redis.compressors.lzma.LzmaCompressor"),
    "lz4": django_redis_cache(11, "z", COMPRESSOR="django_redis.compressors.lz4.Lz4Compressor"),
    "zstd": django_redis_cache(12, "z", COMPRESSOR="django_redis.compressors.zstd.ZStdCompressor"),
    "json": django_redis_cache(5, "j", SERIALIZER="django_redis.serializers.json.JSONSerializer"),
    "herd": django_redis_cache(6, "h"),
    "ignoring": django_redis_cache(7, "i", IGNORE_EXCEPTIONS=True, SOCKET_CONNECT_TIMEOUT=5, SOCKET_TIMEOUT=5),
    # The site of five minutes and two databases, with Django's own backend.
    "builtin": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": URL + "/8",
                "KEY_PREFIX": "finory_cache", "TIMEOUT": 300},
    "session": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": URL + "/9",
                "KEY_PREFIX": "finory_session", "TIMEOUT": 86400},
    # Writes go to the first, reads to any of the others.
    "replicas": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": [URL + "/10", URL + "/10"]},
}
for compressor, needs in (("gzip", "gzip"), ("lz4", "lz4"), ("zstd", "pyzstd")):
    if not (importlib.util.find_spec("django_redis.compressors." + compressor) and importlib.util.find_spec(needs)):
        del CACHES[compressor]
CACHES["herd"]["OPTIONS"]["CLIENT_CLASS"] = "django_redis.client.HerdClient"
settings.configure(CACHES=CACHES, SECRET_KEY="x", DJANGO_REDIS_SCAN_ITERSIZE=10, CACHE_HERD_TIMEOUT=5, USE_TZ=True)
django.setup()
from django.core.cache import caches  # noqa: E402  (needs the settings)

OURS = ("builtin", "session", "replicas")
THEIRS = tuple(name for name in CACHES if name not in OURS)


def raw(name):
    location = CACHES[name]["LOCATION"]
    return redis.from_url(location if isinstance(location, str) else location[0])


def what_both_backends_promise():
    for name in CACHES:
        c = caches[name]
        c.clear()
        same(c.get("k"), None, name)
        same(c.get("k", "default"), "default", name)
        c.set("k", {"a": [1, 2.5, "\u00fc"]} if name != "json" else {"a": 1}, 60)
        same(c.get("k"), {"a": [1, 2.5, "\u00fc"]} if name != "json" else {"a": 1}, name)
        same([c.add("k", 1), c.add("new", 1), c.get("new")], [False, True, 1], name)
        same([c.has_key("k"), "k" in c, c.has_key("absent")], [True, True, False], name)
        same([bool(c.delete("k")), bool(c.delete("k")), c.get("k")], [True, False, None], name)
        many = {"key %d" % i: "value %d" % i for i in range(200)}
        c.set_many(many, timeout=60)
        same(dict(c.get_many(list(many) + ["absent"])), many, name)
        c.delete_many(list(many)[:150])
        same(len(c.get_many(many)), 50, name)
        c.set("big", "x" * 300_000)
        same(c.get("big"), "x" * 300_000, name)
        if name != "json":
            c.set("bytes", b"\x00\xff\r\n$-1\r\n")
            same(c.get("bytes"), b"\x00\xff\r\n$-1\r\n", name)
        same([c.touch("big", 100), c.touch("absent", 100)], [True, False], name)
        if name != "herd":
            c.set("n", 41)
            same([c.incr("n"), c.decr("n", 2), c.get("n")], [42, 40, 40], name)
            try:
                c.incr("absent")
                raise AssertionError("counted what is not there")
            except ValueError:
                pass
        c.set("v", "one")
        c.set("v", "two", version=2)
        same([c.get("v"), c.get("v", version=2)], ["one", "two"], name)
        if name != "herd":
            same([c.incr_version("v", 4), c.get("v"), c.get("v", version=5)], [5, None, "one"], name)
        same(c.get_or_set("computed", lambda: "once", 30), "once", name)
        same(c.get_or_set("computed", lambda: "twice", 30), "once", name)
        c.set("zero", 1, timeout=0)
        same(c.get("zero"), None, name)
        c.set("ever", 1, timeout=None)
        c.set("short", 1, timeout=1)
        r = raw(name)
        ttls = {key.rsplit(b":", 1)[-1]: r.ttl(key) for key in r.keys("*")}
        same(ttls[b"ever"], -1, name)
        assert 0 < ttls[b"big"] <= 105, (name, ttls)
        assert all(key.startswith((CACHES[name].get("KEY_PREFIX", "") + ":").encode()) for key in r.keys("*"))
        c.clear()
        same([c.get("ever"), r.dbsize()], [None, 0], name)


def what_only_django_redis_has():
    for name in THEIRS:
        if name == "herd":
            continue
        c = caches[name]
        c.clear()
        c.set("k", "v", timeout=50)
        assert 0 < c.ttl("k") <= 50 and 0 < c.pttl("k") <= 50_000, name
        same([c.ttl("absent"), c.persist("k"), c.ttl("k")], [0, True, None], name)
        same([c.expire("k", 20), 0 < c.ttl("k") <= 20], [True, True], name)
        same([c.pexpire("k", 30_000), 20 < c.ttl("k") <= 30], [True, True], name)
        same([c.expire_at("k", int(time.time()) + 90), 30 < c.ttl("k") <= 91], [True, True], name)
        same([c.pexpire_at("k", int(time.time() * 1000) + 95_000), 90 < c.ttl("k") <= 96], [True, True], name)
        same(c.set("k", "w", nx=True) is None or c.get("k") == "v", True, name)
        for page in range(120):
            c.set("home_page_data_%d" % page, page)
            c.set("blog_posts_%d" % page, page)
        same(len(c.keys("home_page_data_*")), 120, name)
        same(sorted(c.iter_keys("blog_posts_1?")), ["blog_posts_1%d" % i for i in range(10)], name)
        same(len(list(c.iter_keys("*", itersize=500))), 241, name)
        same(c.delete_pattern("home_page_data_*"), 120, name)
        same(c.delete_pattern("home_page_data_*"), 0, name)
        same(c.delete_pattern("blog_posts_*", itersize=100), 120, name)
        same(c.keys("*"), ["k"], name)
        same(django_redis.get_redis_connection(name).ping(), True, name)
        c.clear()


def side_by_side(work, threads=4):
    """Runs a function in several threads, each with connections of its own."""
    errors = []

    def run():
        try:
            work()
        except Exception as error:
            errors.append(error)

    started = [threading.Thread(target=run) for _ in range(threads)]
    [t.start() for t in started]
    [t.join() for t in started]
    same(errors, [])


def counting_and_locking_side_by_side():
    with Traffic(SERVER) as traffic:
        count_and_lock()
    traffic.had("EVAL", "EVALSHA")


def count_and_lock():
    for name in ("default", "plain", "json", "builtin"):
        c = caches[name]
        c.set("n", 0, None)
        side_by_side(lambda: [caches[name].incr("n", 3) for _ in range(50)])
        same(c.get("n"), 600, name)
    for name in ("default", "plain"):
        c = caches[name]
        c.set("sum", 0, 60)

        def add():
            for _ in range(10):
                with caches[name].lock("sum lock", timeout=20, sleep=0.002):
                    c.set("sum", c.get("sum") + 1, 60)
        side_by_side(add)
        same(c.get("sum"), 40, name)
        lock = c.lock("held", timeout=30)
        assert lock.acquire() and not c.lock("held", timeout=30).acquire(blocking=False)
        assert lock.extend(10) and lock.owned() and lock.release() is None
        assert c.lock("held", timeout=30).acquire(blocking=False)


def sessions_of_both_kinds():
    """Django's session engines by themselves; the site's test has them in use."""
    from django.contrib.sessions.backends import cache as in_cache
    settings.SESSION_CACHE_ALIAS = "session"
    store = in_cache.SessionStore()
    store["cart"] = [1, 2, 3]
    store.set_expiry(1000)
    store.save()
    again = in_cache.SessionStore(store.session_key)
    same([again["cart"], again.exists(store.session_key)], [[1, 2, 3], True])
    again.cycle_key()
    same([in_cache.SessionStore(store.session_key).get("cart"), in_cache.SessionStore(again.session_key)["cart"]],
         [None, [1, 2, 3]])
    again.flush()
    same(in_cache.SessionStore(again.session_key).get("cart"), None)


def the_health_check_of_a_site():
    """Sets a key and gets it, from every cache, before and after everything was flushed."""
    for name in CACHES:
        for _ in range(2):
            caches[name].set("health_check", "ok", 60)
            same(caches[name].get("health_check"), "ok", name)
            raw(name).flushall()


def what_arrives_is_what_was_stored():
    c, r = caches["default"], raw("default")
    c.set("page", "lorem ipsum " * 500, 60)
    stored = r.get("app:1:page")
    assert len(stored) < 300 and stored[:1] == b"\x78", "compressed with zlib"
    c.set("n", 7)
    same(r.get("app:1:n"), b"7", "numbers are stored plainly")
    caches["builtin"].set("n", 7)
    same(raw("builtin").get("finory_cache:1:n"), b"7", "numbers are stored plainly")


def a_server_that_is_away():
    """Restarted, with another number of shards: what was cached is there. Away: errors, or silence for
    those who asked for it."""
    for name in CACHES:
        caches[name].set("stays", "here", timeout=500)
    SERVER.kill()
    same(caches["ignoring"].get("stays"), None)
    for name in ("default", "builtin"):
        try:
            caches[name].get("stays")
            raise AssertionError("an answer from nowhere")
        except (django_redis.exceptions.ConnectionInterrupted, redis.exceptions.ConnectionError):
            pass
    SERVER.start(shards=4)
    for name in CACHES:
        same(caches[name].get("stays"), "here", name)


if __name__ == "__main__":
    print("Django %s, django-redis %s, redis-py %s" % (
        django.get_version(), ".".join(map(str, django_redis.VERSION)), redis.__version__))
    with SERVER:
        main(what_both_backends_promise, what_only_django_redis_has, counting_and_locking_side_by_side, sessions_of_both_kinds,
             the_health_check_of_a_site, what_arrives_is_what_was_stored,
             a_server_that_is_away)

#!/usr/bin/env python3
"""A Django site under load whose server is killed.

usage: run.py CACHE_BACKEND SESSION_ENGINE [SECONDS]

Visitors log in and fill carts that live in their sessions, through gunicorn with several workers and
threads. In the middle of it the server is killed with SIGKILL and started again on its data. Then:

* every session that was acknowledged before is there, with a cart at least as full as the last
  answer said (and at most one fuller, for the request whose answer was lost);
* outside the outage no request fails, and after it requests succeed again;
* the same holds after another kill and a start with another number of shards, asked of the server
  itself and through the site;
* who logs out is out.
"""
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]
sys.dont_write_bytecode = True
from server import Server, free_port, same  # noqa: E402

VISITORS = 8
USERS = 20
ADDS_MAX = 12
# Connections in the pool notice the end of the old server in this time.
GRACE_SECONDS = 2.0


class Site:
    """gunicorn with the Django project."""

    def __init__(self, server, backend, engine):
        self.dir = tempfile.mkdtemp(prefix="site-")
        self.environment = dict(
            os.environ, RINGDOVE_PORT=str(server.port), SITE_DIR=self.dir, CACHE_BACKEND=backend, SESSION_ENGINE=engine,
            DJANGO_SETTINGS_MODULE="shop.settings", PYTHONPATH=HERE, PYTHONDONTWRITEBYTECODE="1")
        os.environ.update(self.environment)  # for this process, which makes the users
        import django
        from django.core.management import call_command
        django.setup()
        call_command("migrate", verbosity=0)
        from django.contrib.auth.models import User
        from django.db import connection
        connection.cursor().execute("PRAGMA journal_mode=WAL")
        for n in range(USERS):
            User.objects.create_user("user%d" % n, password="secret")
        connection.close()
        self.port = free_port()
        self.log_path = os.path.join(self.dir, "gunicorn.log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "shop.wsgi", "--bind", "127.0.0.1:%d" % self.port, "--workers", "2",
                 "--threads", "4", "--worker-class", "gthread", "--no-control-socket"],
                cwd=HERE, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.time() + 60
        while True:
            try:
                same(Visitor(self.port).get("/")[0], 200)
                return
            except OSError:
                assert time.time() < end and self.process.poll() is None, self.log()
                time.sleep(0.05)

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()[-6000:]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


class Visitor:
    """A browser: one connection, one cookie."""

    def __init__(self, port, cookie=None):
        self.port, self.cookie, self.connection = port, cookie, None

    def get(self, path):
        """Status and answer; OSError when the site cannot be reached."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            self.connection.request("GET", path, headers={"Cookie": "sessionid=" + self.cookie} if self.cookie else {})
            response = self.connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            self.connection = None
            raise OSError(str(error)) from error
        set_cookie = response.getheader("Set-Cookie") or ""
        if response.status == 200 and set_cookie.startswith("sessionid="):
            self.cookie = set_cookie.split(";")[0].partition("=")[2].strip('"')
        if response.status == 200 and response.getheader("X-Session-Not-Cached"):
            return 503, {}
        return response.status, json.loads(body) if response.status == 200 else {}


class Load:
    """Visitors in threads. `sessions` maps the key of each session that ought to exist to the cart of
    the last answer and to what was asked for meanwhile without an answer."""

    def __init__(self, site_port):
        self.port, self.stop = site_port, threading.Event()
        self.sessions, self.failures, self.served, self.lock = {}, [], [], threading.Lock()
        self.surprises = []
        self.threads = [threading.Thread(target=self.guarded, args=(n,)) for n in range(VISITORS)]
        for t in self.threads:
            t.start()

    def guarded(self, number):
        try:
            self.visit(number)
        except Exception as error:
            self.surprises.append(repr(error))

    def ask(self, visitor, path):
        """The answer, or nothing when the request failed; both are noted with their time."""
        began = time.time()
        try:
            status, answer = visitor.get(path)
        except OSError as error:
            status, answer = str(error), None
        (self.served if status == 200 else self.failures).append((began, time.time(), path, status))
        return answer if status == 200 else None

    def visit(self, number):
        turn = 0
        while not self.stop.is_set():
            turn += 1
            visitor = Visitor(self.port)
            user = "user%d" % ((number * 7 + turn) % USERS)
            answer = self.ask(visitor, "/login?user=" + user)
            if answer is None:
                time.sleep(0.05)
                continue
            key = answer["key"]
            session = {"cart": 0, "unanswered": 0, "user": user}
            with self.lock:
                self.sessions[key] = session
            for n in range(1 + (number * 5 + turn) % ADDS_MAX):
                if self.stop.is_set():
                    break
                answer = self.ask(visitor, "/add?item=%d" % ((number * 31 + turn * 3 + n) % 200))
                if answer is None:
                    session["unanswered"] += 1
                    time.sleep(0.05)
                    continue
                same([answer["key"], answer["user"]], [key, user], "the session changed")
                low, high = session["cart"] + 1, session["cart"] + session["unanswered"] + 1
                assert low <= answer["cart"] <= high, "cart %d, wanted %d to %d" % (answer["cart"], low, high)
                session["cart"], session["unanswered"] = answer["cart"], 0
                self.ask(visitor, ("/related?item=%d" % (n % 20), "/")[turn % 2])

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join()
        same(self.surprises, [])


def check(site, server, sessions, engine, backend):
    """Every session of `sessions` is in the server, and the site knows it."""
    import redis
    r = redis.Redis(port=server.port, db=2)
    prefix = ":1:" if backend == "django_redis" else "finory_session:1:"
    prefix += "django.contrib.sessions." + engine
    pipe = r.pipeline(transaction=False)
    for key in sessions:
        pipe.pttl(prefix + key)
    ttls = pipe.execute()
    gone = [key for key, ttl in zip(sessions, ttls) if ttl == -2]
    same(gone, [], "%d of %d sessions are gone" % (len(gone), len(sessions)))
    assert all(0 < ttl <= 86_400_000 for ttl in ttls), "times to live: %r" % ttls
    r.close()
    visitor = Visitor(site.port)
    for key, session in sessions.items():
        visitor.cookie = key
        status, answer = visitor.get("/cart")
        same([status, answer["user"], answer["key"]], [200, session["user"], key])
        low, high = session["cart"], session["cart"] + session["unanswered"]
        assert low <= answer["cart"] <= high, "cart %d, acknowledged %d" % (answer["cart"], low)


def main():
    backend, engine = sys.argv[1:3]
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 20.0
    began = time.time()
    with Server(shards=2) as server:
        site = Site(server, backend, engine)
        try:
            load = Load(site.port)
            time.sleep(seconds / 2)
            killed = time.time()
            server.kill()
            time.sleep(0.5)
            server.start()
            up = time.time()
            time.sleep(seconds / 2)
            load.end()
            outside = [f for f in load.failures if f[1] < killed or f[0] > up + GRACE_SECONDS]
            same(outside, [], "failures outside the outage")
            assert load.failures, "nobody noticed the outage"
            first = min((s[0] for s in load.served if s[0] > killed), default=None)
            assert first is not None, "requests do not succeed again"
            acknowledged = sum(s["cart"] for s in load.sessions.values())
            before = sum(1 for s in load.served if s[1] < killed)
            assert before > 50 and len(load.served) - before > 50, "too little load"
            print("%s, %s: %d requests served, %d failed in an outage of %.2f s, %d sessions with %d additions" % (
                backend, engine, len(load.served), len(load.failures), up - killed, len(load.sessions), acknowledged))
            check(site, server, load.sessions, engine, backend)
            for shards in (5, 1):
                server.kill()
                server.start(shards=shards)
                check(site, server, load.sessions, engine, backend)
            key = next(iter(load.sessions))
            visitor = Visitor(site.port, key)
            same([visitor.get("/logout")[0], Visitor(site.port, key).get("/cart")[1]["user"]], [200, ""])
        except BaseException:
            sys.stderr.write(site.log())
            raise
        finally:
            site.stop()
    print("%-44s %5.1f s" % ("the site of %s and %s" % (backend, engine), time.time() - began))


if __name__ == "__main__":
    main()

"""Starts the server under test for a script, as its users do, and ends it."""
import collections
import contextlib
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

BINARY = os.environ.get("RINGDOVE_BIN", "ringdove")
IS_RINGDOVE = "ringdove" in os.path.basename(BINARY)


def free_port():
    """Below the ports that the kernel gives to clients: one of those could take the port of a server
    that is down for a moment."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Server:
    """A server process on a free port, in a folder that survives its restarts. With RINGDOVE_BIN
    naming a redis-server, every script can be tried against Redis itself."""

    def __init__(self, *args, shards=2, appendonly="yes", password=None, binary=BINARY):
        self.binary = binary
        self.args, self.shards, self.appendonly, self.password = args, shards, appendonly, password
        self.dir = tempfile.mkdtemp(prefix="eco-")
        self.port = free_port()
        self.process = None
        self.start()

    def start(self, shards=None):
        """Starts, or starts again, and waits until it answers."""
        self.shards = shards or self.shards
        words = [self.binary, "--port", str(self.port), "--dir", self.dir, "--save", "",
                 "--appendonly", self.appendonly]
        words += ["--shards", str(self.shards)] if "ringdove" in os.path.basename(self.binary) else []
        words += ["--requirepass", self.password] if self.password else []
        self.log_path = os.path.join(self.dir, "server.log")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(words + list(self.args), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        end = time.time() + 60
        while not self.answers():
            if self.process.poll() is not None or time.time() > end:
                self.fail("the server does not answer (exit code %s)" % self.process.poll())
            time.sleep(0.01)

    def connect(self, timeout=30):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        if self.password:
            s.sendall(b"AUTH %s\r\n" % self.password.encode())
            s.recv(100)
        return s

    def answers(self):
        try:
            with self.connect(timeout=1) as s:
                s.sendall(b"PING\r\n")
                # While it loads it answers with an error.
                return s.recv(100) == b"+PONG\r\n"
        except OSError:
            return False

    def kill(self):
        """kill -9, and the wait until the port is free: the kernel takes an io_uring apart, and with it
        closes the sockets, some milliseconds after the process has ended."""
        self.process.kill()
        self.process.wait()
        for _ in range(500):
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind(("0.0.0.0", self.port))
                    return
                except OSError:
                    time.sleep(0.01)
        raise AssertionError("port %d is still taken 5 s after kill -9" % self.port)

    def stop(self):
        """A clean end, and nothing left behind."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            code = self.process.wait(timeout=30)
            if code != 0:
                self.fail("the server's exit code after SIGTERM is %s" % code)
        shutil.rmtree(self.dir, ignore_errors=True)

    def fail(self, why):
        with open(self.log_path, errors="replace") as log:
            sys.stderr.write(log.read()[-4000:])
        self.process.kill()
        raise AssertionError(why)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
        else:
            with open(self.log_path, errors="replace") as log:
                sys.stderr.write("the server's log:\n" + log.read()[-4000:])
            self.process.kill()
            self.process.wait()
            shutil.rmtree(self.dir, ignore_errors=True)


class Child:
    """A process of the software under test, in a session of its own with what it starts."""

    def __init__(self, *words, **environment):
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            words, cwd=os.path.dirname(os.path.realpath(__file__)), stdin=subprocess.DEVNULL, stdout=self.output,
            stderr=self.output, start_new_session=True, env=dict(os.environ, **environment))

    def log(self):
        size = os.fstat(self.output.fileno()).st_size
        return os.pread(self.output.fileno(), size, 0).decode(errors="replace")

    def says(self, text):
        """For `eventually`: whether this is in its output."""
        assert self.process.poll() is None, "it has ended:\n" + self.log()[-4000:]
        return text in self.log()

    def end(self, how=signal.SIGTERM):
        """SIGTERM lets it finish what it does; SIGKILL goes to its children as well."""
        if self.process.poll() is None:
            (os.killpg if how == signal.SIGKILL else os.kill)(self.process.pid, how)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise AssertionError("it does not end:\n" + self.log()[-4000:])


@contextlib.contextmanager
def children():
    """A list to put processes in: at the end they are killed, and after a failure their output is shown."""
    alive = []
    try:
        yield alive
    except BaseException:
        for child in alive:
            sys.stderr.write("--- output of %s\n%s\n" % (child.process.args, child.log()[-4000:]))
        raise
    finally:
        for child in alive:
            child.end(signal.SIGKILL)


class Traffic:
    """What the server is asked while this is open, by MONITOR: how often each command, and which
    scripts, whichever way they came."""

    def __init__(self, server):
        self.server = server
        self.commands, self.scripts, self.lines, self.seen = collections.Counter(), {}, [], threading.Event()

    def __enter__(self):
        self.socket = self.server.connect(timeout=None)
        self.file = self.socket.makefile("rb")
        self.socket.sendall(b"MONITOR\r\n")
        assert self.file.readline() == b"+OK\r\n"
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        return self

    def read(self):
        for line in self.file:
            if b"traffic-is-seen" in line:
                self.seen.set()
                return
            words = re.findall(rb'"((?:[^"\\]|\\.)*)"', line)
            if not words:
                continue
            name = words[0].decode().upper()
            self.lines.append(line)
            self.commands[name] += 1
            if name == "EVALSHA":
                self.scripts.setdefault(words[1].decode(), "")
            body = words[1] if name == "EVAL" else words[2] if words[:2] == [b"SCRIPT", b"LOAD"] else None
            if body is not None:
                body = body.decode("unicode_escape").encode("latin-1")
                self.scripts[hashlib.sha1(body).hexdigest()] = body.decode()

    def __exit__(self, *_):
        with self.server.connect() as s:
            s.sendall(b"ECHO traffic-is-seen\r\n")
            s.recv(100)
        assert self.seen.wait(30), "MONITOR does not show what the server was asked"
        self.socket.close()
        if os.environ.get("ECOSYSTEM_TRAFFIC"):
            print(dict(self.commands.most_common()))
            for sha, body in self.scripts.items():
                print(sha, " ".join(body.split())[:90])

    def had(self, *names):
        """The clients in use really send these."""
        missing = [name for name in names if not self.commands[name]]
        assert not missing, "none of %s among %s" % (missing, dict(self.commands))


# With one shard nothing is shared between cores; with four every pair of keys lies apart in some run.
SHARD_COUNTS = (1, 4) if IS_RINGDOVE else (1,)


def eventually(condition, what, seconds=30):
    """Waits until a condition holds, and returns what it gave."""
    end = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        assert time.monotonic() < end, "%s: not within %d s" % (what, seconds)
        time.sleep(0.02)


def same(got, wanted, what=""):
    assert got == wanted, "%s: got %r, wanted %r" % (what, got, wanted)


def main(*tests):
    """Runs the functions in order, prints how long each took."""
    for test in tests:
        began = time.time()
        test()
        print("%-44s %5.1f s" % (test.__name__.replace("_", " "), time.time() - began), flush=True)


def main_on_servers(*tests, **how):
    """Runs the functions in order against one server, and again against one of each other number of
    shards. Every test starts with nothing in it."""
    for shards in SHARD_COUNTS:
        with Server(shards=shards, **how) as server:
            print("%d shard%s" % (shards, "s" if shards > 1 else ""), flush=True)
            for test in tests:
                with server.connect() as s:
                    s.sendall(b"FLUSHALL\r\n")
                    same(s.recv(100), b"+OK\r\n")
                began = time.time()
                test(server)
                print("  %-42s %5.1f s" % (test.__name__.replace("_", " "), time.time() - began), flush=True)

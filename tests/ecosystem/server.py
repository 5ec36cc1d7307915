"""Starts the server under test for a script, as its users do, and ends it."""
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
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

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as s:
                s.sendall(b"PING\r\n")
                reply = s.recv(100)
                return reply.startswith((b"+PONG", b"-NOAUTH"))
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


def same(got, wanted, what=""):
    assert got == wanted, "%s: got %r, wanted %r" % (what, got, wanted)


def main(*tests):
    """Runs the functions in order, prints how long each took."""
    for test in tests:
        began = time.time()
        test()
        print("%-44s %5.1f s" % (test.__name__.replace("_", " "), time.time() - began), flush=True)

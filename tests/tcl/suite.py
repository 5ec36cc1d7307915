"""Runs one unit of the Redis Tcl suite at a time and tallies what it printed.

Each unit runs in an overlay of the suite's folder, so that the source stays as it is, in a process
group of its own and under a time limit. An error reply that a test did not expect counts as a failure
of that test alone (`--durable`), so one missing command does not hide the rest of a unit.
"""
import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
LINE = re.compile(r"^\[(ok|err|skip|ignore|exception)\]: ?(.*)$")
MILLISECONDS = re.compile(r" \(\d+ ms\)$")
WHERE = re.compile(r" in tests/\S+\.tcl$")
LIVE = set()
BLOCKS_UNSEEN = re.compile(
    r"^( +)(\$rd\d? (?:XREAD|XREADGROUP|B[LR]POP|BRPOPLPUSH|BLMOVE|BZPOP\w+|BZMPOP|BLMPOP) .*\n)\1r ",
    re.IGNORECASE | re.MULTILINE)


class Overlay:
    """A throw-away suite folder: its own tests/ and its own src/ holding only links. It lies below
    $TMPDIR because the suite puts Unix sockets there and their paths must stay under 108 bytes."""

    def __init__(self, suite, binary, more_conf=()):
        self.dir = tempfile.mkdtemp(prefix="tcl-")
        for name in os.listdir(suite):
            src, dst = os.path.join(suite, name), os.path.join(self.dir, name)
            if name == "tests":
                shutil.copytree(src, dst, symlinks=True, ignore=shutil.ignore_patterns("tmp"))
            elif name != "src":
                os.symlink(src, dst)
        os.makedirs(os.path.join(self.dir, "tests", "tmp"))
        os.mkdir(os.path.join(self.dir, "src"))
        for name in os.listdir(os.path.join(suite, "src")):
            os.symlink(os.path.join(suite, "src", name), os.path.join(self.dir, "src", name))
        self.place("redis-server", binary)
        for tool in ("redis-cli", "redis-benchmark"):
            self.place(tool, shutil.which(tool))
        # Sent before every block, with no test around it; the command may not be there yet.
        self.edit("tests/support/server.tcl", "    r function flush\n", "    catch {r function flush}\n")
        # A test that failed half way leaves its connection inside MULTI, or expiry switched off: the
        # tests after it should not fail for that.
        self.edit("tests/support/test.tcl", "    if {$::traceleaks} {\n",
                  "    if {$::num_failed != $num_failed_before} {\n"
                  "        catch {reconnect}\n"
                  "        catch {r debug set-active-expire 1}\n"
                  "        catch {r config set maxmemory 0}\n"
                  "    }\n"
                  "    if {$::traceleaks} {\n")
        self.edit("tests/support/test.tcl", "    incr ::num_tests\n",
                  "    incr ::num_tests\n    set num_failed_before $::num_failed\n")
        # A block of tests asks for settings before it begins, with no test around them: one that is not
        # there leaves the block out, not the rest of the unit.
        self.edit("tests/support/server.tcl",
                  "        r config set $param $val\n\n",
                  "        if {[catch {r config set $param $val} refused]} {\n"
                  "            send_data_packet $::test_server_fd ignore \"a block: $param $val: $refused\"\n"
                  "            set code {}\n"
                  "            break\n"
                  "        }\n\n")
        # A command that shall find somebody blocked, sent by another connection in the next line, comes
        # after it with one thread. With several it may overtake: so the test waits, as its neighbours do.
        for unit in ("list", "stream-cgroups"):
            path = os.path.join(self.dir, "tests", "unit", "type", unit + ".tcl")
            with open(path) as f:
                text = f.read()
            with open(path, "w") as f:
                f.write(BLOCKS_UNSEEN.sub(r"\1\2\1wait_for_blocked_client\n\1r ", text))
        # The suite waits two minutes for a server that ended at start.
        self.edit("tests/support/server.tcl", "120*1000", "30*1000")
        for path in glob.glob(os.path.join(self.dir, "tests", "assets", "*.conf")):
            with open(path, "a") as f:
                f.writelines("\n" + line for line in more_conf)

    def place(self, name, target):
        path = os.path.join(self.dir, "src", name)
        if os.path.lexists(path):
            os.unlink(path)
        if target:
            os.symlink(os.path.abspath(target), path)

    def edit(self, name, old, new):
        path = os.path.join(self.dir, name)
        with open(path) as f:
            text = f.read()
        assert old in text, "%s: %r is not there" % (name, old)
        with open(path, "w") as f:
            f.write(text.replace(old, new))

    def clean(self):
        tmp = os.path.join(self.dir, "tests", "tmp")
        shutil.rmtree(tmp, ignore_errors=True)
        os.makedirs(tmp, exist_ok=True)

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


class Result:
    """`tests` holds (outcome, name) in the order they ran, `why` what the suite said of a failed one,
    `trouble` what went wrong beside them."""

    def __init__(self, unit):
        self.unit, self.tests, self.why, self.trouble, self.seconds = unit, [], {}, [], 0.0

    def names(self, *outcomes):
        return {name for outcome, name in self.tests if outcome in outcomes}

    def count(self, outcome):
        return sum(1 for o, _ in self.tests if o == outcome)


def start(words, **how):
    """Starts a process in a group of its own, so that all of it can be ended."""
    p = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                         start_new_session=True, **how)
    LIVE.add(p.pid)
    return p


def end_group(pgid):
    """Ends every process of a group we started, and nothing else."""
    LIVE.discard(pgid)
    for sig in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(pgid, sig)
        except (ProcessLookupError, PermissionError):
            return
        if sig == signal.SIGTERM:
            time.sleep(0.3)


def run_unit(overlay, unit, flags, log_path, limit):
    result = Result(unit)
    environment = dict(os.environ, TERM="dumb", LC_ALL="C.UTF-8")
    began = time.time()
    with open(log_path, "wb") as log:
        p = start(["./runtest", "--single", unit, "--durable"] + flags,
                  cwd=overlay.dir, env=environment, stdout=log)
        try:
            code = p.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            code = None
        end_group(p.pid)
        p.wait()
    result.seconds = time.time() - began
    ended = tally(result, log_path)
    if code is None:
        result.trouble.append("not done after %d s; last: %s" % (limit, result.tests[-1:]))
    elif not ended:
        result.trouble.append("the suite ended early, exit code %s" % code)
    return result


def tally(result, log_path):
    """Counts outcomes in a log; whether the suite reached its own end."""
    ended, failed = False, None
    with open(log_path, encoding="utf-8", errors="replace") as f:
        for line in f:
            line = ANSI.sub("", line.rstrip("\r\n"))
            ended = ended or line.strip() == "The End"
            # An error reply stands, whole, in the line before the trace.
            if line.strip() == "while executing" or line.startswith(("[", "!!!")):
                failed = None
            elif failed and line.strip():
                result.why[failed] = line.strip()[:400]
            if "=> (IN PROGRESS) " in line:
                result.trouble.append("hangs in: " + line.split("=> (IN PROGRESS) ", 1)[1])
            m = LINE.match(line)
            if not m:
                continue
            outcome, text = m.groups()
            if outcome == "exception":
                result.trouble.append("exception: " + text)
                continue
            if outcome == "ok":
                text = MILLISECONDS.sub("", text)
            elif outcome == "err":
                text = failed = WHERE.sub("", text)
            result.tests.append((outcome, text.replace("\t", " ")))
    return ended


def command(host, port, *words, timeout=2.0):
    """The first line of the reply to a command, or None."""
    try:
        with socket.create_connection((host, port), timeout=timeout) as s:
            s.settimeout(timeout)
            message = b"*%d\r\n" % len(words)
            for word in words:
                message += b"$%d\r\n%s\r\n" % (len(word), word.encode())
            s.sendall(message)
            reply = b""
            while b"\r\n" not in reply:
                chunk = s.recv(4096)
                if not chunk:
                    return None
                reply += chunk
            return reply.split(b"\r\n")[0].decode("utf-8", "replace")
    except OSError:
        return None


def wait_ping(port, seconds):
    end = time.time() + seconds
    while command("127.0.0.1", port, "PING") != "+PONG":
        if time.time() > end:
            return False
        time.sleep(0.05)
    return True


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

#!/usr/bin/env python3
"""Runs units of the Redis 7.0.15 Tcl suite against a server and compares with what is expected.

usage: run.py --suite DIR --binary PATH --mode external|spawn [options] [unit ...]

  --suite DIR      unpacked source of Redis 7.0.15
  --binary PATH    the server under test
  --mode external  a server is started fresh for each unit, the suite connects to it
  --mode spawn     the suite starts the server itself, as it starts its own redis-server
  --shards N       what the server gets as `shards` (2)
  --expected FILE  the tests known to fail (expected.tsv beside this file; `none` for no comparison)
  --out DIR        where logs and tests.tsv go (a folder below $TMPDIR, removed when all is well)
  unit             instead of all of UNITS

The file of expected failures has lines `mode TAB unit TAB test TAB reason`, mode being external, spawn
or both. A reason that begins with `left out:` keeps the test from running: it stops at something that is
not there, and the tests after it would fail for the state it leaves behind. A failure that is not listed, and a listed test that does not fail, make the run fail: so does
a unit that hangs, or a server that ends or writes a crash report. A unit with a failure that is not
listed runs a second time, because some tests of the suite measure time; if it is well then, it is
reported as UNSTEADY and counts as passed.
"""
import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)
import suite as S

UNITS = """unit/dump unit/type/string unit/type/incr unit/type/list unit/type/list-2 unit/type/list-3 unit/type/set
unit/type/hash unit/type/zset unit/type/stream unit/type/stream-cgroups unit/sort unit/bitops unit/bitfield
unit/geo unit/hyperloglog unit/keyspace unit/scan unit/expire unit/lazyfree unit/tracking unit/other unit/multi
unit/protocol unit/introspection unit/introspection-2 unit/scripting unit/functions unit/pubsub unit/pubsubshard
unit/info unit/auth unit/quit unit/querybuf unit/limits""".split()
MODES = ("external", "spawn", "both")


LEFT_OUT = "left out:"


class Expected:
    def __init__(self, path, mode):
        self.reasons, self.left_out = {}, {}
        if path == "none":
            return
        with open(path) as f:
            for number, line in enumerate(f, 1):
                if line.startswith("#") or not line.strip():
                    continue
                fields = line.rstrip("\n").split("\t")
                if len(fields) != 4 or fields[0] not in MODES or fields[1] not in UNITS or not fields[3]:
                    sys.exit("%s:%d: expected mode, unit, test, reason" % (path, number))
                where, unit, test, reason = fields
                if where in (mode, "both"):
                    if reason.startswith(LEFT_OUT):
                        self.left_out.setdefault(unit, []).append(test)
                    else:
                        self.reasons[unit, test] = reason

    def complaints(self, result):
        """What differs from the list, in words."""
        failed, passed = result.names("err"), result.names("ok")
        listed = {test for unit, test in self.reasons if unit == result.unit}
        found = ["fails and is not listed: %s\n      %s" % (test, result.why.get(test, ""))
                 for test in sorted(failed - listed)]
        for test in sorted(listed - failed):
            found.append(("passes and is listed: " if test in passed else "did not run and is listed: ") + test)
        for test in sorted(set(self.left_out.get(result.unit, [])) - result.names("skip")):
            found.append("is listed as left out and does not exist: " + test)
        return found + result.trouble

    def flags(self, unit):
        """Options of the suite that leave tests of a unit out."""
        return [word for test in self.left_out.get(unit, []) for word in ("--skiptest", test)]


class Server:
    """The server of external mode, in a folder of its own."""

    def __init__(self, binary, shards, log_path):
        self.port = S.free_port()
        self.dir = tempfile.mkdtemp(prefix="tclsrv-")
        self.log_path = log_path
        self.log = open(log_path, "wb")
        self.process = S.start(
            [os.path.abspath(binary), "--port", str(self.port), "--save", "", "--enable-debug-command", "yes"]
            + (["--shards", str(shards)] if shards else []),
            cwd=self.dir, stdout=self.log)

    def stop(self):
        """What is wrong with how it ended, if anything."""
        code = self.process.poll()
        trouble = [] if code is None else ["the server ended, exit code %s" % code]
        if code is None:
            self.process.terminate()
            try:
                code = self.process.wait(timeout=10)
                if code != 0:
                    trouble.append("the server's exit code after SIGTERM: %s" % code)
            except subprocess.TimeoutExpired:
                trouble.append("the server does not end on SIGTERM")
        S.end_group(self.process.pid)
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        return trouble


def arguments():
    a = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    a.add_argument("--suite", required=True)
    a.add_argument("--binary", required=True)
    a.add_argument("--mode", choices=MODES[:2], required=True)
    a.add_argument("--shards", type=int, default=2)
    a.add_argument("--expected", default=os.path.join(HERE, "expected.tsv"))
    a.add_argument("--out")
    a.add_argument("unit", nargs="*")
    return a.parse_args()


def main():
    args = arguments()
    out = args.out or tempfile.mkdtemp(prefix="tcl-out-")
    os.makedirs(os.path.join(out, "logs"), exist_ok=True)
    expected = Expected(args.expected, args.mode)
    is_ours = "ringdove" in os.path.basename(args.binary)
    shards = args.shards if is_ours else 0
    spawn = args.mode == "spawn"
    overlay = S.Overlay(os.path.abspath(args.suite), args.binary,
                        ["shards %d" % shards] if spawn and shards else [])

    def leave(*_):
        for pgid in list(S.LIVE):
            S.end_group(pgid)
        overlay.remove()
        os._exit(130)

    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, leave)

    # Clear of the ports the kernel gives out (32768 and up).
    base = 20100 + os.getpid() % 10 * 1000
    flags = ["--clients", "1", "--timeout", "60", "--baseport", str(base), "--portcount", "900"]

    def attempt(unit, suffix=""):
        log = os.path.join(out, "logs", unit.replace("/", "__") + suffix + ".log")
        try:
            if spawn:
                return S.run_unit(overlay, unit, flags + expected.flags(unit), log, 240)
            server = Server(args.binary, shards, log[:-4] + ".server.log")
            if S.wait_ping(server.port, 30):
                result = S.run_unit(
                    overlay, unit,
                    flags + expected.flags(unit) + ["--host", "127.0.0.1", "--port", str(server.port)], log, 240)
            else:
                result = S.Result(unit)
                result.trouble.append("no PING from the server")
            result.trouble += server.stop()
            return result
        finally:
            overlay.clean()

    bad = unsteady = 0
    tests = open(os.path.join(out, "tests.tsv"), "w")
    began = time.time()
    try:
        for unit in args.unit or UNITS:
            result = attempt(unit)
            complaints = expected.complaints(result)
            if complaints and args.expected != "none":
                again = attempt(unit, ".again")
                if not expected.complaints(again):
                    print("UNSTEADY %s:\n  %s" % (unit, "\n  ".join(complaints)))
                    unsteady, result, complaints = unsteady + 1, again, []
            for outcome, name in result.tests:
                tests.write("%s\t%s\t%s\n" % (unit, outcome, name))
            print("%-20s ok %3d  failed %2d  left out %3d  %5.1f s" % (
                unit, result.count("ok"), result.count("err"),
                result.count("ignore") + result.count("skip"), result.seconds), flush=True)
            for c in complaints:
                bad += 1
                print("  " + c, flush=True)
    finally:
        tests.close()
        overlay.remove()
    print("%s, shards %s: %d complaints, %d units unsteady, %.0f s" % (
        args.mode, shards or "-", bad, unsteady, time.time() - began))
    if bad:
        print("logs: " + out)
    elif not args.out:
        shutil.rmtree(out, ignore_errors=True)
    return 1 if bad else 0


sys.exit(main())

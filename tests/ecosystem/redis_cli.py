"""redis-cli and redis-benchmark as people and scripts use them: interactively, through pipes, with
their special modes, with the exit codes that health checks read. The wanted texts are what they
print of a Redis 7.0 server."""
import fcntl
import os
import pty
import re
import select
import socket
import struct
import subprocess
import termios
import time

from server import Server, main, same

PASSWORD = "devpassword"


def cli(server, *words, stdin=None, seconds=30):
    """Exit code, standard output, standard error."""
    p = subprocess.run(["redis-cli", "-p", str(server.port), *words], input=stdin, capture_output=True,
                       timeout=seconds, **({"stdin": subprocess.DEVNULL} if stdin is None else {}))
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def says(server, *words, stdin=None):
    code, out, err = cli(server, *words, stdin=stdin)
    same([code, err], [0, ""], words)
    return out


def single_commands():
    with Server() as server:
        same(says(server, "ping"), "PONG\n")
        same(says(server, "-h", "localhost", "PING"), "PONG\n")
        same(says(server, "set", "k", "a b\n"), "OK\n")
        same(says(server, "get", "k"), "a b\n\n")
        same(says(server, "--no-raw", "get", "k"), '"a b\\n"\n')
        same(says(server, "get", "absent"), "\n")
        same(says(server, "--no-raw", "get", "absent"), "(nil)\n")
        same(says(server, "--no-raw", "mset", "a", "1", "b", "2"), "OK\n")
        same(says(server, "--no-raw", "mget", "a", "b", "x"), '1) "1"\n2) "2"\n3) (nil)\n')
        same(says(server, "--no-raw", "incr", "a"), "(integer) 2\n")
        same(says(server, "-3", "--no-raw", "get", "absent"), "(nil)\n")
        same(says(server, "-x", "set", "file", stdin=b"\x00\xff\r\nrest"), "OK\n")
        same(says(server, "strlen", "file"), "8\n")
        same(says(server, "--csv", "mget", "a", "b"), '"2","2"\n')
        same(says(server, "--json", "mget", "a", "b"), '["2","2"]\n')
        same(says(server, "--quoted-input", "set", '"\\x01"', "v"), "OK\n")
        same(says(server, "-n", "1", "dbsize"), "0\n")
        same(says(server, "-n", "1", "set", "k", "one"), "OK\n")
        same([says(server, "-n", "1", "get", "k"), says(server, "-n", "2", "get", "k")], ["one\n", "\n"])
        same(says(server, "-n", "1", "FLUSHDB"), "OK\n")
        same(says(server, "-u", "redis://127.0.0.1:%d/1" % server.port, "dbsize"), "0\n")
        same(says(server, "-r", "3", "-i", "0.01", "incr", "b"), "3\n4\n5\n")
        same(says(server, "KEYS", "fil?"), "file\n")
        same(says(server, "FLUSHALL"), "OK\n")


def interactive_sessions():
    with Server() as server:
        lines = b"""set greeting "hello world"
            get greeting
            select 3
            get greeting
            multi
            set a 1
            incr a
            exec
            "unbalanced
            nosuch
            help @string
            client getname
            quit
        """
        out = says(server, stdin=lines)
        for part in ("OK\nhello world\nOK\n\nOK\nQUEUED\nQUEUED\nOK\n2\n", "ERR unknown command 'nosuch'"):
            assert part in out, (part, out)
        # A terminal: completion and hints come from COMMAND DOCS.
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 200, 0, 0))
        p = subprocess.Popen(["redis-cli", "-p", str(server.port)], stdin=theirs, stdout=theirs, stderr=theirs,
                             env=dict(os.environ, TERM="xterm", REDISCLI_HISTFILE="/dev/null"))
        os.close(theirs)
        prompt, out = "127.0.0.1:%d" % server.port, ""
        for line, then in ((b"", "> "), (b"set k v\r", "OK"), (b"get k\r", '"v"'), (b"get absent\r", "(nil)"),
                           (b"select 2\r", "OK"), (b"get k\r", "(nil)")):
            os.write(ours, line)
            part = ""
            while "> " not in part.partition(then)[2 if line else 1]:
                assert select.select([ours], [], [], 30)[0], "no answer to %r after %s" % (line, out + part)
                part += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(ours, 65536).decode())
            out += part
        os.write(ours, b"exit\r")
        same(p.wait(timeout=30), 0, out)
        assert prompt + "[2]> " in out, out
        os.close(ours)


def raw_protocol():
    """What telnet and nc do."""
    with Server() as server, socket.create_connection(("127.0.0.1", server.port), timeout=10) as s:
        s.sendall(b"PING\r\nset k 'a b'\nGET k\r\n\r\nEXISTS k absent\r\nQUIT\r\n")
        same(s.makefile("rb").read(), b"+PONG\r\n+OK\r\n$3\r\na b\r\n:1\r\n+OK\r\n")


def passwords_and_exit_codes():
    with Server(password=PASSWORD) as server:
        same(cli(server, "ping"), (0, "NOAUTH Authentication required.\n\n", ""))
        same(cli(server, "-e", "ping"), (1, "", "NOAUTH Authentication required.\n"))
        warning = "Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe.\n"
        same(cli(server, "-a", PASSWORD, "ping"), (0, "PONG\n", warning))
        same(cli(server, "--no-auth-warning", "-a", PASSWORD, "-n", "2", "set", "k", "v"), (0, "OK\n", ""))
        same(cli(server, "--user", "default", "--pass", PASSWORD, "--no-auth-warning", "ping"), (0, "PONG\n", ""))
        code, out, err = cli(server, "-a", "wrong", "ping")
        assert (code, out) == (0, "NOAUTH Authentication required.\n\n") and "WRONGPASS" in err, (code, out, err)
        same(says(server, stdin=b"auth %s\nget k\nselect 2\nget k\n" % PASSWORD.encode()), "OK\n\nOK\nv\n")
        same(cli(server, "--no-auth-warning", "-a", PASSWORD, "nosuch")[:2],
             (0, "ERR unknown command 'nosuch', with args beginning with: \n\n"))
        same(cli(server, "--no-auth-warning", "-a", PASSWORD, "-e", "incr")[0], 1)
    with Server() as server:
        server.kill()
        code, out, err = cli(server, "ping")
        same((code, out), (1, ""))
        assert "Could not connect to Redis at 127.0.0.1:%d: Connection refused" % server.port in err, err


def information():
    with Server() as server:
        says(server, "-n", "1", "set", "k", "v", "ex", "100")
        for section, fields in {
            "": ["redis_version", "used_memory_human", "maxmemory", "connected_clients", "instantaneous_ops_per_sec",
                 "keyspace_hits", "keyspace_misses", "evicted_keys", "master_repl_offset"],
            "memory": ["used_memory", "used_memory_rss", "mem_fragmentation_ratio"],
            "stats": ["total_commands_processed", "expired_keys", "evicted_keys"],
            "keyspace": ["db1"],
            "server": ["tcp_port", "uptime_in_seconds", "process_id"],
            "persistence": ["aof_enabled", "loading"],
        }.items():
            out = says(server, "info", *section.split())
            found = dict(line.split(":", 1) for line in out.split("\r\n") if ":" in line)
            assert set(fields) <= set(found), (section, set(fields) - set(found))
        evicted = subprocess.run("redis-cli -p %d INFO stats | grep evicted_keys" % server.port, shell=True,
                                 capture_output=True)
        same([evicted.returncode, evicted.stdout], [0, b"evicted_keys:0\r\n"])
        assert re.fullmatch(r"keys=1,expires=1,avg_ttl=\d+", found_in(says(server, "info", "keyspace"), "db1"))
        same(says(server, "config", "get", "port"), "port\n%d\n" % server.port)
        assert re.match(r"id=\d+ addr=127\.0\.0\.1:\d+ .* cmd=client\|list ", says(server, "client", "list"))
        same(says(server, "slowlog", "get", "10"), "\n")
        assert "get" in says(server, "command", "docs", "get") and says(server, "lolwut")
        assert says(server, "memory", "usage", "absent") == "\n"


def found_in(info, field):
    return next(line.split(":", 1)[1] for line in info.split("\r\n") if line.startswith(field + ":"))


def special_modes():
    with Server() as server:
        lines = "".join("set user:%d %s\r\n" % (i, "x" * (i % 50 + 1)) for i in range(3000))
        out = says(server, "--pipe", stdin=lines.encode())
        assert "errors: 0, replies: 3000" in out, out
        keys = says(server, "--scan", "--pattern", "user:*").split()
        same(sorted(keys), sorted("user:%d" % i for i in range(3000)))
        same(len(says(server, "--scan", "--pattern", "user:29??").split()), 100)
        says(server, "set", "biggest", "y" * 5000)
        out = says(server, "--bigkeys")
        for part in ("Sampled 3001 keys in the keyspace!", "Biggest string found '\"biggest\"' has 5000 bytes",
                     "3001 strings with"):
            assert part in out, (part, out)
        out = says(server, "--memkeys")
        assert re.search(r"Biggest string found '\"biggest\"' has \d+ bytes", out), out
        latency = subprocess.Popen(["redis-cli", "-p", str(server.port), "--latency", "--raw", "-i", "1"],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out = latency.communicate(timeout=30)[0].decode()
        assert re.fullmatch(r"\d+ \d+ \d+\.\d\d \d+\n", out), out
        shows(server, ["--stat"], r"3001 +\d")
        shows(server, ["--latency-history", "-i", "1"], r"min: \d+, max: \d+, avg: \d+\.\d+ \(\d+ samples\)")
        shows(server, ["monitor"], r'OK\n(.*\n)*\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "get" "biggest"\n')


def shows(server, mode, wanted):
    """A mode that goes on until it is ended; its output goes to a terminal, which it does not hold back."""
    ours, theirs = pty.openpty()
    p = subprocess.Popen(["redis-cli", "-p", str(server.port), *mode], stdin=subprocess.DEVNULL, stdout=theirs,
                         stderr=theirs)
    os.close(theirs)
    out, end = "", time.time() + 30
    while not re.search(wanted, out):
        assert time.time() < end, (mode, out)
        says(server, "get", "biggest")
        if select.select([ours], [], [], 0.2)[0]:
            out += os.read(ours, 65536).decode().replace("\r\n", "\n")
    p.terminate()
    p.wait(timeout=30)
    os.close(ours)


def benchmarks():
    with Server() as server:
        for more in ([], ["-P", "16"], ["-3"], ["-r", "1000", "--threads", "2"]):
            p = subprocess.run(["redis-benchmark", "-p", str(server.port), "-t", "ping,set,get,incr,mset", "-n", "5000",
                                "-c", "20", "-q", *more], capture_output=True, timeout=120, stdin=subprocess.DEVNULL)
            out = p.stdout.decode().replace("\r", "\n")
            same([p.returncode, p.stderr], [0, b""])
            done = re.findall(r"^([A-Z_]+(?: \(10 keys\))?): \d+\.\d+ requests per second", out, re.M)
            same(done, ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"])
            assert "WARNING" not in out, out


if __name__ == "__main__":
    main(single_commands, interactive_sessions, raw_protocol, passwords_and_exit_codes, information, special_modes,
         benchmarks)

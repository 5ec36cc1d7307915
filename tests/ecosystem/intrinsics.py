"""Scripts that have a native form (src/command/intrinsic), taken from the installed packages, on random
arguments and keys: natively, by Ringdove's Lua, and by Redis. Answers are compared byte by byte, then what
is in the database, when it expires, what was told of it, and what was counted.

    intrinsics.py pinned | newest [rounds] [seed]
"""
import ast
import hashlib
import importlib.util
import os
import random
import shutil
import socket
import subprocess
import sys

from server import Server, main

WHICH = sys.argv[1] if len(sys.argv) > 1 else "newest"
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 150
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().randrange(1 << 32)

# Modules with scripts, and the names of those that have a native form.
MODULES = {
    "redis": ["lock.py"], "channels_redis": ["core.py"], "django_redis": ["client/default.py"],
    "kombu": ["transport/redis.py"], "celery": ["backends/redis.py"], "rq": ["scripts.py"],
    "huey": ["storage.py"],
}
NATIVE = {
    "c3f8721cbb97f72bc19e972846bd7aaf91901658": "lock_release",
    "a4e8783852e6b949f9ef3a97212805108459a890": "lock_extend",
    "1cac51482acf5858da00f6d685d68f886cd6b6b2": "lock_reacquire",
    "8d28fb4c84249684940e751f9f15170eb9a96e1a": "channels_cleanup",
    "5bcf6ea1d6c02c00f44e7030f4f9772a199deaf1": "channels_group_send",
    "f4a7da3e5d8ea3b46642af08427151cae0190400": "django_incr_existing",
    "4d15273b16b10c15e1d9202cbe93c959ab7d250b": "django_incr",
    "ef7a9e205fbaf46bf959e1522ff796622fc676c7": "kombu_refresh",
    "9a2b966a0a2d2d0e36ec32bc30fc89342b94a4bf": "kombu_sweep",
    "b8fc152c83a7e634103ccebd49dcd3146a8f4366": "chord_part",
    "59d7aab41242d82196947ba8926cab712416da4f": "chord_cleanup",
    "dc87180d6bcb7f73c7275eb0fe7a70baf0a8b7c7": "chord_claim_extend",
    "5cee5213d2ee93f19f93badbfc1c8abbccde5baf": "rq_enqueue",
    "10808fbebdc9b5ffafa2b7f5f2ce29a5bc6a1e07": "rq_schedule",
    "4227fa753143e6f652e2e185d254964b3a7413a5": "rq_lock",
    "d44df6e1a0e76df1009084a91af26cc23ac035a9": "rq_unlock",
    "4f30a2b0c2d7759adb15efd0d270a583531c67e2": "huey_pop",
}
# What the pinned versions have; the newest have all.
IN_PINNED = ["lock_release", "lock_extend", "lock_reacquire", "channels_cleanup", "channels_group_send",
             "django_incr_existing", "django_incr"]


def scripts():
    """Every string constant of these modules that calls Redis, by its SHA1. Nothing is imported: some
    packages want to be configured first."""
    found = {}
    for package, files in MODULES.items():
        spec = importlib.util.find_spec(package)
        for file in files if spec else []:
            path = os.path.join(os.path.dirname(spec.origin), file)
            if not os.path.exists(path):
                continue
            with open(path) as source:
                for node in ast.walk(ast.parse(source.read())):
                    if isinstance(node, ast.Constant) and isinstance(node.value, str) and "redis.call" in node.value:
                        found[hashlib.sha1(node.value.encode()).hexdigest()] = node.value
    named = {NATIVE[sha]: text for sha, text in found.items() if sha in NATIVE}
    wanted = IN_PINNED if WHICH == "pinned" else NATIVE.values()
    missing = [name for name in wanted if name not in named]
    assert not missing, "not in the installed packages, or changed there: %s" % missing
    print("%d scripts; without a native form: %s" % (len(named), sorted(set(found) - set(NATIVE))))
    return named


class Raw:
    """A connection that keeps replies as they come."""

    def __init__(self, port, protocol=2):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.file = self.socket.makefile("rb")
        if protocol == 3:
            self("HELLO", "3")

    def send(self, *args):
        words = [a if isinstance(a, bytes) else str(a).encode() for a in args]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))

    def read(self):
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind in b"$=" and int(rest) >= 0:
            return line + self.file.read(int(rest) + 2)
        if kind in b"*~>" and int(rest) >= 0:
            return line + b"".join(self.read() for _ in range(int(rest)))
        if kind == b"%":
            return line + b"".join(self.read() for _ in range(2 * int(rest)))
        assert line, "the server has hung up"
        return line

    def __call__(self, *args):
        self.send(*args)
        return self.read()

    def text(self, *args):
        """The text of a bulk string."""
        return self(*args).split(b"\r\n", 1)[1][:-2].decode(errors="replace")

    def strings(self, *args):
        """The strings of an array."""
        reply, found = self(*args), []
        rest = reply.split(b"\r\n", 1)[1]
        while rest:
            length, rest = rest.split(b"\r\n", 1)
            found.append(rest[:int(length[1:])])
            rest = rest[int(length[1:]) + 2:]
        return found


class Subject:
    """A server under comparison."""

    def __init__(self, name, server):
        self.name, self.server = name, server
        self.connect()

    def connect(self):
        self.raw = {protocol: Raw(self.server.port, protocol) for protocol in (2, 3)}
        self.events = None

    def __call__(self, *args, protocol=2):
        return self.raw[protocol](*args)

    def state(self):
        """All keys, their values, and when they expire in seconds."""
        keys = sorted(self.raw[2].strings("KEYS", "*"))
        expires = {key: int(self("PEXPIRETIME", key)[1:]) // 1000 for key in keys}
        return self("DEBUG", "DIGEST"), keys, expires

    def counts(self):
        lines = self.raw[2].text("INFO", "commandstats").split()
        counted = {}
        for line in lines:
            if line.startswith("cmdstat_"):
                name, figures = line.split(":")
                figures = dict(figure.split("=") for figure in figures.split(","))
                counted[name] = (int(figures["calls"]), int(figures["failed_calls"]))
        # What this test itself asks.
        own = ["keys", "pexpiretime", "debug", "info", "config|resetstat", "hello", "psubscribe", "publish", "script|exists",
               "script|stats"]
        counted = {name: n for name, n in counted.items() if name[8:] not in own}
        stats = dict(line.split(":") for line in self.raw[2].text("INFO", "stats").split() if ":" in line)
        errors = sorted(self.raw[2].text("INFO", "errorstats").split())
        names = ("keyspace_hits", "keyspace_misses", "total_error_replies")
        return counted, {name: stats[name] for name in names}, errors

    def repeated(self):
        """Whether Lua had to run a script again."""
        if self.name == "redis":
            return False
        words = self("SCRIPT", "STATS").split(b"\r\n")
        taken_back = (b"repeated", b"large_values")
        return any(words[at + 1] != b":0" for at, word in enumerate(words) if word in taken_back)

    def listen(self):
        self.events = Raw(self.server.port)
        self.events("PSUBSCRIBE", "__key*", "fence")

    def told(self):
        """What was told of keys since the last call."""
        self("PUBLISH", "fence", "x")
        told = []
        while True:
            message = self.events.read().split(b"\r\n")
            if message[4] == b"fence":
                return told
            told.append((message[6], message[8]))


def near(a, b):
    return abs(a - b) <= 3 and (a < 0) == (b < 0)


class Dice(random.Random):
    """Random keys and arguments."""

    def number(self):
        return self.choice([0, 1, 2, 5, 100, 1000, -1, -5, 999999])

    def odd(self):
        """What a number should not be, and sometimes is."""
        return self.choice(["", "x", "1.5", " 7", "0x10", "1e3", "-0", "+5", "007", "inf", "-inf", "nan", "9223372036854775807",
                            "99999999999999999", "9e30", "12345678901234567890", "1\x002", "5 ", "1_000"])

    def seconds(self):
        """Long, or over at once, so that nothing expires between two looks."""
        return self.choice([1000, 86400, 60000]) if self.random() < 0.85 else self.choice([0, -1, self.odd()])

    def some(self, usual, p=0.06):
        """The usual value, or now and then an odd one."""
        return self.odd() if self.random() < p else usual

    def token(self):
        return self.choice(["alice", "bob", b"\x00\xff", ""])

    def float(self):
        return repr(self.choice([1.7e9 + self.random() * 1e6, 1700000000.25, 0.1, -3.5, 5e-324, 1e22, float(self.randrange(100))]))


def fill(dice, key, kind=None):
    """A command that puts something under a key."""
    kind = kind or dice.choice(["string", "number", "list", "set", "zset", "hash", "none"])
    words = {
        "string": ["SET", key, dice.token()],
        "number": ["SET", key, dice.choice([dice.number(), dice.odd(), 9223372036854775807, 9007199254740993])],
        "list": ["RPUSH", key, "a", dice.token()],
        "set": ["SADD", key, dice.number(), "id:1", "x"],
        "zset": ["ZADD", key, dice.float(), "a", dice.float(), dice.token()],
        "hash": ["HSET", key, "f", dice.token()],
        "none": ["DEL", key],
    }[kind]
    return [words] + ([["EXPIRE", key, 50000]] if dice.random() < 0.3 else [])


def lock_key(dice):
    key = "lock%d" % dice.randrange(3)
    return key, fill(dice, key, "string" if dice.random() < 0.8 else None) if dice.random() < 0.6 else []


def lock_release(dice):
    key, before = lock_key(dice)
    return before, [key], [dice.token()]


def lock_extend(dice):
    key, before = lock_key(dice)
    return before, [key], [dice.token(), dice.some(1000 * dice.choice([1000, 9000, 0, -7000000])), dice.choice(["0", "1", 0])]


def lock_reacquire(dice):
    key, before = lock_key(dice)
    return before, [key], [dice.token(), dice.some(dice.choice([1000000, 9000000, 0]))]


def channels_cleanup(dice):
    channel = "asgispecific.%d!" % dice.randrange(3)
    backup = channel + "$inflight"
    if dice.random() < 0.1:
        backup = dice.choice([channel, "elsewhere"])
    before = []
    for key in (channel, backup):
        if dice.random() < 0.5:
            before += fill(dice, key, "zset" if dice.random() < 0.85 else None)
    if dice.random() < 0.5:
        before += [["ZADD", backup] + [w for n in range(dice.randrange(1, 200)) for w in (dice.float(), "m%d" % n)]]
    return before, [], [channel, backup]


def channels_group_send(dice, shards):
    names = ["asgispecific.%d!" % n for n in range(12)]
    keys = [dice.choice(names) for _ in range(dice.randrange(1, 10))]
    # On several shards the parts of a group do not see each other's errors: kept apart by the caller.
    kind = "zset" if shards > 1 or dice.random() < 0.9 else None
    before = [w for key in keys if dice.random() < 0.3 for w in fill(dice, key, kind)]
    before += [["DEL", key] for key in keys if dice.random() < 0.2]
    capacity = dice.choice([0, 1, 2, 3, 100])
    argv = ["message%d" % dice.randrange(5) for _ in keys] + [dice.some(capacity, 0.01) for _ in keys]
    return before, keys, argv + [dice.some(dice.float(), 0.03), dice.seconds() if dice.random() < 0.2 else 60000]


def django_incr_existing(dice):
    key = ":1:n%d" % dice.randrange(3)
    before = fill(dice, key, "number" if dice.random() < 0.7 else None) if dice.random() < 0.5 else []
    return before, [key], [dice.some(dice.number(), 0.2)]


django_incr = django_incr_existing


def kombu_refresh(dice):
    table, deadlines = "_kombu.binding.ex%d" % dice.randrange(2), "_kombu.binding_deadlines"
    before = fill(dice, table, dice.choice(["set", "set", "string", "none"])) if dice.random() < 0.3 else []
    before += fill(dice, deadlines, "string") if dice.random() < 0.1 else [["DEL", deadlines]]
    return before, [table, deadlines], ["key\x06\x16\x06\x16queue%d" % dice.randrange(3), "ex", dice.some(3600000)]


def kombu_sweep(dice):
    deadlines, before = "_kombu.binding_deadlines", []
    for n in range(5):
        if dice.random() < 0.6:
            before.append(["ZADD", deadlines, dice.choice([1, 1.5e12, 4e12, 5e12]), "ex%d" % n])
        if dice.random() < 0.4:
            before += fill(dice, "_kombu.binding.ex%d" % n, "set")
        if dice.random() < 0.3:
            before += fill(dice, "_kombu.binding_permanent.ex%d" % n, "set")
    before += fill(dice, deadlines) if dice.random() < 0.1 else []
    return before, [deadlines], ["_kombu.binding.", "_kombu.binding_permanent.", dice.some(dice.choice([100, 1, 2, 0]))]


def chord_keys(dice):
    stem = "celery-taskset-meta-%d" % dice.randrange(3)
    if dice.random() < 0.2:
        # As with a prefix that no locality rule knows.
        stem = "app:" + stem
    return {part: stem + part for part in (".j", ".t", ".s", ".d", "", ".c")}


def chord_part(dice):
    key, ordered = chord_keys(dice), dice.choice([0, 1])
    before = [["DEL", key[".c"]]] if dice.random() < 0.6 else []
    if dice.random() < 0.4:
        before.append(["DEL", key[".j"]])
    if dice.random() < 0.3:
        before.append(["SET", key[".t"], dice.some(dice.choice([0, 1]), 0.2)])
    if dice.random() < 0.6:
        before.append(["SET", key[".s"], dice.some(dice.randrange(4), 0.2)])
    if dice.random() < 0.1:
        before.append(["SET", key[".c"], "done"])
    if dice.random() < 0.08:
        before += fill(dice, dice.choice(list(key.values())))
    argv = ["id%d" % dice.randrange(5), "result%d" % dice.randrange(5), ordered, dice.some(dice.randrange(3), 0.03),
            dice.some(dice.choice([86400, 0, 50000]), 0.03), dice.some(dice.choice([0, 70000]), 0.03),
            dice.some(dice.choice([30000, 0]) if dice.random() < 0.1 else 30000, 0.03), dice.token()]
    return before, [key[p] for p in (".j", ".t", ".s", ".d", "", ".c")], argv


def chord_cleanup(dice):
    key = chord_keys(dice)
    before = [["SET", key[".c"], dice.token()]] if dice.random() < 0.7 else []
    before += [w for name in key.values() if dice.random() < 0.4 for w in fill(dice, name)]
    return before, [key[p] for p in (".c", ".j", ".t", ".s", ".d")], [dice.token(), dice.some(dice.choice([60000, 0]))]


def chord_claim_extend(dice):
    key = chord_keys(dice)
    before = fill(dice, key[".c"], dice.choice(["string", "string", "none", None])) if dice.random() < 0.7 else []
    before += fill(dice, key[".s"]) if dice.random() < 0.5 else []
    return before, [key[".c"], key[".s"]], [dice.token(), dice.seconds()]


def fields(dice):
    words = [w for n in range(dice.randrange(4)) for w in ("field%d" % n, dice.token())]
    return words[:-1] if words and dice.random() < 0.05 else words


def rq_enqueue(dice):
    job, queue = "rq:job:%d" % dice.randrange(4), "rq:queue:%d" % dice.randrange(2)
    before = [["DEL", job]] if dice.random() < 0.6 else []
    before += fill(dice, queue, "list" if dice.random() < 0.7 else None) if dice.random() < 0.3 else []
    ttl = -1 if dice.random() < 0.5 else dice.seconds()
    return before, [job, queue], [dice.number(), dice.choice("LRNx"), ttl] + fields(dice)


def rq_schedule(dice):
    job, registry = "rq:job:%d" % dice.randrange(4), "rq:scheduled:%d" % dice.randrange(2)
    before = [["DEL", job]] if dice.random() < 0.6 else []
    before += fill(dice, registry, "zset" if dice.random() < 0.7 else None) if dice.random() < 0.3 else []
    before += fill(dice, "rq:queues") if dice.random() < 0.1 else []
    ttl = -1 if dice.random() < 0.5 else dice.seconds()
    return before, [job, registry, "rq:queues"], [dice.number(), ttl, dice.some(1700000000), "rq:queue:0"] + fields(dice)


def rq_lock(dice):
    key, before = lock_key(dice)
    return before, [key], [dice.token(), dice.seconds()]


rq_unlock = lock_release


def huey_pop(dice):
    key = "huey.schedule.%d" % dice.randrange(2)
    before = fill(dice, key, "zset" if dice.random() < 0.9 else None) if dice.random() < 0.8 else []
    return before, [key], [dice.some(dice.float(), 0.2)]


def calls(dice, name, text, shards):
    """Commands that come before a call, and the call."""
    make = globals()[name]
    before, keys, argv = make(dice, shards) if name == "channels_group_send" else make(dice)
    count = len(keys)
    if dice.random() < 0.04:
        # Arguments that a client never sends.
        argv = argv[:-1] if dice.random() < 0.5 else argv + ["x"]
    if dice.random() < 0.02:
        count = dice.choice([0, count + 1, 99, -1, "x"])
    by_sha = dice.random() < 0.5
    word = hashlib.sha1(text.encode()).hexdigest() if by_sha else text
    return before, ["EVALSHA" if by_sha else "EVAL", word, count] + keys + argv


def compare(subjects, what, got):
    """`got` of each subject must be one."""
    first = subjects[0]
    for subject in subjects[1:]:
        if got[subject] != got[first]:
            raise AssertionError("%s (seed %d)\n%s: %r\n%s: %r" % (
                what, SEED, first.name, got[first], subject.name, got[subject]))


def states_agree(subjects, what):
    states = {subject: subject.state() for subject in subjects}
    compare(subjects, what, {s: state[:2] for s, state in states.items()})
    for subject in subjects[1:]:
        mine, theirs = states[subjects[0]][2], states[subject][2]
        assert all(near(mine[key], theirs[key]) for key in mine), "%s: %r %r (seed %d)" % (what, mine, theirs, SEED)


def run(subjects, named, shards, listens):
    for name, text in named.items():
        dice = Dice("%d %s %d" % (SEED, name, shards))
        for subject in subjects:
            subject("FLUSHALL")
            subject("SCRIPT", "FLUSH")
            subject("CONFIG", "RESETSTAT")
            if listens:
                subject.told()
        for number in range(ROUNDS):
            before, call = calls(dice, name, text, shards)
            what = "%s, %d shards, call %d: %r after %r" % (name, shards, number, call[:1] + call[2:], before)
            for subject in subjects:
                for words in before:
                    subject(*words)
            protocol = dice.choice([2, 3])
            if dice.random() < 0.15:
                lines = [["MULTI"], call, ["SET", "beside", number], ["EXEC"]]
            else:
                lines = [call]
            got = {subject: [subject(*words, protocol=protocol) for words in lines] for subject in subjects}
            unknown = number == 0 and call[0] == "EVALSHA" and len(lines) == 1
            if unknown and isinstance(call[2], int) and 0 <= call[2] <= len(call) - 3:
                assert got[subjects[0]][0].startswith(b"-NOSCRIPT"), got
            compare(subjects, what, got)
            if name == "kombu_refresh":
                # The score is a time, which differs by what passed between two servers.
                deadlines = {subject: subject("ZSCORE", call[4], "ex") for subject in subjects}
                kinds = {subject: score[:4] for subject, score in deadlines.items()}
                compare(subjects, what, kinds)
                if all(score[:1] in b"$," and score[:2] != b"$-" for score in deadlines.values()):
                    for subject in subjects:
                        subject("ZADD", call[4], 1, "ex")
            states_agree(subjects, what)
            if listens:
                compare(subjects, what, {subject: subject.told() for subject in subjects})
        # Lua that has to begin again, holding more shards, counts both runs.
        counted = [subject for subject in subjects if not subject.repeated()]
        assert shards > 1 or counted == subjects
        compare(counted, "%s, %d shards, counts" % (name, shards), {s: s.counts() for s in counted})
        exists = {s: s("SCRIPT", "EXISTS", hashlib.sha1(text.encode()).hexdigest()) for s in subjects}
        compare(subjects, name + ", in the cache", exists)
        ran = subjects[0].raw[2]("SCRIPT", "STATS")
        assert b"$6\r\nnative\r\n:0" not in ran and b"$6\r\nnative\r\n:" in ran, ran
        if not listens:
            journals_hold(subjects[0], "native, %s, %d shards" % (name, shards))


def journals_hold(subject, what):
    """What was journaled makes what is there."""
    before = subject.state()
    subject.server.kill()
    subject.server.start()
    subject.connect()
    after = subject.state()
    assert before[:2] == after[:2], "%s: %r, after the restart %r (seed %d)" % (what, before, after, SEED)
    assert all(near(before[2][key], after[2][key]) for key in before[2]), (what, before, after)


def on_servers(shards, listens):
    debug = ["--enable-debug-command", "yes"]
    events = ["--notify-keyspace-events", "KEA"] if listens else []
    more = debug + events
    with Server(*more, shards=shards) as native, \
            Server(*more, "--script-intrinsics", "no", shards=shards) as lua, \
            Server(*more, appendonly="no", binary=shutil.which("redis-server")) as redis:
        subjects = [Subject("native", native), Subject("lua", lua), Subject("redis", redis)]
        if listens:
            for subject in subjects:
                subject.listen()
        run(subjects, scripts(), shards, listens)


def on_one_shard():
    on_servers(1, False)


def on_one_shard_with_events():
    on_servers(1, True)


def on_several_shards():
    on_servers(4, False)


def on_several_shards_with_events():
    on_servers(3, True)


def watched_by_monitor():
    """MONITOR shows what a script calls: so Lua runs it."""
    named = scripts()
    with Server("--enable-debug-command", "yes", shards=2) as server:
        client, monitor = Raw(server.port), Raw(server.port)
        monitor("MONITOR")
        client("SET", "k", "t")
        client("EVAL", named["lock_release"], 1, "k", "t")
        shown = b"".join(monitor.read() for _ in range(4)).lower()
        for part in (b'"eval"', b'lua] "get" "k"', b'lua] "del" "k"'):
            assert part in shown, shown
        client("CONFIG", "SET", "script-intrinsics", "no")


if __name__ == "__main__":
    print("seed %d" % SEED)
    main(on_one_shard, on_one_shard_with_events, on_several_shards, on_several_shards_with_events, watched_by_monitor)

//! Conversations in raw bytes, compared with `redis-server` to the byte.

use super::{converse, show};
use crate::need_oracle;
use crate::support::client::encode;
use crate::support::{Rng, Server, Start, run_seed, words};

/// Everything a client may get wrong, and odd things that are right.
const CONVERSATIONS: &[(&str, &[u8])] = &[
    ("inline", b"PING\r\n"),
    ("inline, LF alone", b"PING\nECHO a\n"),
    ("inline, spaces and tabs", b"  ECHO \t  hello   \r\n"),
    ("empty lines", b"\r\n\r\n\nPING\r\n\r\n"),
    ("blank line", b"   \r\nPING\r\n"),
    ("inline, quotes", b"SET k \"a \\x00\\xff\\n\\\"b\\q\"\r\nGET k\r\nSET k 'it\\'s \\n'\r\nGET k\r\n"),
    ("inline, empty argument", b"SET \"\" ''\r\nGET \"\"\r\n"),
    ("inline, unbalanced quotes", b"SET k \"abc\r\n"),
    ("inline, unbalanced single quotes", b"SET k 'abc\r\n"),
    ("inline, text behind a quote", b"SET k \"abc\"d\r\n"),
    ("inline, NUL", b"ECHO a\0b\r\n"),
    ("inline, unknown", b"NOSUCH a b c\r\n"),
    ("inline among multibulk", b"*1\r\n$4\r\nPING\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$1\r\nx\r\n"),
    ("HTTP POST", b"POST / HTTP/1.1\r\n"),
    ("HTTP Host", b"Host: localhost\r\n"),
    ("HTTP GET", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("host: in any case", b"hOsT: localhost\r\n"),
    ("multibulk length, none", b"*\r\n"),
    ("multibulk length, text", b"*abc\r\n"),
    ("multibulk length, number and text", b"*1x\r\n"),
    ("multibulk length, space", b"* 1\r\n"),
    ("multibulk length, plus", b"*+1\r\n"),
    ("multibulk length 0", b"*0\r\n*1\r\n$4\r\nPING\r\n"),
    ("multibulk length -1", b"*-1\r\n*1\r\n$4\r\nPING\r\n"),
    ("multibulk length -10", b"*-10\r\nPING\r\n"),
    ("multibulk length, 2^31 - 1", b"*2147483647\r\n"),
    ("multibulk length, 2^31", b"*2147483648\r\n"),
    ("multibulk length, beyond 64 bits", b"*99999999999999999999\r\n"),
    ("bulk expected, text", b"*1\r\nPING\r\n"),
    ("bulk expected, simple string", b"*1\r\n+PING\r\n"),
    ("bulk expected, multibulk", b"*1\r\n*1\r\n$4\r\nPING\r\n"),
    ("bulk expected, empty line", b"*1\r\n\r\n"),
    ("bulk expected, NUL", b"*1\r\n\0\r\n"),
    ("bulk length, none", b"*1\r\n$\r\n"),
    ("bulk length, text", b"*1\r\n$abc\r\n"),
    ("bulk length -1", b"*1\r\n$-1\r\n"),
    ("bulk length, one more than allowed", b"*1\r\n$536870913\r\n"),
    ("bulk length, beyond 64 bits", b"*1\r\n$99999999999999999999\r\n"),
    ("bulk length, second argument", b"*2\r\n$4\r\nECHO\r\n$x\r\n"),
    ("bulk of length 0", b"*1\r\n$0\r\n\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\n"),
    ("bulk with CR LF inside", b"*2\r\n$4\r\nECHO\r\n$6\r\n\r\na\r\nb\r\n"),
    ("no CR LF behind a bulk", b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n"),
    ("unknown command, binary", b"*2\r\n$3\r\n\x01\xff\n\r\n$2\r\n\r\n\r\n"),
    ("lower case, odd case", b"*1\r\n$4\r\nping\r\n*2\r\n$4\r\neChO\r\n$1\r\na\r\n"),
    ("wrong numbers of arguments", b"GET\r\nGET a b\r\nSET a\r\nCLIENT\r\nCLIENT GETNAME x\r\nEXEC x\r\n"),
    ("unknown subcommands", b"CLIENT nosuch\r\nCONFIG nosuch a b\r\nOBJECT nosuch k\r\n"),
    ("QUIT ends it", b"PING\r\nQUIT\r\nPING\r\n"),
    ("QUIT with arguments", b"QUIT now\r\nPING\r\n"),
    ("an error behind good commands", b"PING\r\nPING\r\n*1\r\n$x\r\nPING\r\n"),
    ("an error in MULTI", b"MULTI\r\nSET k v\r\n*1\r\n$x\r\n"),
    ("MULTI and its errors", b"MULTI\r\nMULTI\r\nWATCH k\r\nEXEC\r\nEXEC\r\nDISCARD\r\n"),
    ("MULTI, unknown command", b"MULTI\r\nNOSUCH\r\nSET k v\r\nEXEC\r\n"),
    ("MULTI, wrong arity", b"MULTI\r\nGET\r\nEXEC\r\nGET k\r\n"),
    ("MULTI, EXEC with an argument", b"MULTI\r\nSET k v\r\nEXEC now\r\nEXEC\r\n"),
    ("MULTI, error while running", b"MULTI\r\nSET k v\r\nINCR k\r\nGET k\r\nEXEC\r\n"),
    ("MULTI, SELECT inside", b"MULTI\r\nSELECT 1\r\nSET k one\r\nEXEC\r\nGET k\r\nSELECT 0\r\nGET k\r\n"),
    ("MULTI, RESET inside", b"MULTI\r\nSET k v\r\nRESET\r\nEXEC\r\n"),
    ("MULTI, QUIT inside", b"MULTI\r\nSET k v\r\nQUIT\r\nEXEC\r\n"),
    ("MULTI, empty", b"MULTI\r\nEXEC\r\n"),
    ("WATCH on what the client changes itself", b"WATCH k\r\nSET k 1\r\nMULTI\r\nGET k\r\nEXEC\r\nGET k\r\n"),
    ("reply off", b"CLIENT REPLY OFF\r\nPING\r\nNOSUCH\r\nCLIENT REPLY ON\r\nPING\r\n"),
    ("reply skip", b"CLIENT REPLY SKIP\r\nPING\r\nECHO seen\r\n"),
    ("reply skip, then off, then on", b"CLIENT REPLY SKIP\r\nCLIENT REPLY OFF\r\nPING\r\nCLIENT REPLY ON\r\n"),
    ("reply skip around MULTI", b"CLIENT REPLY SKIP\r\nMULTI\r\nPING\r\nEXEC\r\n"),
    ("reply, wrong mode", b"CLIENT REPLY nosuch\r\nCLIENT REPLY\r\n"),
    ("HELLO, versions that are none", b"HELLO 1\r\nHELLO 4\r\nHELLO abc\r\nHELLO -1\r\nHELLO 3.0\r\n"),
    ("HELLO, wrong options", b"HELLO 3 nosuch\r\nHELLO 3 AUTH\r\nHELLO 3 AUTH x\r\nHELLO 3 SETNAME\r\n"),
    ("HELLO, names that are none", b"HELLO 3 SETNAME \"a b\"\r\nPING\r\nHELLO 2 SETNAME \"a\\n\"\r\n"),
    ("HELLO, AUTH of nobody", b"HELLO 2 AUTH nosuch x\r\n"),
    ("AUTH without a password set", b"AUTH x\r\nAUTH default x\r\nAUTH nosuch x\r\nAUTH a b c\r\nAUTH\r\n"),
    ("SELECT", b"SELECT 15\r\nSELECT 16\r\nSELECT -1\r\nSELECT abc\r\nSELECT 99999999999\r\nSELECT 1.0\r\n"),
    ("RESET", b"SELECT 3\r\nCLIENT SETNAME me\r\nRESET\r\nCLIENT GETNAME\r\n"),
    ("names", b"CLIENT SETNAME \"a b\"\r\nCLIENT SETNAME x\r\nCLIENT GETNAME\r\nCLIENT SETNAME \"\"\r\nCLIENT GETNAME\r\n"),
    ("ECHO and PING", b"ECHO\r\nECHO a b\r\nPING a b\r\nPING \"a\\r\\nb\"\r\n"),
];

/// The same with a password that the client has not given.
const STRANGERS: &[(&str, &[u8])] = &[
    ("any command", b"PING\r\nGET k\r\nSET k v\r\nMULTI\r\nEXEC\r\nCLIENT ID\r\nSELECT 1\r\n"),
    ("unknown command", b"NOSUCH a\r\nGET\r\nCLIENT nosuch\r\n"),
    ("AUTH wrong", b"AUTH wrong\r\nAUTH default wrong\r\nAUTH nosuch secret\r\nPING\r\n"),
    ("AUTH right", b"PING\r\nAUTH secret\r\nPING\r\nAUTH wrong\r\nPING\r\n"),
    ("AUTH with the user's name", b"AUTH default secret\r\nPING\r\n"),
    ("AUTH, numbers of arguments", b"AUTH\r\nAUTH a b c\r\n"),
    ("HELLO without AUTH", b"HELLO\r\nHELLO 3\r\nHELLO 2\r\nHELLO 9\r\n"),
    ("HELLO with a wrong password", b"HELLO 3 AUTH default wrong\r\nPING\r\n"),
    ("HELLO with AUTH behind SETNAME", b"HELLO 3 SETNAME me AUTH default wrong\r\nPING\r\n"),
    ("RESET forgets the password", b"AUTH secret\r\nPING\r\nRESET\r\nPING\r\n"),
    ("RESET and QUIT are allowed", b"RESET\r\nQUIT\r\n"),
    ("many arguments", b"*11\r\n$4\r\nPING\r\n"),
    ("ten arguments", b"*10\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n"),
    ("a long argument", b"*2\r\n$4\r\nAUTH\r\n$16385\r\n"),
    ("many arguments, after AUTH", b"AUTH secret\r\n*11\r\n$3\r\nDEL\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n"),
];

/// Conversations that are too long to be written down.
fn long_ones() -> Vec<(&'static str, Vec<u8>)> {
    let mut unknown_many = b"*40\r\n$6\r\nNOSUCH\r\n".to_vec();
    (0..39).for_each(|i| unknown_many.extend(format!("$7\r\narg-{i:03}\r\n").bytes()));
    let mut long_name = format!("*2\r\n$300\r\n{}\r\n$300\r\n", "n".repeat(300)).into_bytes();
    long_name.extend([b'a'; 300]);
    long_name.extend(b"\r\n");
    let mut sub = format!("*3\r\n$6\r\nCLIENT\r\n$300\r\n{}\r\n$1\r\n", "s".repeat(300)).into_bytes();
    sub.extend(b"a\r\n");
    vec![
        ("inline as long as allowed", [b"ECHO ".as_slice(), &[b'x'; 60_000], b"\r\n"].concat()),
        ("unknown command, many arguments", unknown_many),
        ("unknown command, long name and argument", long_name),
        ("unknown subcommand, long name", sub),
    ]
}

fn compare(oracle: &Server, server: &Server, name: &str, bytes: &[u8], wrong: &mut Vec<String>) {
    for server in [oracle, server] {
        assert!(server.admin().ask("FLUSHALL").is_ok());
    }
    let (right, got) = converse(oracle, server, bytes, &[]);
    if right != got {
        let (right, got) = (show(&right), show(&got));
        wrong.push(format!("{name}: {}\n  expected {right}\n  got      {got}", show(bytes)));
    }
}

fn report(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{} conversations differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn conversations_are_those_of_redis() {
    need_oracle!();
    let oracle = Start::oracle().start();
    for shards in [1, 4] {
        let server = Start::ringdove(shards).start();
        let mut wrong = Vec::new();
        for (name, bytes) in CONVERSATIONS {
            compare(&oracle, &server, name, bytes, &mut wrong);
        }
        for (name, bytes) in long_ones() {
            compare(&oracle, &server, name, &bytes, &mut wrong);
        }
        report(wrong);
    }
}

/// Lines that never end, and so end the connection.
#[test]
fn lines_without_an_end_are_refused_as_redis_refuses_them() {
    need_oracle!();
    let servers = [Start::oracle().start(), Start::ringdove(2).start()];
    for head in ["", "*", "*1\r\n$", "*2\r\n$4\r\nECHO\r\n$"] {
        let [right, got] = servers.each_ref().map(|s| {
            let mut client = s.client();
            client.write(head.as_bytes()).unwrap();
            client.write(&[b'1'; 70_000]).unwrap();
            show(&client.read_to_end())
        });
        assert_eq!(got, right, "{head:?}");
    }
}

#[test]
fn strangers_are_told_what_redis_tells_them() {
    need_oracle!();
    let oracle = Start::oracle().args("--requirepass secret").start();
    let server = Start::ringdove(2).args("--requirepass secret").start();
    let mut wrong = Vec::new();
    for (name, bytes) in STRANGERS {
        compare(&oracle, &server, name, bytes, &mut wrong);
    }
    report(wrong);
}

/// A conversation of good commands: the bytes of some hundred, inline ones and empty lines among them.
fn some_commands(rng: &mut Rng, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..count {
        let key = format!("k{}", rng.below(6));
        match rng.below(12) {
            0 => encode(&words("PING"), &mut bytes),
            1 => bytes.extend(format!("SET {key} inline{}\r\n", rng.below(100)).bytes()),
            2 => bytes.extend(b"\r\n"),
            3 => encode(&words(&format!("MGET k0 {key} k3")), &mut bytes),
            4 => encode(&words(&format!("DEL {key} k1")), &mut bytes),
            5 => {
                bytes.extend(b"MULTI\r\n");
                encode(&words(&format!("GET {key}")), &mut bytes);
                encode(&words("INCR n"), &mut bytes);
                encode(&words("EXEC"), &mut bytes);
            }
            6 => encode(&words("NOSUCH command"), &mut bytes),
            7 => {
                let length = rng.below(5000);
                let value = rng.bytes(length);
                encode(&[b"SET".as_slice(), key.as_bytes(), &value], &mut bytes);
            }
            8 => encode(&[b"ECHO".as_slice(), b""], &mut bytes),
            _ => encode(&words(&format!("APPEND {key} x{}", rng.below(10))), &mut bytes),
        }
    }
    bytes
}

#[test]
fn bytes_may_be_split_anywhere() {
    need_oracle!();
    let seed = run_seed("splits");
    let oracle = Start::oracle().start();
    for shards in [1, 4] {
        let server = Start::ringdove(shards).start();
        for round in 0..12 {
            let mut rng = Rng::fork(seed, round);
            let bytes = some_commands(&mut rng, 60);
            let cuts: Vec<usize> = match round % 4 {
                // Every byte by itself, at least in the beginning.
                0 => (1..400).collect(),
                1 => (1..bytes.len()).step_by(7).collect(),
                // Between CR and LF.
                2 => (1..bytes.len()).filter(|i| bytes[i - 1] == b'\r').collect(),
                _ => {
                    let mut cuts: Vec<usize> = (0..40).map(|_| rng.below(bytes.len())).collect();
                    cuts.sort();
                    cuts
                }
            };
            for server in [&oracle, &server] {
                assert!(server.client().ask("FLUSHALL").is_ok());
            }
            let (right, got) = converse(&oracle, &server, &bytes, &cuts);
            assert_eq!(show(&got), show(&right), "seed {seed}, round {round}, {shards} shards");
            assert!(got == right, "seed {seed}, round {round}, {shards} shards");
        }
    }
}

/// HELLO's answer names the server; its fields and their types are Redis's.
#[test]
fn hello_answers_what_redis_answers() {
    need_oracle!();
    let oracle = Start::oracle().start();
    let server = Start::ringdove(2).start();
    for line in
        ["HELLO", "HELLO 2", "HELLO 3", "HELLO 3 SETNAME me", "HELLO 2 SETNAME me", "HELLO 3 AUTH default x"]
    {
        let [right, got] = [&oracle, &server].map(|s| {
            let mut client = s.client();
            let fields = shape(&client.ask(line));
            // The protocol has changed, or not; and so has the name.
            (fields, client.ask("GET nothing"), client.ask("CLIENT GETNAME"))
        });
        assert_eq!(got, right, "{line}");
    }
}

/// Names of fields and types of values; values that are the server's own are left out.
fn shape(reply: &crate::support::Value) -> Vec<String> {
    use crate::support::Value;
    let own = ["server", "version", "id"];
    let field = |k: &Value, v: &Value| match k.text() {
        k if own.contains(&k.as_str()) => format!("{k}: {:?}", std::mem::discriminant(v)),
        k => format!("{k}: {v:?}"),
    };
    match reply {
        Value::Map(pairs) => pairs.iter().map(|(k, v)| field(k, v)).chain(["map".into()]).collect(),
        Value::Array(items) => items.chunks(2).map(|p| field(&p[0], &p[1])).collect(),
        other => vec![format!("{other:?}")],
    }
}

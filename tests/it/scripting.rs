//! Scripts over real sockets: what long ones, greedy ones and lying ones do to everybody else.

use crate::support::server::Scratch;
use crate::support::{Client, Start, Value, wait_until};

fn eval(client: &mut Client, body: &str, keys: &[&str], args: &[&str]) -> crate::support::Value {
    let numkeys = keys.len().to_string();
    let mut words = vec!["EVAL", body, &numkeys];
    words.extend(keys);
    words.extend(args);
    client.call(&words)
}

/// Keys that live on different shards of a server with four: found by asking.
fn spread(client: &mut Client, count: usize) -> Vec<String> {
    let keys: Vec<String> = (0..count).map(|n| format!("spread:{n}")).collect();
    keys.iter().for_each(|key| assert!(client.call(&["SET", key, "0"]).is_ok()));
    keys
}

#[test]
fn a_script_without_an_end_lets_others_know_and_can_be_killed() {
    for shards in [1, 4] {
        let server = Start::ringdove(shards).args("--busy-reply-threshold 50").start();
        let (mut script, mut other) = (server.client(), server.client());
        assert!(other.call(&["SET", "k", "v"]).is_ok());
        assert!(other.ask("SCRIPT KILL").text().starts_with("NOTBUSY"));
        // Also where the error of the kill is caught.
        for body in ["while true do end", "while true do pcall(function() while true do end end) end"] {
            script.send(&["EVAL", body, "0"]).unwrap();
            wait_until("the script is slow", 20, || other.ask("PING").text().starts_with("BUSY"));
            assert!(other.call(&["GET", "k"]).text().starts_with("BUSY"));
            assert!(other.ask("MULTI").is_ok());
            assert!(other.call(&["GET", "k"]).text().starts_with("BUSY"));
            assert!(other.ask("EXEC").text().starts_with("EXECABORT"));
            assert!(other.ask("FUNCTION KILL").text().starts_with("BUSY"));
            assert!(other.ask("SCRIPT KILL").is_ok());
            let reply = script.receive().unwrap();
            assert!(reply.text().contains("Script killed by user with SCRIPT KILL"), "{reply:?}");
            wait_until("all is well again", 20, || other.ask("PING").text() == "PONG");
            assert_eq!(other.call(&["GET", "k"]).text(), "v");
        }
    }
}

#[test]
fn a_long_script_that_has_written_is_not_killed_and_ends_by_itself() {
    let server = Start::ringdove(4).args("--busy-reply-threshold 20").start();
    let (mut script, mut other) = (server.client(), server.client());
    let body = "redis.call('SET', 'done', 'no')\n\
                for n = 1, 40000000 do end\n\
                redis.call('SET', 'done', 'yes') return 'end'";
    script.send(&["EVAL", body, "0"]).unwrap();
    wait_until("the script is slow", 20, || {
        let refused = other.ask("SCRIPT KILL").text();
        assert!(!refused.starts_with("OK"), "{refused}");
        refused.starts_with("UNKILLABLE")
            || refused.starts_with("NOTBUSY") && other.ask("GET done").is_text("yes")
    });
    assert_eq!(script.receive().unwrap().text(), "end");
    wait_until("it is over", 20, || other.ask("GET done").is_text("yes"));
}

#[test]
fn a_long_script_goes_on_when_its_client_has_gone() {
    let server = Start::ringdove(2).args("--busy-reply-threshold 20").start();
    let mut script = server.client();
    script.send(&["EVAL", "for n = 1, 30000000 do end redis.call('SET', 'done', 'yes')", "0"]).unwrap();
    let mut other = server.client();
    wait_until("it is slow or over", 20, || {
        other.ask("PING").text().starts_with("BUSY") || other.ask("GET done").is_text("yes")
    });
    drop(script);
    wait_until("it is over", 20, || other.ask("GET done").is_text("yes"));
}

#[test]
fn scripts_on_other_shards_go_on_beside_a_long_one() {
    let server = Start::ringdove(4).args("--busy-reply-threshold 20").start();
    let (mut script, mut other) = (server.client(), server.client());
    let keys = spread(&mut other, 32);
    // Declared keys only: after one run the server knows that one shard will do.
    let body = "redis.call('GET', KEYS[1]) if ARGV[1] == 'long' then while true do end end";
    assert!(!eval(&mut other, body, &[&keys[0]], &["short"]).is_error());
    script.send(&["EVAL", body, "1", &keys[0], "long"]).unwrap();
    // What is on its way to the shard before the script is known to be slow hears of it too.
    wait_until("the script is slow", 20, || other.call(&["GET", &keys[0]]).text().starts_with("BUSY"));
    // The connection's own thread may be the one that runs it: then it answers between two slices.
    let answered = keys.iter().filter(|key| !other.call(&["GET", key]).is_error()).count();
    assert!(answered >= 8, "only {answered} of 32 keys could be read");
    assert!(other.ask("SCRIPT KILL").is_ok());
    assert!(script.receive().unwrap().is_error());
}

#[test]
fn greedy_and_endless_scripts_are_answered_and_leave_nothing_locked() {
    let server = Start::ringdove(4).start();
    let mut client = server.client();
    let keys = spread(&mut client, 8);
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    for body in [
        "local t = {} local n = 0 while true do n = n + 1 t[n] = string.rep('x', 1048576) .. n end",
        "local s = 'x' while true do s = s .. s end",
        "local function f() return f() + 1 end return f()",
        "return string.rep('x', 1000000000)",
        "for i = 1, #KEYS do redis.call('SET', KEYS[i], '7') end return nosuch.field",
        "redis.call('SET', KEYS[1], '7') return redis.call('LPUSH', KEYS[1], 'x')",
        "return redis.call('EVAL', 'return 1', '0')",
        "return string.find(string.rep('a', 300000), string.rep('a?', 300000) .. string.rep('a', 300000))",
    ] {
        let reply = eval(&mut client, body, &names, &[]);
        assert!(reply.is_error(), "{body}: {reply:?}");
        let reply = eval(&mut client, "return redis.call('INCR', KEYS[1])", &["counter"], &[]);
        assert!(reply.integer() > 0, "{body}");
        assert!(names.iter().all(|key| !client.call(&["GET", key]).is_error()), "{body}");
    }
    // What a script did before its error stays, as in Redis.
    assert_eq!(client.call(&["GET", names[7]]).text(), "7");
}

/// A script whose keys change from call to call, after it has written: what it learned last time is wrong.
#[test]
fn a_script_that_lies_about_its_keys_is_taken_back_and_run_again() {
    let server = Start::ringdove(4).args("--appendonly yes --appendfsync no").start();
    let (mut client, mut listener) = (server.client(), server.client());
    let keys = spread(&mut client, 16);
    assert_eq!(listener.ask("SUBSCRIBE c").items().len(), 3);
    let body = "redis.call('INCR', KEYS[1]) redis.call('LPUSH', KEYS[1] .. ':l', 'x') redis.call('PUBLISH', 'c', '1')\n\
                redis.call('INCR', ARGV[1]) return redis.call('INCR', 'spread:' .. ARGV[2])";
    for round in 0..200 {
        let (a, b, c) = (round % 16, (round * 7) % 16, (round * 5 + round / 16) % 16);
        let reply = eval(&mut client, body, &[&keys[a]], &[&keys[b], &c.to_string()]);
        assert!(!reply.is_error(), "{reply:?}");
    }
    let total: i64 = keys.iter().map(|key| client.call(&["GET", key]).number().unwrap()).sum();
    assert_eq!(total, 600, "each run counted three times");
    let pushed: i64 = keys.iter().map(|key| client.call(&["LLEN", &format!("{key}:l")]).integer()).sum();
    assert_eq!(pushed, 200);
    assert_eq!(client.ask("PUBLISH c last").integer(), 1);
    let messages = (0..).map(|_| listener.receive().unwrap().items()[2].text());
    assert_eq!(messages.take_while(|text| text != "last").count(), 200, "each run was heard of once");
    let stats = client.ask("INFO scriptstats").text();
    assert!(stats.contains("keys=roams"), "{stats}");
    assert!(client.ask("SCRIPT FLUSH").is_ok());
    let stats = client.ask("INFO scriptstats").text();
    assert!(!stats.contains("script_"), "{stats}");
}

#[test]
fn keys_are_learned() {
    let server = Start::ringdove(4).start();
    let mut client = server.client();
    let keys = spread(&mut client, 16);
    for key in &keys {
        let body = "return redis.call('INCR', KEYS[1])";
        assert_eq!(eval(&mut client, body, &[key], &[]).integer(), 1);
        let body = "return redis.call('INCR', ARGV[2])";
        assert_eq!(eval(&mut client, body, &[], &["no key", key]).integer(), 2);
    }
    let stats = client.ask("INFO scriptstats").text();
    // The first run held all shards; the others one.
    for keys in ["declared", "learned"] {
        let script = stats.lines().find(|line| line.contains(keys)).expect("a line for each script");
        assert!(script.contains("calls=16,") && script.contains("one_shard=15,"), "{stats}");
    }
}

#[test]
fn functions_and_what_scripts_wrote_survive_a_restart() {
    let dir = Scratch::new();
    let args = "--appendonly yes --appendfsync always";
    let mut server = Start::ringdove(3).args(args).dir(&dir.path).start();
    let mut client = server.client();
    let library = "#!lua name=mine\nredis.register_function('twice', function(keys, args)\n\
                   redis.call('INCRBY', keys[1], args[1]) return redis.call('INCRBY', keys[1], args[1]) end)";
    assert_eq!(client.call(&["FUNCTION", "LOAD", library]).text(), "mine");
    assert_eq!(client.call(&["FCALL", "twice", "1", "n", "4"]).integer(), 8);
    let body = "for i = 1, 10 do redis.call('SET', 'made:' .. i, i) end redis.call('EXPIRE', 'made:1', 1000)";
    assert!(!eval(&mut client, body, &[], &[]).is_error());
    server.kill();
    let server = Start::ringdove(2).args(args).dir(&dir.path).start();
    let mut client = server.client();
    assert_eq!(client.call(&["FCALL", "twice", "1", "n", "1"]).integer(), 10);
    assert_eq!(client.ask("EXISTS made:1 made:5 made:10").integer(), 3);
    assert!(client.ask("TTL made:1").integer() > 900);
    assert!(client.ask("FUNCTION FLUSH").is_ok());
    drop(server);
    let server = Start::ringdove(2).args(args).dir(&dir.path).start();
    assert!(server.client().ask("FUNCTION LIST").items().is_empty());
}

/// `redis.setresp` and `SELECT` are the script's, not its client's: a message that comes of the run is a push.
#[test]
fn what_a_script_selects_and_speaks_is_its_own() {
    let server = Start::ringdove(2).start();
    let mut client = server.client();
    client.ask("HELLO 3");
    client.ask("SUBSCRIBE c");
    client
        .send(&[
            "EVAL",
            "redis.call('SELECT', '3') redis.call('SET', 'k', 'v') return redis.call('PUBLISH', 'c', 'x')",
            "0",
        ])
        .unwrap();
    let (mut pushed, mut answered) = (false, false);
    while !(pushed && answered) {
        match client.receive().unwrap() {
            Value::Push(message) => pushed = message[2].text() == "x",
            reply => answered = reply.integer() == 1,
        }
    }
    assert!(client.ask("GET k").is_null());
    client.ask("SELECT 3");
    assert_eq!(client.ask("GET k").text(), "v");
}

/// The client of a long script leaves; what the script has selected stays selected for it.
#[test]
fn a_script_whose_client_has_gone_goes_on_in_its_database() {
    let server = Start::ringdove(2).args("--busy-reply-threshold 20").start();
    let mut script = server.client();
    let body = "redis.call('SELECT', '3') for n = 1, 30000000 do end redis.call('SET', 'k', 'v')";
    script.send(&["EVAL", body, "0"]).unwrap();
    let mut other = server.client();
    wait_until("it can be looked at", 20, || other.ask("SELECT 3").is_ok());
    wait_until("it is slow or over", 20, || {
        other.ask("PING").text().starts_with("BUSY") || other.ask("GET k").is_text("v")
    });
    drop(script);
    wait_until("it has written where it was", 20, || other.ask("GET k").is_text("v"));
}

fn millis(client: &mut Client) -> i64 {
    let time = client.ask("TIME");
    let part = |at: usize| time.items()[at].text().parse::<i64>().unwrap();
    part(0) * 1000 + part(1) / 1000
}

/// A key past its time that a script met before it was taken back is gone in the journal, too: what is made anew in
/// its place is all there is after a restart.
#[test]
fn a_key_past_its_time_stays_gone_when_a_script_is_taken_back() {
    let dir = Scratch::new();
    let start = || Start::ringdove(4).args("--appendonly yes --appendfsync no").dir(&dir.path).start();
    let mut server = start();
    let mut client = server.client();
    let keys = spread(&mut client, 16);
    client.ask("DEBUG SET-ACTIVE-EXPIRE 0");
    // It learns that the declared key is all it needs, and touches another one then.
    let body = "redis.call('EXISTS', KEYS[1]) if ARGV[1] ~= '' then redis.call('SET', ARGV[1] .. 'x', '1') end \
                redis.call('RPUSH', KEYS[1], 'new') return 1";
    assert_eq!(eval(&mut client, body, &["first"], &[""]).integer(), 1);
    for (n, key) in keys.iter().enumerate() {
        let list = format!("list:{n}");
        client.call(&["RPUSH", &list, "old"]);
        client.call(&["PEXPIRE", &list, "1"]);
        let before = millis(&mut client);
        wait_until("its time is over", 5, || millis(&mut client) > before + 2);
        assert_eq!(eval(&mut client, body, &[&list], &[key]).integer(), 1);
        assert_eq!(client.call(&["LRANGE", &list, "0", "-1"]).items().len(), 1);
    }
    drop(client);
    server.kill();
    let server = start();
    let mut client = server.client();
    for n in 0..keys.len() {
        let list = format!("list:{n}");
        assert_eq!(client.call(&["LRANGE", &list, "0", "-1"]).items().len(), 1, "{list}");
        assert_eq!(client.call(&["PTTL", &list]).integer(), -1, "{list}");
    }
}

#[test]
fn a_script_that_only_reads_neither_publishes_nor_counts() {
    let server = Start::ringdove(2).start();
    let mut client = server.client();
    let refused = "Write commands are not allowed from read-only scripts";
    for call in
        ["redis.call('PUBLISH', 'c', 'x')", "redis.call('PFCOUNT', 'k')", "redis.call('SET', 'k', 'v')"]
    {
        assert!(client.call(&["EVAL_RO", call, "0"]).text().contains(refused), "{call}");
        let flagged = format!("#!lua flags=no-writes\n{call}");
        assert!(client.call(&["EVAL", &flagged, "0"]).text().contains(refused), "{call}");
    }
}

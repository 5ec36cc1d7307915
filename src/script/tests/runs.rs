//! Scripts that are put aside, gone on with, ended from outside.

use super::*;

const COUNT: &str = "local n = 0 for i = 1, 1000000 do n = n + 1 end return n";

fn begin(bench: &mut Bench, code: &str) -> (Outcome, Vec<u8>) {
    let script = Script::parse(code.as_bytes()).expect("no shebang");
    let (args, mut out) = (ArgsBuf::new(), Vec::new());
    let outcome = bench.vm.run(&script, args.as_args(), 0, Proto::Resp2, &mut bench.keys, &mut out);
    (outcome, out)
}

#[test]
fn a_long_script_is_gone_on_with_until_it_ends() {
    let mut bench = Bench::new();
    bench.keys.mood = Mood::Pause;
    let (mut outcome, mut out) = begin(&mut bench, COUNT);
    let mut pauses = 0;
    while outcome == Outcome::Paused {
        assert!(bench.vm.is_paused() && out.is_empty());
        // Another script may be compiled meanwhile.
        let other = Script::parse(format!("return {pauses}").as_bytes()).expect("no shebang");
        bench.vm.compile(&other).expect("it compiles");
        outcome = bench.vm.resume(&mut bench.keys, &mut out);
        pauses += 1;
    }
    assert_eq!((outcome, &out[..]), (Outcome::Done { counted: false }, &b":1000000\r\n"[..]));
    assert!(pauses >= 10, "{pauses}");
}

#[test]
fn a_call_that_must_wait_is_made_again() {
    let mut bench = Bench::new();
    bench.keys.mood = Mood::Pause;
    let code = "local a = redis.call('WAIT') local b = redis.call('ECHO', 'x') return {a, b}";
    let (outcome, mut out) = begin(&mut bench, code);
    assert_eq!((outcome, bench.keys.calls), (Outcome::Paused, 1));
    assert_eq!(bench.vm.resume(&mut bench.keys, &mut out), Outcome::Done { counted: false });
    assert_eq!((bench.keys.calls, &out[..]), (3, &b"*2\r\n+OK\r\n$1\r\nx\r\n"[..]));
}

#[test]
fn an_abandoned_script_answers_nothing_and_leaves_nothing() {
    let mut bench = Bench::new();
    bench.eval("return 1");
    bench.vm.forget_all();
    let before = bench.vm.memory();
    for _ in 0..200 {
        bench.keys.mood = Mood::Abandon;
        let call = "local t = {} for i = 1, 100 do t[i] = {} end pcall(redis.call, 'WAIT') return 'seen'";
        assert_eq!(begin(&mut bench, call), (Outcome::Abandoned, Vec::new()));
        let coroutine = "coroutine.wrap(function() pcall(redis.call, 'WAIT') end)() return 'seen'";
        assert_eq!(begin(&mut bench, coroutine), (Outcome::Abandoned, Vec::new()));
        assert_eq!(begin(&mut bench, COUNT), (Outcome::Abandoned, Vec::new()));
        bench.keys.mood = Mood::Pause;
        assert_eq!(begin(&mut bench, COUNT).0, Outcome::Paused);
        bench.vm.abandon();
        assert!(!bench.vm.is_paused());
        bench.keys.mood = Mood::Go;
        assert_eq!(bench.eval("return {KEYS[1], redis.call('ECHO', 'y')}"), "*2|$1|k|$1|y|");
    }
    bench.vm.forget_all();
    assert!(bench.vm.memory() < before + 8192, "{} bytes, then {}", before, bench.vm.memory());
}

#[test]
fn a_paused_script_may_be_dropped_with_its_vm() {
    for code in [
        COUNT,
        "pcall(function() while true do end end)",
        "coroutine.wrap(function() while true do end end)()",
    ] {
        let mut bench = Bench::new();
        bench.keys.mood = Mood::Pause;
        assert_eq!(begin(&mut bench, code).0, Outcome::Paused);
    }
}

#[test]
fn a_killed_script_fails_whatever_it_catches() {
    let mut bench = Bench::new();
    for code in [
        "while true do end",
        "while true do\n pcall(function()\n while true do end\n end)\n end",
        "local function f()\n while true do\n pcall(f)\n end\n end\n f()",
        "coroutine.wrap(function() while true do end end)()",
    ] {
        bench.keys.mood = Mood::Kill;
        let reply = bench.eval(code);
        assert!(
            reply.starts_with("-ERR Script killed by user with SCRIPT KILL... script: "),
            "{code}: {reply}"
        );
        bench.keys.mood = Mood::Go;
        // The hook that ends scripts is gone.
        bench.keys.ticks = 0;
        assert_eq!(bench.eval(COUNT), ":1000000|");
        assert!(bench.keys.ticks < 10_000);
    }
}

#[test]
fn a_run_begins_as_if_it_were_the_first() {
    let mut bench = Bench::new();
    assert_eq!(bench.eval("redis.setresp(3) ARGV.x = 1 KEYS[5] = 2 return false"), ":0|");
    assert_eq!(
        bench.eval("return {tostring(ARGV.x), tostring(KEYS[5]), #KEYS, false}"),
        "*4|$3|nil|$3|nil|:1|$-1|"
    );
}

#[test]
fn a_vm_may_move_to_another_thread() {
    fn send<T: Send>(_: &T) {}
    let mut bench = Bench::new();
    bench.keys.mood = Mood::Pause;
    assert_eq!(begin(&mut bench, COUNT).0, Outcome::Paused);
    send(&bench.vm);
}

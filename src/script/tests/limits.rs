//! Scripts that never end, eat memory, or call themselves.

use super::*;

#[test]
fn a_script_that_eats_memory_fails_and_the_next_one_runs() {
    let mut bench = Bench::new();
    for code in [
        "local s = 'x' while true do s = s .. s end",
        "local t = {} for i = 1, 1e9 do t[i] = i .. string.rep('x', 1000) end",
        "local t = {} for i = 1, 1e9 do t[i] = i end",
        "return string.rep('x', 1e9)",
        "return string.rep('x', 2147483647)",
        "local t = {} for i = 1, 60000 do t[i] = 'some text' end return cjson.encode({t, t, t, t, t, t, t, t})",
        "return cjson.decode('[' .. string.rep('{},', 100000) .. '1]')",
        "return cmsgpack.unpack('\\221\\0\\1\\255\\255' .. string.rep('\\144', 131071))",
        "local t = {} for i = 1, 1e9 do t[i] = redis.call('ECHO', i .. string.rep('x', 100000)) end",
        "local t = {} for i = 1, 200 do t[i] = 'x' end while true do t = {unpack(t)} t.x = t end collectgarbage('stop')",
    ] {
        // The last one makes garbage only, which is no error.
        if !code.contains("collectgarbage") {
            let reply = bench.eval(code);
            assert!(reply.starts_with("-ERR") && reply.contains("not enough memory"), "{code}: {reply}");
        }
        assert!(bench.vm.memory() <= LIMIT, "{code}");
        assert_eq!(bench.eval("return redis.call('ECHO', 'alive')"), "$5|alive|", "{code}");
    }
    assert_eq!(bench.eval("collectgarbage('stop') for i = 1, 10000 do local t = {i} end return 1"), ":1|");
    // What a script does to the collector ends with it.
    assert_eq!(bench.eval("for i = 1, 1000000 do local t = {i} end return 2"), ":2|");
    // An error of memory can be caught, and memory found again.
    let caught = "local ok, e = pcall(function() local s = 'x' while true do s = s .. s end end) return {ok, e, #string.rep('y', 1000)}";
    assert_eq!(bench.eval(caught), "*3|$-1|$17|not enough memory|:1000|");
}

#[test]
fn a_script_that_calls_itself_ends() {
    let mut bench = Bench::new();
    for code in [
        "local function f() return f() + 1 end return f()",
        "local function f() string.gsub('x', 'x', f) end f()",
        "local function f() table.sort({1, 2, 3}, function(a, b) f() return a < b end) end f()",
        "local t = setmetatable({}, {__index = function(t, k) return t[k] end}) return t.x",
        "local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x",
        "local t = setmetatable({}, {__tostring = function(t) return tostring(t) end}) return tostring(t)",
        "local function f(n) return select('#', coroutine.wrap(f)(n)) end return f(1)",
        "local t = {} t[1] = t return cjson.encode(t)",
        "return cjson.decode(string.rep('[', 100000))",
        "return cmsgpack.unpack(string.rep('\\145', 100000))",
        "return string.find(string.rep('a', 100000), string.rep('a?', 100000) .. 'b')",
        "return string.match(string.rep('(', 100000), string.rep('(', 100000))",
    ] {
        let reply = bench.eval(code);
        assert!(reply.starts_with("-ERR"), "{code}: {reply}");
    }
    for code in [
        "local function f() local ok, e = pcall(f) return 1 end return f()",
        "return type(loadstring('return ' .. string.rep('(', 1000) .. '1' .. string.rep(')', 1000)))",
        "return #string.gsub(string.rep('a', 3000), string.rep('a?', 1999), '')",
        "return #string.format('%99.99f', 1e308)",
    ] {
        let reply = bench.eval(code);
        assert!(!reply.starts_with('-'), "{code}: {reply}");
    }
    // As deep as C may go: `gsub` keeps a buffer on the stack at each of 200 levels.
    let deep = "local n = 0 local function f() n = n + 1 string.gsub('x', 'x', f) end pcall(f) return n";
    let reply = bench.eval(deep);
    assert!(reply.trim_matches([':', '|']).parse::<i32>().expect("a number") > 150, "{reply}");
}

#[test]
fn a_table_that_holds_itself_is_a_reply_with_an_end() {
    let mut bench = Bench::new();
    let reply = bench.eval("local t = {} t[1] = t return t");
    assert!(reply.ends_with("-ERR reached lua stack limit|"), "{}", &reply[reply.len() - 60..]);
    assert!(bench.eval("local t = {} t.map = {a = t} return t").ends_with("-ERR reached lua stack limit|"));
    assert_eq!(bench.eval("return 1"), ":1|");
}

#[test]
fn calls_leave_nothing_behind() {
    let mut bench = Bench::new();
    let code = "for i = 1, 20000 do redis.call('SET', 'k' .. i % 7, i) redis.call('GET', 'k1') end return 1";
    assert_eq!(bench.eval(code), ":1|");
    bench.vm.forget_all();
    let before = bench.vm.memory();
    for _ in 0..20 {
        assert_eq!(bench.eval(code), ":1|");
    }
    bench.vm.forget_all();
    assert!(bench.vm.memory() < before + 4096, "{} bytes, then {}", before, bench.vm.memory());
    assert_eq!(bench.keys.calls, 21 * 40000);
}

#[test]
fn scripts_are_forgotten_with_all_they_hold() {
    let mut bench = Bench::new();
    let mut round = || {
        for n in 0..500 {
            assert_eq!(bench.eval(&format!("return {n}")), format!(":{n}|"));
        }
        let full = bench.vm.memory();
        bench.vm.forget_all();
        (full, bench.vm.memory())
    };
    // The first round leaves room for 500 references behind.
    let (_, before) = round();
    let (full, after) = round();
    assert!(full > before + 100_000 && after < before + 4096, "{before} bytes, {full}, {after}");
}

#[test]
fn the_limit_can_be_changed() {
    let mut bench = Bench::new();
    let code = "return #string.rep('x', 3000000)";
    assert!(bench.eval(code).contains("not enough memory"));
    bench.vm.set_limits(Limits { memory: 64 << 20 });
    assert_eq!(bench.eval(code), ":3000000|");
}

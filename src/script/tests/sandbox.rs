//! What scripts must not do to each other.

use super::*;

#[test]
fn what_all_scripts_share_cannot_be_written() {
    let mut bench = Bench::new();
    let placed = "user_script:1: Attempt to modify a readonly table";
    for code in [
        "x=1",
        "redis.x=1",
        "redis=nil",
        "KEYS=1",
        "string.format=nil",
        "_G._G=nil",
        "_G.redis=nil",
        "getmetatable('').x=1",
        "getmetatable('').__index=nil",
        "getmetatable(_G).__index=nil",
    ] {
        assert!(bench.eval(code).starts_with(&format!("-ERR {placed}")), "{code}");
    }
    for code in [
        "rawset(_G,'x',1)",
        "rawset(string,'x',1)",
        "table.insert(redis,1)",
        "setmetatable(_G,{})",
        "rawset(getmetatable(''),'x',1)",
        "setmetatable(getmetatable(_G),{})",
        "setmetatable(string,nil)",
    ] {
        assert!(bench.eval(code).starts_with("-ERR Attempt to modify a readonly table"), "{code}");
    }
    for name in [
        "x", "print", "dofile", "loadfile", "require", "module", "io", "os", "debug", "package", "newproxy",
        "setfenv", "getfenv",
    ] {
        let want =
            format!("-ERR user_script:1: Script attempted to access nonexistent global variable '{name}'");
        assert!(bench.eval(&format!("return {name}")).starts_with(&want), "{name}");
    }
    let same = "return {_G==_G._G, getmetatable('').__index==string, getmetatable(string)==nil, ('x').rep==string.rep}";
    assert_eq!(bench.eval(same), "*4|:1|:1|:1|:1|");
}

/// Goes wherever a script can go, and tries to leave something there.
#[test]
fn nothing_within_reach_can_be_written() {
    let mut bench = Bench::new();
    let walk = "
        local seen, open, reached = {}, {}, 0
        local function walk(t, path)
            if seen[t] then return end
            seen[t] = true
            reached = reached + 1
            local before = rawget(t, 'planted')
            pcall(function() t.planted = 1 end)
            pcall(rawset, t, 'planted', 1)
            pcall(table.insert, t, 1)
            pcall(table.insert, t, 1, 1)
            pcall(table.remove, t)
            pcall(table.sort, t)
            pcall(setmetatable, t, {})
            if rawget(t, 'planted') ~= nil or rawget(t, 1) ~= nil then open[#open + 1] = path end
            for k, v in next, t do
                if type(v) == 'table' and path .. tostring(k) ~= '_GKEYS' and path .. tostring(k) ~= '_GARGV' then
                    walk(v, path .. tostring(k))
                end
            end
            local meta = getmetatable(t)
            if type(meta) == 'table' then walk(meta, path .. '~') end
        end
        walk(_G, '_G')
        walk(getmetatable(''), 'string~')
        return {reached, open}";
    assert_eq!(bench.eval(walk), "*2|:12|*0|");
    assert!(bench.eval("return planted").contains("nonexistent global"));
}

#[test]
fn tables_that_are_shared_can_be_read_in_every_way() {
    all(
        Proto::Resp2,
        &[
            ("local n=0 for k,v in pairs(bit) do n=n+1 end return n", ":12|"),
            ("local n=0 for k,v in next,bit do n=n+1 end return n", ":12|"),
            ("local n=0 table.foreach(bit,function() n=n+1 end) return n", ":12|"),
            (
                "return {type(rawget(_G,'redis')), type(rawget(redis,'call')), rawget(_G,'x')}",
                "*2|$5|table|$8|function|",
            ),
            ("return #redis", ":0|"),
            (
                "return cjson.encode({getmetatable('x')}) ~= nil",
                "-ERR user_script:1: Cannot serialise function: type not supported script: SHA, on @user_script:1.|",
            ),
        ],
    );
}

#[test]
fn code_made_by_scripts_is_in_the_sandbox_too() {
    all(
        Proto::Resp2,
        &[
            ("return loadstring('return redis.call(\"ECHO\",\"x\")')()", "$1|x|"),
            (
                "return loadstring('y=1')()",
                "-ERR [string \"y=1\"]:1: Attempt to modify a readonly table script: SHA, on y=1:1.|",
            ),
            ("return select(2, loadstring('x x','@name'))", "$29|name:1: '=' expected near 'x'|"),
            (
                "return select(2, loadstring(string.dump(function() end)))",
                "$53|[string \"\u{1b}LuaQ\"]:1: unexpected symbol near 'char(27)'|",
            ),
            ("local i=0 return load(function() i=i+1 return ({'return ','7'})[i] end)()", ":7|"),
            ("return select(2, load(function() return {} end))", "$36|reader function must return a string|"),
            (
                "return {unpack({},0,2147483647)}",
                "-ERR user_script:1: too many results to unpack script: SHA, on @user_script:1.|",
            ),
        ],
    );
}

#[test]
fn coroutines_do_not_see_the_thread_they_run_on() {
    all(
        Proto::Resp2,
        &[
            ("return tostring(coroutine.running())", "$3|nil|"),
            ("return coroutine.wrap(function() return type(coroutine.running()) end)()", "$6|thread|"),
            (
                "local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) return b * 2 end)
             local _, x = coroutine.resume(co, 1) local _, y = coroutine.resume(co, 10)
             return {x, y, coroutine.status(co)}",
                "*3|:2|:20|$4|dead|",
            ),
            (
                "return {pcall(coroutine.yield, 1)}",
                "*2|$-1|$50|attempt to yield across metamethod/C-call boundary|",
            ),
            (
                "local co = coroutine.wrap(function() return redis.call('ECHO', 'in') end) return co()",
                "$2|in|",
            ),
        ],
    );
}

//! What is returned, and what commands return.

use super::*;

#[test]
fn values_become_replies() {
    all(
        Proto::Resp2,
        &[
            ("return 1", ":1|"),
            ("return 3.99", ":3|"),
            ("return -3.99", ":-3|"),
            ("return 1e30", ":-9223372036854775808|"),
            ("return 'a\\0b'", "$3|a\0b|"),
            ("return true", ":1|"),
            ("return false", "$-1|"),
            ("return nil", "$-1|"),
            ("", "$-1|"),
            ("return {1,2,{3,'x'},true,false,nil,5}", "*5|:1|:2|*2|:3|$1|x|:1|$-1|"),
            ("return {}", "*0|"),
            ("return function() end", "$-1|"),
            ("return cjson.null", "$-1|"),
            ("return {ok='hi\\r\\nx'}", "+hi  x|"),
            ("return {err='ERR hello\\r\\nworld\\r\\n'}", "-ERR hello  world|"),
            ("return {err='MY x', ok='no'}", "-MY x|"),
            ("return {double=3.5}", "$3|3.5|"),
            ("return {double=0/0}", "$4|-nan|"),
            ("return {big_number='123\\r\\n4'}", "$6|123  4|"),
            ("return {verbatim_string={format='txt',string='hello'}}", "$5|hello|"),
            ("return {map={a=1}}", "*2|$1|a|:1|"),
            ("return {set={a=true}}", "*1|$1|a|"),
            ("return redis.status_reply('x')", "+x|"),
            ("return redis.error_reply('x')", "-ERR x|"),
            ("return redis.error_reply('MY x')", "-MY x|"),
            ("redis.setresp(3) return {true,false}", "*2|:1|:0|"),
            ("return setmetatable({}, {__index=function() return 'x' end})", "*0|"),
        ],
    );
    all(
        Proto::Resp3,
        &[
            ("return true", ":1|"),
            ("return false", "_|"),
            ("redis.setresp(3) return {true,false}", "*2|#t|#f|"),
            ("return {double=3.5}", ",3.5|"),
            ("return {double=1/0}", ",inf|"),
            ("return {double=0/0}", ",-nan|"),
            ("return {big_number='1234'}", "(1234|"),
            ("return {verbatim_string={format='t',string='hello'}}", "=9|t  :hello|"),
            ("return {verbatim_string={format=1,string='hello'}}", "*0|"),
            ("return {map={a={map={b=2}}}}", "%1|$1|a|%1|$1|b|:2|"),
            ("return {set={}}", "~0|"),
        ],
    );
}

#[test]
fn replies_become_values() {
    let mut bench = Bench::new();
    let raw = |reply: &str| format!("return redis.call('RAW', '{reply}')").replace('|', "\\r\\n");
    for (reply, resp2, resp3) in [
        (":12|", ":12|", ":12|"),
        ("+st|", "+st|", "+st|"),
        ("$-1|", "$-1|", "_|"),
        ("_|", "$-1|", "_|"),
        ("*-1|", "$-1|", "_|"),
        ("#t|", ":1|", ":1|"),
        (",1.5|", "$3|1.5|", ",1.5|"),
        (",inf|", "$3|inf|", ",inf|"),
        (
            "(123456789012345678901234567890|",
            "$30|123456789012345678901234567890|",
            "(123456789012345678901234567890|",
        ),
        ("=8|txt:some|", "$4|some|", "=8|txt:some|"),
        ("*2|:1|*1|$1|x|", "*2|:1|*1|$1|x|", "*2|:1|*1|$1|x|"),
        ("%1|+k|*1|:1|", "*2|+k|*1|:1|", "%1|+k|*1|:1|"),
        ("~1|$1|m|", "*1|$1|m|", "~1|$1|m|"),
        ("|1|+about|:5|$3|it!|", "$3|it!|", "$3|it!|"),
        ("*3|:1|$-1|:3|", "*3|:1|$-1|:3|", "*3|:1|_|:3|"),
    ] {
        // The bar of an attribute is not an end of line.
        let code = match reply.strip_prefix("|1|") {
            Some(rest) => raw(rest).replacen("'RAW', '", "'RAW', '|1\\r\\n", 1),
            None => raw(reply),
        };
        assert_eq!(bench.text(&code, Proto::Resp2), resp2, "{reply}");
        assert_eq!(bench.text(&code, Proto::Resp3), resp3, "{reply}");
    }
    assert_eq!(bench.eval(&raw("-MY err|").replace("call", "pcall")), "-MY err|");
    assert_eq!(bench.eval("return redis.pcall('LPUSH').ignore_error_stats_update"), ":1|");
}

#[test]
fn arguments_of_commands_are_strings_and_numbers() {
    all(
        Proto::Resp2,
        &[
            ("return redis.call('ECHO', 0.1)", "$19|0.10000000000000001|"),
            ("return redis.call('ECHO', 1e20)", "$5|1e+20|"),
            ("return redis.call('ECHO', 0/0)", "$4|-nan|"),
            ("return redis.call('ECHO', -(0/0))", "$3|nan|"),
            ("return redis.call('ECHO', 'a\\0b')", "$3|a\0b|"),
            (
                "return redis.call()",
                "-ERR Please specify at least one argument for this redis lib call script: SHA, on @user_script:1.|",
            ),
            (
                "return redis.call('ECHO', {})",
                "-ERR Lua redis lib command arguments must be strings or integers script: SHA, on @user_script:1.|",
            ),
            (
                "return redis.pcall('ECHO', nil)",
                "-ERR Lua redis lib command arguments must be strings or integers|",
            ),
        ],
    );
}

#[test]
fn errors_say_where() {
    all(
        Proto::Resp2,
        &[
            ("error('x')", "-ERR user_script:1: x script: SHA, on @user_script:1.|"),
            ("error('x', 0)", "-ERR x script: SHA, on @user_script:1.|"),
            (
                "\n\nredis.call('nosuch')",
                "-ERR Unknown Redis command called from script script: SHA, on @user_script:3.|",
            ),
            ("error({err='X y\\r\\nz'})", "-X y  z script: SHA, on @user_script:1.|"),
            ("error(nil)", "-ERR nil script: SHA, on @user_script:1.|"),
            ("error(cjson.null)", "-ERR userdata: (nil) script: SHA, on @user_script:1.|"),
            // Redis 7.0 does not survive this one.
            ("error({})", "-ERR unknown error script: SHA, on @user_script:1.|"),
            (
                "local function f()\n error('deep') end\nf()",
                "-ERR user_script:2: deep script: SHA, on @user_script:2.|",
            ),
            ("return {pcall(error, {err='q'})}", "*2|$-1|$1|q|"),
            (
                "return {pcall(redis.call, 'LPUSH')}",
                "*2|$-1|$65|WRONGTYPE Operation against a key holding the wrong kind of value|",
            ),
            (
                "return {xpcall(function() error('q') end, function(e) return 'h:' .. e end)}",
                "*2|$-1|$18|h:user_script:1: q|",
            ),
            ("return {pcall()}", "*2|$-1|$31|attempt to call a boolean value|"),
            (
                "return {string.rep()}",
                "-ERR user_script:1: bad argument #1 to 'rep' (string expected, got no value) script: SHA, on @user_script:1.|",
            ),
            (
                "syntax error",
                "-ERR Error compiling script (new function): user_script:1: '=' expected near 'error'|",
            ),
        ],
    );
    let mut bench = Bench::new();
    let long = bench.eval(&format!("error('{}')", "x".repeat(300)));
    assert!(long.len() > 300, "only what is not a table is cut");
}

#[test]
fn an_error_a_command_answered_is_marked() {
    let mut bench = Bench::new();
    let counted = |code: &str, bench: &mut Bench| {
        let script = Script::parse(code.as_bytes()).expect("no shebang");
        let (args, mut out) = (ArgsBuf::new(), Vec::new());
        bench.vm.run(&script, args.as_args(), 0, Proto::Resp2, &mut bench.keys, &mut out)
    };
    assert_eq!(counted("return redis.call('LPUSH')", &mut bench), Outcome::Done { counted: true });
    assert_eq!(counted("return redis.pcall('LPUSH')", &mut bench), Outcome::Done { counted: true });
    assert_eq!(counted("return redis.error_reply('x')", &mut bench), Outcome::Done { counted: false });
    assert_eq!(counted("error('x')", &mut bench), Outcome::Done { counted: false });
    assert_eq!(counted("return 1", &mut bench), Outcome::Done { counted: false });
}

#[test]
fn shebangs() {
    let flags = |code: &str| Script::parse(code.as_bytes()).map(|script| script.flags());
    assert_eq!(flags("return 1"), Ok(None));
    assert_eq!(flags("#!lua\nreturn 1"), Ok(Some(ScriptFlags::default())));
    let both = flags("#!lua flags=no-writes,allow-oom\n").expect("good flags").expect("a shebang");
    assert!(both.contains(ScriptFlags::NO_WRITES) && both.contains(ScriptFlags::ALLOW_OOM));
    assert_eq!(both.names().collect::<Vec<_>>(), ["no-writes", "allow-oom"]);
    for (code, error) in [
        ("#!lua", "Invalid script shebang"),
        ("#!lua \"x\nreturn 1", "Invalid engine in script shebang"),
        ("#!foo\nreturn 1", "Unexpected engine in script shebang: #!foo"),
        ("#!lua foo=1\nreturn 1", "Unknown lua shebang option: foo=1"),
        ("#!lua flags=bad\nreturn 1", "Unexpected flag in script shebang: bad"),
        ("#!lua flags=no-writes,\nreturn 1", "Unexpected flag in script shebang: "),
    ] {
        assert_eq!(flags(code), Err(error.as_bytes().to_vec()), "{code}");
    }
    let mut bench = Bench::new();
    assert!(bench.eval("#!lua\nerror('x')").contains("user_script:2: x"));
}

#[test]
fn the_rest_of_the_table_redis() {
    let mut bench = Bench::new();
    assert_eq!(bench.eval("redis.log(redis.LOG_WARNING, 'a', 1, {}, 'b')"), "$-1|");
    assert_eq!(bench.keys.log, [(LogLevel::Warning, "a 1 b".to_string())]);
    assert_eq!(bench.eval("redis.set_repl(redis.REPL_NONE) redis.set_repl(redis.REPL_ALL)"), "$-1|");
    assert_eq!(bench.keys.repl, [REPL_NONE, REPL_ALL]);
    all(
        Proto::Resp2,
        &[
            ("return {redis.acl_check_cmd('GET','x'), redis.acl_check_cmd('SET','x')}", "*2|:1|$-1|"),
            (
                "return redis.acl_check_cmd('nope')",
                "-ERR Invalid command passed to redis.acl_check_cmd() script: SHA, on @user_script:1.|",
            ),
            ("return redis.sha1hex('')", "$40|da39a3ee5e6b4b0d3255bfef95601890afd80709|"),
            ("return {redis.REDIS_VERSION, redis.REDIS_VERSION_NUM}", "*2|$6|7.0.15|:458767|"),
            ("return {redis.breakpoint(), redis.replicate_commands()}", "*2|$-1|:1|"),
            ("redis.setresp(4)", "-ERR RESP version must be 2 or 3. script: SHA, on @user_script:1.|"),
            (
                "math.randomseed(5) return {tostring(math.random()), math.random(10), math.random(5, 10)}",
                "*3|$16|0.52483957937213|:3|:9|",
            ),
        ],
    );
}

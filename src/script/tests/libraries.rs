//! FUNCTION and FCALL.

use super::*;
use std::sync::Arc;

const SAMPLE: &str = "#!lua name=sample
redis.register_function('sample_get', function(keys, args) return redis.call('GET', keys[1]) end)
redis.register_function{function_name='sample_set', callback=function(keys, args) return redis.call('SET', keys[1], args[1]) end, description='sets a key', flags={'allow-oom'}}
";

/// FUNCTION DUMP of Redis 7.0.15 with `SAMPLE` in it, which it compresses.
const DUMP: &str = "f5c340be41251f23216c7561206e616d653d73616d706c650a72656469732e72656769737465720a5f66756e6374696f6e2827801f065f676574272c20e00016116b6579732c2061726773292072657475726e200640410863616c6c2827474554202d4024085b315d2920656e6429e00f61007bc053005f608ec06f0073606f404d046261636b3dc024e017780053e0037880a0c081082c206465736372697040d7206704657473206140a320a907666c6167733d7b2720bc096f772d6f6f6d277d7d0a0a006d663befda066fa5";

fn load(bench: &mut Bench, libraries: &mut Libraries, code: &str, replace: bool) -> Result<String, String> {
    let loaded = libraries.load(&mut bench.vm, code.as_bytes(), replace, &mut bench.keys);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    loaded.map(|name| text(&name)).map_err(|error| text(&error))
}

fn fcall(bench: &mut Bench, libraries: &Arc<Libraries>, name: &str, argv: &[&str]) -> String {
    let args: ArgsBuf = ["k"].iter().chain(argv).collect();
    let mut out = Vec::new();
    let name = name.as_bytes();
    let Bench { vm, keys } = bench;
    let mut outcome = vm.call_function(libraries, name, args.as_args(), 1, Proto::Resp2, keys, &mut out);
    while outcome == Outcome::Paused {
        outcome = vm.resume(keys, &mut out);
    }
    String::from_utf8_lossy(&out).replace("\r\n", "|")
}

/// Loads one library and calls its functions.
fn with(code: &str, calls: &[(&str, &str)]) {
    let (mut bench, mut libraries) = (Bench::new(), Libraries::default());
    load(&mut bench, &mut libraries, &format!("#!lua name=lib\n{code}"), false).expect("it loads");
    let libraries = Arc::new(libraries);
    for (name, want) in calls {
        assert_eq!(fcall(&mut bench, &libraries, name, &["a"]), *want, "{name}");
    }
}

#[test]
fn functions_are_called_by_name_on_any_vm() {
    let (mut bench, mut libraries) = (Bench::new(), Libraries::default());
    assert_eq!(load(&mut bench, &mut libraries, SAMPLE, false), Ok("sample".into()));
    assert_eq!(libraries.counts(), (1, 2));
    let library = libraries.iter().next().expect("one library");
    assert_eq!((&library.name[..], &library.code[..]), (&b"sample"[..], SAMPLE.as_bytes()));
    let set = libraries.find(b"SAMPLE_SET").expect("found without regard to case");
    assert_eq!(set.description.as_deref(), Some(&b"sets a key"[..]));
    assert!(set.flags.contains(ScriptFlags::ALLOW_OOM) && !set.flags.contains(ScriptFlags::NO_WRITES));
    let libraries = Arc::new(libraries);
    for bench in [&mut bench, &mut Bench::new()] {
        assert_eq!(fcall(bench, &libraries, "sample_set", &["v"]), "+OK|");
        assert_eq!(fcall(bench, &libraries, "Sample_Get", &[]), "$1|v|");
        assert_eq!(fcall(bench, &libraries, "nosuch", &[]), "-ERR Function not found|");
    }
}

#[test]
fn a_library_that_is_replaced_or_deleted_is_no_longer_run() {
    let (mut bench, mut libraries) = (Bench::new(), Libraries::default());
    let one = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
    let two = "#!lua name=lib\nredis.register_function('f', function() return 2 end)";
    load(&mut bench, &mut libraries, one, false).expect("it loads");
    let first = Arc::new(libraries.clone());
    assert_eq!(fcall(&mut bench, &first, "f", &[]), ":1|");
    assert_eq!(load(&mut bench, &mut libraries, two, false), Err("Library 'lib' already exists".into()));
    load(&mut bench, &mut libraries, two, true).expect("it is replaced");
    let second = Arc::new(libraries.clone());
    assert_eq!(fcall(&mut bench, &second, "f", &[]), ":2|");
    let other = "#!lua name=other\nredis.register_function('F', function() return 3 end)";
    assert_eq!(load(&mut bench, &mut libraries, other, false), Err("Function F already exists".into()));
    assert!(libraries.delete(b"lib") && !libraries.delete(b"lib"));
    assert_eq!(fcall(&mut bench, &Arc::new(libraries), "f", &[]), "-ERR Function not found|");
    assert_eq!(fcall(&mut bench, &first, "f", &[]), ":1|");
}

#[test]
fn what_is_wrong_with_a_library_is_said() {
    let (mut bench, mut libraries) = (Bench::new(), Libraries::default());
    let name = "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long";
    let registering = |text: &str| format!("Error registering functions: {text}");
    let mut cases = vec![
        ("no shebang".to_string(), "Missing library metadata".to_string()),
        ("#!lua name=x".into(), "Invalid library metadata".into()),
        ("#!lua\n".into(), "Library name was not given".into()),
        ("#!lua name=\n".into(), name.into()),
        ("#!lua name=a-b\n".into(), name.into()),
        (
            "#!lua name=a name=b\n".into(),
            "Invalid metadata value, name argument was given multiple times".into(),
        ),
        ("#!lua foo=a\n".into(), "Invalid metadata value given: foo=a".into()),
        ("#!js name=x\n".into(), "Engine 'js' not found".into()),
    ];
    let function = "function() end";
    for (code, error) in [
        ("return 1", "No functions registered".to_string()),
        ("x x", "Error compiling function: user_function:2: '=' expected near 'x'".into()),
        ("('x')()", registering("ERR user_function:2: attempt to call a string value")),
        (
            "redis.register_function()",
            registering("ERR wrong number of arguments to redis.register_function"),
        ),
        (
            "redis.register_function(1)",
            registering(
                "ERR calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).",
            ),
        ),
        (
            "redis.register_function({}, 1)",
            registering("ERR first argument to redis.register_function must be a string"),
        ),
        (
            "redis.register_function('a', 1)",
            registering("ERR second argument to redis.register_function must be a function"),
        ),
        ("redis.register_function('a b', FN)", registering(&format!("ERR {name}"))),
        (
            "redis.register_function('a', FN) redis.register_function('a', FN)",
            registering("ERR Function already exists in the library"),
        ),
        (
            "redis.register_function{function_name='a'}",
            registering("ERR redis.register_function must get a callback argument"),
        ),
        (
            "redis.register_function{callback=FN}",
            registering("ERR redis.register_function must get a function name argument"),
        ),
        (
            "redis.register_function{function_name='a',callback=FN,flags={'x'}}",
            registering("ERR unknown flag given"),
        ),
        (
            "redis.register_function{function_name='a',callback=FN,other=1}",
            registering("ERR unknown argument given to redis.register_function"),
        ),
        (
            "redis.call('GET','x')",
            registering("ERR user_function:2: Script attempted to access nonexistent global variable 'call'"),
        ),
        (
            "math.random()",
            registering("ERR user_function:2: Script attempted to access nonexistent global variable 'math'"),
        ),
        ("x=1", registering("ERR user_function:2: Attempt to modify a readonly table")),
    ] {
        cases.push((format!("#!lua name=lib\n{}", code.replace("FN", function)), error));
    }
    for (code, error) in cases {
        assert_eq!(load(&mut bench, &mut libraries, &code, false), Err(error), "{code}");
    }
    assert_eq!(libraries.counts(), (0, 0));
    // The globals of functions are back, whatever went wrong.
    load(
        &mut bench,
        &mut libraries,
        "#!lua name=l\nredis.register_function('f', function() return #redis.sha1hex('') end)",
        false,
    )
    .expect("it loads");
    assert_eq!(fcall(&mut bench, &Arc::new(libraries), "f", &[]), ":40|");
}

#[test]
fn a_library_that_does_not_end_is_refused() {
    let (mut bench, mut libraries) = (Bench::new(), Libraries::default());
    let code = "#!lua name=lib\nwhile true do end";
    bench.keys.mood = Mood::Kill;
    assert!(load(&mut bench, &mut libraries, code, false).expect_err("killed").contains("SCRIPT KILL"));
    bench.keys.mood = Mood::Pause;
    let count = "#!lua name=lib\nfor i = 1, 1000000 do end redis.register_function('f', function() end)";
    assert_eq!(load(&mut bench, &mut libraries, count, false), Ok("lib".into()), "loading is not paused");
}

#[test]
fn functions_find_their_own_globals() {
    with(
        "local version, r, n = redis.REDIS_VERSION, redis, 0
         redis.register_function('err', function() error('boom') end)
         redis.register_function('late', function() return r.register_function('x', function() end) end)
         redis.register_function('glob', function() x = 1 end)
         redis.register_function('keys', function() return KEYS end)
         redis.register_function('version', function() return version end)
         redis.register_function('count', function() n = n + 1 return n end)
         redis.register_function('args', function(...) return select('#', ...) end)
         redis.register_function('resp', function() redis.setresp(3) return {true, {double=1.5}} end)
         redis.register_function('debug', function() return redis.breakpoint end)
         redis.register_function('loop', function() for i = 1, 1000000 do end return 'end' end)",
        &[
            ("err", "-ERR user_function:3: boom script: err, on @user_function:3.|"),
            (
                "late",
                "-ERR redis.register_function can only be called on FUNCTION LOAD command script: late, on @user_function:4.|",
            ),
            (
                "glob",
                "-ERR user_function:5: Attempt to modify a readonly table script: glob, on @user_function:5.|",
            ),
            (
                "keys",
                "-ERR user_function:6: Script attempted to access nonexistent global variable 'KEYS' script: keys, on @user_function:6.|",
            ),
            ("version", "$6|7.0.15|"),
            ("count", ":1|"),
            ("count", ":2|"),
            ("args", ":2|"),
            ("resp", "*2|:1|$3|1.5|"),
            ("debug", "$-1|"),
            ("loop", "$3|end|"),
        ],
    );
}

#[test]
fn a_function_can_be_paused_and_abandoned() {
    let (mut bench, mut libraries) = (Bench::new(), Libraries::default());
    let code = "#!lua name=l\nredis.register_function('f', function() redis.call('WAIT') return 'x' end)";
    load(&mut bench, &mut libraries, code, false).expect("it loads");
    let libraries = Arc::new(libraries);
    bench.keys.mood = Mood::Pause;
    assert_eq!(fcall(&mut bench, &libraries, "f", &[]), "$1|x|");
    bench.keys.mood = Mood::Abandon;
    assert_eq!(fcall(&mut bench, &libraries, "f", &[]), "");
    bench.keys.mood = Mood::Go;
    assert_eq!(fcall(&mut bench, &libraries, "f", &[]), "$1|x|");
    assert_eq!(bench.eval("return 1"), ":1|");
}

#[test]
fn dumps_are_exchanged_with_redis() {
    let dump: Vec<u8> = (0..DUMP.len() / 2)
        .map(|at| u8::from_str_radix(&DUMP[2 * at..2 * at + 2], 16).expect("hexadecimal"))
        .collect();
    let (mut bench, mut libraries) = (Bench::new(), Libraries::default());
    let restore = |bench: &mut Bench, libraries: &mut Libraries, dump: &[u8], policy| {
        let restored = libraries.restore(&mut bench.vm, dump, policy, &mut bench.keys);
        restored.map_err(|text| String::from_utf8_lossy(&text).into_owned())
    };
    assert_eq!(restore(&mut bench, &mut libraries, &dump, RestorePolicy::Append), Ok(()));
    let code = &libraries.iter().next().expect("one library").code;
    assert_eq!(String::from_utf8_lossy(code), SAMPLE);
    let again = restore(&mut bench, &mut libraries, &dump, RestorePolicy::Append);
    assert_eq!(again, Err("Library sample already exists".into()));
    assert_eq!(restore(&mut bench, &mut libraries, &dump, RestorePolicy::Replace), Ok(()));
    let own = libraries.dump();
    let other = "#!lua name=other\nredis.register_function('other', function() end)";
    load(&mut bench, &mut libraries, other, false).expect("it loads");
    assert_eq!(restore(&mut bench, &mut libraries, &own, RestorePolicy::Flush), Ok(()));
    assert_eq!((libraries.counts(), libraries.dump()), ((1, 2), own.clone()));
    libraries.flush();
    let taken = "#!lua name=taken\nredis.register_function('sample_get', function() end)";
    load(&mut bench, &mut libraries, taken, false).expect("it loads");
    let collision = restore(&mut bench, &mut libraries, &own, RestorePolicy::Replace);
    assert_eq!(collision, Err("Function sample_get already exists".into()));
    assert_eq!(libraries.counts(), (1, 1));
    for bad in [&own[..own.len() - 1], &own[1..], b"", b"0123456789"] {
        let refused = restore(&mut bench, &mut libraries, bad, RestorePolicy::Flush);
        assert_eq!(refused, Err("DUMP payload version or checksum are wrong".into()));
    }
}

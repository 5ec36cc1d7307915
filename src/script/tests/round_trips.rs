//! What is encoded is decoded to the same, and no bytes are too bad to be refused.

use super::*;
use proptest::prelude::*;

/// Something JSON, MessagePack and Lua can all tell apart; as `cjson` writes it.
fn json() -> impl Strategy<Value = String> {
    let string = proptest::collection::vec(any::<u8>(), 0..12).prop_map(|bytes| {
        let text: String = bytes.iter().map(|b| (b % 96 + 31) as char).collect();
        let mut out = String::from("\"");
        for c in text.chars() {
            match c {
                '"' | '\\' | '/' => out.extend(['\\', c]),
                '\u{1f}' => out.push_str("\\u001f"),
                c => out.push(c),
            }
        }
        out + "\""
    });
    let leaf = prop_oneof![
        (-100_000_000i64..100_000_000).prop_map(|n| n.to_string()),
        (-1000i32..1000).prop_map(|n| format!("{}.5", n)),
        string,
        any::<bool>().prop_map(|b| b.to_string()),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..6).prop_map(|all| format!("[{}]", all.join(","))),
            ("[a-z]{1,40}", inner).prop_map(|(key, value)| format!("{{\"{key}\":{value}}}")),
        ]
    })
}

fn same(bench: &mut Bench, code: &str, argument: &[u8]) -> Result<(), TestCaseError> {
    let reply = bench.reply(code.as_bytes(), &[argument], Proto::Resp2);
    let want = [format!("${}\r\n", argument.len()).as_bytes(), argument, b"\r\n"].concat();
    prop_assert_eq!(String::from_utf8_lossy(&reply), String::from_utf8_lossy(&want));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn json_comes_back(values in proptest::collection::vec(json(), 1..20)) {
        let mut bench = Bench::new();
        for value in values {
            same(&mut bench, "return cjson.encode(cjson.decode(ARGV[1]))", value.as_bytes())?;
            let packed = "return cjson.encode(cmsgpack.unpack(cmsgpack.pack(cjson.decode(ARGV[1]))))";
            same(&mut bench, packed, value.as_bytes())?;
        }
    }

    #[test]
    fn structures_come_back(a in any::<i32>(), b in any::<u16>(), c in any::<f64>(), s in "[a-z]{0,20}", big in any::<bool>()) {
        let mut bench = Bench::new();
        let order = if big { '>' } else { '<' };
        let argv = [a.to_string(), b.to_string(), c.to_string(), s.clone()];
        let argv: Vec<&[u8]> = argv.iter().map(String::as_bytes).collect();
        let code = format!(
            "local f = '{order}!4bi4Hds'
             local packed = struct.pack(f, 7, ARGV[1], ARGV[2], ARGV[3], ARGV[4])
             local x, i, h, d, s, at = struct.unpack(f, packed)
             local same = i == tonumber(ARGV[1]) and h == tonumber(ARGV[2]) and s == ARGV[4] and x == 7
             return {{same, d == tonumber(ARGV[3]) or d ~= d, at == #packed + 1}}"
        );
        let reply = bench.reply(code.as_bytes(), &argv, Proto::Resp2);
        prop_assert_eq!(String::from_utf8_lossy(&reply), "*3\r\n:1\r\n:1\r\n:1\r\n");
    }

    /// Whatever scripts are given, they end with a reply, and the next one runs.
    #[test]
    fn no_argument_is_too_bad(
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"[]{}\",:\\u0dtn+-.e\x90\xdc\xdf\x81".to_vec())], 0..60),
        format in "[bBhHlLTiIfdxcs!<> 0-9]{0,12}",
        n in -5i64..5000,
    ) {
        let mut bench = Bench::new();
        let codes = [
            "return cjson.encode(cjson.decode(ARGV[1]))",
            "return cmsgpack.pack(cmsgpack.unpack(ARGV[1]))",
            "return {cmsgpack.unpack_limit(ARGV[1], tonumber(ARGV[3]), 1)}",
            "return {struct.unpack(ARGV[2], ARGV[1], tonumber(ARGV[3]))}",
            "return struct.pack(ARGV[2], 1, 2, 3, 'x', 5)",
            "return struct.size(ARGV[2])",
            "return {string.find(ARGV[1], ARGV[2])}",
            "return {pcall(string.format, ARGV[2], ARGV[3], ARGV[3])}",
            "return loadstring(ARGV[1])",
            "return redis.error_reply(ARGV[1])",
            "return {err=ARGV[1], ok=ARGV[2]}",
            "return redis.call('RAW', ':1\\r\\n', ARGV[1])",
            "return bit.tohex(ARGV[3], ARGV[3])",
            "error(ARGV[1])",
        ];
        for code in codes {
            let reply = bench.reply(code.as_bytes(), &[&bytes, format.as_bytes(), n.to_string().as_bytes()], Proto::Resp3);
            prop_assert!(reply.ends_with(b"\r\n"), "{}: {:?}", code, reply);
        }
        let reply = bench.reply(&bytes, &[], Proto::Resp2);
        prop_assert!(reply.ends_with(b"\r\n"));
        prop_assert_eq!(bench.eval("return 1"), ":1|");
    }
}

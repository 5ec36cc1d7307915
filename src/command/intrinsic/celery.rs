//! Celery's chords: a part is done, the whole is done, the dispatcher needs more time. Of 5.7.
//!
//! All keys of a chord live on one shard (`keyspace::locality`).

use super::calls::{Answer, Callee::*, Calls, Item, Returned};
use super::{FIRST, Intrinsic, ROW, has_shape, integer, keys};
use crate::base::num::{is_space, parse_f64_lenient};
use crate::command::spec::{access, acl};
use crate::command::{CommandSpec, Error, Exec, Run};
use crate::resp::Args;

/// Counts a part of a chord, once. Who brings the last gets the claim to what comes after.
fn chord_part(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let [results, total, size, done, group, claim] = [0, 1, 2, 3, 4, 5].map(|n| args.at(FIRST + n));
    let [task, value, ordered, score, expires, group_expires, claim_expires, token] =
        [0, 1, 2, 3, 4, 5, 6, 7].map(|n| args.at(FIRST + 6 + n));
    let ordered = ordered == b"1";
    let is_positive = |text: &[u8]| integer(text).is_some_and(|n| n > 0);
    Calls::run(x, CHORD_PART.sha, |lua| {
        if lua.call(9, Get, [claim])?.is(b"done") {
            return Ok(Returned::Table([-1, 0, 0, 0].map(Item::Number).into()));
        }
        let member = [task, b":", score].concat();
        if lua.call(17, Sismember, [done, &*member])?.integer() == 0 {
            if ordered {
                lua.tell(19, Zadd, [results, score, value])?;
            } else {
                lua.tell(21, Rpush, [results, value])?;
            }
            lua.tell(23, Sadd, [done, &*member])?;
        }
        let ready = if ordered {
            lua.call(27, Zcount, [results, b"-inf", b"+inf"])?.integer()
        } else {
            lua.call(29, Llen, [results])?.integer()
        };
        if is_positive(expires) {
            for key in [results, total, size, done] {
                lua.tell(33, Expire, [key, expires])?;
            }
            if is_positive(group_expires) {
                lua.tell(36, Expire, [group, group_expires])?;
            }
        }
        let diff = lua.call(40, Get, [total])?.bulk().map(<[u8]>::to_vec);
        let size = lua.call(41, Get, [size])?.bulk().map(<[u8]>::to_vec);
        let mut claimed = false;
        if let Some(size) = &size {
            let diff = diff.as_ref().map_or(Some(0.0), |diff| to_number(diff));
            let sum = to_number(size).zip(diff).map(|(size, diff)| size + diff);
            let no_number = "attempt to perform arithmetic on a nil value";
            if ready as f64 == sum.ok_or_else(|| lua.fails(43, no_number))? {
                let words = [claim, token, b"NX", b"EX", claim_expires];
                claimed = lua.call(44, Set, words)? == Answer::Status;
            }
        }
        let claimed = Item::Number(claimed as i64);
        Ok(Returned::Table(vec![Item::Number(ready), Item::String(diff), Item::String(size), claimed]))
    })
}

/// Removes what the chord kept, if the claim is the caller's.
fn chord_cleanup(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (claim, token, done_expires) = (args.at(FIRST), args.at(FIRST + 5), args.at(FIRST + 6));
    Calls::run(x, CHORD_CLEANUP.sha, |lua| {
        if !lua.call(10, Get, [claim])?.is(token) {
            return Ok(Returned::Number(0));
        }
        lua.tell(11, Del, (1..5).map(|n| args.at(FIRST + n)))?;
        if integer(done_expires).is_some_and(|n| n > 0) {
            lua.tell(13, Set, [claim, b"done", b"EX", done_expires])?;
        }
        Ok(Returned::Number(1))
    })
}

/// Prolongs the claim, or takes it again when it has run out and the chord is still there.
fn chord_claim_extend(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (claim, size, token, expires) = (args.at(3), args.at(4), args.at(5), args.at(6));
    Calls::run(x, CHORD_CLAIM_EXTEND.sha, |lua| {
        if lua.call(5, Get, [claim])?.is(token) {
            return Ok(Returned::Number(lua.call(6, Expire, [claim, expires])?.integer()));
        }
        let is_free = lua.call(8, Get, [claim])? == Answer::Null;
        if is_free && lua.call(8, Exists, [size])?.integer() == 1 {
            let set = lua.call(9, Set, [claim, token, b"EX", expires, b"NX"])?;
            return Ok(Returned::Number((set == Answer::Status) as i64));
        }
        Ok(Returned::Number(0))
    })
}

/// Lua's `tonumber` of a string: what C's `strtod` reads, with white space around it, up to a zero byte.
fn to_number(text: &[u8]) -> Option<f64> {
    let text = text.split(|b| *b == 0).next().unwrap_or_default();
    let start = text.iter().position(|b| !is_space(*b))?;
    let end = text.iter().rposition(|b| !is_space(*b))? + 1;
    let text = &text[start..end];
    let unsigned = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    let is_nan = unsigned.len() >= 3 && unsigned[..3].eq_ignore_ascii_case(b"nan");
    match &unsigned[3.min(unsigned.len())..] {
        [] | [b'(', .., b')'] if is_nan => Some(f64::NAN),
        _ => parse_f64_lenient(text),
    }
}

const CHANGED: u32 = access::RW | access::UPDATE | access::DELETE;
const CHORD: CommandSpec = CommandSpec { acl: ROW.acl | acl::SORTEDSET | acl::LIST, ..ROW };

pub(super) const CHORD_PART: Intrinsic = Intrinsic {
    sha: "b8fc152c83a7e634103ccebd49dcd3146a8f4366",
    spec: CommandSpec {
        name: "celery-chord-part",
        keys: &[keys(CHANGED, 6)],
        run: Run::Keys(chord_part),
        ..CHORD
    },
    fits: |args| has_shape(args, 6, 8) && [13, 14, 15].iter().all(|at| integer(args.at(*at)).is_some()),
};

pub(super) const CHORD_CLEANUP: Intrinsic = Intrinsic {
    sha: "59d7aab41242d82196947ba8926cab712416da4f",
    spec: CommandSpec {
        name: "celery-chord-cleanup",
        keys: &[keys(CHANGED, 5)],
        run: Run::Keys(chord_cleanup),
        ..CHORD
    },
    fits: |args| has_shape(args, 5, 2) && integer(args.at(9)).is_some(),
};

pub(super) const CHORD_CLAIM_EXTEND: Intrinsic = Intrinsic {
    sha: "dc87180d6bcb7f73c7275eb0fe7a70baf0a8b7c7",
    spec: CommandSpec {
        name: "celery-chord-claim-extend",
        keys: &[keys(CHANGED, 2)],
        run: Run::Keys(chord_claim_extend),
        ..CHORD
    },
    fits: |args| has_shape(args, 2, 2) && integer(args.at(6)).is_some(),
};

#[cfg(test)]
mod tests {
    use super::to_number;

    #[test]
    fn numbers_are_read_as_lua_reads_them() {
        let numbers: &[(&[u8], f64)] = &[
            (b"12", 12.0),
            (b" \t12.5e1\n ", 125.0),
            (b"0x10", 16.0),
            (b"0x1p4", 16.0),
            (b"12\0abc", 12.0),
            (b"-inf", f64::NEG_INFINITY),
            (b"1e999", f64::INFINITY),
        ];
        for (text, number) in numbers {
            assert_eq!(to_number(text), Some(*number), "{text:?}");
        }
        assert!(to_number(b"nan").is_some_and(f64::is_nan));
        for text in [&b""[..], b" ", b"x", b"1 2", b"12x", b"\0"] {
            assert_eq!(to_number(text), None, "{text:?}");
        }
    }
}

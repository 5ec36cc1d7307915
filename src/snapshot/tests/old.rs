//! Forms that nobody writes any more, or that only newer servers do, made here by encoders as plain as their
//! descriptions.

use super::*;
use crate::structure::{Item, Listpack};

fn string(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80];
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
    out
}

/// `wide`: lengths of entries before take five bytes even where one is enough, as after shrinking.
fn ziplist(items: &[Text], wide: bool) -> Vec<u8> {
    let (mut body, mut before, mut tail) = (Vec::new(), 0usize, 10);
    for item in items {
        let from = body.len();
        tail = 10 + from;
        if before < 254 && !wide {
            body.push(before as u8);
        } else {
            body.push(254);
            body.extend_from_slice(&(before as u32).to_le_bytes());
        }
        match crate::base::num::parse_i64(item).filter(|_| item.len() < 32) {
            Some(n @ 0..=12) => body.push(0xf1 + n as u8),
            Some(n) if i8::try_from(n).is_ok() => body.extend_from_slice(&[0xfe, n as u8]),
            Some(n) if i16::try_from(n).is_ok() => {
                body.push(0xc0);
                body.extend_from_slice(&(n as i16).to_le_bytes());
            }
            Some(n) if (-(1 << 23)..1 << 23).contains(&n) => {
                body.push(0xf0);
                body.extend_from_slice(&n.to_le_bytes()[..3]);
            }
            Some(n) if i32::try_from(n).is_ok() => {
                body.push(0xd0);
                body.extend_from_slice(&(n as i32).to_le_bytes());
            }
            Some(n) => {
                body.push(0xe0);
                body.extend_from_slice(&n.to_le_bytes());
            }
            None => {
                match item.len() {
                    len @ 0..64 => body.push(len as u8),
                    len @ 64..16384 => body.extend_from_slice(&(0x4000 | len as u16).to_be_bytes()),
                    len => {
                        body.push(0x80);
                        body.extend_from_slice(&(len as u32).to_be_bytes());
                    }
                }
                body.extend_from_slice(item);
            }
        }
        before = body.len() - from;
    }
    let mut out = ((11 + body.len()) as u32).to_le_bytes().to_vec();
    out.extend_from_slice(&(tail as u32).to_le_bytes());
    out.extend_from_slice(&(items.len() as u16).to_le_bytes());
    out.extend_from_slice(&body);
    out.push(255);
    out
}

fn zipmap(pairs: &BTreeMap<Text, (Text, Option<u64>)>, free: u8) -> Vec<u8> {
    let length = |out: &mut Vec<u8>, len: usize| match len {
        0..254 => out.push(len as u8),
        _ => {
            out.push(254);
            out.extend_from_slice(&(len as u32).to_le_bytes());
        }
    };
    let mut out = vec![pairs.len().min(254) as u8];
    for (name, (value, _)) in pairs {
        length(&mut out, name.len());
        out.extend_from_slice(name);
        length(&mut out, value.len());
        out.push(free);
        out.extend_from_slice(value);
        out.extend(std::iter::repeat_n(b'?', free.into()));
    }
    out.push(255);
    out
}

/// A whole listpack as others write it, canonical or not.
fn listpack(items: &[Text], canonical: bool) -> Vec<u8> {
    let mut pack = Listpack::new();
    for item in items {
        pack.insert_item(None, if canonical { Item::from(&item[..]) } else { Item::Bytes(item) });
    }
    let mut out = ((pack.bytes()) as u32).to_le_bytes().to_vec();
    out.extend_from_slice(&(pack.len() as u16).to_le_bytes());
    out.extend_from_slice(pack.elements());
    out.push(255);
    out
}

fn spelled(score: u64) -> Text {
    crate::base::num::DoubleText::new(f64::from_bits(score)).as_bytes().to_vec()
}

/// Types and bodies by which other servers may have written this.
fn bodies(model: &Model, odd: bool) -> Vec<(u8, u16, Vec<u8>)> {
    let counted = |items: &[Vec<u8>]| {
        [vec![0x80], (items.len() as u32).to_be_bytes().to_vec(), items.concat()].concat()
    };
    let strings = |items: &[Text]| counted(&items.iter().map(|item| string(item)).collect::<Vec<_>>());
    match model {
        Model::Text(text) => vec![(kind::STRING, 1, string(text))],
        Model::List(items) => {
            let nodes =
                |pack: &dyn Fn(&[Text]) -> Vec<u8>| counted(&items.chunks(4).map(pack).collect::<Vec<_>>());
            let packed = |chunk: &[Text]| [vec![2], string(&listpack(chunk, !odd))].concat();
            let plain = |chunk: &[Text]| {
                chunk.iter().map(|text| [vec![1], string(text)].concat()).collect::<Vec<_>>().concat()
            };
            let all_plain = [vec![0x80], (items.len() as u32).to_be_bytes().to_vec(), plain(items)].concat();
            vec![
                (kind::LIST, 1, strings(items)),
                (kind::LIST_ZIPLIST, 6, string(&ziplist(items, odd))),
                (kind::LIST_QUICKLIST, 9, nodes(&|chunk| string(&ziplist(chunk, odd)))),
                (kind::LIST_QUICKLIST_2, 10, nodes(&packed)),
                (kind::LIST_QUICKLIST_2, 10, all_plain),
            ]
        }
        Model::Set(members) => {
            let members: Vec<Text> = members.iter().cloned().collect();
            vec![
                (kind::SET, 1, strings(&members)),
                (kind::SET_LISTPACK, 11, string(&listpack(&members, !odd))),
            ]
        }
        Model::Scores(scores) => {
            let flat: Vec<Text> =
                scores.iter().flat_map(|(member, score)| [member.clone(), spelled(*score)]).collect();
            let mut old = vec![0x80];
            old.extend_from_slice(&(scores.len() as u32).to_be_bytes());
            for (member, score) in scores {
                old.extend(string(member));
                match f64::from_bits(*score) {
                    f64::INFINITY => old.push(254),
                    f64::NEG_INFINITY => old.push(255),
                    _ => {
                        old.push(spelled(*score).len() as u8);
                        old.extend(spelled(*score));
                    }
                }
            }
            vec![
                (kind::ZSET, 5, old),
                (kind::ZSET_ZIPLIST, 9, string(&ziplist(&flat, odd))),
                (kind::ZSET_LISTPACK, 10, string(&listpack(&flat, !odd))),
            ]
        }
        Model::Fields(fields) => hash_bodies(fields, odd),
        Model::Stream(_) => Vec::new(),
    }
}

fn hash_bodies(fields: &BTreeMap<Text, (Text, Option<u64>)>, odd: bool) -> Vec<(u8, u16, Vec<u8>)> {
    let plain = fields.values().all(|(_, deadline)| deadline.is_none());
    let count = |mut head: Vec<u8>| {
        head.push(0x80);
        head.extend_from_slice(&(fields.len() as u32).to_be_bytes());
        head
    };
    let long = |n: u64| [vec![0x81], n.to_be_bytes().to_vec()].concat();
    let nearest = fields.values().filter_map(|(_, deadline)| *deadline).min().unwrap_or(0);
    let (mut valkey, mut early, mut late) =
        (count(vec![]), count(vec![]), count(nearest.to_le_bytes().to_vec()));
    let mut triples = Vec::new();
    for (name, (value, deadline)) in fields {
        valkey.extend([string(name), string(value)].concat());
        valkey.extend_from_slice(&deadline.unwrap_or(u64::MAX).to_le_bytes());
        early.extend([long(deadline.unwrap_or(0)), string(name), string(value)].concat());
        let after = deadline.map_or(0, |at| at - nearest + 1);
        late.extend([long(after), string(name), string(value)].concat());
        triples.extend([name.clone(), value.clone(), deadline.unwrap_or(0).to_string().into_bytes()]);
    }
    let triples = string(&listpack(&triples, !odd));
    let mut all = vec![
        (kind::HASH_DEADLINES_EARLY, 80, valkey),
        (kind::HASH_DEADLINES_EARLY, 12, early),
        (kind::HASH_LISTPACK_DEADLINES_EARLY, 12, triples.clone()),
        (kind::HASH_DEADLINES, 12, late),
        (kind::HASH_LISTPACK_DEADLINES, 12, [nearest.to_le_bytes().to_vec(), triples].concat()),
    ];
    if plain {
        let flat: Vec<Text> =
            fields.iter().flat_map(|(name, (value, _))| [name.clone(), value.clone()]).collect();
        let strings = flat.iter().map(|text| string(text)).collect::<Vec<_>>().concat();
        all.extend([
            (kind::HASH, 1, [count(vec![]), strings].concat()),
            (kind::HASH_ZIPLIST, 6, string(&ziplist(&flat, odd))),
            (kind::HASH_LISTPACK, 10, string(&listpack(&flat, !odd))),
            (kind::HASH_ZIPMAP, 2, string(&zipmap(fields, odd as u8))),
        ]);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 8 } else { 256 }, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn every_form_of_a_value_is_read(model in model(), small in 1usize..24, odd in any::<bool>()) {
        let limits = limits(small);
        for (kind, version, body) in bodies(&model, odd) {
            let entry = opened(&foreign(kind, &body, version), &limits);
            prop_assert_eq!(entry.map(|entry| Model::of(entry.value())), Ok(model.clone()), "type {}", kind);
        }
    }
}

#[test]
fn what_is_there_twice_is_refused() {
    let limits = limits(10);
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
    let twice = texts(&["a", "1", "a", "2"]);
    let bodies = [
        (kind::SET_LISTPACK, string(&listpack(&texts(&["a", "b", "a"]), true))),
        (kind::SET, [vec![2], string(b"a"), string(b"a")].concat()),
        (kind::SET_INTSET, string(b"\x02\0\0\0\x02\0\0\0\x05\0\x05\0")),
        (kind::ZSET_LISTPACK, string(&listpack(&twice, true))),
        (kind::HASH_LISTPACK, string(&listpack(&twice, true))),
        (kind::HASH_ZIPLIST, string(&ziplist(&twice, false))),
        // The same string, once as an integer and once not.
        (kind::SET_LISTPACK, string(b"\x0c\0\0\0\x02\0\x05\x01\x815\x02\xff")),
    ];
    for (kind, body) in bodies {
        let read = opened(&foreign(kind, &body, 10), &limits).err();
        assert!(matches!(read, Some(PayloadError::Value(Fault::Corrupt(_)))), "{kind}: {read:?}");
    }
    // Elements that do not come in pairs, a score that is none.
    for items in [&["a"][..], &["a", "nan"], &["a", "x"], &["a", ""]] {
        let body = string(&listpack(&texts(items), true));
        assert!(opened(&foreign(kind::ZSET_LISTPACK, &body, 10), &limits).is_err(), "{items:?}");
    }
}

/// As Redis 8.0.6 and Valkey 9.1.2 dump a hash of three fields, two of them with deadlines.
#[test]
fn deadlines_of_fields_are_read_as_others_write_them() {
    let cases: [(&[u8], [u64; 2]); 3] = [
        (
            b"\x19R,|\xfa\xa1\x01\0\0//\0\0\0\t\0\x81a\x02\x01\x01\xf4R,|\xfa\xa1\x01\0\0\t\x81b\x02\x16\x01\xf4\
            \x96n\x8b\xfa\xa1\x01\0\0\t\x81c\x02\x83xyz\x04\0\x01\xff\x0c\0<\xe8a\x1e\x85O\xb6\x86",
            [1_795_203_804_242, 1_795_204_804_246],
        ),
        (
            b"\x18\xc5,|\xfa\xa1\x01\0\0\x03\x01\x01a\xc0\x01\0\x01c\x03xyz\x80\0\x0fBQ\x01b\xc0\x16\x0c\0\xf6\
            \xa1\xe9!E\xafh\x14",
            [1_795_203_804_357, 1_795_204_804_373],
        ),
        (
            b"\x16\x03\x01a\xc0\x01M-|\xfa\xa1\x01\0\0\x01b\xc0\x16\x91o\x8b\xfa\xa1\x01\0\0\x01c\x03xyz\xff\
            \xff\xff\xff\xff\xff\xff\xffP\x005:rW\x01\xb1b\xa1",
            [1_795_203_804_493, 1_795_204_804_497],
        ),
    ];
    for (bytes, [a, b]) in cases {
        let entry = held(read_payload(bytes, &limits(10), true).unwrap());
        let field = |name: &str, value: &str, deadline| {
            (name.as_bytes().to_vec(), (value.as_bytes().to_vec(), deadline))
        };
        let fields = [field("a", "1", Some(a)), field("b", "22", Some(b)), field("c", "xyz", None)];
        assert_eq!(Model::of(entry.value()), Model::Fields(BTreeMap::from(fields)));
    }
}

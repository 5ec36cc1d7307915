//! Whole files, in pieces of any size.

use super::*;
use std::io::Read;

/// Brings a few bytes at a time.
struct Dripping<'a>(&'a [u8], usize);

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.1.min(buffer.len()).min(self.0.len());
        buffer[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

/// What a reader hands out, in words.
fn shown(record: Record) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    match record {
        Record::Aux { name, value } => format!("aux {} {}", text(&name), text(&value)),
        Record::Library(code) => format!("library {}", text(&code)),
        Record::Database(n) => format!("database {n}"),
        Record::Sizes { keys, with_deadline } => format!("sizes {keys} {with_deadline}"),
        Record::ModuleAux(name) => format!("module {name}"),
        Record::Key(it) => {
            let value = Model::of(held(it.value).value());
            format!("key {} {value:?} {:?} {:?} {:?}", text(&it.key), it.expire_at, it.idle_sec, it.uses)
        }
        Record::End => "end".into(),
    }
}

/// All records, the bytes behind them, and how many keys were left out.
fn read_all(mut source: impl Read, verify: bool) -> Result<(Vec<String>, Vec<u8>, u64), FileError> {
    let mut reader = FileReader::new(&mut source, verify)?;
    let limits = limits(10);
    let mut records = Vec::new();
    loop {
        records.push(shown(reader.next(&limits)?));
        if records.last().is_some_and(|last| last == "end") {
            return Ok((records, reader.rest().to_vec(), reader.empty_keys()));
        }
    }
}

fn written(models: &[Model], checksum: bool) -> (Vec<u8>, Vec<String>) {
    let limits = limits(10);
    let mut writer = FileWriter::new(true, checksum);
    let (mut file, mut records) = (Vec::new(), Vec::new());
    writer.aux(b"redis-ver", b"7.0.15");
    writer.library(b"#!lua name=x\n");
    writer.database(3, models.len() as u64, 1);
    records.extend(["aux redis-ver 7.0.15", "library #!lua name=x\\n", "database 3"].map(String::from));
    records.push(format!("sizes {} 1", models.len()));
    for (at, model) in models.iter().enumerate() {
        let key = format!("key{at}");
        let expire_at = (at % 2 == 1).then_some(1_700_000_000_000 + at as u64);
        let access = [Access::Untold, Access::Idle(70_000), Access::Uses(200)][at % 3];
        writer.entry(&Entry::new(key.as_bytes(), model.build(&limits).unwrap(), expire_at), access);
        let idle = if let Access::Idle(seconds) = access { Some(seconds) } else { None };
        let uses = if let Access::Uses(uses) = access { Some(uses) } else { None };
        records.push(format!("key {key} {model:?} {expire_at:?} {idle:?} {uses:?}"));
        if at % 4 == 3 {
            file.extend(writer.take());
        }
    }
    writer.end();
    file.extend(writer.take());
    assert!(writer.is_empty());
    records.push("end".into());
    (file, records)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 128 }, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn a_file_comes_back(
        models in prop::collection::vec(model(), 0..12), piece in 1usize..5000, checksum in any::<bool>(),
        flip in any::<prop::sample::Index>(),
    ) {
        let (mut file, records) = written(&models, checksum);
        prop_assert_eq!(read_all(&file[..], true), Ok((records.clone(), vec![], 0)));
        let longer = [&file[..], b"*1\r\n"].concat();
        let (dripped, ..) = read_all(Dripping(&longer, piece), true).unwrap();
        prop_assert_eq!(dripped, records);
        prop_assert_eq!(read_all(&longer[..], true).unwrap().1, b"*1\r\n");
        prop_assert!(read_all(&file[..file.len() - 1], true).is_err());
        if checksum {
            let at = flip.index(file.len());
            file[at] ^= 0x10;
            prop_assert!(read_all(&file[..], true).is_err(), "a wrong byte at {}", at);
        }
    }
}

#[test]
fn what_begins_otherwise_is_refused() {
    let refused = |bytes: &[u8]| read_all(bytes, true).unwrap_err();
    assert_eq!(refused(b""), FileError::Signature);
    assert_eq!(refused(b"REDIS00"), FileError::Signature);
    assert_eq!(refused(b"*2\r\n$6\r\nSELECT"), FileError::Signature);
    assert_eq!(refused(b"REDIS0013\xff"), FileError::Version(13));
    assert_eq!(refused(b"REDIS0000\xff"), FileError::Version(0));
    // Before version 5 there was no checksum.
    assert_eq!(read_all(&b"REDIS0003\xff"[..], true).unwrap().0, ["end"]);
    assert_eq!(read_all(&b"VALKEY080\xff\0\0\0\0\0\0\0\0"[..], true).unwrap().0, ["end"]);
}

#[test]
fn what_others_put_between_keys_is_read_over() {
    let file = b"REDIS0011\
        \xf7\x81\x03\x82\x8a\x6c\x08\x20\x04\x01\x02\x02\x05\x03abc\x04\0\0\0\0\0\0\0\0\x01\x07\x00\
        \xf6\x01x\x03lua\x01\x04desc\x04code\
        \xfe\x00\xf4\x05\x01\x00\xfb\x02\x00\
        \xfd\x10\x27\x00\x00\x00\x01k\x01v\
        \xfc\xff\xff\xff\xff\xff\xff\xff\xff\xf8\x05\xf9\x07\x02\x05empty\x00\
        \x00\x01l\xc0\x05\
        \xff\0\0\0\0\0\0\0\0";
    let (records, _, empty) = read_all(&file[..], true).unwrap();
    assert_eq!(
        records[1..],
        [
            "library #!lua name=x\\ncode",
            "database 0",
            "sizes 2 0",
            "key k Text([118]) Some(10000000) None None",
            "key l Text([53]) None None None",
            "end",
        ]
    );
    assert!(records[0].starts_with("module "), "{}", records[0]);
    assert_eq!(empty, 1);
    // A module's value cannot be left out in silence.
    let file = b"REDIS0011\xfe\x00\x07\x03mod\x81\x03\x82\x8a\x6c\x08\x20\x04\x01\x00";
    let error = read_all(&file[..], true).unwrap_err();
    let key = Some(b"mod".to_vec());
    assert!(
        matches!(&error, FileError::Damaged { fault: Fault::Module, key: k, .. } if *k == key),
        "{error}"
    );
}

//! Bytes as the payload of RESTORE and as a snapshot file: values come of them or a refusal, never a panic or
//! memory without measure; and what is a value is dumped and restored as the same one.
//!
//! The first byte says which: 0 to 7 a payload (its checksum not looked at), above a file. With `-malloc_limit_mb=64
//! -max_len=65536` nothing may reserve more for what is only claimed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringdove::config::Settings;
use ringdove::snapshot::{FileReader, Limits, Record, payload, read_payload};
use ringdove::structure::object::View;
use ringdove::structure::{Entry, NewValue};

fn held(value: NewValue<'_>) -> Entry {
    Entry::new(b"", value, None)
}

/// A value is one that can be written, read and freed.
fn check(entry: &Entry, limits: &Limits) {
    let dumped = payload(entry.value(), true);
    let again = held(read_payload(&dumped, limits, true).expect("what was dumped is restored"));
    // When a stream's consumers were last active is read, and has no place in what is written.
    let is_stream = again.object().is_some_and(|object| matches!(object.view(), View::Stream(_)));
    let same = if is_stream {
        payload(again.value(), true) == dumped
    } else {
        again.value() == entry.value()
    };
    assert!(same, "a value that is another one when it is restored");
    if let Some(object) = again.object() {
        let mut copy = object.clone();
        while copy.free_some(5) {}
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((which, bytes)) = input.split_first() else { return };
    let mut settings = Settings::default();
    if which & 1 == 1 {
        settings.hash_max_listpack_entries = 2;
        settings.zset_max_listpack_entries = 2;
        settings.set_max_intset_entries = 2;
        settings.list_max_listpack_size = 3;
        settings.list_compress_depth = 1;
    }
    let limits = Limits::new(&settings, ahash::RandomState::with_seeds(1, 2, 3, 4));
    if *which < 8 {
        let version: u16 = if which & 2 == 2 { 80 } else { 10 };
        let whole = [bytes, &version.to_le_bytes(), &[0; 8]].concat();
        if let Ok(value) = read_payload(&whole, &limits, false) {
            check(&held(value), &limits);
        }
        return;
    }
    let mut source = bytes;
    let Ok(mut reader) = FileReader::new(&mut source, false) else { return };
    while let Ok(record) = reader.next(&limits) {
        match record {
            Record::Key(key) => check(&held(key.value), &limits),
            Record::End => return,
            _ => {}
        }
    }
});

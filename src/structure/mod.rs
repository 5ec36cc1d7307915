//! Floor 1: how things are held. (A plain first version on std's maps; the measured structures replace it.)
use std::collections::{BTreeMap, BTreeSet};

pub enum NewValue<'a> {
    Int(i64),
    Bytes(&'a [u8]),
}
pub enum Object {
    Bytes(Vec<u8>),
}
pub enum Value<'a> {
    Int(i64),
    Bytes(&'a [u8]),
    Object(&'a Object),
}
pub struct Entry {
    key: Box<[u8]>,
    int: Option<i64>,
    bytes: Vec<u8>,
    raw: bool,
    expire: Option<u64>,
    handle: u32,
    lru: u32,
}
impl Entry {
    pub fn new(key: &[u8], value: NewValue<'_>, expire: Option<u64>) -> Entry {
        let mut e =
            Entry { key: key.into(), int: None, bytes: vec![], raw: false, expire, handle: 0, lru: 0 };
        e.set_value(value);
        e
    }
    pub fn key(&self) -> &[u8] {
        &self.key
    }
    pub fn value(&self) -> Value<'_> {
        match self.int {
            Some(n) => Value::Int(n),
            None => Value::Bytes(&self.bytes),
        }
    }
    pub fn is_raw(&self) -> bool {
        self.raw
    }
    pub fn set_value(&mut self, v: NewValue<'_>) {
        match v {
            NewValue::Int(n) => {
                self.int = Some(n);
                self.bytes.clear()
            }
            NewValue::Bytes(b) => {
                self.int = None;
                self.bytes = b.to_vec()
            }
        }
        self.raw = false;
    }
    pub fn append(&mut self, b: &[u8]) {
        self.as_bytes();
        self.bytes.extend_from_slice(b);
        self.raw = true
    }
    pub fn set_range(&mut self, at: usize, b: &[u8]) {
        self.as_bytes();
        if self.bytes.len() < at + b.len() {
            self.bytes.resize(at + b.len(), 0)
        }
        self.bytes[at..at + b.len()].copy_from_slice(b);
        self.raw = true
    }
    fn as_bytes(&mut self) {
        if let Some(n) = self.int.take() {
            self.bytes = n.to_string().into_bytes()
        }
    }
    pub fn expire_at(&self) -> Option<u64> {
        self.expire
    }
    pub fn set_expire(&mut self, e: Option<u64>) {
        self.expire = e
    }
    pub fn wheel_handle(&self) -> u32 {
        self.handle
    }
    pub fn set_wheel_handle(&mut self, h: u32) {
        self.handle = h
    }
    pub fn touch(&mut self, clock: u32) {
        self.lru = clock
    }
    pub fn lru(&self) -> u32 {
        self.lru
    }
    pub fn rename(&mut self, key: &[u8]) {
        self.key = key.into()
    }
    pub fn clone_with_key(&self, key: &[u8]) -> Entry {
        Entry {
            key: key.into(),
            int: self.int,
            bytes: self.bytes.clone(),
            raw: self.raw,
            expire: self.expire,
            handle: 0,
            lru: self.lru,
        }
    }
    pub fn bytes_allocated(&self) -> usize {
        48 + self.key.len() + self.bytes.len()
    }
}
#[derive(Default)]
pub struct Table {
    map: BTreeMap<(u64, Box<[u8]>), Entry>,
}
impl Table {
    pub fn len(&self) -> usize {
        self.map.len()
    }
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<&Entry> {
        self.map.get(&(hash, key.into()))
    }
    pub fn find_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut Entry> {
        self.map.get_mut(&(hash, key.into()))
    }
    pub fn insert_new(&mut self, hash: u64, e: Entry, _rehash: impl Fn(&Entry) -> u64) {
        self.map.insert((hash, e.key().into()), e);
    }
    pub fn remove(&mut self, hash: u64, key: &[u8], _rehash: impl Fn(&Entry) -> u64) -> Option<Entry> {
        self.map.remove(&(hash, key.into()))
    }
    pub fn remove_by_hash(
        &mut self,
        hash: u64,
        pred: impl Fn(&Entry) -> bool,
        _rehash: impl Fn(&Entry) -> u64,
    ) -> Option<Entry> {
        let key = self
            .map
            .range((hash, Box::from(&b""[..]))..)
            .take_while(|(k, _)| k.0 == hash)
            .find(|(_, e)| pred(e))
            .map(|(k, _)| k.clone())?;
        self.map.remove(&key)
    }
    pub fn random(&self, r: u64) -> Option<&Entry> {
        self.map.range((r, Box::from(&b""[..]))..).next().or_else(|| self.map.iter().next()).map(|x| x.1)
    }
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.map.values()
    }
    pub fn scan(
        &self,
        cursor: u64,
        count: usize,
        _rehash: impl Fn(&Entry) -> u64,
        mut visit: impl FnMut(&Entry),
    ) -> u64 {
        let mut n = 0;
        let mut last = None;
        for ((h, _), e) in self.map.range((cursor << 10, Box::from(&b""[..]))..) {
            if n >= count && last != Some(h >> 10) {
                return h >> 10;
            }
            visit(e);
            n += 1;
            last = Some(h >> 10);
        }
        0
    }
    pub fn free_some(&mut self, n: usize) -> usize {
        let mut k = 0;
        while k < n && self.map.pop_first().is_some() {
            k += 1
        }
        k
    }
}
#[derive(Default)]
pub struct Wheel {
    set: BTreeSet<(u64, u32, u64)>,
    at: BTreeMap<u32, (u64, u64)>,
    next: u32,
}
impl Wheel {
    pub fn len(&self) -> usize {
        self.at.len()
    }
    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }
    pub fn insert(&mut self, deadline: u64, payload: u64) -> u32 {
        self.next += 1;
        self.at.insert(self.next, (deadline, payload));
        self.set.insert((deadline, self.next, payload));
        self.next
    }
    pub fn cancel(&mut self, h: u32) {
        if let Some((d, p)) = self.at.remove(&h) {
            self.set.remove(&(d, h, p));
        }
    }
    pub fn advance(&mut self, now: u64, budget: usize, mut f: impl FnMut(u64, u64)) -> bool {
        for _ in 0..budget {
            match self.set.first().copied() {
                Some((d, h, p)) if d <= now => {
                    self.set.pop_first();
                    self.at.remove(&h);
                    f(d, p)
                }
                _ => return false,
            }
        }
        true
    }
    pub fn next_deadline_hint(&self) -> Option<u64> {
        self.set.first().map(|x| x.0)
    }
}

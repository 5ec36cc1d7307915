//! A small hash: its fields one after the other in a listpack, in pairs or, with deadlines, in triples.
//!
//! Triples lie in the order of their deadlines, those without one (0) last, as in Redis's
//! `listpackex`: the nearest deadline is the third element, and what has expired is at the front.

use super::{Expiry, Field};
use crate::structure::listpack::{Item, Listpack, Pos};

/// A listpack is not let grow beyond this, whatever the limits say.
pub(super) const BYTES_MAX: usize = 1 << 30;

const WHOLE: &str = "a field has all its elements";

/// Names and values in turn, in the order in which the fields came.
#[derive(Clone, Default)]
#[repr(transparent)]
pub struct Pairs(Listpack);

impl Pairs {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.0.len() / 2
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.bytes()
    }

    pub(super) fn bytes_allocated(&self) -> usize {
        self.0.bytes_allocated()
    }

    #[inline]
    fn at(&self, name: Pos) -> Field<'_> {
        let value = self.0.next(name).expect(WHOLE);
        Field { name: self.0.get(name), value: self.0.get(value), expire_at: None }
    }

    #[inline]
    fn position(&self, name: &[u8]) -> Option<Pos> {
        self.0.find(self.0.first(), name, 1)
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<Field<'_>> {
        self.position(name).map(|at| self.at(at))
    }

    pub(super) fn nth(&self, n: usize) -> Option<Field<'_>> {
        self.0.seek(2 * n as isize).map(|at| self.at(at))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        let mut items = self.0.iter();
        std::iter::from_fn(move || {
            let name = items.next()?;
            Some(Field { name, value: items.next().expect(WHOLE), expire_at: None })
        })
    }

    /// Whether the field is new.
    pub(super) fn set(&mut self, name: &[u8], value: &[u8]) -> bool {
        match self.position(name) {
            Some(at) => {
                self.0.replace(self.0.next(at).expect(WHOLE), value);
                false
            }
            None => {
                self.0.push_back(name);
                self.0.push_back(value);
                true
            }
        }
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> bool {
        let at = self.position(name);
        if let Some(at) = at {
            self.0.remove(at, 2);
        }
        at.is_some()
    }
}

/// Names, values and deadlines in turn, sorted by deadline.
#[derive(Clone)]
pub(super) struct Triples(Listpack);

impl From<&Pairs> for Triples {
    fn from(pairs: &Pairs) -> Triples {
        let mut fields = Triples(Listpack::new());
        for field in pairs.iter() {
            fields.insert(field.name, field.value, None);
        }
        fields
    }
}

impl Triples {
    pub(super) fn len(&self) -> usize {
        self.0.len() / 3
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.bytes()
    }

    pub(super) fn bytes_allocated(&self) -> usize {
        self.0.bytes_allocated()
    }

    fn at(&self, name: Pos) -> Field<'_> {
        let value = self.0.next(name).expect(WHOLE);
        let deadline = self.0.next(value).expect(WHOLE);
        Field {
            name: self.0.get(name),
            value: self.0.get(value),
            expire_at: deadline_of(self.0.get(deadline)),
        }
    }

    fn position(&self, name: &[u8]) -> Option<Pos> {
        self.0.find(self.0.first(), name, 2)
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<Field<'_>> {
        self.position(name).map(|at| self.at(at))
    }

    pub(super) fn nth(&self, n: usize) -> Option<Field<'_>> {
        self.0.seek(3 * n as isize).map(|at| self.at(at))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        let mut items = self.0.iter();
        std::iter::from_fn(move || {
            let (name, value) = (items.next()?, items.next().expect(WHOLE));
            Some(Field { name, value, expire_at: deadline_of(items.next().expect(WHOLE)) })
        })
    }

    pub(super) fn nearest(&self) -> Option<u64> {
        self.0.first().and_then(|first| self.at(first).expire_at)
    }

    pub(super) fn expired(&self, now: u64) -> usize {
        self.iter().take_while(|field| !field.is_live(now)).count()
    }

    /// Whether the field is new to who reads.
    pub(super) fn set(&mut self, name: &[u8], value: &[u8], expiry: Expiry, now: u64) -> bool {
        let Some(at) = self.position(name) else {
            let expire_at = if let Expiry::At(at) = expiry { Some(at) } else { None };
            self.insert(Item::from(name), Item::from(value), expire_at);
            return true;
        };
        let old = self.at(at);
        let (was, dead) = (old.expire_at, !old.is_live(now));
        let will_be = match expiry {
            Expiry::At(at) => Some(at),
            Expiry::Keep if !dead => was,
            Expiry::Keep | Expiry::Clear => None,
        };
        if was == will_be {
            self.0.replace(self.0.next(at).expect(WHOLE), value);
        } else {
            self.0.remove(at, 3);
            self.insert(Item::from(name), Item::from(value), will_be);
        }
        dead
    }

    pub(super) fn set_expire(&mut self, name: &[u8], expire_at: Option<u64>) -> bool {
        let Some(at) = self.position(name) else { return false };
        let field = self.at(at);
        if field.expire_at != expire_at {
            let value = field.value.to_vec();
            self.0.remove(at, 3);
            self.insert(Item::from(name), Item::from(&value[..]), expire_at);
        }
        true
    }

    /// Behind those with the same deadline.
    fn insert(&mut self, name: Item<'_>, value: Item<'_>, expire_at: Option<u64>) {
        let behind = expire_at.and_then(|at| self.first_after(at));
        let deadline = Item::Int(expire_at.unwrap_or(0) as i64);
        let at = self.0.insert_item(behind, name);
        let at = self.0.insert_item(self.0.next(at), value);
        self.0.insert_item(self.0.next(at), deadline);
    }

    /// The first field that expires later or never.
    fn first_after(&self, deadline: u64) -> Option<Pos> {
        let mut at = self.0.first();
        while let Some(here) = at {
            if self.at(here).expire_at.is_none_or(|at| at > deadline) {
                break;
            }
            at = (0..3).try_fold(here, |at, _| self.0.next(at));
        }
        at
    }

    pub(super) fn remove(&mut self, name: &[u8], now: u64) -> bool {
        let at = self.position(name).filter(|at| self.at(*at).is_live(now));
        if let Some(at) = at {
            self.0.remove(at, 3);
        }
        at.is_some()
    }

    pub(super) fn expire(&mut self, now: u64, max: usize, mut gone: impl FnMut(&[u8])) -> usize {
        let mut removed = 0;
        for field in self.iter().take_while(|field| !field.is_live(now)).take(max) {
            gone(field.name.text(&mut itoa::Buffer::new()));
            removed += 1;
        }
        if let (Some(first), 1..) = (self.0.first(), removed) {
            self.0.remove(first, 3 * removed);
        }
        removed
    }
}

fn deadline_of(item: Item<'_>) -> Option<u64> {
    item.as_int().map(|at| at as u64).filter(|at| *at > 0)
}

//! A value that does not lie in its entry: a large string, or a collection.
//!
//! The collections share what the keyspace asks of them (`Collection`): how many elements, which of
//! Redis's encodings, how much memory, and to be freed in slices, so that deleting a huge one
//! stalls nobody. What they can do otherwise is in their own files.

use super::{Hash, List, Set, SortedSet, Stream, heap::good_size};

/// A collection of at least this many pieces is freed in slices, not at once.
pub const HEAVY: usize = 64;

#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// A string that is large.
    // Boxed so that the object stays small: it lies in the entry.
    #[allow(clippy::box_collection)]
    Bytes(Box<Vec<u8>>),
    List(List),
    Hash(Hash),
    Set(Set),
    SortedSet(SortedSet),
    Stream(Stream),
}

/// What a key may hold beside a string.
pub trait Collection: Sized {
    /// As TYPE names it.
    const TYPE: &'static str;

    fn of(object: &Object) -> Option<&Self>;
    fn of_mut(object: &mut Object) -> Option<&mut Self>;
    fn into_object(self) -> Object;

    /// Elements (fields, members, entries). An empty collection is removed with its key, but for streams.
    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As OBJECT ENCODING names it.
    fn encoding(&self) -> &'static str;

    /// What it takes from the allocator beyond its own size.
    fn bytes_allocated(&self) -> usize;

    /// How many pieces there are to free, which decides whether that is done in slices.
    fn pieces(&self) -> usize {
        self.len()
    }

    /// Frees up to about `budget` elements, in whatever order; whether any are left. Nobody looks at the
    /// collection afterwards.
    fn free_some(&mut self, budget: usize) -> bool;
}

/// Runs an expression on whichever collection it is; a large string takes the other.
macro_rules! collection {
    ($object:expr, $it:ident => $run:expr, $bytes:ident => $string:expr) => {
        match $object {
            Object::Bytes($bytes) => $string,
            Object::List($it) => $run,
            Object::Hash($it) => $run,
            Object::Set($it) => $run,
            Object::SortedSet($it) => $run,
            Object::Stream($it) => $run,
        }
    };
}

impl Object {
    pub fn type_name(&self) -> &'static str {
        fn of<C: Collection>(_: &C) -> &'static str {
            C::TYPE
        }
        collection!(self, it => of(it), _bytes => "string")
    }

    /// Elements of a collection; a string counts as one.
    pub fn elements(&self) -> usize {
        collection!(self, it => it.len(), _bytes => 1)
    }

    pub fn encoding(&self) -> &'static str {
        collection!(self, it => it.encoding(), _bytes => "raw")
    }

    /// What it takes from the allocator beyond its own size.
    pub fn bytes_allocated(&self) -> usize {
        let of_string = |bytes: &Vec<u8>| good_size(size_of::<Vec<u8>>()) + good_size(bytes.capacity());
        collection!(self, it => it.bytes_allocated(), bytes => of_string(bytes))
    }

    /// Whether it takes long enough to free that it is freed in slices.
    pub fn is_heavy(&self) -> bool {
        collection!(self, it => it.pieces(), _bytes => 1) >= HEAVY
    }

    /// See `Collection::free_some`.
    pub fn free_some(&mut self, budget: usize) -> bool {
        collection!(self, it => it.free_some(budget), _bytes => false)
    }
}

/// `Collection`'s way from and to an object.
macro_rules! in_object {
    ($variant:ident) => {
        fn of(object: &$crate::structure::Object) -> Option<&Self> {
            if let $crate::structure::Object::$variant(it) = object { Some(it) } else { None }
        }
        fn of_mut(object: &mut $crate::structure::Object) -> Option<&mut Self> {
            if let $crate::structure::Object::$variant(it) = object { Some(it) } else { None }
        }
        fn into_object(self) -> $crate::structure::Object {
            $crate::structure::Object::$variant(self)
        }
    };
}
pub(super) use in_object;

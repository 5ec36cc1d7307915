//! A value that does not lie in its entry: a large string, or a collection.
//!
//! The collections share what the keyspace asks of them (`Collection`): how many elements, which of
//! Redis's encodings, how much memory, and to be freed in slices, so that deleting a huge one
//! stalls nobody. What they can do otherwise is in their own files.

use super::word::{Kind, LargeString, OfKind, Word};
use super::{Hash, List, Set, SortedSet, Stream, heap::good_size};

/// A collection of at least this many pieces is freed in slices, not at once.
pub const HEAVY: usize = 64;

/// See the module. Eight bytes, because it lies in the entry.
#[repr(transparent)]
pub struct Object(Word);

const _: () = assert!(size_of::<Object>() == 8);

/// What an object is.
#[derive(Debug, PartialEq)]
pub enum View<'a> {
    /// A string that is large.
    Bytes(&'a Vec<u8>),
    List(&'a List),
    Hash(&'a Hash),
    Set(&'a Set),
    SortedSet(&'a SortedSet),
    Stream(&'a Stream),
}

/// The same, to be changed.
pub enum ViewMut<'a> {
    Bytes(&'a mut Vec<u8>),
    List(&'a mut List),
    Hash(&'a mut Hash),
    Set(&'a mut Set),
    SortedSet(&'a mut SortedSet),
    Stream(&'a mut Stream),
}

/// What a key may hold beside a string.
pub trait Collection: OfKind {
    /// As TYPE names it.
    const TYPE: &'static str;

    fn of(object: &Object) -> Option<&Self> {
        object.0.as_kind()
    }

    fn of_mut(object: &mut Object) -> Option<&mut Self> {
        object.0.as_kind_mut()
    }

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
    ($views:ident, $view:expr, $it:ident => $run:expr, $bytes:ident => $string:expr) => {
        match $view {
            $views::Bytes($bytes) => $string,
            $views::List($it) => $run,
            $views::Hash($it) => $run,
            $views::Set($it) => $run,
            $views::SortedSet($it) => $run,
            $views::Stream($it) => $run,
        }
    };
}

impl Object {
    pub(super) fn from_word(word: Word) -> Object {
        Object(word)
    }

    pub fn of_bytes(bytes: Vec<u8>) -> Object {
        Object(Word::new::<LargeString>(bytes))
    }

    /// The string, if it is one.
    pub fn bytes_mut(&mut self) -> Option<&mut Vec<u8>> {
        self.0.get_mut::<LargeString>()
    }

    #[inline]
    pub fn view(&self) -> View<'_> {
        const KIND: &str = "a value of the kind that its word names";
        match self.0.kind() {
            Kind::Bytes => View::Bytes(self.0.get::<LargeString>().expect(KIND)),
            Kind::List => View::List(self.0.as_kind().expect(KIND)),
            Kind::Hash => View::Hash(self.0.as_kind().expect(KIND)),
            Kind::Set => View::Set(self.0.as_kind().expect(KIND)),
            Kind::SortedSet => View::SortedSet(self.0.as_kind().expect(KIND)),
            Kind::Stream => View::Stream(self.0.as_kind().expect(KIND)),
        }
    }

    #[inline]
    pub fn view_mut(&mut self) -> ViewMut<'_> {
        const KIND: &str = "a value of the kind that its word names";
        match self.0.kind() {
            Kind::Bytes => ViewMut::Bytes(self.0.get_mut::<LargeString>().expect(KIND)),
            Kind::List => ViewMut::List(self.0.as_kind_mut().expect(KIND)),
            Kind::Hash => ViewMut::Hash(self.0.as_kind_mut().expect(KIND)),
            Kind::Set => ViewMut::Set(self.0.as_kind_mut().expect(KIND)),
            Kind::SortedSet => ViewMut::SortedSet(self.0.as_kind_mut().expect(KIND)),
            Kind::Stream => ViewMut::Stream(self.0.as_kind_mut().expect(KIND)),
        }
    }

    pub fn type_name(&self) -> &'static str {
        fn of<C: Collection>(_: &C) -> &'static str {
            C::TYPE
        }
        collection!(View, self.view(), it => of(it), _bytes => "string")
    }

    /// Elements of a collection; a string counts as one.
    pub fn elements(&self) -> usize {
        collection!(View, self.view(), it => it.len(), _bytes => 1)
    }

    pub fn encoding(&self) -> &'static str {
        collection!(View, self.view(), it => it.encoding(), _bytes => "raw")
    }

    /// What it takes from the allocator beyond its own size.
    pub fn bytes_allocated(&self) -> usize {
        let of_string = |bytes: &Vec<u8>| good_size(size_of::<Vec<u8>>()) + good_size(bytes.capacity());
        collection!(View, self.view(), it => it.bytes_allocated(), bytes => of_string(bytes))
    }

    /// Whether it takes long enough to free that it is freed in slices.
    pub fn is_heavy(&self) -> bool {
        collection!(View, self.view(), it => it.pieces(), _bytes => 1) >= HEAVY
    }

    /// See `Collection::free_some`.
    pub fn free_some(&mut self, budget: usize) -> bool {
        collection!(ViewMut, self.view_mut(), it => it.free_some(budget), _bytes => false)
    }
}

impl Clone for Object {
    fn clone(&self) -> Object {
        collection!(View, self.view(), it => it.clone().into_object(), bytes => Object::of_bytes(bytes.clone()))
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Object) -> bool {
        self.view() == other.view()
    }
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.view().fmt(f)
    }
}

/// A collection's way to an object.
macro_rules! in_object {
    () => {
        fn into_object(self) -> $crate::structure::Object {
            $crate::structure::Object::from_word(self.0)
        }
    };
}
pub(super) use in_object;

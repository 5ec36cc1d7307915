//! One word that owns a value and says what that is: all that an entry keeps of a large string or a
//! collection.
//!
//! ```text
//! word   [kind 12 | form 4][address of 48 bits]            8 bytes, never null
//! ```
//!
//! The kind is the type as TYPE names it, the form one of the ways in which it is held. What the address
//! leads to follows from both and is written down once, in the table below: a box, or a buffer
//! (`ThinBuf`, which leaves the upper bits of its own pointer alone). Every access compares the tag, so
//! that the rest is safe. Called by `object` and the collections.
//!
//! A buffer is changed where it lies, tag and all: by what keeps the tag, as all methods of `ThinBuf` do.
//! Nobody assigns to it as a whole or swaps it; that would leave a word without a tag (0 is none), or
//! with that of another form that holds the same type, and the next look at it would panic.
#![allow(unsafe_code)]

use super::list::Quicklist;
use super::listpack::Listpack;
use super::set::{Intset, Members};
use super::sorted_set::{Packed, Ranked};
use super::stream::Body;
use super::table::Leavings;
use super::thin::{ADDRESS, ThinBuf};
use super::{hash, set};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

const TAG_SHIFT: u32 = 48;
const KIND_SHIFT: u32 = 4;
/// So that no tag is 0.
const KIND_FIRST: u16 = 1;

/// See the module.
#[repr(transparent)]
pub struct Word(NonNull<u8>);

/// The types of values that a word may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Kind {
    Bytes = KIND_FIRST,
    List,
    Hash,
    Set,
    SortedSet,
    Stream,
}

impl Kind {
    const ALL: [Kind; 6] = [Kind::Bytes, Kind::List, Kind::Hash, Kind::Set, Kind::SortedSet, Kind::Stream];
}

/// A way in which a value is held.
///
/// # Safety
/// `TAG` belongs to this form alone, and `into_address` and `from_address` undo each other, through an
/// address that fits 48 bits.
pub unsafe trait Form {
    const TAG: u16;
    /// What is held.
    type Target: Send;

    fn into_address(target: Self::Target) -> NonNull<u8>;

    /// # Safety
    /// The address is from `into_address`, and used up.
    unsafe fn from_address(address: NonNull<u8>) -> Self::Target;

    /// # Safety
    /// The word holds this form.
    unsafe fn target(word: &Word) -> &Self::Target;

    /// # Safety
    /// The word holds this form.
    unsafe fn target_mut(word: &mut Word) -> &mut Self::Target;
}

/// A type that is a word and nothing else, of one kind.
///
/// # Safety
/// It is `repr(transparent)` over `Word`, and holds words of this kind only.
pub unsafe trait OfKind: Sized {
    const KIND: Kind;
}

impl Word {
    #[inline]
    pub fn new<F: Form>(target: F::Target) -> Word {
        tagged(F::into_address(target), F::TAG)
    }

    #[inline(always)]
    pub fn tag(&self) -> u16 {
        (self.0.addr().get() >> TAG_SHIFT) as u16
    }

    #[inline(always)]
    pub fn kind(&self) -> Kind {
        Kind::ALL[((self.tag() >> KIND_SHIFT) - KIND_FIRST) as usize]
    }

    #[inline(always)]
    fn address(&self) -> NonNull<u8> {
        bare(self.0)
    }

    #[inline(always)]
    pub fn is<F: Form>(&self) -> bool {
        self.tag() == F::TAG
    }

    #[inline(always)]
    pub fn get<F: Form>(&self) -> Option<&F::Target> {
        // SAFETY: compared just now.
        if self.is::<F>() { Some(unsafe { F::target(self) }) } else { None }
    }

    #[inline(always)]
    pub fn get_mut<F: Form>(&mut self) -> Option<&mut F::Target> {
        // SAFETY: compared just now.
        if self.is::<F>() { Some(unsafe { F::target_mut(self) }) } else { None }
    }

    /// The word as what is of its kind, or None for another.
    #[inline(always)]
    pub fn as_kind<C: OfKind>(&self) -> Option<&C> {
        // SAFETY: `C` is a word that holds this kind.
        (self.kind() == C::KIND).then(|| unsafe { &*(&raw const *self).cast::<C>() })
    }

    /// The same, to be changed. Whatever is put there is of this kind.
    #[inline(always)]
    pub fn as_kind_mut<C: OfKind>(&mut self) -> Option<&mut C> {
        // SAFETY: as in `as_kind`, and `&mut self` is the only access.
        (self.kind() == C::KIND).then(|| unsafe { &mut *(&raw mut *self).cast::<C>() })
    }
}

/// What a buffer is made of, whatever it is called.
///
/// # Safety
/// `repr(transparent)` over a `ThinBuf`, through any number of types.
pub unsafe trait Buffer: Send {}

/// A buffer's own pointer, which a tag may have come with.
fn pointer<T: Buffer>(buf: T) -> NonNull<u8> {
    const { assert!(size_of::<T>() == size_of::<ThinBuf>()) };
    // SAFETY: a buffer is a `ThinBuf`, and that is a pointer. The buffer is not dropped.
    unsafe { std::mem::transmute_copy(&ManuallyDrop::new(buf)) }
}

#[inline(always)]
fn bare(address: NonNull<u8>) -> NonNull<u8> {
    let address = address.as_ptr().map_addr(|address| address & ADDRESS);
    // SAFETY: the address under a tag is not null.
    unsafe { NonNull::new_unchecked(address) }
}

#[inline(always)]
fn tagged(address: NonNull<u8>, tag: u16) -> Word {
    debug_assert!(address.addr().get() <= ADDRESS, "an address above 48 bits");
    let tagged = address.as_ptr().map_addr(|address| address | (tag as usize) << TAG_SHIFT);
    // SAFETY: more bits of an address that is not null are not null.
    Word(unsafe { NonNull::new_unchecked(tagged) })
}

/// The table: what each form is called, how it is held, what of, and its number.
macro_rules! forms {
    ($($name:ident: $how:ident $target:ty, $kind:ident $form:literal;)*) => {
        $(
            pub enum $name {}
            forms!($how $name, $target, ((Kind::$kind as u16) << KIND_SHIFT) | $form);
        )*

        impl Drop for Word {
            #[inline]
            fn drop(&mut self) {
                match self.tag() {
                    // SAFETY: the tag says whose address it is, and the word is gone after this.
                    $(<$name as Form>::TAG => drop(unsafe { $name::from_address(self.address()) }),)*
                    _ => unreachable!("a word of no form"),
                }
            }
        }

        #[cfg(test)]
        const TAGS: &[(&str, u16)] = &[$((stringify!($name), <$name as Form>::TAG)),*];
    };
    (boxed $name:ident, $target:ty, $tag:expr) => {
        // SAFETY: the number is the table's; a box and its address are the same.
        unsafe impl Form for $name {
            const TAG: u16 = $tag;
            type Target = $target;

            fn into_address(target: $target) -> NonNull<u8> {
                NonNull::from(Box::leak(Box::new(target))).cast()
            }
            unsafe fn from_address(address: NonNull<u8>) -> $target {
                // SAFETY: the caller's promise; the box is freed, its content moved out.
                *unsafe { Box::from_raw(address.as_ptr().cast()) }
            }
            #[inline(always)]
            unsafe fn target(word: &Word) -> &$target {
                // SAFETY: the box lives as long as the word.
                unsafe { word.address().cast().as_ref() }
            }
            #[inline(always)]
            unsafe fn target_mut(word: &mut Word) -> &mut $target {
                // SAFETY: the box lives as long as the word, which is exclusively ours.
                unsafe { word.address().cast().as_mut() }
            }
        }
    };
    (buffer $name:ident, $target:ty, $tag:expr) => {
        // SAFETY: the number is the table's; a buffer is its address, with or without a tag.
        unsafe impl Form for $name {
            const TAG: u16 = $tag;
            type Target = $target;

            fn into_address(target: $target) -> NonNull<u8> {
                bare(pointer(target))
            }
            unsafe fn from_address(address: NonNull<u8>) -> $target {
                // SAFETY: the caller's promise, and a `Buffer` is a pointer.
                unsafe { std::mem::transmute(address) }
            }
            #[inline(always)]
            unsafe fn target(word: &Word) -> &$target {
                // SAFETY: a word with this form's address is such a buffer: the tag does not matter to it.
                unsafe { &*(&raw const *word).cast() }
            }
            #[inline(always)]
            unsafe fn target_mut(word: &mut Word) -> &mut $target {
                // SAFETY: as above. Whatever is put there is such a buffer too, with its tag or with none.
                unsafe { &mut *(&raw mut *word).cast() }
            }
        }
    };
}

forms! {
    LargeString: boxed Vec<u8>, Bytes 0;
    ListPack: buffer Listpack, List 0;
    ListQuick: boxed Quicklist, List 1;
    HashPairs: buffer hash::Pairs, Hash 0;
    HashTriples: boxed hash::Dated, Hash 1;
    HashLarge: boxed hash::Large, Hash 2;
    HashLeavings: boxed Leavings, Hash 3;
    SetInts: buffer Intset, Set 0;
    SetPack: buffer Listpack, Set 1;
    SetTable: boxed Members, Set 2;
    SetRemains: boxed set::Remains, Set 3;
    ZsetPack: buffer Packed, SortedSet 0;
    ZsetPackNamedSkiplist: buffer Packed, SortedSet 1;
    ZsetRanked: boxed Ranked, SortedSet 2;
    StreamBody: boxed Body, Stream 0;
}

// SAFETY: what a word holds can be sent (`Form::Target`), and it owns that.
unsafe impl Send for Word {}

// SAFETY: a listpack is a `ThinBuf`, and so are these, which are listpacks or buffers of numbers.
unsafe impl Buffer for Listpack {}
// SAFETY: as above.
unsafe impl Buffer for hash::Pairs {}
// SAFETY: as above.
unsafe impl Buffer for Intset {}
// SAFETY: as above.
unsafe impl Buffer for Packed {}
// SAFETY: it is one.
unsafe impl Buffer for ThinBuf {}

macro_rules! kinds {
    ($($kind:ident)*) => {
        $(
            // SAFETY: it is `repr(transparent)` over a word; what its words hold is compared at each access.
            unsafe impl OfKind for super::$kind {
                const KIND: Kind = Kind::$kind;
            }
        )*
    };
}
kinds! { List Hash Set SortedSet Stream }

/// How a collection sees what it is: `view` and `view_mut`.
macro_rules! views {
    ($name:ident { $($variant:ident = $form:ident),* $(,)? }) => {
        enum View<'a> {
            $($variant(&'a <$crate::structure::word::$form as $crate::structure::word::Form>::Target)),*
        }

        enum ViewMut<'a> {
            $($variant(&'a mut <$crate::structure::word::$form as $crate::structure::word::Form>::Target)),*
        }

        impl $name {
            #[inline(always)]
            fn view(&self) -> View<'_> {
                $(if let Some(it) = self.0.get::<$crate::structure::word::$form>() {
                    return View::$variant(it);
                })*
                unreachable!("a value of another kind")
            }

            #[inline(always)]
            fn view_mut(&mut self) -> ViewMut<'_> {
                // Asked first, because a loan that is returned from a branch lasts for all of them.
                $(if self.0.is::<$crate::structure::word::$form>() {
                    return ViewMut::$variant(self.0.get_mut::<$crate::structure::word::$form>().expect("its form"));
                })*
                unreachable!("a value of another kind")
            }
        }
    };
}
pub(super) use views;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_has_a_tag_of_its_own() {
        let mut tags: Vec<u16> = TAGS.iter().map(|(_, tag)| *tag).collect();
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), TAGS.len());
        assert!(tags.iter().all(|tag| *tag != 0));
        assert_eq!((size_of::<Word>(), size_of::<Option<Word>>()), (8, 8));
    }
}

//! A set of strings, in one of three forms:
//!
//! - `Ints`: only integers, in order, in one array (`intset`).
//! - `Pack`: few and short members, one after the other in one allocation (`listpack`).
//! - `Table`: everything else (`hashtable`), one small allocation per member.
//!
//! OBJECT ENCODING says `hashtable` of the last two, as Redis 7.0 does (`command::generic`).
//!
//! The first two are searched, not looked up, so [`Limits`] bounds them. Which form a set has follows
//! Redis 7.2: a set of integers becomes a listpack with its first member that is none, or a table if
//! it is too large for that; a form is never left for a smaller one by removing members. A member is
//! the same string in any form. Called by `command::set`; knows no key and no reply.

mod intset;
mod members;
#[cfg(test)]
mod tests;

use super::object::{Collection, in_object};
use super::word::{SetInts, SetPack, SetRemains, SetTable, Word, views};
use super::{Entry, Item, Leavings, Listpack};
use crate::base::random::Random;
use ahash::RandomState;
pub use intset::Intset;
pub(super) use members::Members;

/// Beyond this many bytes no setting keeps a listpack (Redis: `LISTPACK_MAX_SAFETY_LIMIT`).
const PACK_BYTES_MAX: usize = 1 << 30;

/// SRANDMEMBER walks over all members when it wants at least one in so many.
const WALK_FROM: usize = 10;

/// Up to which size a set keeps its compact forms, and what its table hashes with.
#[derive(Clone, Debug)]
pub struct Limits {
    pub intset_entries: usize,
    pub listpack_entries: usize,
    pub listpack_value: usize,
    pub hasher: RandomState,
}

/// See the module.
#[repr(transparent)]
pub struct Set(Word);

views!(Set {
    Ints = SetInts,
    Pack = SetPack,
    Table = SetTable,
    // What is left of a table that is being freed.
    Remains = SetRemains,
});

/// Nobody looks at a set that is being freed.
pub struct Remains(Leavings);

/// A member that was taken out.
#[derive(Debug)]
pub enum Taken {
    Int(i64),
    Text(Entry),
}

impl Taken {
    pub fn item(&self) -> Item<'_> {
        match self {
            Taken::Int(n) => Item::Int(*n),
            Taken::Text(entry) => Item::Bytes(entry.key()),
        }
    }

    fn of(item: Item<'_>) -> Taken {
        match item {
            Item::Int(n) => Taken::Int(n),
            Item::Bytes(text) => Taken::Text(Entry::bare(text)),
        }
    }
}

impl Default for Set {
    /// Empty: takes whatever form its first member asks for.
    fn default() -> Set {
        Set::of_ints(Intset::new())
    }
}

impl Set {
    fn of_ints(ints: Intset) -> Set {
        Set(Word::new::<SetInts>(ints))
    }

    fn of_pack(pack: Listpack) -> Set {
        Set(Word::new::<SetPack>(pack))
    }

    fn of_table(members: Members) -> Set {
        Set(Word::new::<SetTable>(members))
    }

    /// Bytes of an intset or listpack, as Redis counts them; None for a table.
    pub fn compact_bytes(&self) -> Option<usize> {
        match self.view() {
            View::Ints(ints) => Some(ints.bytes()),
            View::Pack(pack) => Some(pack.bytes()),
            View::Table(_) | View::Remains(_) => None,
        }
    }

    /// The integers, where they lie in an array.
    pub fn as_ints(&self) -> Option<&Intset> {
        match self.view() {
            View::Ints(ints) => Some(ints),
            View::Pack(_) | View::Table(_) | View::Remains(_) => None,
        }
    }

    /// An empty set in the form for `first` and about `expected` members.
    pub fn for_members(first: &[u8], expected: usize, limits: &Limits) -> Set {
        let integer = matches!(Item::from(first), Item::Int(_));
        if integer && expected <= limits.intset_entries {
            Set::of_ints(Intset::new())
        } else if expected <= limits.listpack_entries {
            Set::of_pack(Listpack::new())
        } else {
            Set::of_table(Members::new(limits.hasher.clone()))
        }
    }

    /// A set of members that differ, in the form it would have if they had been added.
    pub fn of_distinct<'a>(members: impl IntoIterator<Item = Item<'a>>, limits: &Limits) -> Set {
        let (mut set, mut members) = (Set::default(), members.into_iter());
        while !matches!(set.view(), View::Table(_)) {
            let Some(member) = members.next() else { return set };
            set.add_item(member, limits);
        }
        // From here on it is a table whatever comes, so all that is left can be put there at once.
        let mut digits = itoa::Buffer::new();
        let mut entries: Vec<Entry> =
            set.iter().map(|member| Members::entry(member.text(&mut digits))).collect();
        entries.extend(members.map(|member| Members::entry(member.text(&mut digits))));
        Set::of_table(Members::of(limits.hasher.clone(), entries))
    }

    /// Takes the form for many members before that many are added.
    pub fn expect(&mut self, more: usize, limits: &Limits) {
        let large = match self.view() {
            View::Ints(_) => more > limits.intset_entries,
            View::Pack(_) => more > limits.listpack_entries,
            _ => false,
        };
        if large {
            self.become_table(limits);
        }
    }

    #[inline]
    pub fn contains(&self, member: &[u8]) -> bool {
        match self.view() {
            View::Ints(ints) => match Item::from(member) {
                Item::Int(n) => ints.contains(n),
                Item::Bytes(_) => false,
            },
            View::Pack(pack) => pack.find(pack.first(), member, 0).is_some(),
            View::Table(members) => members.contains(member),
            View::Remains(_) => false,
        }
    }

    /// The same of another set's member.
    pub fn contains_item(&self, member: Item<'_>) -> bool {
        match (self.view(), member) {
            (View::Ints(ints), Item::Int(n)) => ints.contains(n),
            _ => self.contains(member.text(&mut itoa::Buffer::new())),
        }
    }

    /// Whether it was not there.
    #[inline]
    pub fn add(&mut self, member: &[u8], limits: &Limits) -> bool {
        match self.view_mut() {
            ViewMut::Table(members) => members.insert(member),
            ViewMut::Ints(_) => match Item::from(member) {
                Item::Int(n) => self.add_int(n, limits),
                Item::Bytes(_) => self.add_text(member, limits),
            },
            _ => self.add_text(member, limits),
        }
    }

    /// The same of another set's member.
    pub fn add_item(&mut self, member: Item<'_>, limits: &Limits) -> bool {
        match (self.view(), member) {
            (View::Ints(_), Item::Int(n)) => self.add_int(n, limits),
            _ => self.add(member.text(&mut itoa::Buffer::new()), limits),
        }
    }

    fn add_int(&mut self, n: i64, limits: &Limits) -> bool {
        let (added, len) = match self.view_mut() {
            ViewMut::Ints(ints) => (ints.insert(n), ints.len()),
            _ => return self.add(itoa::Buffer::new().format(n).as_bytes(), limits),
        };
        if added && len > limits.intset_entries.min(intset::LEN_MAX) {
            self.become_table(limits);
        }
        added
    }

    /// Adds what is no integer, or what goes into a listpack.
    fn add_text(&mut self, member: &[u8], limits: &Limits) -> bool {
        match self.view_mut() {
            ViewMut::Ints(ints) if fits_pack(ints, member, limits) => {
                let mut pack = Listpack::new();
                for n in ints.iter() {
                    pack.insert_item(None, Item::Int(n));
                }
                pack.push_back(member);
                *self = Set::of_pack(pack);
                return true;
            }
            ViewMut::Pack(pack) => {
                if pack.find(pack.first(), member, 0).is_some() {
                    return false;
                }
                let short = member.len() <= limits.listpack_value;
                let small =
                    pack.len() < limits.listpack_entries && pack.bytes() + member.len() <= PACK_BYTES_MAX;
                if short && small {
                    pack.push_back(member);
                    return true;
                }
            }
            ViewMut::Ints(_) | ViewMut::Table(_) | ViewMut::Remains(_) => {}
        }
        self.become_table(limits).insert(member)
    }

    /// Becomes a table.
    fn become_table(&mut self, limits: &Limits) -> &mut Members {
        if !matches!(self.view(), View::Table(_)) {
            let mut digits = itoa::Buffer::new();
            let entries = self.iter().map(|member| Members::entry(member.text(&mut digits)));
            let members = Members::of(limits.hasher.clone(), entries);
            *self = Set::of_table(members);
        }
        match self.view_mut() {
            ViewMut::Table(members) => members,
            _ => unreachable!("just made a table"),
        }
    }

    /// Whether it was there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match self.view_mut() {
            ViewMut::Ints(ints) => match Item::from(member) {
                Item::Int(n) => ints.remove(n),
                Item::Bytes(_) => false,
            },
            ViewMut::Pack(pack) => match pack.find(pack.first(), member, 0) {
                Some(at) => {
                    pack.remove(at, 1);
                    true
                }
                None => false,
            },
            ViewMut::Table(members) => members.remove(member),
            ViewMut::Remains(_) => false,
        }
    }

    /// All members, integers first to last where they are in order.
    pub fn iter(&self) -> impl Iterator<Item = Item<'_>> {
        match self.view() {
            View::Ints(ints) => Each::Ints(ints.iter().map(Item::Int)),
            View::Pack(pack) => Each::Pack(pack.iter()),
            View::Table(members) => Each::Table(members.iter().map(Item::Bytes)),
            View::Remains(_) => Each::None,
        }
    }

    /// Visits some of the members from a cursor on and returns the next cursor, 0 at the end: see
    /// `Table::scan`. The small forms are visited whole.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(Item<'_>)) -> u64 {
        match self.view() {
            View::Table(members) => {
                members.table().scan(cursor, count, |entry| visit(Item::Bytes(entry.key())))
            }
            _ => {
                self.iter().for_each(visit);
                0
            }
        }
    }

    /// A member, each as likely as any other.
    pub fn random(&self, random: &mut Random) -> Option<Item<'_>> {
        match self.view() {
            View::Ints(ints) => (!ints.is_empty()).then(|| Item::Int(ints.get(random.below(ints.len())))),
            View::Pack(pack) => pack.seek(random.below(pack.len()) as isize).map(|at| pack.get(at)),
            View::Table(members) => members.table().random_even(random).map(|entry| Item::Bytes(entry.key())),
            View::Remains(_) => None,
        }
    }

    /// `count` different members, or all if there are no more; every choice is as likely.
    pub fn sample(&self, count: usize, random: &mut Random, mut visit: impl FnMut(Item<'_>)) {
        let View::Table(members) = self.view() else { return self.sample_walking(count, random, visit) };
        if count.saturating_mul(WALK_FROM) >= members.len() {
            return self.sample_walking(count, random, visit);
        }
        // Few of many: drawn until there are enough. Entries do not move meanwhile.
        let mut seen = ahash::HashSet::with_capacity_and_hasher(count, members.table().hasher());
        while seen.len() < count {
            let Some(entry) = members.table().random_even(random) else { return };
            if seen.insert(entry.key().as_ptr()) {
                visit(Item::Bytes(entry.key()));
            }
        }
    }

    fn sample_walking(&self, count: usize, random: &mut Random, mut visit: impl FnMut(Item<'_>)) {
        let mut choice = Choice::new(count, self.len());
        for item in self.iter() {
            if choice.is_done() {
                break;
            }
            if choice.next(random) {
                visit(item);
            }
        }
    }

    /// Takes out a random member.
    pub fn take(&mut self, random: &mut Random) -> Option<Taken> {
        match self.view_mut() {
            ViewMut::Ints(ints) => {
                let at = random.below(ints.len());
                let taken = (!ints.is_empty()).then(|| Taken::Int(ints.get(at)))?;
                ints.remove_at(at);
                Some(taken)
            }
            ViewMut::Pack(pack) => {
                let at = pack.seek(random.below(pack.len()) as isize)?;
                let taken = Taken::of(pack.get(at));
                pack.remove(at, 1);
                Some(taken)
            }
            ViewMut::Table(members) => members.remove_random(random).map(Taken::Text),
            ViewMut::Remains(_) => None,
        }
    }

    /// Takes out `count` random members, all if there are no more. A table of which little is left
    /// becomes a listpack again.
    pub fn take_many(&mut self, count: usize, random: &mut Random, limits: &Limits) -> Vec<Taken> {
        let count = count.min(self.len());
        let mut taken = Vec::with_capacity(count);
        let mut choice = Choice::new(count, self.len());
        match self.view_mut() {
            ViewMut::Ints(ints) => ints.retain(|n| {
                let takes = choice.next(random);
                if takes {
                    taken.push(Taken::Int(n));
                }
                !takes
            }),
            ViewMut::Pack(pack) => {
                let mut rest = Listpack::new();
                for item in pack.iter() {
                    if choice.next(random) {
                        taken.push(Taken::of(item));
                    } else {
                        rest.insert_item(None, item);
                    }
                }
                pack.assign(rest);
            }
            ViewMut::Table(members) => {
                taken.extend(
                    std::iter::from_fn(|| members.remove_random(random)).take(count).map(Taken::Text),
                );
                if members.len() * 5 <= count {
                    self.repack(limits);
                }
            }
            ViewMut::Remains(_) => {}
        }
        taken
    }

    /// Becomes a listpack if it is small enough for one.
    fn repack(&mut self, limits: &Limits) {
        if self.len() <= limits.listpack_entries {
            let mut smaller = Set::of_pack(Listpack::new());
            for member in self.iter() {
                smaller.add_item(member, limits);
            }
            *self = smaller;
        }
    }
}

/// Whether a set of integers with one more member may be a listpack.
fn fits_pack(ints: &Intset, member: &[u8], limits: &Limits) -> bool {
    let digits = |n: Option<i64>| n.map_or(0, |n| itoa::Buffer::new().format(n).len());
    let longest = digits(ints.min()).max(digits(ints.max())).max(member.len());
    ints.len() < limits.listpack_entries
        && longest <= limits.listpack_value
        && ints.len() * 11 + member.len() <= PACK_BYTES_MAX
}

/// Which of a row of things are taken so that each choice of so many is as likely (Fan, Muller and
/// Rezucha, 1962).
struct Choice {
    wanted: usize,
    left: usize,
}

impl Choice {
    fn new(wanted: usize, of: usize) -> Choice {
        Choice { wanted: wanted.min(of), left: of }
    }

    /// Whether the next is taken.
    fn next(&mut self, random: &mut Random) -> bool {
        let taken = random.below(self.left) < self.wanted;
        self.left -= 1;
        self.wanted -= taken as usize;
        taken
    }

    fn is_done(&self) -> bool {
        self.wanted == 0
    }
}

/// The iterators of the forms as one.
enum Each<A, B, C> {
    Ints(A),
    Pack(B),
    Table(C),
    None,
}

impl<'a, A, B, C> Iterator for Each<A, B, C>
where
    A: Iterator<Item = Item<'a>>,
    B: Iterator<Item = Item<'a>>,
    C: Iterator<Item = Item<'a>>,
{
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        match self {
            Each::Ints(ints) => ints.next(),
            Each::Pack(pack) => pack.next(),
            Each::Table(table) => table.next(),
            Each::None => None,
        }
    }
}

impl Collection for Set {
    const TYPE: &'static str = "set";
    in_object!();

    fn len(&self) -> usize {
        match self.view() {
            View::Ints(ints) => ints.len(),
            View::Pack(pack) => pack.len(),
            View::Table(members) => members.len(),
            View::Remains(remains) => remains.0.len(),
        }
    }

    fn encoding(&self) -> &'static str {
        match self.view() {
            View::Ints(_) => "intset",
            View::Pack(_) => "listpack",
            View::Table(_) | View::Remains(_) => "hashtable",
        }
    }

    fn bytes_allocated(&self) -> usize {
        match self.view() {
            View::Ints(ints) => ints.bytes_allocated(),
            View::Pack(pack) => pack.bytes_allocated(),
            View::Table(members) => members.bytes_allocated(),
            View::Remains(_) => 0,
        }
    }

    fn free_some(&mut self, budget: usize) -> bool {
        if let ViewMut::Table(members) = self.view_mut() {
            let leavings = members.clear();
            *self = Set(Word::new::<SetRemains>(Remains(leavings)));
        }
        match self.view_mut() {
            ViewMut::Remains(remains) => remains.0.free_some(budget),
            _ => false,
        }
    }
}

impl Clone for Set {
    fn clone(&self) -> Set {
        match self.view() {
            View::Ints(ints) => Set::of_ints(ints.clone()),
            View::Pack(pack) => Set::of_pack(pack.clone()),
            View::Table(members) => Set::of_table(members.clone()),
            View::Remains(_) => Set::default(),
        }
    }
}

impl PartialEq for Set {
    /// The same members, whatever the form.
    fn eq(&self, other: &Set) -> bool {
        self.len() == other.len() && self.iter().all(|member| other.contains_item(member))
    }
}

impl std::fmt::Debug for Set {
    /// The members in order, whatever the form.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut members: Vec<Vec<u8>> = self.iter().map(Item::to_vec).collect();
        members.sort();
        f.debug_set().entries(members.iter().map(|member| member.escape_ascii().to_string())).finish()
    }
}

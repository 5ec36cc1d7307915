//! Consumer groups: how far each has read, and what it has delivered and not seen acknowledged.
//!
//! A pending entry stands in two maps, that of its group (whose it is, since when, how often delivered)
//! and that of its consumer (only the id). Invariant: the consumers' maps are a partition of the
//! group's. A consumer is known by its number within the group; numbers are given anew when it is gone.
//!
//! Called by the command handlers. What the lag of a group is, is told in `lag`.

use super::StreamId;
use super::id_map::{self, IdMap};
use crate::base::Millis;
use crate::structure::ThinBuf;
use crate::structure::heap::good_size;
use crate::structure::thin_vec::ThinVec;
use std::num::NonZeroU64;

/// Number of a consumer within its group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConsumerNo(u32);

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pending {
    pub consumer: ConsumerNo,
    pub delivered_at: Millis,
    /// How often it was delivered.
    pub deliveries: u64,
}

/// A time that may be unknown, no wider for that.
pub type Moment = Option<NonZeroU64>;

/// Who reads on behalf of a group.
#[derive(Clone, PartialEq)]
pub struct Consumer {
    name: ThinBuf,
    /// When it last asked for anything. None: not since the data was loaded.
    pub seen_at: Moment,
    /// When it last got anything.
    pub active_at: Moment,
    pending: IdMap<()>,
}

/// See the module.
#[derive(Clone)]
pub struct Group {
    name: ThinBuf,
    /// Up to where entries were delivered.
    pub last_id: StreamId,
    /// How many entries, deleted ones included, lie up to there; -1 if that is not known.
    pub entries_read: i64,
    pending: IdMap<Pending>,
    /// By number.
    slots: ThinVec<Option<Box<Consumer>>>,
    /// Numbers in order of name, as soon as there have been more than a few; none before.
    order: ThinVec<ConsumerNo>,
}

/// So many consumers are looked through instead of kept in order.
const FEW: usize = 8;

/// What `entries_read` is when it is not known.
pub const READ_UNKNOWN: i64 = -1;

impl Consumer {
    pub fn name(&self) -> &[u8] {
        self.name.as_slice()
    }

    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Ids of its pending entries from this one on.
    pub fn pending_from(&self, id: StreamId) -> impl Iterator<Item = StreamId> {
        self.pending.since(id).map(|(id, ())| id)
    }
}

impl Group {
    fn new(name: &[u8], last_id: StreamId, entries_read: i64) -> Group {
        Group {
            name: ThinBuf::from(name),
            last_id,
            entries_read,
            pending: IdMap::default(),
            slots: ThinVec::new(),
            order: ThinVec::new(),
        }
    }

    pub fn name(&self) -> &[u8] {
        self.name.as_slice()
    }

    /// Number of pending entries.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    pub fn first_pending(&self) -> Option<StreamId> {
        self.pending.first().map(|(id, _)| id)
    }

    pub fn last_pending(&self) -> Option<StreamId> {
        self.pending.last().map(|(id, _)| id)
    }

    pub fn get_pending(&self, id: StreamId) -> Option<&Pending> {
        self.pending.get(id)
    }

    /// Pending entries in order from this id on.
    pub fn pending_from(&self, id: StreamId) -> id_map::Iter<'_, Pending> {
        self.pending.since(id)
    }

    /// The first pending entry from this id on.
    pub fn next_pending(&self, id: StreamId) -> Option<(StreamId, Pending)> {
        self.pending.since(id).next().map(|(id, pending)| (id, *pending))
    }

    /// Number of consumers.
    pub fn consumers_len(&self) -> usize {
        if self.is_in_order() { self.order.len() } else { self.slots.iter().flatten().count() }
    }

    fn is_in_order(&self) -> bool {
        self.slots.len() > FEW
    }

    /// Consumers in order of name.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        let few = if self.is_in_order() { Vec::new() } else { self.sorted() };
        let len = self.order.len().max(few.len());
        (0..len).map(move |at| self.consumer(*few.get(at).unwrap_or_else(|| &self.order[at])))
    }

    /// The numbers in use in order of name.
    fn sorted(&self) -> Vec<ConsumerNo> {
        let mut numbers: Vec<ConsumerNo> = (0..self.slots.len() as u32).map(ConsumerNo).collect();
        numbers.retain(|no| self.slots[no.0 as usize].is_some());
        numbers.sort_by(|a, b| self.consumer(*a).name().cmp(self.consumer(*b).name()));
        numbers
    }

    /// The same, to be changed, in no order.
    pub fn consumers_mut(&mut self) -> impl Iterator<Item = &mut Consumer> {
        self.slots.iter_mut().flatten().map(|consumer| &mut **consumer)
    }

    pub fn consumer(&self, no: ConsumerNo) -> &Consumer {
        self.slots[no.0 as usize].as_deref().expect("a number in use")
    }

    pub fn consumer_mut(&mut self, no: ConsumerNo) -> &mut Consumer {
        self.slots[no.0 as usize].as_deref_mut().expect("a number in use")
    }

    /// Where in `order` a name is or belongs.
    fn search(&self, name: &[u8]) -> Result<usize, usize> {
        self.order.binary_search_by(|no| self.consumer(*no).name().cmp(name))
    }

    pub fn find_consumer(&self, name: &[u8]) -> Option<ConsumerNo> {
        if self.is_in_order() {
            return self.search(name).ok().map(|at| self.order[at]);
        }
        let is = |slot: &Option<Box<Consumer>>| slot.as_ref().is_some_and(|it| it.name() == name);
        self.slots.iter().position(is).map(|no| ConsumerNo(no as u32))
    }

    /// None if there is one of that name.
    pub fn create_consumer(&mut self, name: &[u8], seen_at: Moment) -> Option<ConsumerNo> {
        if self.find_consumer(name).is_some() {
            return None;
        }
        let was_in_order = self.is_in_order();
        let pending = IdMap::default();
        let made = Box::new(Consumer { name: ThinBuf::from(name), seen_at, active_at: None, pending });
        let vacant = if self.consumers_len() < self.slots.len() {
            self.slots.iter().position(Option::is_none)
        } else {
            None
        };
        let no = match vacant {
            Some(vacant) => {
                self.slots[vacant] = Some(made);
                vacant
            }
            None => {
                self.slots.push(Some(made));
                self.slots.len() - 1
            }
        };
        let no = ConsumerNo(no as u32);
        if was_in_order {
            let at = self.search(name).unwrap_or_else(|at| at);
            self.order.insert(at, no);
        } else if self.is_in_order() {
            self.sorted().into_iter().for_each(|no| self.order.push(no));
        }
        Some(no)
    }

    /// Removes a consumer with what is pending for it; how much that was.
    pub fn delete_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let no = self.find_consumer(name)?;
        if let Ok(at) = self.search(name) {
            self.order.remove(at);
        }
        let consumer = self.slots[no.0 as usize].take()?;
        for (id, ()) in consumer.pending.iter() {
            self.pending.remove(id);
        }
        Some(consumer.pending.len())
    }

    /// Makes an entry pending for a consumer, whosever it was before.
    pub fn set_pending(&mut self, id: StreamId, pending: Pending) {
        let before = self.pending.insert(id, pending);
        if let Some(before) = before
            && before.consumer != pending.consumer
        {
            self.consumer_mut(before.consumer).pending.remove(id);
        }
        self.consumer_mut(pending.consumer).pending.insert(id, ());
    }

    /// Delivers a pending entry once more to whose it is.
    pub fn deliver_again(&mut self, id: StreamId, now: Millis) -> Option<Pending> {
        let pending = self.pending.get_mut(id)?;
        pending.delivered_at = now;
        pending.deliveries = pending.deliveries.wrapping_add(1);
        Some(*pending)
    }

    /// XACK: whether it was pending.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(id) else { return false };
        self.consumer_mut(pending.consumer).pending.remove(id);
        true
    }

    fn bytes_allocated(&self) -> usize {
        let consumers = self.slots.iter().flatten().map(|consumer| {
            good_size(size_of::<Consumer>())
                + consumer.name.bytes_allocated()
                + consumer.pending.bytes_allocated()
        });
        let consumers: usize = consumers.sum();
        let lists = self.slots.bytes_allocated() + self.order.bytes_allocated();
        good_size(size_of::<Group>())
            + consumers
            + lists
            + self.name.bytes_allocated()
            + self.pending.bytes_allocated()
    }

    /// Frees a part; whether any is left.
    fn free_some(&mut self, budget: &mut usize) -> bool {
        // A run of pending entries is one piece, and needs no look at what is in it.
        fn free_runs<V>(pending: &mut IdMap<V>, budget: &mut usize) -> bool {
            while *budget > 0 && pending.drop_run() > 0 {
                *budget -= 1;
            }
            !pending.is_empty()
        }
        if free_runs(&mut self.pending, budget) {
            return true;
        }
        while *budget > 0
            && let Some(slot) = self.slots.last_mut()
        {
            *budget -= 1;
            if slot.as_mut().is_some_and(|consumer| free_runs(&mut consumer.pending, budget)) {
                return true;
            }
            self.slots.pop();
        }
        !self.slots.is_empty()
    }

    fn pieces(&self) -> usize {
        1 + self.slots.len() + self.pending.runs() * 2
    }
}

/// Equal to those who ask: numbers of consumers do not show.
impl PartialEq for Group {
    fn eq(&self, other: &Self) -> bool {
        let known = |it: &Group| (it.last_id, it.entries_read, it.pending.len(), it.consumers_len());
        let whose = |it: &Group, pending: &Pending| {
            (it.consumer(pending.consumer).name.clone(), pending.delivered_at, pending.deliveries)
        };
        self.name == other.name
            && known(self) == known(other)
            && self.consumers().eq(other.consumers())
            && self
                .pending
                .iter()
                .zip(other.pending.iter())
                .all(|((a_id, a), (b_id, b))| a_id == b_id && whose(self, a) == whose(other, b))
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |name: &[u8]| name.escape_ascii().to_string();
        let pending = self
            .pending
            .iter()
            .map(|(id, it)| (id, text(self.consumer(it.consumer).name()), it.delivered_at, it.deliveries));
        f.debug_struct("Group")
            .field("name", &text(self.name()))
            .field("last_id", &self.last_id)
            .field("entries_read", &self.entries_read)
            .field(
                "consumers",
                &self.consumers().map(|it| (text(it.name()), it.pending())).collect::<Vec<_>>(),
            )
            .field("pending", &pending.collect::<Vec<_>>())
            .finish()
    }
}

/// The groups of a stream, in order of name.
#[derive(Clone, PartialEq, Default, Debug)]
// Boxed, because there is room for more than there are.
#[allow(clippy::vec_box)]
pub struct Groups(Vec<Box<Group>>);

impl Groups {
    pub(super) fn of(group: Group) -> Groups {
        Groups(vec![Box::new(group)])
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Group> {
        self.0.iter().map(|group| &**group)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Group> {
        self.0.iter_mut().map(|group| &mut **group)
    }

    fn search(&self, name: &[u8]) -> Result<usize, usize> {
        self.0.binary_search_by(|group| group.name().cmp(name))
    }

    pub fn get(&self, name: &[u8]) -> Option<&Group> {
        self.search(name).ok().map(|at| &*self.0[at])
    }

    pub fn get_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        let at = self.search(name).ok()?;
        Some(&mut *self.0[at])
    }

    /// False if there is one of that name.
    pub fn create(&mut self, name: &[u8], last_id: StreamId, entries_read: i64) -> bool {
        let Err(at) = self.search(name) else { return false };
        if self.0.is_empty() {
            self.0.reserve_exact(1);
        }
        self.0.insert(at, Box::new(Group::new(name, last_id, entries_read)));
        true
    }

    pub fn destroy(&mut self, name: &[u8]) -> Option<Group> {
        let at = self.search(name).ok()?;
        Some(*self.0.remove(at))
    }

    pub(super) fn bytes_allocated(&self) -> usize {
        if self.0.capacity() == 0 {
            return 0;
        }
        let groups: usize = self.iter().map(Group::bytes_allocated).sum();
        good_size(self.0.capacity() * size_of::<Box<Group>>()) + groups
    }

    pub(super) fn pieces(&self) -> usize {
        self.iter().map(Group::pieces).sum()
    }

    pub(super) fn free_some(&mut self, budget: &mut usize) -> bool {
        while *budget > 0
            && let Some(group) = self.0.last_mut()
        {
            if group.free_some(budget) {
                return true;
            }
            *budget = budget.saturating_sub(1);
            self.0.pop();
        }
        !self.0.is_empty()
    }
}

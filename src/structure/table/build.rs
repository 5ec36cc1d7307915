//! A table made at once of all its entries.
//!
//! Adding entries one by one is slow just where it is most common to have many: entries that come out of
//! another table come in hash order, fill a segment from its left end and shift one another until it
//! splits. Here they are cut into segments instead, which end as splitting would have left them.

use super::segment::{LINES_MAX, Layout, Segment, capacity};
use super::{Table, mark_of};
use crate::structure::entry::Entry;
use std::hash::BuildHasher;

/// Most entries in a segment: an eighth of its room is left for those to come.
const FILL: usize = capacity(LINES_MAX) / 8 * 7;

impl<S: BuildHasher + Clone> Table<S> {
    /// A table of these entries, whose keys differ. Quickest when they come in hash order.
    pub fn of(hasher: S, entries: impl IntoIterator<Item = Entry>) -> Table<S> {
        let mut table = Table::new(hasher);
        let hashed = entries.into_iter().map(|entry| (table.hash(entry.key()), entry));
        let mut hashed: Vec<(u64, Entry)> = hashed.collect();
        if hashed.is_empty() {
            return table;
        }
        if !hashed.is_sorted_by_key(|(hash, _)| *hash) {
            hashed.sort_by_key(|(hash, _)| *hash);
        }
        table.len = hashed.len();
        let mut cuts = Vec::new();
        cut(&hashed, 0, table.depth_limit(), &mut cuts);
        table.depth = cuts.iter().map(|cut| cut.depth).max().unwrap_or(0);
        table.dir.reserve_exact(1 << table.depth);
        let mut hashed = hashed.into_iter();
        for Cut { entries, depth } in cuts {
            let marked = hashed.by_ref().take(entries).map(|(hash, mut entry)| {
                entry.set_mark(mark_of(hash, depth));
                entry
            });
            let layout = Layout::of(marked.collect(), 1, entries / 8 + 1);
            let segment = Segment::new(layout, depth);
            table.dir.extend(std::iter::repeat_n(segment, 1 << (table.depth - depth)));
            table.segments += 1;
            table.deepest += (depth == table.depth) as usize;
        }
        table
    }
}

/// The next segment: how many entries it takes, and its depth.
struct Cut {
    entries: usize,
    depth: u32,
}

/// Halves what begins with the same `depth` bits until it fits into a segment, or `limit` is reached.
fn cut(hashed: &[(u64, Entry)], depth: u32, limit: u32, cuts: &mut Vec<Cut>) {
    if hashed.len() <= FILL || depth >= limit {
        return cuts.push(Cut { entries: hashed.len(), depth });
    }
    let (left, right) = hashed.split_at(hashed.partition_point(|(hash, _)| hash >> (63 - depth) & 1 == 0));
    cut(left, depth + 1, limit, cuts);
    cut(right, depth + 1, limit, cuts);
}

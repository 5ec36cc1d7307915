//! Sorting of which only a part is wanted: the first few of many.
//!
//! It is the quicksort of Bentley and McIlroy ("Engineering a sort function", 1993) that leaves alone
//! what lies outside of the wanted part. Not stable: where elements compare equal, clients of Redis see
//! the order that this very algorithm leaves them in, so its choice of pivots is part of the contract.
//! Called by commands that sort and take a few (GEOSEARCH ... COUNT).

use std::cmp::Ordering;
use std::ops::Range;

/// Puts those elements in place that belong into `wanted`.
pub fn partial_sort<T>(items: &mut [T], wanted: Range<usize>, mut order: impl FnMut(&T, &T) -> Ordering) {
    if !wanted.is_empty() {
        sort(items, 0, &wanted, &mut order);
    }
}

type Order<'a, T> = &'a mut dyn FnMut(&T, &T) -> Ordering;

/// Below this many elements are inserted one by one; above the next, pivots are chosen with care.
const FEW: usize = 7;
const MANY: usize = 40;

/// Sorts a run that begins at place `at` of all.
fn sort<T>(mut items: &mut [T], mut at: usize, wanted: &Range<usize>, order: Order<'_, T>) {
    loop {
        let len = items.len();
        if len < FEW {
            return insert_each(items, order);
        }
        let pivot = pivot(items, order);
        items.swap(0, pivot);
        let Some((less, equal)) = partition(items, order) else { return insert_each(items, order) };
        let above = less + equal;
        if less > 1 && at < wanted.end && at + less > wanted.start {
            sort(&mut items[..less], at, wanted, order);
        }
        at += above;
        if len - above <= 1 || at >= wanted.end || at + len - above <= wanted.start {
            return;
        }
        items = &mut items[above..];
    }
}

fn insert_each<T>(items: &mut [T], order: Order<'_, T>) {
    for end in 1..items.len() {
        let mut at = end;
        while at > 0 && order(&items[at - 1], &items[at]) == Ordering::Greater {
            items.swap(at - 1, at);
            at -= 1;
        }
    }
}

fn pivot<T>(items: &[T], order: Order<'_, T>) -> usize {
    let (mut low, mut middle, mut high) = (0, items.len() / 2, items.len() - 1);
    if items.len() == FEW {
        return middle;
    }
    if items.len() > MANY {
        let apart = items.len() / 8;
        low = median(items, [low, low + apart, low + 2 * apart], order);
        middle = median(items, [middle - apart, middle, middle + apart], order);
        high = median(items, [high - 2 * apart, high - apart, high], order);
    }
    median(items, [low, middle, high], order)
}

fn median<T>(items: &[T], [a, b, c]: [usize; 3], order: Order<'_, T>) -> usize {
    let mut compare = |i: usize, j: usize| order(&items[i], &items[j]);
    if compare(a, b) == Ordering::Less {
        match compare(b, c) {
            Ordering::Less => b,
            _ if compare(a, c) == Ordering::Less => c,
            _ => a,
        }
    } else {
        match compare(b, c) {
            Ordering::Greater => b,
            _ if compare(a, c) == Ordering::Less => a,
            _ => c,
        }
    }
}

/// Divides a run by its first element; how many are less, how many equal. None if nothing had to be
/// moved, as in a run that is sorted already.
fn partition<T>(items: &mut [T], order: Order<'_, T>) -> Option<(usize, usize)> {
    // [equal ..a][less ..b] unknown [c.. greater][d.. equal], c and d the places before.
    let (mut a, mut b, mut c, mut d) = (1, 1, items.len() - 1, items.len() - 1);
    let mut moved = false;
    loop {
        while b <= c {
            match order(&items[b], &items[0]) {
                Ordering::Greater => break,
                Ordering::Less => {}
                Ordering::Equal => {
                    moved = true;
                    items.swap(a, b);
                    a += 1;
                }
            }
            b += 1;
        }
        while b <= c {
            match order(&items[c], &items[0]) {
                Ordering::Less => break,
                Ordering::Greater => {}
                Ordering::Equal => {
                    moved = true;
                    items.swap(c, d);
                    d -= 1;
                }
            }
            c -= 1;
        }
        if b > c {
            break;
        }
        items.swap(b, c);
        moved = true;
        b += 1;
        c -= 1;
    }
    if !moved {
        return None;
    }
    let (less, greater) = (b - a, d - c);
    let len = items.len();
    // The equal ones go from both ends to the middle.
    let left = a.min(less);
    swap_runs(items, 0, b - left, left);
    let right = greater.min(len - 1 - d);
    swap_runs(items, b, len - right, right);
    Some((less, len - less - greater))
}

fn swap_runs<T>(items: &mut [T], a: usize, b: usize, len: usize) {
    (0..len).for_each(|i| items.swap(a + i, b + i));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_wanted_part_is_that_of_a_sorted_vector(
            mut items in prop::collection::vec(0u16..300, 0..400), from in 0usize..400, len in 0usize..60)
        {
            let mut sorted = items.clone();
            sorted.sort();
            let from = from.min(items.len());
            let wanted = from..(from + len).min(items.len());
            partial_sort(&mut items, wanted.clone(), Ord::cmp);
            prop_assert_eq!(&items[wanted.clone()], &sorted[wanted]);
            items.sort();
            prop_assert_eq!(items, sorted);
        }
    }
}

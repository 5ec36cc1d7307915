//! A list does what a vector of strings does, in every form and with every size of node.

use super::*;
use proptest::prelude::*;

fn texts(list: &List) -> Vec<Vec<u8>> {
    list.to_vecs()
}

/// What the module promises about its forms.
fn check(list: &List, model: &[Vec<u8>]) {
    assert_eq!(texts(list), model);
    let mut reversed = Vec::new();
    list.each(model.len().saturating_sub(1), usize::MAX, Side::Left, |item| reversed.push(item.to_vec()));
    reversed.reverse();
    assert_eq!(reversed, model);
    assert_eq!(list.len(), model.len());
    assert_eq!(list.packs().map(|pack| pack.len()).sum::<usize>(), model.len());
    assert!(list.node_bytes().eq(list.packs().map(|pack| pack.bytes())));
    if let View::Quick(quick) = list.view() {
        assert!(!quick.is_empty() && list.packs().all(|pack| !pack.is_empty()));
    }
    for (at, text) in model.iter().enumerate() {
        assert!(list.get(at as i64, |item| item.is(text)).unwrap());
        assert!(list.get(at as i64 - model.len() as i64, |item| item.is(text)).unwrap());
    }
    assert_eq!(list.get(model.len() as i64, |_| ()), None);
    assert_eq!(list.get(-1 - model.len() as i64, |_| ()), None);
}

/// The nodes near the ends are plain; all others are compressed as far as that saves anything.
fn check_compression(list: &List, limits: &Limits) {
    let View::Quick(quick) = list.view() else { return };
    let (depth, len) = (limits.compress_depth, quick.nodes());
    for (at, compressed) in quick.compressed().enumerate() {
        let inner = depth > 0 && at >= depth && at + depth < len;
        let pack = quick.pack(at);
        let raw = pack.as_raw();
        let saves = pack.bytes() >= 48 && crate::base::lzf::compress(raw, raw.len() - 8).is_some();
        assert_eq!(compressed, inner && saves, "node {at} of {len}");
    }
}

#[derive(Clone, Debug)]
enum Edit {
    Push(Side, Vec<Vec<u8>>),
    Pop(Side, usize),
    Set(prop::sample::Index, Vec<u8>),
    Insert(Side, prop::sample::Index, Vec<u8>),
    RemoveMatching(prop::sample::Index, usize, Side),
    RemoveRange(prop::sample::Index, usize),
    Reload,
}

/// Few different strings, so that many are equal; some do not fit into the smaller nodes.
fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0..6u8).prop_map(|n| n.to_string().into_bytes()),
        2 => (0..3u8).prop_map(|n| vec![b'a' + n; 5 + n as usize * 30]),
        1 => (0..3u8).prop_map(|n| vec![b'x' + n; 700 * (1 + n as usize)]),
    ]
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Left), Just(Side::Right)]
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        6 => (side(), prop::collection::vec(text(), 1..12)).prop_map(|(s, t)| Edit::Push(s, t)),
        2 => (side(), 1..8usize).prop_map(|(s, n)| Edit::Pop(s, n)),
        2 => (at(), text()).prop_map(|(at, t)| Edit::Set(at, t)),
        4 => (side(), at(), text()).prop_map(|(s, at, t)| Edit::Insert(s, at, t)),
        1 => (at(), prop_oneof![Just(usize::MAX), 1..4usize], side())
            .prop_map(|(at, max, s)| Edit::RemoveMatching(at, max, s)),
        1 => (at(), 1..20usize).prop_map(|(at, n)| Edit::RemoveRange(at, n)),
        1 => Just(Edit::Reload),
    ]
}

/// Node sizes from one element to what Redis uses, some in bytes; a threshold for large elements.
fn limits() -> impl Strategy<Value = Limits> {
    let large = prop_oneof![2 => Just(1usize << 30), 1 => Just(40)];
    let depth = prop_oneof![2 => Just(0u32), 2 => Just(1), 1 => 2..5u32];
    (prop_oneof![Just(-1), Just(-2), Just(0), 1..9i32], large, any::<bool>(), depth).prop_map(
        |(size, large, tiny, depth)| {
            let mut limits = Limits::new(size, large).compressing(depth);
            if size < 0 && tiny {
                // As a class of 4096 bytes is, in small.
                limits.bytes = 100;
            }
            limits
        },
    )
}

fn apply(edit: Edit, list: &mut List, model: &mut Vec<Vec<u8>>, limits: &Limits) {
    match edit {
        Edit::Push(side, texts) => {
            list.extend(side, texts.iter().map(Vec::as_slice), limits);
            match side {
                Side::Left => texts.into_iter().for_each(|text| model.insert(0, text)),
                Side::Right => model.extend(texts),
            }
        }
        Edit::Pop(side, count) => {
            let mut popped = Vec::new();
            list.pop(side, count, limits, |item| popped.push(item.to_vec()));
            let count = count.min(model.len());
            let expected: Vec<Vec<u8>> = match side {
                Side::Left => model.drain(..count).collect(),
                Side::Right => model.drain(model.len() - count..).rev().collect(),
            };
            assert_eq!(popped, expected);
        }
        Edit::Set(at, text) if !model.is_empty() => {
            let at = at.index(model.len());
            list.set(at, &text, limits);
            model[at] = text;
        }
        Edit::Insert(side, at, text) if !model.is_empty() => {
            let pivot = model[at.index(model.len())].clone();
            assert!(list.insert(side, &pivot, &text, limits));
            assert!(!list.insert(side, b"never there", &text, limits));
            let at = model.iter().position(|t| *t == pivot).unwrap();
            model.insert(if side == Side::Left { at } else { at + 1 }, text);
        }
        Edit::RemoveMatching(at, max, from) if !model.is_empty() => {
            let wanted = model[at.index(model.len())].clone();
            let removed = list.remove_matching(&wanted, max, from, limits);
            let mut left = max;
            let mut keep = |text: &Vec<u8>| {
                let goes = *text == wanted && left > 0;
                left -= goes as usize;
                !goes
            };
            match from {
                Side::Left => model.retain(&mut keep),
                Side::Right => {
                    model.reverse();
                    model.retain(&mut keep);
                    model.reverse();
                }
            }
            assert_eq!(removed, max - left);
        }
        Edit::RemoveRange(at, count) if !model.is_empty() => {
            let at = at.index(model.len());
            let end = (at + count).min(model.len());
            let rest = list.remove_range(at, count, limits);
            let gone: Vec<Vec<u8>> = model.drain(at..end).collect();
            assert!(rest.is_none_or(|rest| texts(&rest).iter().all(|text| gone.contains(text))));
        }
        Edit::Reload => {
            let mut copy = List::new();
            list.packs().for_each(|pack| copy.append_pack(pack.into_owned(), limits));
            assert_eq!(copy, *list);
            *list = copy;
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn a_list_is_a_vector_of_strings(limits in limits(), edits in prop::collection::vec(edit(), 0..60)) {
        let (mut list, mut model) = (List::new(), Vec::<Vec<u8>>::new());
        for edit in edits {
            apply(edit, &mut list, &mut model, &limits);
            check(&list, &model);
            check_compression(&list, &limits);
        }
        for start in (0..model.len()).step_by(7) {
            let count = (model.len() - start).min(5);
            let mut part = Vec::new();
            list.each(start, count, Side::Right, |item| part.push(item.to_vec()));
            prop_assert_eq!(&part, &model[start..start + count]);
        }
    }
}

fn filled(count: usize, limits: &Limits) -> List {
    let mut list = List::new();
    for n in 0..count {
        list.push(Side::Right, format!("element:{n:06}").as_bytes(), limits);
    }
    list
}

#[test]
fn the_form_changes_where_redis_7_2_changes_it() {
    let limits = Limits::new(4, 1 << 30);
    let mut list = filled(4, &limits);
    assert_eq!(list.encoding(), "listpack");
    list.push(Side::Left, b"x", &limits);
    assert_eq!((list.encoding(), list.packs().len()), ("quicklist", 2));
    list.pop(Side::Left, 1, &limits, |_| {});
    // One full node is no listpack yet, so that a push and a pop in turn change nothing.
    assert_eq!((list.encoding(), list.packs().len()), ("quicklist", 1));
    list.pop(Side::Left, 2, &limits, |_| {});
    assert_eq!(list.encoding(), "listpack");

    let limits = Limits::new(-2, 1 << 30);
    let mut list = List::new();
    list.push(Side::Left, &[b'x'; 8185], &limits);
    assert_eq!(list.encoding(), "listpack");
    list.push(Side::Left, b"y", &limits);
    assert_eq!(list.encoding(), "quicklist");
    let mut list = List::new();
    list.push(Side::Left, &[b'x'; 8186], &limits);
    assert_eq!(list.encoding(), "quicklist");
    list.pop(Side::Left, 1, &limits, |_| {});
    assert_eq!((list.encoding(), list.bytes_allocated()), ("listpack", 0));
}

#[test]
fn nodes_fill_up_and_their_blocks_hold_no_more_than_a_class() {
    for (size, bytes) in [(-1, 4096), (-2, 8192), (-5, 65536)] {
        let limits = Limits::new(size, 1 << 30);
        let list = filled(100_000, &limits);
        let payload = 100_000 * (14 + 2);
        assert!(list.packs().all(|pack| pack.bytes_allocated() <= bytes), "{size}");
        assert!(list.bytes_allocated() < payload + payload / 50, "{size}: {}", list.bytes_allocated());
    }
}

#[test]
fn what_removals_leave_in_the_middle_is_joined() {
    let limits = Limits::new(-1, 1 << 30);
    let mut list = List::new();
    for n in 0..20_000 {
        list.push(Side::Right, if n % 50 == 0 { b"stays" } else { b"goes" }, &limits);
    }
    let full = list.packs().len();
    assert_eq!(list.remove_matching(b"goes", usize::MAX, Side::Right, &limits), 19_600);
    assert!(list.packs().len() * 10 < full, "{} nodes of {full}", list.packs().len());
    assert_eq!(list.to_vecs().iter().filter(|text| *text == b"stays").count(), 400);
}

#[test]
fn a_long_list_goes_in_slices() {
    let limits = Limits::new(-2, 1 << 30);
    let mut list = filled(200_000, &limits);
    let mut rest = list.remove_range(10, 199_980, &limits).expect("many nodes");
    assert_eq!((list.len(), list.encoding()), (20, "listpack"));
    assert!(rest.len() > 190_000);
    let mut slices = 1;
    while rest.free_some(1000) {
        slices += 1;
    }
    assert!((100..200).contains(&slices), "{slices}");
}

#[test]
fn compression_saves_memory_in_the_middle_alone() {
    let plain = Limits::new(-2, 1 << 30);
    let limits = plain.compressing(2);
    let mut list = filled(100_000, &limits);
    let (compressed, all) = (list.bytes_allocated(), filled(100_000, &plain).bytes_allocated());
    assert!(compressed * 2 < all, "{compressed} of {all}");
    check_compression(&list, &limits);
    assert!(list.get(50_000, |item| item.is(b"element:050000")).unwrap());
    // What comes near an end is opened, what is read in the middle is not.
    for side in [Side::Left, Side::Right] {
        list.pop(side, 20_000, &limits, |_| {});
        check_compression(&list, &limits);
    }
    // Lists that are changed without the setting are opened where they are touched.
    list.set(30_000, b"x", &plain);
    assert!(list.get(30_000, |item| item.is(b"x")).unwrap());
    list.set(30_000, b"y", &limits);
    check_compression(&list, &limits);
}

//! Decides whether a recorded history of transactions is strictly serialisable.
//!
//! The history is of list-append shape (Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies
//! from Experimental Observations", VLDB 2020): every write appends an element that occurs once, so
//! a read tells which writes it saw and in which order. From the order of versions follow edges
//! between transactions; with the edges of each client's own order and of real time, a history
//! without a cycle has a serial order that every client could have seen, and one with a cycle has
//! none:
//!
//! ```text
//! ww   b's element follows a's in a list             a before b
//! wr   the last element b read is a's                a before b
//! rw   the element after what a read is b's          a before b
//! po   one client sent a, then b                     a before b   (also within a pipeline)
//! rt   a was answered before b was sent              a before b
//! ```
//!
//! Pure; the tests at the end feed it every kind of planted anomaly.

use std::collections::HashMap;
use std::fmt;

pub type Key = usize;
pub type Element = u32;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// `position`: index of the element in its list, if the reply told.
    Append {
        key: Key,
        element: Element,
        position: Option<usize>,
    },
    Read {
        key: Key,
        list: Vec<Element>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Committed,
    /// EXEC said no: nothing of it may ever be seen.
    Aborted,
    /// The connection ended before the answer: seen or not, both are right.
    Unknown,
}

#[derive(Clone, Debug)]
pub struct Txn {
    pub process: usize,
    /// Any clock that all clients share.
    pub invoked: u64,
    pub completed: u64,
    pub outcome: Outcome,
    pub ops: Vec<Op>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anomaly {
    /// An element in a list that nobody appended, or twice.
    Phantom(String),
    /// An append that is in no list, though its transaction was committed or is seen in part.
    Lost(String),
    /// An element of an aborted transaction was read.
    AbortedRead(String),
    /// A state between two appends of one transaction was read.
    IntermediateRead(String),
    /// Two reads of one list that cannot both be prefixes of its history.
    TwoOrders(String),
    /// A transaction does not see what it has done itself.
    Internal(String),
    Cycle(String),
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Who appended an element: (transaction, index of its operation).
type Writers = HashMap<(Key, Element), (usize, usize)>;

/// Checks a history. Every list must be read once after everything else, else a lost append at its
/// end cannot be told from one that came later.
pub fn check(history: &[Txn]) -> Result<(), Anomaly> {
    let writers = writers(history)?;
    let orders = version_orders(history, &writers)?;
    for (t, txn) in history.iter().enumerate() {
        check_txn(history, t, txn, &orders, &writers)?;
    }
    let graph = Graph::build(history, &orders, &writers);
    match graph.cycle() {
        Some(cycle) => Err(Anomaly::Cycle(graph.describe(&cycle, history))),
        None => Ok(()),
    }
}

fn writers(history: &[Txn]) -> Result<Writers, Anomaly> {
    let mut writers = Writers::new();
    for (t, txn) in history.iter().enumerate() {
        for (o, op) in txn.ops.iter().enumerate() {
            if let Op::Append { key, element, .. } = op {
                let before = writers.insert((*key, *element), (t, o));
                assert!(before.is_none(), "the recorder used element {element} twice");
            }
        }
    }
    Ok(writers)
}

/// The longest read of each list; all others must be prefixes of it.
fn version_orders(history: &[Txn], writers: &Writers) -> Result<HashMap<Key, Vec<Element>>, Anomaly> {
    let mut orders: HashMap<Key, Vec<Element>> = HashMap::new();
    let reads = || {
        history.iter().filter(|t| t.outcome == Outcome::Committed).flat_map(|t| {
            t.ops.iter().filter_map(|op| match op {
                Op::Read { key, list } => Some((*key, list)),
                Op::Append { .. } => None,
            })
        })
    };
    for (key, list) in reads() {
        let longest = orders.entry(key).or_default();
        if list.len() > longest.len() {
            *longest = list.clone();
        }
    }
    for (key, list) in reads() {
        if !orders[&key].starts_with(list) {
            let common = list.iter().zip(&orders[&key]).take_while(|(a, b)| a == b).count();
            return Err(Anomaly::TwoOrders(format!(
                "list {key}: at index {common} one read has {:?}, another {:?}",
                list.get(common),
                orders[&key].get(common)
            )));
        }
    }
    for (key, order) in &orders {
        let mut seen = HashMap::new();
        for (i, element) in order.iter().enumerate() {
            if let Some(first) = seen.insert(element, i) {
                return Err(Anomaly::Phantom(format!("list {key}: {element} at {first} and at {i}")));
            }
            match writers.get(&(*key, *element)) {
                None => return Err(Anomaly::Phantom(format!("list {key}: nobody appended {element}"))),
                Some((t, _)) if history[*t].outcome == Outcome::Aborted => {
                    return Err(Anomaly::AbortedRead(format!(
                        "list {key}: {element} of {}",
                        name(*t, history)
                    )));
                }
                Some(_) => {}
            }
        }
    }
    Ok(orders)
}

/// What can be said of one transaction by itself.
fn check_txn(
    history: &[Txn],
    t: usize,
    txn: &Txn,
    orders: &HashMap<Key, Vec<Element>>,
    writers: &Writers,
) -> Result<(), Anomaly> {
    if txn.outcome == Outcome::Aborted {
        return Ok(());
    }
    let mut known: HashMap<Key, Vec<Element>> = HashMap::new();
    let empty = Vec::new();
    let took_effect = txn.outcome == Outcome::Committed || is_seen(txn, orders);
    for op in &txn.ops {
        match op {
            Op::Append { key, element, position } => {
                let at = orders.get(key).unwrap_or(&empty).iter().position(|e| e == element);
                if at.is_none() && took_effect {
                    return Err(Anomaly::Lost(format!("list {key}: {element} of {}", name(t, history))));
                }
                if at.is_some() && position.is_some() && at != *position {
                    return Err(Anomaly::TwoOrders(format!(
                        "list {key}: {element} was told to be at {position:?} and is at {at:?}"
                    )));
                }
                if let Some(list) = known.get_mut(key) {
                    list.push(*element);
                }
            }
            Op::Read { key, list } if txn.outcome == Outcome::Committed => {
                let own_before = own_appends(txn, *key);
                if let Some(expected) = known.get(key).filter(|k| *k != list) {
                    return Err(Anomaly::Internal(format!(
                        "{} expected list {key} to be {expected:?}",
                        name(t, history)
                    )));
                }
                check_last(history, t, *key, list, writers, &own_before)?;
                known.insert(*key, list.clone());
            }
            Op::Read { .. } => {}
        }
    }
    Ok(())
}

/// Whether any append of it is in a list.
fn is_seen(txn: &Txn, orders: &HashMap<Key, Vec<Element>>) -> bool {
    txn.ops.iter().any(|op| match op {
        Op::Append { key, element, .. } => orders.get(key).is_some_and(|o| o.contains(element)),
        Op::Read { .. } => false,
    })
}

fn own_appends(txn: &Txn, key: Key) -> Vec<Element> {
    let own = txn.ops.iter().filter_map(|op| match op {
        Op::Append { key: k, element, .. } if *k == key => Some(*element),
        _ => None,
    });
    own.collect()
}

/// The last element of a read must be the last that its transaction appended to that list.
fn check_last(
    history: &[Txn],
    t: usize,
    key: Key,
    list: &[Element],
    writers: &Writers,
    own: &[Element],
) -> Result<(), Anomaly> {
    let Some(last) = list.last() else { return Ok(()) };
    let (w, _) = writers[&(key, *last)];
    if w == t || own.contains(last) {
        return Ok(());
    }
    let theirs = own_appends(&history[w], key);
    if theirs.last() != Some(last) {
        return Err(Anomaly::IntermediateRead(format!(
            "{} read list {key} up to {last}, between the appends of {}",
            name(t, history),
            name(w, history)
        )));
    }
    Ok(())
}

fn name(t: usize, history: &[Txn]) -> String {
    let txn = &history[t];
    let op = |op: &Op| match op {
        Op::Append { key, element, position: Some(at) } => format!("append {key} {element} (at {at})"),
        Op::Append { key, element, .. } => format!("append {key} {element}"),
        Op::Read { key, list } => format!("read {key} = ..{:?} ({})", list.last(), list.len()),
    };
    let ops: Vec<String> = txn.ops.iter().map(op).collect();
    format!(
        "T{t} (client {}, {}..{} {:?}: {})",
        txn.process,
        txn.invoked,
        txn.completed,
        txn.outcome,
        ops.join("; ")
    )
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Edge {
    Ww,
    Wr,
    Rw,
    Process,
    RealTime,
}

/// Nodes below `txns` are transactions; behind them stands a chain of moments, one per completion,
/// so that real time costs edges in proportion to the transactions, not to their pairs.
struct Graph {
    txns: usize,
    edges: Vec<Vec<(usize, Edge)>>,
}

impl Graph {
    fn build(history: &[Txn], orders: &HashMap<Key, Vec<Element>>, writers: &Writers) -> Graph {
        let n = history.len();
        let mut graph = Graph { txns: n, edges: vec![Vec::new(); n] };
        graph.add_versions(history, orders, writers);
        // An unknown transaction that nobody saw has no place in the order.
        let seen = |t: usize| match history[t].outcome {
            Outcome::Committed => true,
            Outcome::Aborted => false,
            Outcome::Unknown => is_seen(&history[t], orders),
        };
        let present: Vec<usize> = (0..n).filter(|t| seen(*t)).collect();
        let mut last: HashMap<usize, usize> = HashMap::new();
        for t in &present {
            if let Some(before) = last.insert(history[*t].process, *t) {
                graph.add(before, *t, Edge::Process);
            }
        }
        graph.add_real_time(history, &present);
        graph
    }

    fn add(&mut self, from: usize, to: usize, edge: Edge) {
        if from != to {
            self.edges[from].push((to, edge));
        }
    }

    fn add_versions(&mut self, history: &[Txn], orders: &HashMap<Key, Vec<Element>>, writers: &Writers) {
        for (key, order) in orders {
            let writer = |i: usize| writers[&(*key, order[i])].0;
            for i in 1..order.len() {
                self.add(writer(i - 1), writer(i), Edge::Ww);
            }
        }
        for (t, txn) in history.iter().enumerate().filter(|(_, t)| t.outcome == Outcome::Committed) {
            for op in &txn.ops {
                let Op::Read { key, list } = op else { continue };
                let order = &orders[key];
                if let Some(last) = list.last() {
                    self.add(writers[&(*key, *last)].0, t, Edge::Wr);
                }
                if let Some(next) = order.get(list.len()) {
                    self.add(t, writers[&(*key, *next)].0, Edge::Rw);
                }
            }
        }
    }

    fn add_real_time(&mut self, history: &[Txn], present: &[usize]) {
        let mut done: Vec<usize> =
            present.iter().copied().filter(|t| history[*t].outcome == Outcome::Committed).collect();
        done.sort_by_key(|t| history[*t].completed);
        for (i, t) in done.iter().enumerate() {
            let moment = self.txns + i;
            self.edges.push(Vec::new());
            self.add(*t, moment, Edge::RealTime);
            if i > 0 {
                self.add(moment - 1, moment, Edge::RealTime);
            }
        }
        for t in present {
            let before = done.partition_point(|d| history[*d].completed < history[*t].invoked);
            if before > 0 {
                self.add(self.txns + before - 1, *t, Edge::RealTime);
            }
        }
    }

    /// A shortest cycle through some node that lies on one.
    fn cycle(&self) -> Option<Vec<usize>> {
        let component = self.components();
        let mut sizes: HashMap<usize, usize> = HashMap::new();
        component.iter().for_each(|c| *sizes.entry(*c).or_default() += 1);
        let on_cycle: Vec<usize> = (0..self.txns).filter(|t| sizes[&component[*t]] > 1).collect();
        let cycles = on_cycle.iter().take(200).map(|t| self.shortest_cycle(*t, &component));
        cycles.min_by_key(Vec::len)
    }

    fn shortest_cycle(&self, start: usize, component: &[usize]) -> Vec<usize> {
        let mut from: HashMap<usize, usize> = HashMap::new();
        let mut queue = std::collections::VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for (to, _) in &self.edges[node] {
                if *to == start {
                    let mut path = vec![node];
                    while *path.last().unwrap() != start {
                        path.push(from[path.last().unwrap()]);
                    }
                    path.reverse();
                    return path;
                }
                if component[*to] == component[start] && !from.contains_key(to) {
                    from.insert(*to, node);
                    queue.push_back(*to);
                }
            }
        }
        unreachable!("a node of a component of several nodes lies on a cycle")
    }

    /// Strongly connected components (Tarjan's algorithm, with a stack of its own).
    fn components(&self) -> Vec<usize> {
        const UNSEEN: usize = usize::MAX;
        let n = self.edges.len();
        let (mut index, mut low) = (vec![UNSEEN; n], vec![0; n]);
        let (mut component, mut on_stack) = (vec![UNSEEN; n], vec![false; n]);
        let (mut stack, mut next) = (Vec::new(), 0);
        for root in 0..n {
            if index[root] != UNSEEN {
                continue;
            }
            let mut calls = vec![(root, 0)];
            while let Some((node, at)) = calls.last_mut() {
                let node = *node;
                if *at == 0 {
                    index[node] = next;
                    low[node] = next;
                    next += 1;
                    stack.push(node);
                    on_stack[node] = true;
                }
                if let Some((to, _)) = self.edges[node].get(*at) {
                    *at += 1;
                    if index[*to] == UNSEEN {
                        calls.push((*to, 0));
                    } else if on_stack[*to] {
                        low[node] = low[node].min(index[*to]);
                    }
                    continue;
                }
                if low[node] == index[node] {
                    loop {
                        let member = stack.pop().unwrap();
                        on_stack[member] = false;
                        component[member] = node;
                        if member == node {
                            break;
                        }
                    }
                }
                calls.pop();
                if let Some((parent, _)) = calls.last() {
                    low[*parent] = low[*parent].min(low[node]);
                }
            }
        }
        component
    }

    fn describe(&self, cycle: &[usize], history: &[Txn]) -> String {
        let mut out = String::from("no serial order exists:\n");
        for (i, node) in cycle.iter().enumerate() {
            let next = cycle[(i + 1) % cycle.len()];
            let edge = self.edges[*node].iter().find(|(to, _)| *to == next).map(|(_, e)| *e);
            if *node < self.txns {
                out.push_str(&format!("  {}\n", name(*node, history)));
            }
            match edge {
                Some(Edge::RealTime) if next < self.txns => {
                    out.push_str("    was answered before the next was sent (rt)\n");
                }
                Some(Edge::RealTime) | None => {}
                Some(Edge::Process) => out.push_str("    was sent by one client before the next (po)\n"),
                Some(Edge::Ww) => out.push_str("    was overwritten by the next (ww)\n"),
                Some(Edge::Wr) => out.push_str("    was read by the next (wr)\n"),
                Some(Edge::Rw) => out.push_str("    did not see the next (rw)\n"),
            }
        }
        out
    }
}

#[cfg(test)]
#[path = "checker_tests.rs"]
mod tests;

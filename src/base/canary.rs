//! Bugs to plant on purpose, in test builds only: the simulation must catch each of them, or it is blind.

use std::cell::Cell;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Canary {
    /// A local command runs although its shard's inbox holds earlier work.
    LocalBeforeInbox,
    /// The fragments of a turn take their places one after the other instead of together.
    FragmentAlone,
    /// A held keyspace goes back without its place in the journal's unit.
    ReturnedUnjournaled,
    /// A reply goes out although the effects it depends on are not written.
    ReplyBeforeJournal,
    /// A borrower does not look whether work waits in the inbox of the shard it borrows.
    BorrowOverInbox,
    /// An owner serves a waiter without asking whether somebody else has had it.
    ServeWithoutAsking,
    /// Keys that a transaction made ready while it held keyspaces are not served.
    HoldServesNobody,
    /// A waiter that has been served elsewhere, or has gone, is not taken out of its other queues.
    WaiterNotForgotten,
    /// What was popped for a client that has gone is not put back.
    NothingPutBack,
    /// Later commands of a connection do not wait for its KEYS, which takes several turns.
    WalkUngated,
    /// A slice of KEYS that finds nothing is taken for the last.
    NothingFoundIsEnd,
    /// A reply that the kernel has taken is taken for read.
    TakenIsRead,
    /// A reply stays in doubt although its client has been heard of since.
    DoubtForever,
    /// UNSUBSCRIBE is answered before messages that were counted for the subscriber.
    EarlyFarewell,
}

impl Canary {
    /// Those that the simulation of clients that wait must find.
    pub const BLOCKING: [Canary; 6] = [
        Canary::ServeWithoutAsking,
        Canary::HoldServesNobody,
        Canary::WaiterNotForgotten,
        Canary::NothingPutBack,
        Canary::TakenIsRead,
        Canary::DoubtForever,
    ];
    /// What the simulation of pub/sub must catch.
    pub const OF_MESSAGES: [Canary; 2] = [Canary::FragmentAlone, Canary::EarlyFarewell];

    /// What the simulation of commands in slices must catch.
    pub const OF_WALKS: [Canary; 2] = [Canary::WalkUngated, Canary::NothingFoundIsEnd];

    /// The others.
    pub const ALL: [Canary; 5] = [
        Canary::LocalBeforeInbox,
        Canary::FragmentAlone,
        Canary::ReturnedUnjournaled,
        Canary::ReplyBeforeJournal,
        Canary::BorrowOverInbox,
    ];
}

thread_local! {
    static PLANTED: Cell<Option<Canary>> = const { Cell::new(None) };
}

/// Plants a bug for everything this thread simulates, or takes it out again.
pub fn plant(canary: Option<Canary>) {
    PLANTED.set(canary);
}

pub fn is_planted(canary: Canary) -> bool {
    PLANTED.get() == Some(canary)
}

//! Floor 5: who executes. `Engine` is everything one shard owns; `run` executes one command on it (or
//! on several held ones); `serve` gives what a command has left to those who wait for it; a `Parcel` is what one shard has for another to run in one go.
//!
//! Pure: the same code runs on the shard's own thread, on a borrower's, and in the simulator.

mod delivery;
mod engine;
mod errors;
pub mod histogram;
mod parcel;
mod serve;
mod tally;

pub use delivery::{Delivery, Frame, Target, To, What, message, pattern_message, write_frame};
pub use engine::{Engine, Env, Job, begin_units, end_units, run_every, run_held, run_job};
pub use errors::ErrorCounts;
pub use parcel::{Answers, Commands, Head, Hold, Item, Kind, Parcel, ReplyTo, UnitId};
pub use serve::{Outcome, Served, Server, register};
pub use tally::{CommandTally, Count, Tally};

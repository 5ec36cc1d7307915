//! Everything that is tested through the network, in one binary: the server is started as users
//! start it and spoken to as clients speak to it. Nothing here looks inside the process.
//!
//! * `support`: start servers, speak RESP, random numbers, what to do without `redis-server`
//! * `differential`: random commands from the command table, answers compared with `redis-server`
//! * `history`: concurrent clients, what they saw checked for strict serialisability
//! * `blocking`: clients that wait for keys: each element delivered once, whoever leaves; replies as Redis's
//! * `popped`: what was popped for a client that never read it goes back
//! * `keys`: KEYS in slices
//! * `tracking`: what CLIENT TRACKING tells, beside `redis-server`
//! * `protocol`: odd bytes, big bytes, slow readers, limits
//! * `pubsub`: messages, key events and invalidations over several shards
//! * `scripting`: long, greedy and lying scripts, and what others see of them
//! * `boot`: the command line, exit codes, messages
//! * `rewrite`: the append only file turned on and off, written anew and loaded at run time; port, bind, dir
//! * `snapshots`: SAVE, BGSAVE, save points, DEBUG RELOAD; snapshots and append only files of Redis's own
//! * `payloads`: what DUMP and RESTORE exchange with `redis-server`
//! * `crash`: `kill -9` and what was acknowledged
//!
//! Environment: `RINGDOVE_BIN` (another server to test, `redis-server` among them), `RINGDOVE_SEED`
//! (a number, or `random`), `RINGDOVE_COMMANDS` (size of the differential test), `RINGDOVE_ROUND` (only
//! this round of it, again and again), `RINGDOVE_WITHOUT` (commands it leaves out), `RINGDOVE_SECONDS`
//! (seconds for each concurrent workload), `RINGDOVE_PUSHES` (elements that blocked clients wait for), `RINGDOVE_TEST_PORT` (first port to use; otherwise the
//! kernel chooses), `CI=true` (a missing `redis-server` is then a failure).

mod blocking;
mod boot;
mod crash;
mod differential;
mod history;
mod keys;
mod payloads;
mod popped;
mod protocol;
mod pubsub;
mod rewrite;
mod scripting;
mod snapshots;
mod support;
mod tracking;

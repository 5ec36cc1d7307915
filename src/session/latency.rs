//! LATENCY: events that took at least `latency-monitor-threshold`, the last 160 seconds of each in which
//! there was one. Spikes are rare, so a lock is cheap enough.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

/// As many samples as Redis keeps of an event.
const SAMPLES_MAX: usize = 160;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spike {
    pub unix_seconds: u64,
    /// The longest of its second.
    pub millis: u64,
}

/// One event's spikes, the oldest first.
#[derive(Clone, Default, Debug)]
pub struct Spikes {
    pub samples: VecDeque<Spike>,
    pub millis_max: u64,
}

#[derive(Default)]
pub struct LatencyMonitor(Mutex<BTreeMap<&'static str, Spikes>>);

impl LatencyMonitor {
    pub fn add(&self, event: &'static str, unix_seconds: u64, millis: u64) {
        let mut events = self.lock();
        let spikes = events.entry(event).or_default();
        spikes.millis_max = spikes.millis_max.max(millis);
        match spikes.samples.back_mut().filter(|last| last.unix_seconds == unix_seconds) {
            Some(last) => last.millis = last.millis.max(millis),
            None => spikes.samples.push_back(Spike { unix_seconds, millis }),
        }
        if spikes.samples.len() > SAMPLES_MAX {
            spikes.samples.pop_front();
        }
    }

    pub fn events(&self) -> BTreeMap<&'static str, Spikes> {
        self.lock().clone()
    }

    pub fn event(&self, name: &[u8]) -> Option<(&'static str, Spikes)> {
        self.lock()
            .iter()
            .find(|(event, _)| event.as_bytes() == name)
            .map(|(event, spikes)| (*event, spikes.clone()))
    }

    /// Forgets an event, or all; how many there were.
    pub fn reset(&self, name: Option<&[u8]>) -> usize {
        let mut events = self.lock();
        let before = events.len();
        events.retain(|event, _| name.is_some_and(|name| event.as_bytes() != name));
        before - events.len()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Spikes>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_keeps_its_longest_spike() {
        let monitor = LatencyMonitor::default();
        for (second, millis) in [(1, 5), (1, 3), (2, 4), (2, 9)] {
            monitor.add("command", second, millis);
        }
        let (_, spikes) = monitor.event(b"command").unwrap();
        let expected = [Spike { unix_seconds: 1, millis: 5 }, Spike { unix_seconds: 2, millis: 9 }];
        assert_eq!(spikes.samples, expected);
        assert_eq!(spikes.millis_max, 9);
        assert_eq!((monitor.reset(Some(b"other")), monitor.reset(None), monitor.events().len()), (0, 1, 0));
    }
}

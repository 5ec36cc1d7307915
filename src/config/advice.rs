//! What is allowed and still a mistake: combinations that other servers accept in silence and that cost their users
//! an evening. Called once at start, after `load`; changes nothing.

use super::file::Warning;
use super::settings::Settings;
use super::text::{Text, write_memory};
use super::words::{AppendFsync, MaxmemoryPolicy};

/// What the caller found out about this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings {
    pub in_container: bool,
    /// The memory this process may use before it is killed, from its control group.
    pub memory_limit_bytes: Option<u64>,
}

pub fn advice(settings: &Settings, around: Surroundings) -> Vec<Warning> {
    let found = [
        small_maxmemory(settings),
        maxmemory_near_limit(settings, around),
        loopback_in_container(settings, around),
        open_to_everybody(settings),
        evicting_everything(settings),
        no_durability_in_spite_of_always(settings),
    ];
    let warning = |text| Warning { place: None, is_notice: false, text };
    found.into_iter().flatten().map(warning).collect()
}

fn small_maxmemory(settings: &Settings) -> Option<String> {
    let bytes = settings.maxmemory;
    (bytes > 0 && bytes < 1 << 20).then(|| {
        format!("maxmemory is less than 1MB (current value is {bytes} bytes). Are you sure this is what you really want?")
    })
}

fn maxmemory_near_limit(settings: &Settings, around: Surroundings) -> Option<String> {
    let limit = around.memory_limit_bytes?;
    let near = settings.maxmemory > 0 && u128::from(settings.maxmemory) * 6 / 5 > u128::from(limit);
    near.then(|| {
        let (maxmemory, limit) = (write_memory(settings.maxmemory), write_memory(limit));
        format!(
            "maxmemory is {maxmemory} and this process is killed at {limit}: buffers and the allocator need room too, leave a fifth"
        )
    })
}

fn loopback_in_container(settings: &Settings, around: Surroundings) -> Option<String> {
    let is_loopback = |address: &Text| {
        let address = address.to_str_lossy();
        let address = address.trim_start_matches('-');
        address.starts_with("127.") || address == "::1" || address == "localhost"
    };
    let only_here = !settings.bind.is_empty() && settings.bind.iter().all(is_loopback);
    (around.in_container && only_here).then(|| {
        "bind names loopback addresses only: inside a container nobody else can connect, published ports included"
            .to_owned()
    })
}

fn open_to_everybody(settings: &Settings) -> Option<String> {
    let wide =
        settings.bind.iter().any(|address| matches!(address.as_bytes(), b"*" | b"0.0.0.0" | b"::" | b"::*"));
    let open = wide && !settings.protected_mode && settings.requirepass.is_empty();
    open.then(|| {
        "no password, protected-mode no and every address bound: whoever reaches the port owns the data"
            .to_owned()
    })
}

fn evicting_everything(settings: &Settings) -> Option<String> {
    let policy = settings.maxmemory_policy;
    let everything = matches!(
        policy,
        MaxmemoryPolicy::AllkeysLru | MaxmemoryPolicy::AllkeysLfu | MaxmemoryPolicy::AllkeysRandom
    );
    (everything && settings.maxmemory > 0).then(|| {
        let policy = policy.word();
        format!("maxmemory-policy {policy} may evict any key: task queues, sessions and channel layers in this server too")
    })
}

fn no_durability_in_spite_of_always(settings: &Settings) -> Option<String> {
    (settings.appendfsync == AppendFsync::Always && !settings.appendonly)
        .then(|| "appendfsync always without appendonly yes keeps nothing".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_need_no_advice() {
        assert_eq!(advice(&Settings::default(), Surroundings::default()), []);
    }

    #[test]
    fn each_mistake_is_named() {
        let container = Surroundings { in_container: true, memory_limit_bytes: Some(2 << 30) };
        let settings = Settings {
            bind: vec!["127.0.0.1".into(), "-::1".into()],
            maxmemory: 2 << 30,
            maxmemory_policy: MaxmemoryPolicy::AllkeysLru,
            appendfsync: AppendFsync::Always,
            ..Settings::default()
        };
        assert_eq!(advice(&settings, container).len(), 4);
        let open = Settings { protected_mode: false, maxmemory: 5, ..Settings::default() };
        assert_eq!(advice(&open, Surroundings::default()).len(), 2);
    }
}

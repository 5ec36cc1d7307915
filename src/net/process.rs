//! What the system knows of this process: resident memory and processor time.
#![allow(unsafe_code)]

use crate::session::Process;

/// Reads `/proc` and asks the kernel; about ten microseconds. Zeros where the system does not tell.
pub fn process() -> Process {
    let all = usage(libc::RUSAGE_SELF);
    let children = usage(libc::RUSAGE_CHILDREN);
    Process {
        rss: rss(),
        cpu_sys: all.0,
        cpu_user: all.1,
        cpu_sys_children: children.0,
        cpu_user_children: children.1,
        cpu_thread: Some(usage(libc::RUSAGE_THREAD)),
    }
}

/// System and user time in microseconds.
fn usage(who: libc::c_int) -> (u64, u64) {
    // SAFETY: plain numbers, for which zeros are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a whole `rusage` for the kernel to fill.
    unsafe { libc::getrusage(who, &mut usage) };
    let micros = |t: libc::timeval| t.tv_sec as u64 * 1_000_000 + t.tv_usec as u64;
    (micros(usage.ru_stime), micros(usage.ru_utime))
}

fn rss() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    // SAFETY: asks for a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages * page.max(0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_takes_memory_and_time() {
        let first = process();
        assert!(first.rss > 1 << 20);
        let second = process();
        assert!(second.cpu_user + second.cpu_sys >= first.cpu_user + first.cpu_sys);
    }
}

//! What the system knows of this process: processor time and resident memory.
#![allow(unsafe_code)]

/// Processor time in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    pub sys: u64,
    pub user: u64,
}

/// Whose time.
#[derive(Clone, Copy)]
pub enum Whose {
    Process,
    Children,
    ThisThread,
}

pub fn cpu_time(whose: Whose) -> CpuTime {
    let who = match whose {
        Whose::Process => libc::RUSAGE_SELF,
        Whose::Children => libc::RUSAGE_CHILDREN,
        Whose::ThisThread => libc::RUSAGE_THREAD,
    };
    // SAFETY: plain numbers, for which zeros are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a whole `rusage` for the kernel to fill.
    unsafe { libc::getrusage(who, &mut usage) };
    let micros = |t: libc::timeval| t.tv_sec as u64 * 1_000_000 + t.tv_usec as u64;
    CpuTime { sys: micros(usage.ru_stime), user: micros(usage.ru_utime) }
}

/// Bytes of the process in memory, 0 where the system does not tell. Takes about ten microseconds.
pub fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    // SAFETY: asks for a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages * page.max(0) as u64
}

/// Keeps the kernel from backing this process with huge pages: a fault then clears 4 KiB instead of
/// 2 MiB, which under a hypervisor takes milliseconds. False where the kernel refuses.
pub fn disable_huge_pages() -> bool {
    let (on, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: changes a flag of this process; no argument is a pointer.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, on, unused, unused, unused) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_takes_memory_and_time() {
        assert!(resident_bytes() > 1 << 20);
        let (thread, process) = (cpu_time(Whose::ThisThread), cpu_time(Whose::Process));
        assert!(thread.user + thread.sys <= process.user + process.sys);
        assert!(cpu_time(Whose::Process).user >= process.user);
    }
}

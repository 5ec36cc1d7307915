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

/// The CPUs the calling thread may run on.
pub fn allowed_cpus() -> Vec<usize> {
    // SAFETY: a set of bits, for which zeros are a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is as large as said; 0 is the calling thread.
    unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) };
    // SAFETY: the bits asked for lie within the set.
    (0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect()
}

/// Ties the calling thread, and the threads it starts from now on, to these CPUs.
pub fn pin_thread(cpus: &[usize]) -> std::io::Result<()> {
    // SAFETY: a set of bits, for which zeros are a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for cpu in cpus.iter().filter(|cpu| **cpu < libc::CPU_SETSIZE as usize) {
        // SAFETY: the bit lies within the set.
        unsafe { libc::CPU_SET(*cpu, &mut set) };
    }
    // SAFETY: the set is as large as said; 0 is the calling thread.
    match unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_can_be_tied_to_what_it_may_use_anyway_and_not_to_nothing() {
        std::thread::spawn(|| {
            let allowed = allowed_cpus();
            assert!(!allowed.is_empty());
            pin_thread(&allowed[..1]).unwrap();
            assert_eq!(allowed_cpus(), allowed[..1]);
            pin_thread(&allowed).unwrap();
            assert!(pin_thread(&[]).is_err());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_process_takes_memory_and_time() {
        assert!(resident_bytes() > 1 << 20);
        let (thread, process) = (cpu_time(Whose::ThisThread), cpu_time(Whose::Process));
        assert!(thread.user + thread.sys <= process.user + process.sys);
        assert!(cpu_time(Whose::Process).user >= process.user);
    }
}

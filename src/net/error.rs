//! Why a network ring could not be made or cannot go on, in sentences for the person who runs the
//! server. Everything here ends the process or the shard; errors of one connection are events
//! ([`super::Event`]), never a [`RingError`].

use std::{fmt, io};

/// The step of [`super::Ring::new`] that failed is part of the text only where it helps.
#[derive(Debug)]
pub enum RingError {
    /// `io_uring_setup` does not exist here (ENOSYS).
    Missing,
    /// `io_uring_setup` was refused (EPERM, EACCES); `sysctl` is the value of
    /// `kernel.io_uring_disabled` where it can be read.
    Forbidden { sysctl: Option<u8> },
    /// The kernel does not know a flag or a registration that we need (EINVAL).
    TooOld { release: String },
    /// The locked-memory limit (or the memory cgroup) is too low for the ring (ENOMEM).
    Memory { memlock_bytes: Option<u64> },
    /// No descriptor left for the ring or its eventfd (EMFILE, ENFILE).
    Descriptors(io::Error),
    /// Any other error of setting the ring up.
    Setup { step: &'static str, error: io::Error },
    /// A working ring failed: completions were lost, or it was used from a second thread.
    Broken(io::Error),
}

impl RingError {
    /// Classifies what a setup step returned.
    pub(super) fn from_setup(step: &'static str, error: io::Error) -> RingError {
        match error.raw_os_error() {
            Some(libc::ENOSYS) => RingError::Missing,
            Some(libc::EPERM | libc::EACCES) => RingError::Forbidden { sysctl: io_uring_disabled() },
            Some(libc::EINVAL) => RingError::TooOld { release: kernel_release() },
            Some(libc::ENOMEM) => RingError::Memory { memlock_bytes: memlock_bytes() },
            Some(libc::EMFILE | libc::ENFILE) => RingError::Descriptors(error),
            _ => RingError::Setup { step, error },
        }
    }
}

const ALLOW_CONTAINER: &str = "In Docker, start the container with --security-opt seccomp=tuning/seccomp.json (the \
     file is shipped with the server; the default profile forbids io_uring). In Kubernetes, copy it to the \
     node's /var/lib/kubelet/seccomp/ and set securityContext.seccompProfile to {type: Localhost, \
     localhostProfile: seccomp.json}.";

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RingError::Missing => write!(
                f,
                "io_uring is not available here: the system call does not exist (ENOSYS). Linux 6.1 or newer, \
                 built with CONFIG_IO_URING, is needed; sandboxes such as gVisor and some seccomp profiles hide \
                 it. {ALLOW_CONTAINER}"
            ),
            RingError::Forbidden { sysctl: Some(level @ 1..) } => write!(
                f,
                "io_uring is forbidden here: the sysctl kernel.io_uring_disabled is {level}. Allow it with \
                 `sysctl -w kernel.io_uring_disabled=0` on the host{}.",
                if *level == 1 {
                    ", or put the server's group into kernel.io_uring_group, or give it CAP_SYS_ADMIN"
                } else {
                    ""
                }
            ),
            RingError::Forbidden { .. } => write!(
                f,
                "io_uring is forbidden here: the system call was refused (EPERM), most likely by a seccomp \
                 profile. {ALLOW_CONTAINER} If it is no container, look at the sysctl \
                 kernel.io_uring_disabled (it must be 0) and at SELinux or AppArmor rules."
            ),
            RingError::TooOld { release } => write!(
                f,
                "This kernel ({release}) is too old: io_uring with deferred task work, multishot receive and \
                 provided buffer rings needs Linux 6.1 or newer."
            ),
            RingError::Memory { memlock_bytes } => {
                f.write_str("The kernel refused the memory for an io_uring (ENOMEM): ")?;
                match memlock_bytes {
                    Some(bytes) => write!(f, "the limit of locked memory is {bytes} bytes. ")?,
                    None => f.write_str("the limit of locked memory or of the memory cgroup is too low. ")?,
                }
                f.write_str(
                    "Raise it with LimitMEMLOCK=infinity in the systemd unit, `ulimit -l unlimited` in the \
                     shell, or --ulimit memlock=-1 in Docker; a container may also need a larger memory limit.",
                )
            }
            RingError::Descriptors(error) => {
                write!(f, "No file descriptor left for the network ring ({error}). Raise `ulimit -n`.")
            }
            RingError::Setup { step, error } => {
                write!(f, "The network ring could not be set up: {step}: {error}.")
            }
            RingError::Broken(error) => {
                write!(f, "The network ring failed and its completions can no longer be trusted: {error}.")
            }
        }
    }
}

impl std::error::Error for RingError {}

fn io_uring_disabled() -> Option<u8> {
    std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?.trim().parse().ok()
}

fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map(|text| text.trim().to_string())
        .unwrap_or_else(|_| "unknown release".to_string())
}

/// The soft limit, or nothing when it is unlimited or unreadable.
fn memlock_bytes() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// `strerror`'s text without Rust's ` (os error N)`, as Redis prints it.
pub(super) fn errno_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) => text[..at].to_string(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(errno: i32) -> RingError {
        RingError::from_setup("io_uring_setup", io::Error::from_raw_os_error(errno))
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        assert!(setup(libc::ENOSYS).to_string().contains("Linux 6.1"));
        assert!(setup(libc::ENOSYS).to_string().contains("seccomp=tuning/seccomp.json"));
        assert!(setup(libc::EINVAL).to_string().contains("too old"));
        assert!(setup(libc::ENOMEM).to_string().contains("memlock=-1"));
        assert!(setup(libc::EMFILE).to_string().contains("ulimit -n"));
        assert!(setup(libc::EIO).to_string().contains("io_uring_setup: "));
        let seccomp = RingError::Forbidden { sysctl: Some(0) }.to_string();
        assert!(
            seccomp.contains("--security-opt seccomp=tuning/seccomp.json") && seccomp.contains("Localhost")
        );
        let sysctl = RingError::Forbidden { sysctl: Some(2) }.to_string();
        assert!(sysctl.contains("kernel.io_uring_disabled is 2") && !sysctl.contains("Docker"));
        assert!(RingError::Forbidden { sysctl: Some(1) }.to_string().contains("io_uring_group"));
    }

    #[test]
    fn errno_text_is_strerror() {
        assert_eq!(errno_text(&io::Error::from_raw_os_error(libc::EADDRINUSE)), "Address already in use");
        assert_eq!(errno_text(&io::Error::other("odd")), "odd");
    }
}

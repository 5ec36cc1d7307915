//! Listening sockets, and the options of accepted ones.
//!
//! A port is bound once per process and without SO_REUSEPORT, so a port that is taken is an error
//! and never shared by accident. Called by `server` at start and by CONFIG SET port / bind.

use super::error::errno_text;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use std::{
    fmt, fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{
            fs::{FileTypeExt, PermissionsExt},
            net::UnixStream,
        },
    },
    path::Path,
    time::Duration,
};

/// A socket that listens, and the address it was asked for.
#[derive(Debug)]
pub struct BoundSocket {
    pub fd: OwnedFd,
    pub address: String,
}

/// What [`bind_tcp`] made.
#[derive(Debug)]
pub struct Bound {
    pub sockets: Vec<BoundSocket>,
    /// Addresses that were skipped, as lines for the log.
    pub warnings: Vec<String>,
}

/// Binding failed; nothing is left open. `Display` is Redis's line for the log, and
/// [`BindError::fatal`] the line that follows it when the server gives up.
#[derive(Debug)]
pub enum BindError {
    Tcp {
        address: String,
        port: u16,
        step: &'static str,
        error: io::Error,
    },
    Unix {
        path: String,
        step: &'static str,
        error: io::Error,
    },
    UnixPathTooLong {
        path: String,
        len: usize,
        limit: usize,
    },
    /// Something that is no socket has the name; it is not removed.
    UnixPathTaken {
        path: String,
    },
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BindError::Tcp { address, port, step, error } => write!(
                f,
                "Warning: Could not create server TCP listening socket {address}:{port}: {step}{}",
                errno_text(error)
            ),
            BindError::Unix { path, step, error } => {
                write!(f, "Failed opening Unix socket {path}: {step}{}", errno_text(error))
            }
            BindError::UnixPathTooLong { path, len, limit } => write!(
                f,
                "Failed opening Unix socket {path}: unix socket path too long ({len}), must be under {limit}"
            ),
            BindError::UnixPathTaken { path } => {
                write!(f, "Failed opening Unix socket {path}: the path exists and is not a socket")
            }
        }
    }
}

impl std::error::Error for BindError {}

impl BindError {
    /// Whether somebody else has the address.
    pub fn is_taken(&self) -> bool {
        matches!(self, BindError::Tcp { error, .. } if error.kind() == io::ErrorKind::AddrInUse)
    }

    pub fn fatal(&self) -> String {
        match self {
            BindError::Tcp { port, .. } => format!("Failed listening on port {port} (TCP), aborting."),
            _ => self.to_string(),
        }
    }
}

/// Binds every address of a `bind` directive: names, IPv4 and IPv6 addresses, `*` and `::*` for all
/// of a family; behind a `-` the address need not exist here. A family that the kernel lacks is
/// skipped. As Redis: <https://redis.io/docs/latest/operate/oss_and_stack/management/config-file/>.
pub fn bind_tcp<A: AsRef<str>>(addresses: &[A], port: u16, backlog: i32) -> Result<Bound, BindError> {
    let mut bound = Bound { sockets: Vec::new(), warnings: Vec::new() };
    for directive in addresses {
        let directive = directive.as_ref();
        let (optional, address) = match directive.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, directive),
        };
        match bind_one(address, port, backlog) {
            Ok(fd) => bound.sockets.push(BoundSocket { fd, address: address.to_string() }),
            Err((step, error)) => {
                let skip = match error.raw_os_error() {
                    Some(libc::EADDRNOTAVAIL) => optional,
                    Some(
                        libc::ENOPROTOOPT
                        | libc::EPROTONOSUPPORT
                        | libc::ESOCKTNOSUPPORT
                        | libc::EPFNOSUPPORT
                        | libc::EAFNOSUPPORT,
                    ) => true,
                    _ => false,
                };
                let failed = BindError::Tcp { address: address.to_string(), port, step, error };
                if !skip {
                    return Err(failed);
                }
                bound.warnings.push(failed.to_string());
            }
        }
    }
    Ok(bound)
}

/// Lets nobody in any more. The socket stays bound: its port is free for another that is bound the same way.
pub fn stop_listening(socket: BorrowedFd<'_>) -> io::Result<()> {
    SockRef::from(&socket).shutdown(std::net::Shutdown::Both)
}

/// Undoes `stop_listening`, if nobody has taken the port meanwhile.
pub fn listen_again(socket: BorrowedFd<'_>, backlog: i32) -> io::Result<()> {
    SockRef::from(&socket).listen(backlog)
}

fn bind_one(address: &str, port: u16, backlog: i32) -> Result<OwnedFd, (&'static str, io::Error)> {
    let address = resolve(address, port).map_err(|error| ("", error))?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), Some(Protocol::TCP))
        .map_err(|error| ("socket: ", error))?;
    if address.is_ipv6() {
        socket.set_only_v6(true).map_err(|error| ("setsockopt IPV6_V6ONLY: ", error))?;
    }
    socket.set_reuse_address(true).map_err(|error| ("setsockopt SO_REUSEADDR: ", error))?;
    socket.bind(&address.into()).map_err(|error| ("bind: ", error))?;
    socket.listen(backlog).map_err(|error| ("listen: ", error))?;
    Ok(socket.into())
}

/// The first address of the family that the text asks for: IPv6 if it has a colon.
fn resolve(address: &str, port: u16) -> io::Result<SocketAddr> {
    let v6 = address.contains(':');
    match address {
        "*" => return Ok((Ipv4Addr::UNSPECIFIED, port).into()),
        "::*" => return Ok((Ipv6Addr::UNSPECIFIED, port).into()),
        _ => {}
    }
    if let Ok(ip) = address.parse::<IpAddr>() {
        return Ok((ip, port).into());
    }
    (address, port)
        .to_socket_addrs()
        .ok()
        .and_then(|mut found| found.find(|address| address.is_ipv6() == v6))
        .ok_or_else(|| io::Error::other("Name or service not known"))
}

/// Binds a Unix socket. A socket file that nobody answers on is left over from a crash and removed;
/// one that somebody answers on is in use. `perm` 0 leaves the permissions to the umask.
pub fn bind_unix(path: &str, perm: u32, backlog: i32) -> Result<BoundSocket, BindError> {
    let limit = size_of::<libc::sockaddr_un>() - std::mem::offset_of!(libc::sockaddr_un, sun_path);
    if path.len() > limit - 1 {
        return Err(BindError::UnixPathTooLong { path: path.to_string(), len: path.len(), limit });
    }
    let failed = |step| move |error| BindError::Unix { path: path.to_string(), step, error };
    remove_stale(path)?;
    let address = SockAddr::unix(path).map_err(failed("bind: "))?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM.cloexec(), None).map_err(failed("socket: "))?;
    socket.bind(&address).map_err(failed("bind: "))?;
    if perm != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(perm)).map_err(failed("chmod: "))?;
    }
    socket.listen(backlog).map_err(failed("listen: "))?;
    Ok(BoundSocket { fd: socket.into(), address: path.to_string() })
}

fn remove_stale(path: &str) -> Result<(), BindError> {
    let Ok(found) = fs::symlink_metadata(Path::new(path)) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(BindError::UnixPathTaken { path: path.to_string() });
    }
    let failed = |step, error| BindError::Unix { path: path.to_string(), step, error };
    match UnixStream::connect(path) {
        Ok(_) => Err(failed("bind: ", io::Error::from_raw_os_error(libc::EADDRINUSE))),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| failed("unlink: ", error))
        }
        Err(error) => Err(failed("bind: ", error)),
    }
}

/// Options of an accepted connection. TCP: no delay, and keepalive probes after
/// `keepalive_secs`, then three a third of it apart (0: none). Unix: none.
pub fn prepare_accepted(fd: impl AsFd, keepalive_secs: u32) -> io::Result<()> {
    let socket = SockRef::from(&fd);
    if socket.local_addr()?.is_unix() {
        return Ok(());
    }
    socket.set_tcp_nodelay(true)?;
    if keepalive_secs > 0 {
        let secs = |n: u32| Duration::from_secs(u64::from(n));
        socket.set_tcp_keepalive(
            &TcpKeepalive::new()
                .with_time(secs(keepalive_secs))
                .with_interval(secs((keepalive_secs / 3).max(1)))
                .with_retries(3),
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn port_of(bound: &Bound) -> u16 {
        SockRef::from(&bound.sockets[0].fd).local_addr().unwrap().as_socket().unwrap().port()
    }

    #[test]
    fn a_taken_port_names_address_and_port() {
        let bound = bind_tcp(&["127.0.0.1"], 0, 511).unwrap();
        let port = port_of(&bound);
        let error = bind_tcp(&["127.0.0.1"], port, 511).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "Warning: Could not create server TCP listening socket 127.0.0.1:{port}: bind: Address already in use"
            )
        );
        assert_eq!(error.fatal(), format!("Failed listening on port {port} (TCP), aborting."));
        assert!(bind_tcp(&["*"], port, 511).is_err(), "a wildcard overlaps");
        TcpStream::connect(("127.0.0.1", port)).unwrap();
        drop(bound);
        bind_tcp(&["127.0.0.1"], port, 511).expect("free again at once");
    }

    #[test]
    fn optional_addresses_may_be_absent() {
        // TEST-NET-3 is nobody's address.
        let bound = bind_tcp(&["127.0.0.1", "-203.0.113.7"], 0, 511).unwrap();
        assert_eq!((bound.sockets.len(), bound.warnings.len()), (1, 1));
        assert!(bound.warnings[0].contains("203.0.113.7:0: bind: Cannot assign requested address"));
        assert!(bind_tcp(&["203.0.113.7"], 0, 511).is_err());
        assert!(bind_tcp(&["no such host"], 0, 511).is_err());
    }

    #[test]
    fn wildcards_and_both_families_on_one_port() {
        let v4 = bind_tcp(&["*"], 0, 511).unwrap();
        let port = port_of(&v4);
        TcpStream::connect(("127.0.0.1", port)).unwrap();
        if TcpListener::bind("[::1]:0").is_err() {
            return;
        }
        let v6 = bind_tcp(&["-::*"], port, 511).unwrap();
        assert_eq!(v6.sockets.len(), 1);
        TcpStream::connect(("::1", port)).unwrap();
    }

    fn scratch(name: &str) -> (std::path::PathBuf, String) {
        let dir = std::env::temp_dir().join(format!("ringdove-net-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("s.sock").to_str().unwrap().to_string();
        (dir, path)
    }

    #[test]
    fn a_stale_unix_socket_is_replaced_and_a_live_one_is_not() {
        let (dir, path) = scratch("unix");
        let first = bind_unix(&path, 0o700, 511).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        UnixStream::connect(&path).unwrap();
        let error = bind_unix(&path, 0, 511).unwrap_err().to_string();
        assert_eq!(error, format!("Failed opening Unix socket {path}: bind: Address already in use"));
        drop(first);
        assert!(UnixStream::connect(&path).is_err());
        bind_unix(&path, 0, 511).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        assert!(matches!(bind_unix(&path, 0, 511), Err(BindError::UnixPathTaken { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_long_unix_path_is_refused_with_its_length() {
        let error = bind_unix(&"x".repeat(108), 0, 511).unwrap_err().to_string();
        assert!(error.ends_with("unix socket path too long (108), must be under 108"), "{error}");
    }

    #[test]
    fn accepted_sockets_get_redis_options() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        prepare_accepted(&server, 300).unwrap();
        let socket = SockRef::from(&server);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(300));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(100));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        prepare_accepted(&server, 1).unwrap();
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(1));
        let (unix, _peer) = UnixStream::pair().unwrap();
        prepare_accepted(&unix, 300).unwrap();
    }
}

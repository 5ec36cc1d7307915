//! Addresses as CLIENT LIST and the log show them: `1.2.3.4:6379`, `[::1]:6379`, `/run/ringdove.sock:0`.

use socket2::{SockAddr, SockRef};
use std::{net::SocketAddr, os::fd::AsFd};

/// The peer of a connection. `unix_path` is the configured path of the Unix socket: its clients have
/// no name of their own. An unknown peer (gone already) is `?:0`.
pub fn peer_text(fd: impl AsFd, unix_path: &str) -> String {
    text(SockRef::from(&fd).peer_addr(), unix_path)
}

/// Our end of a connection, the `laddr` of CLIENT LIST.
pub fn local_text(fd: impl AsFd, unix_path: &str) -> String {
    text(SockRef::from(&fd).local_addr(), unix_path)
}

fn text(address: std::io::Result<SockAddr>, unix_path: &str) -> String {
    match address {
        Ok(address) if address.is_unix() => format!("{unix_path}:0"),
        Ok(address) => match address.as_socket() {
            // An IPv6 scope is not shown.
            Some(SocketAddr::V6(v6)) => format!("[{}]:{}", v6.ip(), v6.port()),
            Some(SocketAddr::V4(v4)) => v4.to_string(),
            None => "?:0".to_string(),
        },
        Err(_) => "?:0".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        net::{TcpListener, TcpStream},
        os::unix::net::UnixStream,
    };

    #[test]
    fn both_ends_of_a_connection() {
        let mut hosts = vec![("127.0.0.1:0", "127.0.0.1")];
        if TcpListener::bind("[::1]:0").is_ok() {
            hosts.push(("[::1]:0", "[::1]"));
        }
        for (bind, host) in hosts {
            let listener = TcpListener::bind(bind).unwrap();
            let port = listener.local_addr().unwrap().port();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().unwrap();
            assert_eq!(local_text(&server, ""), format!("{host}:{port}"));
            assert_eq!(peer_text(&server, ""), local_text(&client, ""));
            assert_eq!(peer_text(&client, ""), format!("{host}:{port}"));
        }
        let (one, _other) = UnixStream::pair().unwrap();
        assert_eq!(peer_text(&one, "/run/x.sock"), "/run/x.sock:0");
    }

    #[test]
    fn what_has_no_peer_is_unknown() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(peer_text(&listener, ""), "?:0");
    }
}

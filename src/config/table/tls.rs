//! TLS, which is not built.

use super::*;
use crate::config::parameter::Severity::*;

pub const THEME: Theme = Theme {
    title: "TLS",
    intro: "TLS is not built yet: a file that asks for a TLS port is refused, so that nobody believes to be encrypted. Put a TLS proxy in front.",
    rows: ROWS,
};

const TLS: &str = "TLS is";

const ROWS: &[Parameter] = &[
    Parameter::new("tls-port", number!(tls_port: u16, 0, 65535), "0", "Port for TLS connections; 0 is none.")
        .later(TLS, Refuse),
    Parameter::new("tls-cert-file", text!(tls_cert_file), "", "Certificate of the server, PEM.")
        .volatile()
        .later(TLS, Warn),
    Parameter::new("tls-key-file", text!(tls_key_file), "", "Private key of the server, PEM.")
        .volatile()
        .later(TLS, Warn),
    Parameter::new("tls-key-file-pass", text!(tls_key_file_pass), "", "Passphrase of the private key.")
        .sensitive()
        .later(TLS, Warn),
    Parameter::new(
        "tls-client-cert-file",
        text!(tls_client_cert_file),
        "",
        "Certificate for outgoing connections, PEM.",
    )
    .volatile()
    .later(TLS, Warn),
    Parameter::new(
        "tls-client-key-file",
        text!(tls_client_key_file),
        "",
        "Private key for outgoing connections, PEM.",
    )
    .volatile()
    .later(TLS, Warn),
    Parameter::new(
        "tls-client-key-file-pass",
        text!(tls_client_key_file_pass),
        "",
        "Passphrase of the private key for outgoing connections.",
    )
    .sensitive()
    .later(TLS, Warn),
    Parameter::new(
        "tls-ca-cert-file",
        text!(tls_ca_cert_file),
        "",
        "Certificates that peers are checked against, PEM.",
    )
    .volatile()
    .later(TLS, Warn),
    Parameter::new(
        "tls-ca-cert-dir",
        text!(tls_ca_cert_dir),
        "",
        "Directory of certificates that peers are checked against.",
    )
    .volatile()
    .later(TLS, Warn),
    Parameter::new(
        "tls-dh-params-file",
        text!(tls_dh_params_file),
        "",
        "Diffie-Hellman parameters, for old versions of OpenSSL.",
    )
    .volatile()
    .later(TLS, Warn),
    Parameter::new(
        "tls-auth-clients",
        word!(tls_auth_clients: TlsAuthClients),
        "yes",
        "Whether clients must show a certificate.",
    )
    .harmless(&["no", "optional"])
    .later(TLS, Warn),
    Parameter::new("tls-replication", yes_no!(tls_replication), "no", "Use TLS towards the master.")
        .later(TLS, Refuse),
    Parameter::new("tls-cluster", yes_no!(tls_cluster), "no", "Use TLS on the cluster bus.")
        .later(TLS, Refuse),
    Parameter::new("tls-protocols", text!(tls_protocols), "", "Versions of TLS to speak.").later(TLS, Warn),
    Parameter::new("tls-ciphers", text!(tls_ciphers), "", "Ciphers up to TLS 1.2.").later(TLS, Warn),
    Parameter::new("tls-ciphersuites", text!(tls_ciphersuites), "", "Cipher suites of TLS 1.3.")
        .later(TLS, Warn),
    Parameter::new(
        "tls-prefer-server-ciphers",
        yes_no!(tls_prefer_server_ciphers),
        "no",
        "The server's order of ciphers wins.",
    )
    .later(TLS, Warn),
    Parameter::new(
        "tls-session-caching",
        yes_no!(tls_session_caching),
        "yes",
        "Let clients resume sessions.",
    )
    .harmless(&["no"])
    .later(TLS, Warn),
    Parameter::new(
        "tls-session-cache-size",
        number!(tls_session_cache_size: u32, 0, INT_MAX),
        "20480",
        "Sessions kept for resuming; 0 is no limit.",
    )
    .later(TLS, Warn),
    Parameter::new(
        "tls-session-cache-timeout",
        number!(tls_session_cache_timeout: u32, 0, INT_MAX),
        "300",
        "How long a session can be resumed.",
    )
    .unit("seconds")
    .later(TLS, Warn),
];

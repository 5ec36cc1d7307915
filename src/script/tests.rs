//! Scripts against a host that answers a few commands.

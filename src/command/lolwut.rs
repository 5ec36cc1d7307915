//! lolwut

//! (module doc)

/// Placeholder until the table of parameters lands.
#[derive(Clone, Debug, Default)]
pub struct Settings {}

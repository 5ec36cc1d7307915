//! Active defragmentation, which is not built.

use super::*;
use crate::config::parameter::Severity::*;

pub const THEME: Theme = Theme {
    title: "Active defragmentation",
    intro: "Moving values to give fragmented memory back. Not built; the parameters are kept so that existing files load.",
    rows: ROWS,
};

const DEFRAG: &str = "active defragmentation is";

const ROWS: &[Parameter] = &[
    Parameter::new("activedefrag", yes_no!(activedefrag), "no", "Defragment memory while serving.")
        .later(DEFRAG, WarnAtStart),
    Parameter::new(
        "active-defrag-ignore-bytes",
        memory!(active_defrag_ignore_bytes: u64, 1, LONG_MAX),
        "104857600",
        "Wasted memory below which nothing is done.",
    )
    .unit("bytes")
    .later(DEFRAG, Warn),
    Parameter::new(
        "active-defrag-threshold-lower",
        number!(active_defrag_threshold_lower: u32, 0, 1000),
        "10",
        "Fragmentation at which work starts.",
    )
    .unit("percent")
    .later(DEFRAG, Warn),
    Parameter::new(
        "active-defrag-threshold-upper",
        number!(active_defrag_threshold_upper: u32, 0, 1000),
        "100",
        "Fragmentation at which work is hardest.",
    )
    .unit("percent")
    .later(DEFRAG, Warn),
    Parameter::new(
        "active-defrag-cycle-min",
        number!(active_defrag_cycle_min: u8, 1, 99),
        "1",
        "CPU to use at the lower threshold.",
    )
    .unit("percent")
    .later(DEFRAG, Warn),
    Parameter::new(
        "active-defrag-cycle-max",
        number!(active_defrag_cycle_max: u8, 1, 99),
        "25",
        "CPU to use at the upper threshold.",
    )
    .unit("percent")
    .later(DEFRAG, Warn),
    Parameter::new(
        "active-defrag-max-scan-fields",
        number!(active_defrag_max_scan_fields: u64, 1, LONG_MAX),
        "1000",
        "Collections with more fields are handled apart.",
    )
    .later(DEFRAG, Warn),
];

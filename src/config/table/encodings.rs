//! Up to which size small collections keep their compact encoding.

use super::*;

pub const THEME: Theme = Theme {
    title: "Encodings of small values",
    intro: "Up to these sizes a collection keeps its compact form, which OBJECT ENCODING shows. Existing values change form at their next write.",
    rows: ROWS,
};

const ROWS: &[Parameter] = &[
    Parameter::new("hash-max-listpack-entries", number!(hash_max_listpack_entries: u64, 0, LONG_MAX), "512",
        "Fields up to which a hash is a listpack.").alias("hash-max-ziplist-entries"),
    Parameter::new("hash-max-listpack-value", memory!(hash_max_listpack_value: u64, 0, LONG_MAX), "64",
        "Longest field or value in a hash that is a listpack.").alias("hash-max-ziplist-value").unit("bytes"),
    Parameter::new("list-max-listpack-size", number!(list_max_listpack_size: i32, INT_MIN, INT_MAX), "-2",
        "Size of one node of a list: a number of elements if positive; -1 to -5 mean 4, 8, 16, 32 and 64 KiB.").alias("list-max-ziplist-size"),
    Parameter::new("list-compress-depth", number!(list_compress_depth: u32, 0, INT_MAX), "0",
        "Nodes at each end of a list that are not compressed. 0 compresses none."),
    Parameter::new("set-max-intset-entries", number!(set_max_intset_entries: u64, 0, LONG_MAX), "512",
        "Members up to which a set of integers is an intset."),
    Parameter::new("set-max-listpack-entries", number!(set_max_listpack_entries: u64, 0, LONG_MAX), "128",
        "Members up to which a set is a listpack."),
    Parameter::new("set-max-listpack-value", memory!(set_max_listpack_value: u64, 0, LONG_MAX), "64",
        "Longest member of a set that is a listpack.").unit("bytes"),
    Parameter::new("zset-max-listpack-entries", number!(zset_max_listpack_entries: u64, 0, LONG_MAX), "128",
        "Members up to which a sorted set is a listpack.").alias("zset-max-ziplist-entries"),
    Parameter::new("zset-max-listpack-value", memory!(zset_max_listpack_value: u64, 0, LONG_MAX), "64",
        "Longest member of a sorted set that is a listpack.").alias("zset-max-ziplist-value").unit("bytes"),
    Parameter::new("hll-sparse-max-bytes", memory!(hll_sparse_max_bytes: u64, 0, LONG_MAX), "3000",
        "Size up to which a HyperLogLog keeps its sparse form.").unit("bytes"),
    Parameter::new("stream-node-max-bytes", memory!(stream_node_max_bytes: u64, 0, LONG_MAX), "4096",
        "Size of one node of a stream. 0 means no limit.").unit("bytes"),
    Parameter::new("stream-node-max-entries", number!(stream_node_max_entries: i64, 0, LONG_MAX), "100",
        "Entries in one node of a stream. 0 means no limit."),
];

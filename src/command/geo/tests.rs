//! Commands on positions. The expected digits are those of Redis 7.0.15.

use crate::command::testing::{Bench, expect, expect_journal};

fn sicily() -> Bench {
    let mut b = Bench::new();
    b.line("GEOADD Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania");
    b
}

#[test]
fn adding_and_asking() {
    let mut b = sicily();
    expect(
        &mut b,
        &[
            ("GEOADD Sicily CH 13.361389 38.115556 Palermo 1 1 x", ":1"),
            ("GEOADD Sicily XX 1 1 new", ":0"),
            ("GEOADD Sicily NX 2 2 x", ":0"),
            ("GEOADD Sicily NX XX 2 2 x", "-ERR syntax error"),
            ("GEOADD Sicily 2 2 x 1", "-ERR syntax error"),
            ("GEOADD Sicily CH CH CH", "-ERR syntax error"),
            ("GEOADD Sicily 181 2 x", "-ERR invalid longitude,latitude pair 181.000000,2.000000"),
            ("GEOADD Sicily 18 x x", "-ERR value is not a valid float"),
            ("ZSCORE Sicily Palermo", "$16 3479099956230698"),
            ("GEODIST Sicily Palermo Catania", "$11 166274.1516"),
            ("GEODIST Sicily Palermo Catania km", "$8 166.2742"),
            ("GEODIST Sicily Palermo Catania mi", "$8 103.3182"),
            ("GEODIST Sicily Palermo Palermo", "$6 0.0000"),
            ("GEODIST Sicily Palermo nowhere", "$-1"),
            (
                "GEODIST Sicily Palermo Catania ell",
                "-ERR unsupported unit provided. please use M, KM, FT, MI",
            ),
            ("GEOHASH Sicily Palermo nowhere", "*2 $11 sqc8b49rny0 $-1"),
            ("GEOPOS Sicily Palermo nowhere", "*2 *2 $20 13.36138933897018433 $20 38.11555639549629859 *-1"),
            ("GEOPOS nowhere a", "*1 *-1"),
        ],
    );
    assert_eq!(b.line("GEOADD Sicily 1 1 x"), ":0");
    assert_eq!(b.changes, 0);
}

#[test]
fn searching() {
    expect(
        &mut sicily(),
        &[
            ("GEORADIUS Sicily 15 37 200 km ASC", "*2 $7 Catania $7 Palermo"),
            ("GEORADIUS Sicily 15 37 200 km WITHDIST COUNT 1", "*1 *2 $7 Catania $7 56.4413"),
            ("GEORADIUSBYMEMBER_RO Sicily Palermo 100 km", "*1 $7 Palermo"),
            (
                "GEOSEARCH Sicily FROMLONLAT 15 37 BYBOX 400 400 km DESC WITHHASH",
                "*2 *2 $7 Palermo :3479099956230698 *2 $7 Catania :3479447370796909",
            ),
            (
                "GEOSEARCH Sicily FROMMEMBER nobody BYRADIUS 1 m",
                "-ERR could not decode requested zset member",
            ),
            ("GEOSEARCH nowhere FROMMEMBER nobody BYRADIUS 1 m", "*0"),
            (
                "GEOSEARCH Sicily BYRADIUS 1 m ASC ASC ASC",
                "-ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH",
            ),
            (
                "geosearch Sicily FROMLONLAT 1 2 ASC ASC ASC",
                "-ERR exactly one of BYRADIUS and BYBOX can be specified for geosearch",
            ),
            ("GEORADIUS Sicily 15 37 200 km ANY", "-ERR the ANY argument requires COUNT argument"),
            ("GEORADIUS Sicily 15 37 200 km COUNT 0", "-ERR COUNT must be > 0"),
            ("GEORADIUS Sicily 15 37 -1 km", "-ERR radius cannot be negative"),
            ("GEORADIUS Sicily 15 37 x km", "-ERR need numeric radius"),
            ("GEORADIUS_RO Sicily 15 37 1 km STORE a", "-ERR syntax error"),
            (
                "GEORADIUS Sicily 15 37 200 km STORE a WITHDIST",
                "-ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
            ),
        ],
    );
}

#[test]
fn storing_what_is_found() {
    for shards in [1, 3] {
        let mut b = Bench::with_shards(shards);
        b.line("GEOADD Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania");
        expect(
            &mut b,
            &[
                ("GEORADIUS Sicily 15 37 200 km STORE near", ":2"),
                (
                    "ZRANGE near 0 -1 WITHSCORES",
                    "*4 $7 Palermo $16 3479099956230698 $7 Catania $16 3479447370796909",
                ),
                ("GEOSEARCHSTORE near Sicily FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST COUNT 1", ":1"),
                ("ZRANGE near 0 -1 WITHSCORES", "*2 $7 Catania $18 56.441257870158204"),
                // The last destination counts.
                ("GEORADIUS Sicily 15 37 200 km STORE near COUNT 1 STORE other", ":1"),
                ("ZCARD other", ":1"),
                ("GEORADIUS Sicily 15 37 200 km STORE near STORE STORE COUNT 1", ":1"),
                ("ZCARD STORE", ":1"),
                ("GEORADIUS Sicily 15 37 200 km STORE near STORE", "-ERR syntax error"),
            ],
        );
        expect_journal(
            &mut b,
            "GEOSEARCHSTORE near Sicily FROMLONLAT 0 0 BYRADIUS 1 m",
            &["GEOSEARCHSTORE near Sicily FROMLONLAT 0 0 BYRADIUS 1 m"],
        );
        assert_eq!(b.line("EXISTS near"), ":0");
        b.line("SET near 1");
        assert_eq!(b.line("GEORADIUSBYMEMBER nowhere x 1 km STORE near"), ":0");
        assert_eq!(b.line("EXISTS near"), ":0");
    }
}

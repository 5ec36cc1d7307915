//! The count of SRANDMEMBER, HRANDFIELD and ZRANDMEMBER: so many different elements, or, below zero, so
//! many that know nothing of each other.

use super::Error;
use crate::base::num::parse_i64;

/// An answer of more elements than this nobody waits for.
const REPEATED_MAX: usize = 1 << 28;

#[derive(Clone, Copy)]
pub enum Draw {
    Different(usize),
    Repeated(usize),
}

impl Draw {
    pub fn read(count: &[u8]) -> Result<Self, Error> {
        let count = parse_i64(count).ok_or(Error::NotInteger)?;
        if count == i64::MIN {
            let text =
                "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
            return Err(Error::text(text));
        }
        let n = count.unsigned_abs() as usize;
        Ok(if count < 0 { Draw::Repeated(n) } else { Draw::Different(n) })
    }

    /// Each element comes with another (WITHVALUES, WITHSCORES): the answer's length must be a number too.
    pub fn of_pairs(self) -> Result<Self, Error> {
        let (Draw::Different(n) | Draw::Repeated(n)) = self;
        if n > i64::MAX as usize / 2 { Err(Error::OutOfRange) } else { Ok(self) }
    }

    /// For the moment when there is something to draw from: a missing key is never drawn from too often.
    pub fn bounded(self) -> Result<Self, Error> {
        match self {
            Draw::Repeated(n) if n > REPEATED_MAX => Err(Error::OutOfRange),
            draw => Ok(draw),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Bench;

    #[test]
    fn more_than_anybody_waits_for_is_refused_where_there_is_something() {
        let mut bench = Bench::new();
        for (fill, draw) in
            [("SADD s a", "SRANDMEMBER s"), ("HSET h a b", "HRANDFIELD h"), ("ZADD z 1 a", "ZRANDMEMBER z")]
        {
            for count in ["-268435457", "-4294967296", "-9223372036854775807"] {
                let ask = format!("{draw} {count}");
                assert_eq!(bench.line(&ask), "*0", "{ask}");
            }
            bench.line(fill);
            for count in ["-268435457", "-4294967296", "-9223372036854775807"] {
                assert_eq!(
                    bench.line(&format!("{draw} {count}")),
                    "-ERR value is out of range",
                    "{draw} {count}"
                );
            }
            assert!(bench.line(&format!("{draw} -3")).starts_with("*3"));
            assert!(bench.line(&format!("{draw} 9223372036854775807")).starts_with("*1"));
        }
    }
}

//! The options of SORT, and which keys they name.

use crate::base::num::parse_i64;
use crate::command::Error;
use crate::command::spec::{HiddenKeys, access};
use crate::resp::Args;
use std::ops::Range;

/// Where a value is found, given an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// No `*`, so the same for all elements: Redis looks nowhere.
    Nothing,
    /// The key `prefix element suffix`, or a field of the hash there.
    Key { prefix: &'a [u8], suffix: &'a [u8], field: Option<&'a [u8]> },
}

impl<'a> Pattern<'a> {
    fn parse(text: &'a [u8]) -> Pattern<'a> {
        if text == b"#" {
            return Pattern::Element;
        }
        let Some(star) = memchr::memchr(b'*', text) else { return Pattern::Nothing };
        let (prefix, rest) = (&text[..star], &text[star + 1..]);
        let arrow = memchr::memmem::find(rest, b"->").filter(|at| at + 2 < rest.len());
        match arrow {
            Some(at) => Pattern::Key { prefix, suffix: &rest[..at], field: Some(&rest[at + 2..]) },
            None => Pattern::Key { prefix, suffix: rest, field: None },
        }
    }
}

/// What SORT is told. The last of several BY, LIMIT, STORE, ASC and DESC counts; a BY that names no keys
/// means "as they are", whatever BY came before.
pub(super) struct Options<'a> {
    pub(super) by: Option<Pattern<'a>>,
    pub(super) unsorted: bool,
    pub(super) get: Vec<Pattern<'a>>,
    pub(super) desc: bool,
    pub(super) alpha: bool,
    pub(super) store: Option<&'a [u8]>,
    offset: i64,
    /// All if negative.
    count: i64,
}

impl<'a> Options<'a> {
    pub(super) fn parse(args: Args<'a>, read_only: bool, cluster: bool) -> Result<Options<'a>, Error> {
        let mut o = Options {
            by: None,
            unsorted: false,
            get: Vec::new(),
            desc: false,
            alpha: false,
            store: None,
            offset: 0,
            count: -1,
        };
        let mut i = 0;
        while i < args.len() {
            let word = args.at(i);
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            if is("ASC") {
                o.desc = false;
            } else if is("DESC") {
                o.desc = true;
            } else if is("ALPHA") {
                o.alpha = true;
            } else if let (true, Some(offset), Some(count)) = (is("LIMIT"), args.get(i + 1), args.get(i + 2))
            {
                o.offset = parse_i64(offset).ok_or(Error::NotInteger)?;
                o.count = parse_i64(count).ok_or(Error::NotInteger)?;
                i += 2;
            } else if let (true, Some(key)) = (is("STORE") && !read_only, args.get(i + 1)) {
                o.store = Some(key);
                i += 1;
            } else if let (true, Some(text)) = (is("BY"), args.get(i + 1)) {
                let pattern = Pattern::parse(text);
                o.by = Some(pattern);
                if !matches!(pattern, Pattern::Key { .. }) {
                    o.unsorted = true;
                } else if cluster {
                    return Err(Error::text("ERR BY option of SORT denied in Cluster mode."));
                }
                i += 1;
            } else if let (true, Some(text)) = (is("GET"), args.get(i + 1)) {
                if cluster {
                    return Err(Error::text("ERR GET option of SORT denied in Cluster mode."));
                }
                o.get.push(Pattern::parse(text));
                i += 1;
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        Ok(o)
    }

    /// Sorts by the elements' own text after all.
    pub(super) fn sort_by_text(&mut self) {
        self.unsorted = false;
        self.alpha = true;
        self.by = None;
    }

    /// Which of `len` elements, in order, are wanted.
    pub(super) fn limit(&self, len: usize) -> Range<usize> {
        let start = (self.offset.max(0) as usize).min(len);
        let count = usize::try_from(self.count).unwrap_or(len).min(len - start);
        start..start + count
    }
}

/// Of SORT: the destination, and whether BY or GET name keys. Says nothing of what is wrong with the
/// options: then the command does nothing.
pub(super) fn hidden_keys(args: Args<'_>) -> HiddenKeys {
    hidden(args, false)
}

/// Of SORT_RO, which has no destination.
pub(super) fn hidden_keys_ro(args: Args<'_>) -> HiddenKeys {
    hidden(args, true)
}

fn hidden(args: Args<'_>, read_only: bool) -> HiddenKeys {
    let mut hidden = HiddenKeys::default();
    let mut i = 2;
    while let Some(word) = args.get(i) {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if is("LIMIT") {
            i += 2;
        } else if is("BY") || is("GET") {
            i += 1;
            let pattern = args.get(i).map(Pattern::parse);
            hidden.anywhere |= matches!(pattern, Some(Pattern::Key { .. }));
        } else if is("STORE") && !read_only && i + 1 < args.len() {
            i += 1;
            hidden.key = Some((i, access::OW | access::UPDATE));
        }
        i += 1;
    }
    hidden
}

//! GEORADIUS, GEORADIUSBYMEMBER, their read-only forms, GEOSEARCH and GEOSEARCHSTORE: the members within
//! a circle or a box.
//!
//! Up to nine cells cover the area; each is a range of scores, walked in order, and what lies in it is
//! measured. Without an order asked for, members come in that of the walk.

use super::cells::{Cell, Position, around, distance, latitude_distance, position_of, step_for};
use super::{parse_position, parse_unit, write_distance, write_position};
use crate::base::num::{parse_f64, parse_i64};
use crate::base::partial_sort::partial_sort;
use crate::command::sorted_set::{between_scores, growth, store, write_member};
use crate::command::spec::{HiddenKeys, access};
use crate::command::{Error, Exec};
use crate::resp::{Args, Reply};
use crate::structure::{Collection, Item, SortedSet};

/// The destination of GEORADIUS where it is not the one that the key specs tell: the word may be
/// repeated, and the last one counts.
pub(super) fn radius_destination(args: Args<'_>) -> HiddenKeys {
    destination(args, 6)
}

/// The same for GEORADIUSBYMEMBER.
pub(super) fn member_destination(args: Args<'_>) -> HiddenKeys {
    destination(args, 5)
}

fn destination(args: Args<'_>, first: usize) -> HiddenKeys {
    let is = |at: usize, word: &str| args.at(at).eq_ignore_ascii_case(word.as_bytes());
    let told = |word: &str| (first..args.len()).find(|at| is(*at, word)).map(|at| at + 1);
    let (mut at, mut last) = (first, None);
    while at + 1 < args.len() {
        let store = is(at, "STORE") || is(at, "STOREDIST");
        if store {
            last = Some(at + 1);
        }
        at += if store || is(at, "COUNT") { 2 } else { 1 };
    }
    let hidden = last.filter(|_| last != told("STORE") && last != told("STOREDIST"));
    HiddenKeys { key: hidden.map(|at| (at, access::OW | access::UPDATE)), anywhere: false }
}

/// A circle or a box around a centre. Lengths are in the unit asked for.
#[derive(Clone, Copy, Debug)]
struct Shape {
    center: Position,
    extent: Extent,
    /// Metres.
    unit: f64,
}

#[derive(Clone, Copy, Debug)]
enum Extent {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
}

impl Shape {
    /// How far a position is from the centre, if it lies within.
    fn measure(&self, at: Position) -> Option<f64> {
        match self.extent {
            Extent::Circle { radius } => {
                let away = distance(self.center, at);
                // A distance that is no number (of antipodes) counts as within.
                let beyond = away > radius * self.unit;
                (!beyond).then_some(away)
            }
            Extent::Box { width, height } => {
                let (width, height) = (width * self.unit, height * self.unit);
                let center = Position { latitude: at.latitude, ..self.center };
                let beyond = latitude_distance(at.latitude, self.center.latitude) > height / 2.0
                    || distance(at, center) > width / 2.0;
                (!beyond).then(|| distance(self.center, at))
            }
        }
    }

    /// The cells that cover it, in the order in which they are searched.
    fn cells(&self) -> Vec<Cell> {
        let (bounds, reach) = match self.extent {
            Extent::Circle { radius } => {
                let reach = self.unit * radius;
                (around(self.center, reach, reach), radius)
            }
            Extent::Box { width, height } => {
                let bounds = around(self.center, self.unit * (width / 2.0), self.unit * (height / 2.0));
                (bounds, ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt())
            }
        };
        let mut step = step_for(reach * self.unit, self.center.latitude);
        let mut cell = Cell::at(self.center, step);
        // Near an edge of its cell the area may reach beyond the neighbours.
        let beyond = cell.neighbor(0, 1).area().latitude.max < bounds.latitude.max
            || cell.neighbor(0, -1).area().latitude.min > bounds.latitude.min
            || cell.neighbor(1, 0).area().longitude.max < bounds.longitude.max
            || cell.neighbor(-1, 0).area().longitude.min > bounds.longitude.min;
        if beyond && step > 1 {
            step -= 1;
            cell = Cell::at(self.center, step);
        }
        let area = cell.area();
        // Cells of step 1 are a quarter of the world: none is left out.
        let spare = |outside: bool| outside && step >= 2;
        let south = spare(area.latitude.min < bounds.latitude.min);
        let north = spare(area.latitude.max > bounds.latitude.max);
        let west = spare(area.longitude.min < bounds.longitude.min);
        let east = spare(area.longitude.max > bounds.longitude.max);
        let mut cells = vec![cell];
        for (dx, dy) in [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)] {
            let left_out = south && dy < 0 || north && dy > 0 || west && dx < 0 || east && dx > 0;
            let next = cell.neighbor(dx, dy);
            // Where cells are large, neighbours coincide; only with the one before is that looked for.
            if !left_out && (cells.len() == 1 || cells.last() != Some(&next)) {
                cells.push(next);
            }
        }
        cells
    }
}

/// A member that was found.
struct Point<'a> {
    member: Item<'a>,
    score: f64,
    at: Position,
    distance: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sort {
    Asc,
    Desc,
}

/// The commands' differences.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Radius,
    RadiusByMember,
    Search,
    SearchStore,
}

impl Form {
    fn is_search(self) -> bool {
        matches!(self, Form::Search | Form::SearchStore)
    }
}

#[derive(Default)]
struct Options {
    with_distance: bool,
    with_hash: bool,
    with_position: bool,
    any: bool,
    sort: Option<Sort>,
    /// 0 is no limit.
    count: usize,
    /// The argument with the destination.
    store: Option<usize>,
    store_distance: bool,
    from_member: bool,
    from_position: bool,
    center: Option<Position>,
    extent: Option<Extent>,
    unit: f64,
}

impl Options {
    fn shape(&self) -> Option<Shape> {
        Some(Shape { center: self.center?, extent: self.extent?, unit: self.unit })
    }

    fn circle(&mut self, args: Args<'_>, at: usize) -> Result<(), Error> {
        let radius = parse_f64(args.at(at)).ok_or(Error::text("ERR need numeric radius"))?;
        if radius < 0.0 {
            return Err(Error::text("ERR radius cannot be negative"));
        }
        self.unit = parse_unit(args.at(at + 1))?;
        self.extent = Some(Extent::Circle { radius });
        Ok(())
    }

    fn rectangle(&mut self, args: Args<'_>, at: usize) -> Result<(), Error> {
        let width = parse_f64(args.at(at)).ok_or(Error::text("ERR need numeric width"))?;
        let height = parse_f64(args.at(at + 1)).ok_or(Error::text("ERR need numeric height"))?;
        if width < 0.0 || height < 0.0 {
            return Err(Error::text("ERR height or width cannot be negative"));
        }
        self.unit = parse_unit(args.at(at + 2))?;
        self.extent = Some(Extent::Box { width, height });
        Ok(())
    }

    /// Where a member is; nowhere if there is no set.
    fn member(&mut self, set: Option<&SortedSet>, member: &[u8]) -> Result<(), Error> {
        if let Some(set) = set {
            let unknown = Error::text("ERR could not decode requested zset member");
            self.center = Some(position_of(set.score(member).ok_or(unknown)?));
        }
        Ok(())
    }

    /// Reads the arguments from `first` on.
    fn read(
        &mut self,
        args: Args<'_>,
        first: usize,
        form: Form,
        may_store: bool,
        set: Option<&SortedSet>,
    ) -> Result<(), Error> {
        let search = form.is_search();
        let mut at = first;
        while at < args.len() {
            let more = args.len() - at - 1;
            let is = |name: &str| args.at(at).eq_ignore_ascii_case(name.as_bytes());
            if is("WITHDIST") {
                self.with_distance = true;
            } else if is("WITHHASH") {
                self.with_hash = true;
            } else if is("WITHCOORD") {
                self.with_position = true;
            } else if is("ANY") {
                self.any = true;
            } else if is("ASC") {
                self.sort = Some(Sort::Asc);
            } else if is("DESC") {
                self.sort = Some(Sort::Desc);
            } else if is("COUNT") && more >= 1 {
                let count = parse_i64(args.at(at + 1)).ok_or(Error::NotInteger)?;
                let count = usize::try_from(count).ok().filter(|n| *n > 0);
                self.count = count.ok_or(Error::text("ERR COUNT must be > 0"))?;
                at += 1;
            } else if (is("STORE") || is("STOREDIST")) && more >= 1 && may_store && !search {
                (self.store, self.store_distance) = (Some(at + 1), is("STOREDIST"));
                at += 1;
            } else if is("STOREDIST") && form == Form::SearchStore {
                self.store_distance = true;
            } else if search && is("FROMMEMBER") && more >= 1 && !self.from_position {
                self.member(set, args.at(at + 1))?;
                self.from_member = true;
                at += 1;
            } else if search && is("FROMLONLAT") && more >= 2 && !self.from_member {
                self.center = Some(parse_position(args.at(at + 1), args.at(at + 2))?);
                self.from_position = true;
                at += 2;
            } else if search
                && is("BYRADIUS")
                && more >= 2
                && !matches!(self.extent, Some(Extent::Box { .. }))
            {
                self.circle(args, at + 1)?;
                at += 2;
            } else if search
                && is("BYBOX")
                && more >= 3
                && !matches!(self.extent, Some(Extent::Circle { .. }))
            {
                self.rectangle(args, at + 1)?;
                at += 3;
            } else {
                return Err(Error::Syntax);
            }
            at += 1;
        }
        Ok(())
    }

    fn check(&self, args: Args<'_>, form: Form) -> Result<(), Error> {
        let exactly_one = |of: &str| {
            let mut text = format!("ERR exactly one of {of} can be specified for ").into_bytes();
            text.extend_from_slice(args.at(0));
            Error::Bytes(text.into())
        };
        if self.store.is_some() && (self.with_distance || self.with_hash || self.with_position) {
            let what = if form == Form::SearchStore { "GEOSEARCHSTORE" } else { "STORE option in GEORADIUS" };
            return Err(Error::owned(format!(
                "ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        if form.is_search() && !self.from_member && !self.from_position {
            return Err(exactly_one("FROMMEMBER or FROMLONLAT"));
        }
        if form.is_search() && self.extent.is_none() {
            return Err(exactly_one("BYRADIUS and BYBOX"));
        }
        if self.any && self.count == 0 {
            return Err(Error::text("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    /// What is found, in the order asked for, no more than asked for.
    fn search<'a>(&self, set: &'a SortedSet, shape: &Shape) -> Vec<Point<'a>> {
        let mut points = Vec::new();
        let enough = if self.any { self.count } else { usize::MAX };
        'cells: for cell in shape.cells() {
            if points.len() >= enough {
                break;
            }
            let ranks = between_scores(set, cell.scores());
            for (member, score) in set.elements(ranks.start, false).take(ranks.len()) {
                let at = position_of(score);
                if let Some(distance) = shape.measure(at) {
                    points.push(Point { member, score, at, distance });
                    if points.len() >= enough {
                        break 'cells;
                    }
                }
            }
        }
        // The first few make no sense without an order.
        let sort = self.sort.or((self.count > 0 && !self.any).then_some(Sort::Asc));
        let order = |a: &Point<'_>, b: &Point<'_>| match sort {
            Some(Sort::Desc) => b.distance.total_cmp(&a.distance),
            _ => a.distance.total_cmp(&b.distance),
        };
        if sort.is_some() && self.count > 0 && self.count < points.len() {
            partial_sort(&mut points, 0..self.count, order);
        } else if sort.is_some() {
            points.sort_by(order);
        }
        if self.count > 0 {
            points.truncate(self.count);
        }
        points
    }

    fn reply(&self, reply: &mut Reply<'_>, points: &[Point<'_>]) {
        let details = [self.with_distance, self.with_hash, self.with_position];
        let details = details.iter().filter(|wanted| **wanted).count();
        reply.array(points.len());
        for point in points {
            if details > 0 {
                reply.array(1 + details);
            }
            write_member(reply, point.member);
            if self.with_distance {
                write_distance(reply, point.distance / self.unit);
            }
            if self.with_hash {
                reply.integer(point.score as i64);
            }
            if self.with_position {
                write_position(reply, point.at);
            }
        }
    }
}

fn search(x: &mut Exec<'_>, args: Args<'_>, form: Form, may_store: bool) -> Result<(), Error> {
    let source = args.at(if form == Form::SearchStore { 2 } else { 1 });
    let mut options = Options { unit: 1.0, ..Options::default() };
    // Counts the hit; what has expired goes now.
    x.keys.read(source);
    let set = x.keys.view_as::<SortedSet>(source)?;
    match form {
        Form::Radius => {
            options.center = Some(parse_position(args.at(2), args.at(3))?);
            options.circle(args, 4)?;
        }
        // Without a set the rest matters only for the shape of the reply.
        Form::RadiusByMember if set.is_none() => {}
        Form::RadiusByMember => {
            options.member(set, args.at(2))?;
            options.circle(args, 3)?;
        }
        Form::Search => {}
        Form::SearchStore => options.store = Some(1),
    }
    let first = match form {
        Form::Radius => 6,
        Form::RadiusByMember => 5,
        Form::Search => 2,
        Form::SearchStore => 3,
    };
    options.read(args, first, form, may_store, set)?;
    options.check(args, form)?;
    let points = match (set, options.shape()) {
        (Some(set), Some(shape)) => options.search(set, &shape),
        _ => Vec::new(),
    };
    let Some(at) = options.store else {
        options.reply(&mut x.reply, &points);
        return Ok(());
    };
    let hasher = x.keys.placement.hasher();
    let growth = growth(x.settings, &hasher);
    let longest = points.iter().map(|point| point.member.len()).max().unwrap_or(0);
    let mut found = SortedSet::for_members(points.len(), longest, &growth);
    for point in &points {
        let score = if options.store_distance { point.distance / options.unit } else { point.score };
        found.insert(point.member.text(&mut itoa::Buffer::new()), score, &growth);
    }
    let len = found.len();
    drop(points);
    let event = if form.is_search() { "geosearchstore" } else { "georadiusstore" };
    store(&mut x.keys, args.at(at), found, event);
    x.reply.integer(len as i64);
    Ok(())
}

pub(super) fn georadius(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    search(x, args, Form::Radius, true)
}

pub(super) fn georadius_ro(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    search(x, args, Form::Radius, false)
}

pub(super) fn georadiusbymember(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    search(x, args, Form::RadiusByMember, true)
}

pub(super) fn georadiusbymember_ro(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    search(x, args, Form::RadiusByMember, false)
}

pub(super) fn geosearch(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    search(x, args, Form::Search, false)
}

pub(super) fn geosearchstore(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    search(x, args, Form::SearchStore, false)
}

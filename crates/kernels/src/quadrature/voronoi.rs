//! Areas of the Voronoi cells of scattered points in a rectangle.
//!
//! The cell of a point is the rectangle, cut by the line half-way to each other point. Points are
//! visited from near to far, bucket by bucket, until none can reach the cell: about 10 cuts per point
//! where they are spread evenly, all others in the worst case. Points are shared between threads.

use rayon::prelude::*;

use super::error::{QuadratureError, at_least, inside, not_empty};

/// Areas of the Voronoi cells of points in a rectangle. Points at the same place share their cell.
///
/// # Shapes
/// - `domain`: start and end along each of the two axes
///
/// # Errors
/// [`QuadratureError::TooFew`] for no points, [`QuadratureError::EmptyDomain`],
/// [`QuadratureError::NotFinite`], [`QuadratureError::Outside`].
pub fn voronoi(points: &[[f64; 2]], domain: [[f64; 2]; 2]) -> Result<Vec<f64>, QuadratureError> {
    at_least(1, points.len())?;
    domain.into_iter().try_for_each(not_empty)?;
    for (i, point) in points.iter().enumerate() {
        for axis in 0..2 {
            inside(i, point[axis], axis, domain[axis])?;
        }
    }
    let mut order: Vec<usize> = (0..points.len()).collect();
    let compare = |i: usize, j: usize| {
        // −0 and 0 are the same place.
        let [from, to] = [points[i], points[j]].map(|point| point.map(|x| x + 0.0));
        from[0].total_cmp(&to[0]).then(from[1].total_cmp(&to[1]))
    };
    order.sort_by(|&i, &j| compare(i, j));
    let places: Vec<&[usize]> = order.chunk_by(|&i, &j| compare(i, j).is_eq()).collect();
    let sites: Vec<[f64; 2]> = places.iter().map(|members| points[members[0]]).collect();
    let buckets = Buckets::new(&sites, domain);
    let areas: Vec<f64> =
        (0..sites.len()).into_par_iter().map(|site| buckets.cell(site).area()).collect();
    let mut weights = vec![0.0; points.len()];
    for (members, area) in places.iter().zip(areas) {
        for &i in *members {
            weights[i] = area / members.len() as f64;
        }
    }
    Ok(weights)
}

/// Sites sorted into squares, so that those near a point are found quickly.
struct Buckets<'a> {
    sites: &'a [[f64; 2]],
    domain: [[f64; 2]; 2],
    /// Side of a square.
    side: f64,
    /// Squares along each axis.
    n: [usize; 2],
    /// Sites of each square.
    members: Vec<Vec<usize>>,
}

impl<'a> Buckets<'a> {
    /// Sites per square, on average.
    const FILL: f64 = 2.0;

    fn new(sites: &'a [[f64; 2]], domain: [[f64; 2]; 2]) -> Self {
        let [width, height] = domain.map(|[low, high]| high - low);
        let n = sites.len() as f64;
        // At most as many squares along an axis as there are sites, also where the domain is a strip.
        let side = (width * height * Self::FILL / n).sqrt().max(width.max(height) / n);
        let n = [width, height].map(|length| whole(length / side) + 1);
        let mut buckets = Self { sites, domain, side, n, members: vec![Vec::new(); n[0] * n[1]] };
        for (i, &site) in sites.iter().enumerate() {
            let [x, y] = buckets.square(site);
            buckets.members[y * n[0] + x].push(i);
        }
        buckets
    }

    fn square(&self, site: [f64; 2]) -> [usize; 2] {
        std::array::from_fn(|axis| {
            whole((site[axis] - self.domain[axis][0]) / self.side).min(self.n[axis] - 1)
        })
    }

    /// The cell of a site, seen from it.
    fn cell(&self, site: usize) -> Polygon {
        let [x, y] = self.sites[site];
        let [[left, right], [bottom, top]] = self.domain;
        let corners = [[left, bottom], [right, bottom], [right, top], [left, top]];
        let mut cell =
            Polygon { corners: corners.map(|c| [c[0] - x, c[1] - y]).to_vec(), before: Vec::new() };
        let square = self.square([x, y]);
        for ring in 0..self.n[0].max(self.n[1]) {
            // A site cuts the cell only if it is less than twice as far as the farthest corner, and
            // the squares of a ring are at least all those inside it away.
            let reach = 2.0 * cell.radius();
            if (ring as f64 - 1.0) * self.side > reach {
                break;
            }
            self.for_each_in_ring(square, ring, |other| {
                let [x_other, y_other] = self.sites[other];
                let to = [x_other - x, y_other - y];
                if other != site && to[0].hypot(to[1]) < reach {
                    cell.cut(to);
                }
            });
        }
        cell
    }

    /// Calls `f` for the sites of all squares at this distance, counted in squares along either axis.
    fn for_each_in_ring(&self, square: [usize; 2], ring: usize, mut f: impl FnMut(usize)) {
        let range = |axis: usize| {
            square[axis].saturating_sub(ring)..(square[axis] + ring + 1).min(self.n[axis])
        };
        for y in range(1) {
            let far = y.abs_diff(square[1]) == ring;
            for x in range(0) {
                if far || x.abs_diff(square[0]) == ring {
                    self.members[y * self.n[0] + x].iter().copied().for_each(&mut f);
                }
            }
        }
    }
}

/// The whole part of a small number that is not negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts squares along an axis, at most one per site"
)]
fn whole(x: f64) -> usize {
    x as usize
}

/// A convex polygon around the origin, counter-clockwise.
struct Polygon {
    corners: Vec<[f64; 2]>,
    /// The corners before the last cut: memory to reuse.
    before: Vec<[f64; 2]>,
}

impl Polygon {
    /// Distance of the farthest corner.
    fn radius(&self) -> f64 {
        self.corners.iter().fold(0.0, |most, c| c[0].hypot(c[1]).max(most))
    }

    /// Keeps what is nearer to the origin than to `site`.
    fn cut(&mut self, site: [f64; 2]) {
        let half = 0.5 * (site[0] * site[0] + site[1] * site[1]);
        let excess = |c: [f64; 2]| c[0] * site[0] + c[1] * site[1] - half;
        if self.corners.iter().all(|&c| excess(c) <= 0.0) {
            return;
        }
        std::mem::swap(&mut self.corners, &mut self.before);
        self.corners.clear();
        let n = self.before.len();
        for i in 0..n {
            let [from, to] = [self.before[i], self.before[(i + 1) % n]];
            let [at_from, at_to] = [excess(from), excess(to)];
            if at_from <= 0.0 {
                self.corners.push(from);
            }
            if (at_from < 0.0 && at_to > 0.0) || (at_from > 0.0 && at_to < 0.0) {
                let part = at_from / (at_from - at_to);
                self.corners.push([0, 1].map(|axis| from[axis] + part * (to[axis] - from[axis])));
            }
        }
    }

    fn area(&self) -> f64 {
        let n = self.corners.len();
        let cross = |i: usize| {
            let ([x, y], [x_next, y_next]) = (self.corners[i], self.corners[(i + 1) % n]);
            x * y_next - x_next * y
        };
        (0.5 * (0..n).map(cross).sum::<f64>()).max(0.0)
    }
}

//! Fused forward pass of one head: chunk by chunk, and again where the range of f32 or f64 ends.
//!
//! A head starts over as a whole: what has underflowed in the state of earlier chunks is missing there.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use std::ops::Range as Tokens;

use rayon::prelude::*;

use super::head::{Head, Kept, Range, Widened, narrow};
use super::setting::{Piece, Problem, Section};
use super::stable;
use super::state::{HeadState, length};
use super::tiles::Tiles;
use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::{Tables, ln};
use crate::cpu::simd::{Scalar, Vector};
use crate::cpu::view::Storage;
use crate::pointwise::{load, store};

/// The smallest sum that is accurate to the last digits but few: what underflows beside it adds up
/// to less than a millionth even after a million tokens.
pub(super) trait Least: Scalar {
    const LEAST: Self;
    /// Whether f64 reaches further.
    const NARROW: bool;
}

impl Least for f32 {
    const LEAST: f32 = f32::from_bits((127 - 80) << 23);
    const NARROW: bool = true;
}

impl Least for f64 {
    const LEAST: f64 = f64::from_bits((1023 - 900) << 52);
    const NARROW: bool = false;
}

/// Computes a head and leaves its last state in `state`; says which range it needed.
pub(super) fn forward<S: Storage + Tables + Least>(
    head: &Head<S>,
    state: &mut [f64],
    kept: Option<Kept<S>>,
) -> Range {
    let start = state.to_vec();
    if sweep(head, state, kept) {
        return Range::Own;
    }
    let mut wide = Widened::new(head);
    state.copy_from_slice(&start);
    let range = if S::NARROW && sweep(&wide.head(head), state, None) {
        Range::Wide
    } else {
        state.copy_from_slice(&start);
        stable::forward(&mut wide, head, state);
        Range::Logarithmic
    };
    narrow(&wide.y, head.p.d_v, head.y);
    range
}

/// All chunks of a head in one precision; whether its range sufficed.
///
/// Where threads share a head, each section starts from the merged states of the sections before it.
pub(super) fn sweep<S: Storage + Tables + Least>(
    head: &Head<S>,
    state: &mut [f64],
    kept: Option<Kept<S>>,
) -> bool {
    let p = head.p;
    if !p.causal {
        let mut states = running_states(head, &p.sections(head.pieces), state);
        state.copy_from_slice(&states.pop().expect("the state before the first section"));
    }
    let queries = p.queries(head.pieces);
    let sections = p.sections(&queries);
    let answer = |section: &Section, state: &mut [f64]| {
        let mut fits = true;
        unsafe { launch(Sweep { head, section: *section, state, kept, fits: &mut fits }) };
        fits
    };
    if let [section] = &sections[..] {
        return answer(section, state);
    }
    let mut states = if p.causal {
        running_states(head, &sections[..sections.len() - 1], state)
    } else {
        vec![state.to_vec(); sections.len()]
    };
    let parts = sections.par_iter().with_max_len(1).zip(&mut states);
    let fits = parts.map(|(section, state)| answer(section, state)).reduce(|| true, |a, b| a && b);
    if let Some(last) = states.last() {
        state.copy_from_slice(last);
    }
    fits
}

/// The states before each section and behind the last, by their keys alone.
fn running_states<S: Storage + Tables + Least>(
    head: &Head<S>,
    sections: &[Section],
    start: &[f64],
) -> Vec<Vec<f64>> {
    let Problem { d_k, d_v, log, .. } = *head.p;
    let left_behind = |section: &Section| {
        let mut state = vec![0.0; length(d_k, d_v)];
        HeadState::new(&mut state, d_k, d_v).clear(log);
        unsafe { launch(Absorb { head, pieces: section.pieces, state: &mut state }) };
        state
    };
    let ends: Vec<Vec<f64>> = if let [section] = sections {
        vec![left_behind(section)]
    } else {
        sections.par_iter().with_max_len(1).map(left_behind).collect()
    };
    let mut states = vec![start.to_vec()];
    for (i, (section, mut end)) in sections.iter().zip(ends).enumerate() {
        if !section.has_start() {
            let mut before = states[i].clone();
            let before = HeadState::new(&mut before, d_k, d_v);
            HeadState::new(&mut end, d_k, d_v).merge(before);
        }
        states.push(end);
    }
    states
}

/// Takes the keys of some chunks into the state.
struct Absorb<'a, S> {
    head: &'a Head<'a, S>,
    pieces: &'a [Piece],
    state: &'a mut [f64],
}

impl<S: Storage + Tables + Least> Kernel<S> for Absorb<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { head, pieces, state } = self;
        let p = head.p;
        let mut state = HeadState::new(state, p.d_k, p.d_v);
        let mut tiles = Tiles::<S>::new(p.chunk, p.d_k, p.d_v);
        tiles.load(&mut state, p.log);
        for piece in pieces {
            if piece.fresh {
                state.clear(p.log);
                tiles.load(&mut state, p.log);
            }
            unsafe { absorb::<V>(head, piece, &mut tiles, &mut state) };
        }
    }
}

/// Answers the queries of a section; where causal, their keys go into the state.
struct Sweep<'a, S> {
    head: &'a Head<'a, S>,
    section: Section<'a>,
    state: &'a mut [f64],
    kept: Option<Kept<S>>,
    fits: &'a mut bool,
}

impl<S: Storage + Tables + Least> Kernel<S> for Sweep<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { head, section, state, kept, fits } = self;
        let p = head.p;
        let mut state = HeadState::new(state, p.d_k, p.d_v);
        let mut tiles = Tiles::<S>::new(p.chunk, p.d_k, p.d_v);
        tiles.load(&mut state, p.log);
        if let (Some(kept), false, 0) = (kept, p.causal, section.first) {
            unsafe { keep_state(&tiles, kept, 0) };
        }
        for (index, Piece { tokens, fresh }) in (section.first..).zip(section.pieces) {
            let chunk = Chunk { head, tokens: tokens.clone(), fresh: *fresh, kept, index };
            *fits = unsafe { chunk.compute::<V>(&mut tiles, &mut state) };
            if !*fits {
                return;
            }
        }
    }
}

/// Takes the keys of a chunk into the state.
#[inline(always)]
unsafe fn absorb<V: Vector<Scalar: Tables>>(
    head: &Head<V::Scalar>,
    piece: &Piece,
    tiles: &mut Tiles<V::Scalar>,
    state: &mut HeadState,
) {
    let (rows, log) = ([head.k, head.v], head.p.log);
    unsafe {
        tiles.raise::<V>(state, rows, &piece.tokens, head.seen, log);
        tiles.keys_and_values::<V>(rows, &piece.tokens, head.seen, log);
        tiles.absorb::<V>(state, piece.tokens.len());
    }
}

/// The state in the basis of the chunk, as the backward pass needs it.
unsafe fn keep_state<S: Scalar>(tiles: &Tiles<S>, kept: Kept<S>, index: usize) {
    let mut to = kept.states.at(index * length(tiles.d_k, tiles.d_v));
    for part in [&tiles.sums, &tiles.norm, &tiles.key_max, &tiles.value_max] {
        unsafe { std::ptr::copy_nonoverlapping(part.as_ptr(), to, part.len()) };
        to = to.wrapping_add(part.len());
    }
}

/// Some queries, and where causal the keys of the same tokens.
struct Chunk<'a, S> {
    head: &'a Head<'a, S>,
    tokens: Tokens<usize>,
    fresh: bool,
    kept: Option<Kept<S>>,
    /// Number of the chunk.
    index: usize,
}

impl<S: Tables + Least> Chunk<'_, S> {
    /// Whether the range of the numbers sufficed.
    #[inline(always)]
    unsafe fn compute<V: Vector<Scalar = S>>(
        &self,
        tiles: &mut Tiles<S>,
        state: &mut HeadState,
    ) -> bool {
        let Self { head, tokens, kept, .. } = self;
        let (p, n) = (head.p, tokens.len());
        let rows = [head.k, head.v];
        if self.fresh {
            state.clear(p.log);
            tiles.load(state, p.log);
        }
        // Queries before this one see no key.
        let first_seeing = if !state.is_empty() {
            0
        } else if !p.causal {
            n
        } else {
            let seen = |t: usize| head.seen.is_none_or(|seen| seen[t]);
            tokens.clone().position(seen).unwrap_or(n)
        };
        unsafe {
            if p.causal {
                tiles.raise::<V>(state, rows, tokens, head.seen, p.log);
                tiles.keys_and_values::<V>(rows, tokens, head.seen, p.log);
            }
            tiles.queries::<V>(head.q, tokens);
            tiles.read_state::<V>(n);
            if p.causal {
                tiles.scores::<V>(n);
                tiles.read_chunk::<V>(n);
            }
            tiles.z[..first_seeing].fill(S::ZERO);
            if !in_range::<V>(tiles, first_seeing..n, p.log) {
                return false;
            }
            if let Some(kept) = *kept {
                if p.causal {
                    keep_state(tiles, kept, self.index);
                }
                let to = kept.z.at(tokens.start);
                std::ptr::copy_nonoverlapping(tiles.z.as_ptr(), to, n);
                if p.log {
                    let to = kept.s.at(tokens.start * p.d_v);
                    std::ptr::copy_nonoverlapping(tiles.s.as_ptr(), to, n * p.d_v);
                }
            }
            self.results::<V>(tiles, first_seeing);
            if p.causal {
                tiles.absorb::<V>(state, n);
            }
        }
        true
    }

    /// `y = c + ln Ŝ − ln Ẑ`, or `o = Ŝ / Ẑ`.
    #[inline(always)]
    unsafe fn results<V: Vector<Scalar = S>>(&self, tiles: &Tiles<S>, first_seeing: usize) {
        let (p, d) = (self.head.p, tiles.d_v);
        for (r, t) in self.tokens.clone().enumerate() {
            let to = self.head.y.at(t);
            if r < first_seeing {
                let nothing = if p.log { S::NEG_INFINITY } else { S::ZERO };
                unsafe { std::slice::from_raw_parts_mut(to, d) }.fill(nothing);
                continue;
            }
            let s = tiles.s[r * d..(r + 1) * d].as_ptr();
            unsafe {
                let z = V::splat(tiles.z[r]);
                let factor = if p.log { ln(z) } else { V::splat(S::ONE).div(z) };
                let mut j = 0;
                while j < d {
                    let lanes = V::LANES.min(d - j);
                    let s = load::<V>(s.add(j), lanes);
                    let y = if p.log {
                        let c = load::<V>(tiles.value_max.as_ptr().add(j), lanes);
                        c.add(ln(s).sub(factor))
                    } else {
                        s.mul(factor)
                    };
                    store(y, to.add(j), lanes);
                    j += lanes;
                }
            }
        }
    }
}

/// Whether all sums are large enough; NaN passes, so that it reaches the result.
#[inline(always)]
unsafe fn in_range<V: Vector<Scalar: Least>>(
    tiles: &Tiles<V::Scalar>,
    rows: Tokens<usize>,
    log: bool,
) -> bool {
    let least = V::Scalar::LEAST;
    if tiles.z[rows.clone()].iter().any(|z| *z < least) {
        return false;
    }
    let s = &tiles.s[rows.start * tiles.d_v..rows.end * tiles.d_v];
    if !log {
        return true;
    }
    let mut smallest = unsafe { V::splat(least) };
    let whole = s.chunks_exact(V::LANES);
    let rest = whole.remainder();
    for s in whole {
        smallest = unsafe { V::load(s.as_ptr()).min(smallest) };
    }
    let largest_below = unsafe { V::zero().sub(smallest).largest() };
    V::Scalar::ZERO.sub(largest_below) >= least && !rest.iter().any(|s| *s < least)
}

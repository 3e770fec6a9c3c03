//! Fused backward pass of one head: chunk by chunk from the end, with a state that runs backwards.
//!
//! The hats are computed again from the maxima that the forward pass kept; see the equations of
//! [`super`].
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use std::ops::Range as Tokens;

use rayon::prelude::*;

use super::forward::{Least, sweep};
use super::head::{Head, Kept, Range, Widened, narrow, widened};
use super::later::Later;
use super::products::{
    add_columns, lower_product, lower_times, times, transposed_times, under_hat, upper_times,
};
use super::setting::{Problem, Section};
use super::stable;
use super::state::length;
use super::tiles::{Rows, Tiles};
use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::Tables;
use crate::cpu::simd::Vector;
use crate::cpu::view::{Ptr, Storage};
use crate::pointwise::{load, store};

/// Gradients of one head.
#[derive(Clone, Copy)]
pub(super) struct Gradients<S> {
    pub(super) q: Rows<S>,
    pub(super) k: Rows<S>,
    pub(super) v: Rows<S>,
    /// Of the state before the first token, [`length`] numbers; those of the maxima are zero.
    pub(super) state: Option<Ptr<f64>>,
}

/// Writes the gradients of a head, from that of its result.
pub(super) fn backward<S: Storage + Tables + Least>(
    head: &Head<S>,
    start: &[f64],
    kept: Kept<S>,
    range: Range,
    grad: Rows<S>,
    to: &Gradients<S>,
) {
    if range == Range::Own {
        Back { head, start, kept, grad, to }.sections();
        return;
    }
    let p = head.p;
    let mut wide = Widened::new(head);
    let mut g = widened(grad, p.time_q, p.d_v);
    let mut found = [p.time_q * p.d_k, p.time_k * p.d_k, p.time_k * p.d_v].map(|n| vec![0.0; n]);
    let [q, k, v] = &mut found;
    if range == Range::Wide {
        let head = wide.head(head);
        let states = p.kept_states() * length(p.d_k, p.d_v);
        let mut kept = [p.time_q * p.d_v, p.time_q, states].map(|n| vec![0.0; n]);
        let [s, z, states] = kept.each_mut().map(|x| Ptr(x.as_mut_ptr()));
        let kept = Kept { s, z, states };
        sweep(&head, &mut start.to_vec(), Some(kept));
        let rows = |x: &mut Vec<f64>, row| Rows { first: Ptr(x.as_mut_ptr()), row };
        let grad = rows(&mut g, p.d_v);
        let [q, k, v] = [rows(q, p.d_k), rows(k, p.d_k), rows(v, p.d_v)];
        let wide_to = Gradients { q, k, v, state: to.state };
        Back { head: &head, start, kept, grad, to: &wide_to }.sections();
    } else {
        let start = stable::backward(&wide, head, start, &g, [q, k, v]);
        if let Some(to) = to.state {
            let to = unsafe { std::slice::from_raw_parts_mut(to.at(0), length(p.d_k, p.d_v)) };
            to.fill(0.0);
            if let Some(start) = start {
                to.copy_from_slice(&start);
            }
        }
    }
    for (from, d, to) in
        [(&found[0], p.d_k, to.q), (&found[1], p.d_k, to.k), (&found[2], p.d_v, to.v)]
    {
        narrow(from, d, to);
    }
}

/// What is asked of the backward pass of a head.
#[derive(Clone, Copy)]
struct Back<'a, S> {
    head: &'a Head<'a, S>,
    start: &'a [f64],
    kept: Kept<S>,
    grad: Rows<S>,
    to: &'a Gradients<S>,
}

impl<S: Storage + Tables + Least> Back<'_, S> {
    /// The gradients of a head; where threads share it, each section starts from what the sections
    /// behind it ask.
    fn sections(&self) {
        let p = self.head.p;
        let queries = p.queries(self.head.pieces);
        let sections = p.sections(&queries);
        if p.causal {
            let mut behind = Later::new(p.d_k, p.d_v);
            if let [section] = &sections[..] {
                self.pass(Pass::Tokens, section, &mut behind);
                self.start(&behind);
                return;
            }
            let asked = self.each(Pass::Asked, &sections[1..]);
            let mut laters = vec![behind; sections.len()];
            for (i, (section, mut asked)) in sections[1..].iter().zip(asked).enumerate().rev() {
                if !section.has_start() {
                    asked.add(laters[i + 1].clone());
                }
                laters[i] = asked;
            }
            let parts = sections.par_iter().with_max_len(1).zip(&mut laters);
            parts.for_each(|(section, later)| self.pass(Pass::Tokens, section, later));
            self.start(&laters[0]);
        } else {
            let mut asked = self.each(Pass::Queries, &sections).into_iter();
            let first = asked.next().expect("there is a section");
            let all = asked.fold(first, |mut all, asked| {
                all.add(asked);
                all
            });
            let keys = p.sections(self.head.pieces);
            keys.par_iter().with_max_len(1).for_each(|section| {
                self.pass(Pass::Keys, section, &mut all.clone());
            });
            self.start(&all);
        }
    }

    /// What the queries of every section ask of the keys before it.
    fn each(&self, pass: Pass, sections: &[Section]) -> Vec<Later<S>> {
        let asked = |section: &Section| {
            let mut later = Later::new(self.head.p.d_k, self.head.p.d_v);
            self.pass(pass, section, &mut later);
            later
        };
        sections.par_iter().with_max_len(1).map(asked).collect()
    }

    fn pass(&self, pass: Pass, section: &Section, later: &mut Later<S>) {
        unsafe { launch(Descent { back: *self, pass, section: *section, later }) };
    }
}

/// What is done to the chunks of a section.
#[derive(Clone, Copy)]
enum Pass {
    /// What causal queries ask of the keys before the section; no gradient.
    Asked,
    /// All gradients of causal attention.
    Tokens,
    /// The gradients of queries that see all keys, and what they ask.
    Queries,
    /// The gradients of keys and values that all queries see.
    Keys,
}

/// All chunks of a section, the last one first; `later` is what is asked from behind it, and then from
/// its first token on.
struct Descent<'a, S> {
    back: Back<'a, S>,
    pass: Pass,
    section: Section<'a>,
    later: &'a mut Later<S>,
}

/// Working memory beside the tiles.
struct Scratch<'a, S> {
    tiles: Tiles<S>,
    /// `ĝ`, `[chunk, d_v]`.
    g: Vec<S>,
    /// `h`, `[chunk]`.
    h: Vec<S>,
    /// As many ones.
    ones: Vec<S>,
    /// `D`, `[chunk, row]`.
    d: Vec<S>,
    /// `Mᵀ` or `Rᵀ`, `[d_v, d_k]`.
    turned: Vec<S>,
    /// A gradient before its hat, `[chunk, d_k or d_v]`.
    out: Vec<S>,
    /// `R` and `r`
    later: &'a mut Later<S>,
}

impl<S: Storage + Tables + Least> Kernel<S> for Descent<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { back, pass, section, later } = self;
        let p = back.head.p;
        let (chunk, d_k, d_v) = (p.chunk, p.d_k, p.d_v);
        let tiles = Tiles::<S>::new(chunk, d_k, d_v);
        let zeros = |n| vec![S::ZERO; n];
        let mut scratch = Scratch {
            g: zeros(chunk * d_v),
            h: zeros(chunk),
            ones: vec![S::ONE; chunk],
            d: zeros(chunk * tiles.row),
            turned: zeros(d_k * d_v),
            out: zeros(chunk * d_k.max(d_v)),
            later,
            tiles,
        };
        unsafe {
            if !p.causal {
                back.load(&mut scratch, 0);
            }
            for (index, piece) in section.pieces.iter().enumerate().rev() {
                if p.causal {
                    back.load(&mut scratch, section.first + index);
                }
                match pass {
                    Pass::Asked => back.asked::<V>(&mut scratch, &piece.tokens),
                    Pass::Tokens => back.tokens::<V>(&mut scratch, &piece.tokens),
                    Pass::Queries => back.queries::<V>(&mut scratch, &piece.tokens),
                    Pass::Keys => back.keys::<V>(&mut scratch, &piece.tokens),
                }
                if piece.fresh {
                    scratch.later.clear();
                }
            }
        }
    }
}

impl<S: Storage + Tables + Least> Back<'_, S> {
    /// Takes over the state before a chunk, and moves `R` and `r` to its maxima.
    #[inline(always)]
    unsafe fn load(&self, scratch: &mut Scratch<S>, index: usize) {
        let tiles = &mut scratch.tiles;
        let mut from = self.kept.states.at(index * length(tiles.d_k, tiles.d_v)).cast_const();
        for part in [&mut tiles.sums, &mut tiles.norm, &mut tiles.key_max, &mut tiles.value_max] {
            unsafe { std::ptr::copy_nonoverlapping(from, part.as_mut_ptr(), part.len()) };
            from = from.wrapping_add(part.len());
        }
        scratch.later.lower(&tiles.key_max, &tiles.value_max);
    }

    /// What some queries ask of the keys before them.
    #[inline(always)]
    unsafe fn asked<V: Vector<Scalar = S>>(
        &self,
        scratch: &mut Scratch<S>,
        tokens: &Tokens<usize>,
    ) {
        unsafe {
            self.cotangents::<V>(scratch, tokens);
            let Scratch { tiles, g, h, later, .. } = scratch;
            let sizes = [tokens.len(), tiles.d_k, tiles.d_v];
            transposed_times::<V>(sizes, &tiles.q, g, &mut later.sums, true);
            add_columns::<V>(&tiles.q, h, &mut later.norm, tokens.len());
        }
    }

    /// One chunk of causal attention.
    #[inline(always)]
    unsafe fn tokens<V: Vector<Scalar = S>>(
        &self,
        scratch: &mut Scratch<S>,
        tokens: &Tokens<usize>,
    ) {
        let (p, n) = (self.head.p, tokens.len());
        let rows = [self.head.k, self.head.v];
        unsafe {
            self.cotangents::<V>(scratch, tokens);
            let Scratch { tiles, g, h, ones, d, turned, out, later } = scratch;
            let Later { sums, norm, .. } = &mut **later;
            let (d_k, d_v, row) = (tiles.d_k, tiles.d_v, tiles.row);
            tiles.keys_and_values::<V>(rows, tokens, self.head.seen, p.log);
            tiles.scores::<V>(n);
            V::transpose([n, d_v], (tiles.v.as_ptr(), d_v), (tiles.transposed.as_mut_ptr(), row));
            lower_product::<V>(n, d_v, g.as_ptr(), &tiles.transposed, d, row);
            for (r, h) in h[..n].iter().enumerate() {
                for d in &mut d[r * row..=r * row + r] {
                    *d = d.sub(*h);
                }
            }
            // ∂q
            V::transpose([d_k, d_v], (tiles.sums.as_ptr(), d_v), (turned.as_mut_ptr(), d_k));
            times::<V>([n, d_v, d_k], g, turned, out, false);
            lower_times::<V>(n, d_k, d, row, &tiles.k, out);
            under_hat::<V>(&tiles.q, out, Some([h, &tiles.norm]), self.to.q, tokens, d_k);
            // ∂k
            V::transpose([d_k, d_v], (sums.as_ptr(), d_v), (turned.as_mut_ptr(), d_k));
            times::<V>([n, d_v, d_k], &tiles.v, turned, out, false);
            upper_times::<V>(n, d_k, d, row, &tiles.q, out);
            under_hat::<V>(&tiles.k, out, Some([ones, norm]), self.to.k, tokens, d_k);
            // ∂v
            times::<V>([n, d_k, d_v], &tiles.k, sums, out, false);
            upper_times::<V>(n, d_v, &tiles.p, row, g, out);
            self.values::<V>(&tiles.v, out, tokens);
            transposed_times::<V>([n, d_k, d_v], &tiles.q, g, sums, true);
            add_columns::<V>(&tiles.q, h, norm, n);
        }
    }

    /// Some queries that see all keys.
    #[inline(always)]
    unsafe fn queries<V: Vector<Scalar = S>>(
        &self,
        scratch: &mut Scratch<S>,
        tokens: &Tokens<usize>,
    ) {
        let n = tokens.len();
        unsafe {
            self.cotangents::<V>(scratch, tokens);
            let Scratch { tiles, g, h, turned, out, later, .. } = scratch;
            let Later { sums, norm, .. } = &mut **later;
            let (d_k, d_v) = (tiles.d_k, tiles.d_v);
            V::transpose([d_k, d_v], (tiles.sums.as_ptr(), d_v), (turned.as_mut_ptr(), d_k));
            times::<V>([n, d_v, d_k], g, turned, out, false);
            under_hat::<V>(&tiles.q, out, Some([h, &tiles.norm]), self.to.q, tokens, d_k);
            transposed_times::<V>([n, d_k, d_v], &tiles.q, g, sums, true);
            add_columns::<V>(&tiles.q, h, norm, n);
        }
    }

    /// Some keys that all queries see.
    #[inline(always)]
    unsafe fn keys<V: Vector<Scalar = S>>(&self, scratch: &mut Scratch<S>, tokens: &Tokens<usize>) {
        let (p, n) = (self.head.p, tokens.len());
        let Scratch { tiles, ones, turned, out, later, .. } = scratch;
        let Later { sums, norm, .. } = &**later;
        let (d_k, d_v) = (tiles.d_k, tiles.d_v);
        unsafe {
            let rows = [self.head.k, self.head.v];
            tiles.keys_and_values::<V>(rows, tokens, self.head.seen, p.log);
            V::transpose([d_k, d_v], (sums.as_ptr(), d_v), (turned.as_mut_ptr(), d_k));
            times::<V>([n, d_v, d_k], &tiles.v, turned, out, false);
            under_hat::<V>(&tiles.k, out, Some([ones, norm]), self.to.k, tokens, d_k);
            times::<V>([n, d_k, d_v], &tiles.k, sums, out, false);
            self.values::<V>(&tiles.v, out, tokens);
        }
    }

    /// `Q̂`, `ĝ` and `h` of some queries; the last two are zero where a query sees no key.
    #[inline(always)]
    unsafe fn cotangents<V: Vector<Scalar = S>>(
        &self,
        scratch: &mut Scratch<S>,
        tokens: &Tokens<usize>,
    ) {
        let (p, d_v) = (self.head.p, scratch.tiles.d_v);
        unsafe { scratch.tiles.queries::<V>(self.head.q, tokens) };
        for (r, t) in tokens.clone().enumerate() {
            let g_hat = &mut scratch.g[r * d_v..(r + 1) * d_v];
            let z = unsafe { *self.kept.z.at(t) };
            if z == S::ZERO {
                g_hat.fill(S::ZERO);
                scratch.h[r] = S::ZERO;
                continue;
            }
            let inverse = S::from_f64(1.0 / z.to_f64());
            let g = self.grad.at(t).cast_const();
            let other = if p.log { self.kept.s.at(t * d_v) } else { self.head.y.at(t) };
            unsafe {
                let mut sum = V::zero();
                let mut j = 0;
                while j < d_v {
                    let n = V::LANES.min(d_v - j);
                    let g = load::<V>(g.add(j), n);
                    let other = load::<V>(other.add(j), n);
                    let hat = if p.log {
                        sum = sum.add(g);
                        other.select_positive(g.div(other), V::zero())
                    } else {
                        sum = g.mul_add(other, sum);
                        g.mul(V::splat(inverse))
                    };
                    store(hat, g_hat.as_mut_ptr().add(j), n);
                    j += n;
                }
                scratch.h[r] = sum.sum().mul(inverse);
            }
        }
    }

    /// `∂u = V̂ ∘ out`, or `∂v = out`.
    #[inline(always)]
    unsafe fn values<V: Vector<Scalar = S>>(&self, hat: &[S], out: &[S], tokens: &Tokens<usize>) {
        let p = self.head.p;
        if p.log {
            unsafe {
                under_hat::<V>(hat, out, None, self.to.v, tokens, p.d_v);
            }
            return;
        }
        for (r, t) in tokens.clone().enumerate() {
            // A value that is not seen has no gradient: its key is zero, and with it the row.
            let from = out[r * p.d_v..(r + 1) * p.d_v].as_ptr();
            unsafe { std::ptr::copy_nonoverlapping(from, self.to.v.at(t), p.d_v) };
        }
    }

    /// The gradient of the state before the first token, from what all queries ask of it.
    fn start(&self, asked: &Later<S>) {
        let Some(to) = self.to.state else { return };
        let Problem { d_k, d_v, log, .. } = *self.head.p;
        let to = unsafe { std::slice::from_raw_parts_mut(to.at(0), length(d_k, d_v)) };
        to.fill(0.0);
        let [key_max, value_max] =
            [&self.start[d_k * d_v + d_k..], &self.start[d_k * d_v + 2 * d_k..]];
        let factor = |(start, now): (&f64, &S)| (start - now.to_f64()).min(0.0).exp();
        let rows = key_max.iter().zip(&asked.key_max).map(factor);
        let columns: Vec<f64> = if log {
            value_max.iter().zip(&asked.value_max).map(factor).collect()
        } else {
            vec![1.0; d_v]
        };
        let (sums, rest) = to.split_at_mut(d_k * d_v);
        for (i, row) in rows.enumerate() {
            rest[i] = -row * asked.norm[i].to_f64();
            for (j, column) in columns.iter().enumerate() {
                sums[i * d_v + j] = row * column * asked.sums[i * d_v + j].to_f64();
            }
        }
    }
}

//! Chance that is a function of a place: the same on every machine and for any number of threads.
//!
//! Sources: [`mix64`] is the finaliser of Steele, Lea & Flood 2014 (`SplitMix`); `mix32` the two-round
//! function `lowbias32` of Wellons 2018.

/// A probability as the hash sees it: left out where `mix32(key + index · 0x9e3779b9) < p 2³²`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    threshold: u32,
    /// `1 / (1 − p)`.
    pub(crate) scale: f64,
}

impl Rate {
    /// `None` for a rate of zero.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "p < 1")]
    pub(crate) fn new(p: f64) -> Option<Self> {
        assert!((0.0..1.0).contains(&p), "a dropout rate of {p}, expected 0 ≤ rate < 1");
        (p > 0.0).then(|| Self { threshold: (p * 4_294_967_296.0) as u32, scale: 1.0 / (1.0 - p) })
    }

    /// Whether the number at `index` stays.
    #[inline(always)]
    pub(crate) fn keeps(self, key: u32, index: u32) -> bool {
        mix32(key.wrapping_add(index.wrapping_mul(0x9e37_79b9))) >= self.threshold
    }
}

#[inline]
pub(crate) fn mix64(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[inline(always)]
fn mix32(x: u32) -> u32 {
    let x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    let x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

//! Colour scales, as classes of the style sheet, so that dark pages get their own colours.
//!
//! `d0` to `d32` diverge around `d16`, the colour of zero, which fades into the page; `v0` to `v31`
//! grow in lightness (the stops are those of Viridis, CC0). `s0` to `s15` are strokes for ranks: the
//! best one stands out, the worst ones fade into the page.

use std::fmt::Write;

/// Levels of the diverging scale; odd, so that zero has one of its own.
pub(super) const DIVERGING: usize = 33;
/// Levels of the sequential scale.
pub(super) const SEQUENTIAL: usize = 32;
/// Levels of the scale of ranks.
pub(super) const RANKED: usize = 16;

const DIVERGING_LIGHT: [u32; 7] =
    [0x08_30_6b, 0x3a_7a_bd, 0xa8_cc_e4, 0xf6_f5_f1, 0xf3_b8_93, 0xcc_55_2c, 0x6e_14_10];
const DIVERGING_DARK: [u32; 7] =
    [0xb5_dc_ff, 0x52_9f_e3, 0x27_4f_7a, 0x1d_20_25, 0x7a_3a_20, 0xe2_7d_4c, 0xff_d2_b5];
const VIRIDIS: [u32; 10] = [
    0x44_01_54, 0x48_28_78, 0x3e_49_89, 0x31_68_8e, 0x26_82_8e, 0x1f_9e_89, 0x35_b7_79, 0x6e_ce_58,
    0xb5_de_2b, 0xfd_e7_25,
];
const RANKED_LIGHT: [u32; 4] = [0x8a_24_04, 0xd9_6b_27, 0xe8_b9_8e, 0xdf_e0_db];
const RANKED_DARK: [u32; 4] = [0xff_e0_c2, 0xfb_92_3c, 0x8f_4c_22, 0x34_3a_42];

/// Level of `value` on the diverging scale from `-limit` to `limit`; `None` if not finite.
pub(super) fn diverging_level(value: f64, limit: f64) -> Option<usize> {
    level(0.5 + 0.5 * value / limit.max(f64::MIN_POSITIVE), DIVERGING)
}

/// Level of `value` on the sequential scale from `low` to `high`; `None` if not finite.
pub(super) fn sequential_level(value: f64, (low, high): (f64, f64)) -> Option<usize> {
    level((value - low) / (high - low).max(f64::MIN_POSITIVE), SEQUENTIAL)
}

/// Level of a rank, from 0 for the best to 1 for the worst.
pub(super) fn ranked_level(fraction: f64) -> usize {
    level(fraction, RANKED).unwrap_or(RANKED - 1)
}

/// The rules of all levels, light and dark.
pub(in super::super) fn style_sheet() -> String {
    let mut light = rules('d', "fill", DIVERGING, &DIVERGING_LIGHT);
    light += &rules('v', "fill", SEQUENTIAL, &VIRIDIS);
    light += &rules('s', "stroke", RANKED, &RANKED_LIGHT);
    let mut dark = rules('d', "fill", DIVERGING, &DIVERGING_DARK);
    dark += &rules('s', "stroke", RANKED, &RANKED_DARK);
    format!("{light}@media screen and (prefers-color-scheme:dark){{\n{dark}}}\n")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the small range of levels"
)]
fn level(fraction: f64, levels: usize) -> Option<usize> {
    let last = (levels - 1) as f64;
    fraction.is_finite().then(|| (fraction * last).round().clamp(0.0, last) as usize)
}

fn rules(prefix: char, property: &str, levels: usize, stops: &[u32]) -> String {
    let mut css = String::new();
    for i in 0..levels {
        let colour = mixed(stops, i as f64 / (levels - 1) as f64);
        write!(css, ".{prefix}{i}{{{property}:{colour}}}")
            .expect("writing to a string cannot fail");
    }
    css.push('\n');
    css
}

/// The colour at `fraction` of the way along `stops`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index of a stop and a colour between 0 and 255"
)]
fn mixed(stops: &[u32], fraction: f64) -> String {
    let at = fraction * (stops.len() - 1) as f64;
    let left = (at.floor() as usize).min(stops.len() - 2);
    let part = at - left as f64;
    let channels = [16, 8, 0].map(|shift| {
        let [a, b] = [stops[left], stops[left + 1]].map(|stop| f64::from((stop >> shift) & 0xff));
        (a + part * (b - a)).round() as u8
    });
    format!("#{:02x}{:02x}{:02x}", channels[0], channels[1], channels[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_the_middle_of_the_diverging_scale() {
        assert_eq!(diverging_level(0.0, 3.0), Some(16));
        assert_eq!(diverging_level(-3.0, 3.0), Some(0));
        assert_eq!(diverging_level(99.0, 3.0), Some(32));
        assert_eq!(diverging_level(0.0, 0.0), Some(16)); // a matrix of zeros
        assert_eq!(diverging_level(f64::NAN, 3.0), None);
        assert_eq!(sequential_level(2.0, (2.0, 2.0)), Some(0));
    }

    #[test]
    fn scales_start_and_end_at_their_stops() {
        assert_eq!(mixed(&VIRIDIS, 0.0), "#440154");
        assert_eq!(mixed(&VIRIDIS, 1.0), "#fde725");
        assert_eq!(mixed(&[0x00_00_00, 0x10_20_30], 0.5), "#081018");
    }
}

//! Numbers as people read them; what is missing or not finite is `–`.

/// Shown for a number that was not computed.
pub(super) const MISSING: &str = "–";

/// Below this and from [`FIXED_TO`] on, numbers are written with a power of ten.
const FIXED_FROM: f64 = 1e-3;
const FIXED_TO: f64 = 1e5;

/// How powers of ten are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notation {
    /// `1.2e-4`, `-3`: readable by programs and safe in any terminal.
    Plain,
    /// `1.2×10⁻⁴`, `−3`: as printed in a paper.
    Typeset,
}

impl Notation {
    /// `value` with `digits` significant digits.
    pub(super) fn significant(self, value: f64, digits: usize) -> String {
        if !value.is_finite() {
            return MISSING.to_string();
        }
        if value == 0.0 {
            return "0".to_string();
        }
        // Rounded first, so that 9.996 with three digits counts as 10.0.
        let rounded = format!("{value:.*e}", digits.saturating_sub(1));
        let (mantissa, exponent) =
            rounded.split_once('e').expect("`{:e}` always writes an exponent");
        let exponent: i32 = exponent.parse().expect("`{:e}` writes a decimal exponent");
        let magnitude = 10f64.powi(exponent);
        if (FIXED_FROM..FIXED_TO).contains(&magnitude) {
            // Digits before the point are never replaced by zeros: 1234, not 1230.
            let last = i32::try_from(digits).unwrap_or(i32::MAX) - 1 - exponent;
            return self.sign(format!("{value:.*}", usize::try_from(last).unwrap_or(0)));
        }
        match self {
            Self::Plain => format!("{mantissa}e{exponent}"),
            Self::Typeset => self.sign(format!("{mantissa}×10{}", superscript(exponent))),
        }
    }

    /// `value` with a fixed number of decimals.
    pub(super) fn decimals(self, value: f64, decimals: usize) -> String {
        if !value.is_finite() {
            return MISSING.to_string();
        }
        let text = format!("{value:.decimals$}");
        let is_zero = text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.');
        self.sign(if is_zero { text.trim_start_matches('-').to_string() } else { text })
    }

    fn sign(self, text: String) -> String {
        match (self, text.strip_prefix('-')) {
            (Self::Typeset, Some(digits)) => format!("−{digits}"),
            _ => text,
        }
    }
}

/// `10` to the power of `exponent`, with a raised exponent.
pub(super) fn power_of_ten(exponent: i32) -> String {
    format!("10{}", superscript(exponent))
}

fn superscript(number: i32) -> String {
    let raise = |c| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        '9' => '⁹',
        _ => '⁰',
    };
    number.to_string().chars().map(raise).collect()
}

/// A whole number with a comma every three digits.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A large whole number with three significant digits and k, M, G or T.
pub(super) fn magnitude(n: u64) -> String {
    let value = n as f64;
    [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")]
        .into_iter()
        .find(|(unit, _)| value >= *unit)
        .map_or_else(
            || n.to_string(),
            |(unit, name)| format!("{} {name}", Notation::Plain.significant(value / unit, 3)),
        )
}

/// A span of time, coarse enough to read at a glance.
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return MISSING.to_string();
    }
    if seconds < 59.95 {
        return format!(
            "{} s",
            Notation::Plain.significant(seconds, if seconds < 10.0 { 2 } else { 3 })
        );
    }
    let seconds = seconds.round();
    let minutes = (seconds / 60.0).floor();
    if minutes < 60.0 {
        return format!("{minutes} min {:02} s", seconds - 60.0 * minutes);
    }
    let hours = (minutes / 60.0).floor();
    format!("{hours} h {:02} min", minutes - 60.0 * hours)
}

/// `text` cut to `width` characters, the last one an ellipsis where something was cut.
pub(super) fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_string();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// `text` with control characters and text-direction overrides made visible.
///
/// Names come from files: they must neither steer a terminal nor reorder a line.
pub(super) fn printable(text: &str) -> String {
    let steers =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn significant_digits_survive_rounding_up() {
        let cases = [
            (0.0, "0"),
            (9.996, "10.0"),
            (0.012_349, "0.0123"),
            (1234.4, "1234"),
            (99_999.9, "1.00e5"),
            (0.000_999_9, "0.00100"),
            (7.491e-5, "7.49e-5"),
            (-2.5e-7, "-2.50e-7"),
            (f64::NAN, "–"),
            (f64::INFINITY, "–"),
        ];
        for (value, expected) in cases {
            assert_eq!(Notation::Plain.significant(value, 3), expected, "{value}");
        }
        assert_eq!(Notation::Typeset.significant(-2.5e-7, 2), "−2.5×10⁻⁷");
        assert_eq!(Notation::Typeset.significant(1e123, 2), "1.0×10¹²³");
    }

    #[test]
    fn a_rounded_zero_has_no_sign() {
        assert_eq!(Notation::Typeset.decimals(-0.004, 2), "0.00");
        assert_eq!(Notation::Typeset.decimals(-0.006, 2), "−0.01");
        assert_eq!(Notation::Plain.decimals(-1.25, 1), "-1.2");
    }

    #[test]
    fn counts_and_spans_are_readable() {
        let counts = [0, 999, 1000, 21_252, 1_856_010].map(count);
        assert_eq!(counts, ["0", "999", "1,000", "21,252", "1,856,010"]);
        let magnitudes = [950, 21_252, 1_856_010, 2_000_000_000].map(magnitude);
        assert_eq!(magnitudes, ["950", "21.3 k", "1.86 M", "2.00 G"]);
        let spans = [0.42, 7.25, 59.94, 59.96, 125.0, 7384.0, f64::NAN].map(duration);
        assert_eq!(
            spans,
            ["0.42 s", "7.2 s", "59.9 s", "1 min 00 s", "2 min 05 s", "2 h 03 min", "–"]
        );
    }

    #[test]
    fn names_are_cut_and_made_harmless() {
        assert_eq!(shorten("température", 11), "température");
        assert_eq!(shorten("température", 5), "temp…");
        assert_eq!(printable("a\u{1b}[31m\nb\u{202e}c"), "a\u{fffd}[31m\u{fffd}b\u{fffd}c");
    }
}

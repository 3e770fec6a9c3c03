//! Path data for lines and bands. A gap is `None` and ends a stroke.

use super::super::markup::coordinate;

/// A place in CSS pixels, or a gap.
pub(super) type Place = Option<(f64, f64)>;

/// Path data of the line through `places`; a place between two gaps becomes a dot.
pub(super) fn line(places: &[Place]) -> String {
    let mut data = String::new();
    for stroke in places.split(Option::is_none) {
        let mut places = stroke.iter().flatten();
        let Some(first) = places.next() else { continue };
        data.push('M');
        push(&mut data, *first);
        if stroke.len() == 1 {
            data.push_str("h.1"); // a round cap turns this into a dot
        }
        for place in places {
            data.push(' ');
            push(&mut data, *place);
        }
    }
    data
}

/// Path data of a dot at every place, as wide as the stroke.
pub(super) fn dots(places: &[Place]) -> String {
    places.chunks(1).map(line).collect()
}

/// Path data of the area between two lines with the same places along x.
pub(super) fn band(lower: &[Place], upper: &[Place]) -> String {
    let pairs: Vec<_> =
        lower.iter().zip(upper).map(|(a, b)| Some((*a.as_ref()?, *b.as_ref()?))).collect();
    let mut data = String::new();
    for area in pairs.split(Option::is_none).filter(|area| area.len() > 1) {
        let there = area.iter().flatten().map(|(low, _)| *low);
        let back = area.iter().flatten().rev().map(|(_, high)| *high);
        for (i, place) in there.chain(back).enumerate() {
            data.push(if i == 0 { 'M' } else { ' ' });
            push(&mut data, place);
        }
        data.push('Z');
    }
    data
}

/// At most about two places per pixel of `width`: the extremes of every pixel column survive.
pub(super) fn thinned(places: &[Place], width: f64) -> Vec<Place> {
    if places.len() as f64 <= 2.0 * width {
        return places.to_vec();
    }
    let column = |place: &Place| place.map(|(x, _)| x.floor());
    places
        .chunk_by(|a, b| column(a) == column(b))
        .flat_map(|chunk| {
            let y = |i: &usize| chunk[*i].map_or(f64::NAN, |(_, y)| y);
            let by_y = |a: &usize, b: &usize| y(a).total_cmp(&y(b));
            let low = (0..chunk.len()).min_by(by_y).unwrap_or(0);
            let high = (0..chunk.len()).max_by(by_y).unwrap_or(0);
            let (first, second) = (low.min(high), low.max(high));
            let second = (second > first && chunk[first].is_some()).then(|| chunk[second]);
            std::iter::once(chunk[first]).chain(second)
        })
        .collect()
}

fn push(data: &mut String, (x, y): (f64, f64)) {
    data.push_str(&coordinate(x));
    data.push(' ');
    data.push_str(&coordinate(y));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_breaks_the_line_and_a_lone_place_is_a_dot() {
        let places = [Some((0.0, 1.0)), Some((1.0, 2.0)), None, Some((3.0, 4.5)), None, None];
        assert_eq!(line(&places), "M0 1 1 2M3 4.5h.1");
        assert_eq!(line(&[None]), "");
        assert_eq!(dots(&places[1..4]), "M1 2h.1M3 4.5h.1");
    }

    #[test]
    fn a_gap_in_either_line_breaks_the_band() {
        let lower = [Some((0.0, 0.0)), Some((1.0, 0.0)), None, Some((3.0, 0.0)), Some((4.0, 0.0))];
        let upper = [0.0, 1.0, 2.0, 3.0, 4.0].map(|x| Some((x, 9.0)));
        assert_eq!(band(&lower, &upper), "M0 0 1 0 1 9 0 9ZM3 0 4 0 4 9 3 9Z");
    }

    #[test]
    fn thinning_keeps_extremes_and_gaps() {
        let mut places: Vec<Place> =
            (0..1000).map(|i| Some((f64::from(i) / 100.0, f64::from(i % 7)))).collect();
        places[555] = Some((5.55, -40.0));
        places[777] = None;
        let thin = thinned(&places, 10.0);
        assert!(thin.len() < 40, "{}", thin.len());
        assert!(thin.contains(&Some((5.55, -40.0))));
        assert!(thin.contains(&None));
        assert_eq!(thinned(&places, 500.0), places);
    }
}

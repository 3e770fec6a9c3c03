//! The keys of the next trial.
//!
//! Everything follows from the seed of the search, the number of the trial and the trials before it; a
//! random search and a grid do not even look at those, so that a plan of them can be made beforehand.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use toml::Value;

use super::config::{Method, SweepConfig};
use super::space::{Distribution, Key, Parameters, round_to_multiples};
use super::tpe::{Cells, FINE, n_good, next};

/// A trial as the search sees it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) parameters: Parameters,
    /// The smaller the better; `None` while it runs and after a failure.
    pub(crate) value: Option<f64>,
}

/// The keys of trial `number`, counted from 1; `None` beyond the last point of a grid.
pub(crate) fn suggest(config: &SweepConfig, number: usize, seen: &[Seen]) -> Option<Parameters> {
    let mut rng = ChaCha8Rng::seed_from_u64(config.search.seed);
    rng.set_stream(number as u64);
    let keys = &config.keys;
    let mut parameters = match config.search.method {
        Method::Grid => grid_point(keys, number - 1)?,
        Method::Tpe if number > config.search.startup => learned(keys, seen, &mut rng),
        Method::Random | Method::Tpe => drawn(keys, |_| rng.random::<f64>()),
    };
    round_to_multiples(keys, &mut parameters, |path| config.fixed_integer(path));
    Some(parameters)
}

/// Number of combinations of a grid.
pub(crate) fn grid_size(keys: &[Key]) -> usize {
    let sizes = keys.iter().map(|key| key.distribution.grid().map_or(1, |values| values.len()));
    sizes.fold(1, usize::saturating_mul)
}

fn drawn(keys: &[Key], mut position: impl FnMut(&Key) -> f64) -> Parameters {
    keys.iter().map(|key| (key.path.clone(), key.distribution.value(position(key)))).collect()
}

/// The point with this index; the last key changes fastest.
fn grid_point(keys: &[Key], index: usize) -> Option<Parameters> {
    let mut rest = index;
    let mut point = Parameters::new();
    for key in keys.iter().rev() {
        let values = key.distribution.grid()?;
        point.insert(key.path.clone(), values[rest % values.len()].clone());
        rest /= values.len();
    }
    (rest == 0).then_some(point)
}

/// Each key by itself from tree-structured Parzen estimators.
fn learned(keys: &[Key], seen: &[Seen], rng: &mut ChaCha8Rng) -> Parameters {
    let mut judged: Vec<(f64, &Parameters)> =
        seen.iter().filter_map(|seen| Some((seen.value?, &seen.parameters))).collect();
    if judged.is_empty() {
        return drawn(keys, |_| rng.random::<f64>());
    }
    judged.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (good, others) = judged.split_at(n_good(judged.len()));
    let unjudged = seen.iter().filter(|seen| seen.value.is_none()).map(|seen| &seen.parameters);
    let bad: Vec<&Parameters> = others.iter().map(|(_, p)| *p).chain(unjudged).collect();
    drawn(keys, |key| {
        let position = |p: &Parameters| p.get(&key.path).and_then(|v| key.distribution.position(v));
        let good: Vec<f64> = good.iter().filter_map(|(_, p)| position(p)).collect();
        let bad: Vec<f64> = bad.iter().filter_map(|p| position(p)).collect();
        next(&good, &bad, cells(&key.distribution), rng)
    })
}

fn cells(distribution: &Distribution) -> Cells {
    match distribution {
        Distribution::Choice(values) => Cells::Unordered(values.len()),
        Distribution::Integer { log: false, .. } => {
            Cells::Ordered(distribution.n_values().filter(|n| *n <= FINE).unwrap_or(FINE))
        }
        _ => Cells::Ordered(FINE),
    }
}

/// The values of a trial, one per key, as positions between 0 and 1; NaN for a value from elsewhere.
pub(crate) fn positions(keys: &[Key], parameters: &Parameters) -> Vec<f64> {
    let at = |key: &Key| {
        let value: &Value = parameters.get(&key.path)?;
        key.distribution.position(value)
    };
    keys.iter().map(|key| at(key).unwrap_or(f64::NAN)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::space::number;
    use super::*;

    fn config(search: &str) -> SweepConfig {
        let text = format!(
            "base = \"lorenz\"\n[search]\n{search}\n[keys]\n\
             \"fit.optimizer.learning_rate\" = {{ distribution = \"log-uniform\", low = 1e-5, high = 1, points = 3 }}\n\
             \"fit.batch_size\" = {{ distribution = \"integer\", low = 16, high = 256 }}\n\
             \"model.readout\" = {{ choices = [\"increment\", \"direct\"] }}\n"
        );
        SweepConfig::parse(Path::new("my.toml"), &text, Path::new("")).unwrap()
    }

    /// Lowest at a learning rate of 0.01, a batch of 64, with increments.
    fn objective(parameters: &Parameters) -> f64 {
        let at = |key: &str| number(&parameters[key]).unwrap();
        let rate = (at("fit.optimizer.learning_rate") / 0.01).ln() / 11.5;
        let batch = (at("fit.batch_size") - 64.0) / 240.0;
        let readout =
            f64::from(u8::from(parameters["model.readout"].as_str() != Some("increment")));
        rate * rate + batch * batch + 0.1 * readout
    }

    /// Lowest objective among so many trials.
    fn best(method: &str, seed: u64, trials: usize) -> f64 {
        let config = config(&format!("method = \"{method}\"\nseed = {seed}\ntrials = {trials}"));
        let mut seen: Vec<Seen> = Vec::new();
        for number in 1..=trials {
            let parameters = suggest(&config, number, &seen).unwrap();
            let value = Some(objective(&parameters));
            seen.push(Seen { parameters, value });
        }
        seen.iter().filter_map(|seen| seen.value).fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn a_random_trial_follows_from_seed_and_number_alone() {
        let config = config("method = \"random\"\ntrials = 5");
        let third = suggest(&config, 3, &[]).unwrap();
        let seen = Seen { parameters: suggest(&config, 1, &[]).unwrap(), value: Some(0.1) };
        assert_eq!(suggest(&config, 3, &[seen]).unwrap(), third);
        assert_ne!(suggest(&config, 4, &[]).unwrap(), third);
    }

    #[test]
    fn a_grid_has_every_combination_once() {
        let mut config = config("method = \"grid\"");
        config.keys[0].distribution =
            Distribution::Choice(vec![Value::from(16), Value::from(64), Value::from(256)]);
        assert_eq!(grid_size(&config.keys), 3 * 3 * 2);
        let mut points: Vec<String> =
            (1..=18).map(|n| format!("{:?}", suggest(&config, n, &[]).unwrap())).collect();
        points.sort();
        points.dedup();
        assert_eq!(points.len(), 18);
        assert_eq!(suggest(&config, 19, &[]), None);
    }

    #[test]
    fn tpe_finds_better_values_than_random_search() {
        let wins =
            (0..40).filter(|seed| best("tpe", *seed, 60) < best("random", *seed, 60)).count();
        // Under equal chances 30 wins of 40 or more have a probability of 0.1 %.
        assert!(wins >= 30, "{wins} of 40");
    }

    #[test]
    fn running_and_failed_trials_are_avoided() {
        let config = config("trials = 99");
        let all: Vec<Seen> = (1..=12)
            .map(|n| {
                let parameters = suggest(&config, n.min(10), &[]).unwrap();
                Seen { value: Some(objective(&parameters)), parameters }
            })
            .collect();
        let next = suggest(&config, 13, &all).unwrap();
        let unjudged = |n: usize| (0..n).map(|_| Seen { parameters: next.clone(), value: None });
        let crowded: Vec<Seen> = all.iter().cloned().chain(unjudged(30)).collect();
        assert_ne!(suggest(&config, 13, &crowded).unwrap(), next);
        // Trials of which none is judged are no ground to learn from.
        let none: Vec<Seen> = unjudged(3).collect();
        let random = SweepConfig {
            search: super::super::SearchConfig { method: Method::Random, ..config.search.clone() },
            ..config.clone()
        };
        assert_eq!(suggest(&config, 13, &none), suggest(&random, 13, &[]));
    }
}

//! The checks of `sweep.toml`; messages name the key, the value found and what is expected.

use serde::Deserialize;
use toml::{Table, Value};

use super::config::{Method, SearchConfig, SweepConfig};
use super::space::{Distribution, Key, Multiple, Parameters};
use super::trial;
use crate::error::{TrainError, nearest};

const DISTRIBUTIONS: &[&str] = &["uniform", "log-uniform", "integer", "log-integer", "choice"];

/// A range as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    distribution: Option<String>,
    low: Option<Value>,
    high: Option<Value>,
    centre: Option<f64>,
    spread: Option<f64>,
    step: Option<i64>,
    multiple_of: Option<Multiple>,
    points: Option<usize>,
    choices: Option<Vec<Value>>,
}

/// The keys of `[set]`; sections become dotted keys.
pub(super) fn settings(table: &Table) -> Parameters {
    let mut found = Parameters::new();
    flatten(table, "", &|_| false, &mut found);
    found
}

/// The keys of `[keys]` with their ranges.
pub(super) fn keys(table: &Table) -> Result<Vec<Key>, String> {
    let is_range =
        |value: &Table| value.contains_key("distribution") || value.contains_key("choices");
    let mut found = Parameters::new();
    flatten(table, "", &is_range, &mut found);
    if found.is_empty() {
        return Err("[keys] is empty: name at least one key and its range".to_owned());
    }
    let key = |(path, value): (String, Value)| {
        let distribution = distribution(&value).map_err(|problem| match problem {
            Problem::OfRange(problem) => format!("keys.\"{path}\": {problem}"),
            Problem::NoRange => format!(
                "keys.\"{path}\" = {value}: expected a range, as in {{ distribution = \"uniform\", \
                 low = 0.1, high = 0.5 }} or {{ choices = [..] }}; a fixed value belongs to [set]"
            ),
        })?;
        Ok(Key { path, distribution })
    };
    found.into_iter().map(key).collect()
}

/// Collects the values of a table under dotted keys; a table with `is_value` is one.
fn flatten(table: &Table, prefix: &str, is_value: &dyn Fn(&Table) -> bool, to: &mut Parameters) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) if !is_value(inner) => flatten(inner, &path, is_value, to),
            _ => drop(to.insert(path, value.clone())),
        }
    }
}

enum Problem {
    NoRange,
    OfRange(String),
}

impl From<String> for Problem {
    fn from(problem: String) -> Self {
        Self::OfRange(problem)
    }
}

fn distribution(value: &Value) -> Result<Distribution, Problem> {
    let Value::Table(table) = value else { return Err(Problem::NoRange) };
    let range =
        Range::deserialize(table.clone()).map_err(|e| e.to_string().trim_end().to_owned())?;
    let name = match (&range.distribution, &range.choices) {
        (Some(name), _) => name.as_str(),
        (None, Some(_)) => "choice",
        (None, None) => return Err(Problem::NoRange),
    };
    let found = match name {
        "choice" => choice(range)?,
        "uniform" => real(&range, false)?,
        "log-uniform" => real(&range, true)?,
        "integer" => whole(&range, false)?,
        "log-integer" => whole(&range, true)?,
        other => {
            return Err(Problem::OfRange(format!(
                "distribution = \"{other}\"{}: expected one of {}",
                nearest(other, DISTRIBUTIONS),
                DISTRIBUTIONS.join(", ")
            )));
        }
    };
    Ok(found)
}

fn choice(range: Range) -> Result<Distribution, String> {
    let has_more = range.low.is_some() || range.high.is_some() || range.step.is_some();
    if has_more || range.centre.is_some() || range.multiple_of.is_some() {
        return Err("choices have no low, high, centre, step or multiple_of".to_owned());
    }
    let values = range.choices.unwrap_or_default();
    match values.as_slice() {
        [] => Err("choices is empty".to_owned()),
        [one] => Err(format!("choices has only {one}; put the value into [set]")),
        _ => Ok(Distribution::Choice(values)),
    }
}

fn real(range: &Range, log: bool) -> Result<Distribution, String> {
    if range.step.is_some() || range.multiple_of.is_some() {
        return Err("step and multiple_of are for integers".to_owned());
    }
    let (low, high) = ends(range, log)?;
    Ok(Distribution::Real { low, high, log, points: points(range)? })
}

fn whole(range: &Range, log: bool) -> Result<Distribution, String> {
    let (low, high) = ends(range, log)?;
    let exact = |name, value: f64| {
        let found = range.low.as_ref().filter(|_| name == "low").or(range.high.as_ref());
        if range.centre.is_none() && !found.is_some_and(Value::is_integer) {
            return Err(format!("{name} = {value}: expected an integer"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "sizes of a model or of a training")]
        Ok(value.round() as i64)
    };
    let (low, high) = (exact("low", low)?, exact("high", high)?);
    if log && low < 1 {
        return Err(format!("low = {low}: a logarithm needs a positive number"));
    }
    let step = range.step.unwrap_or(1);
    if step < 1 || (log && step != 1) {
        return Err(format!(
            "step = {step}: expected at least 1, and 1 where the range is logarithmic"
        ));
    }
    if step > high - low {
        return Err(format!("step = {step} from low = {low} goes beyond high = {high}"));
    }
    if let Some(Multiple::Number(n @ ..1)) = range.multiple_of {
        return Err(format!("multiple_of = {n}: expected at least 1"));
    }
    let multiple_of = range.multiple_of.clone();
    Ok(Distribution::Integer { low, high, step, log, multiple_of, points: points(range)? })
}

fn points(range: &Range) -> Result<Option<usize>, String> {
    match range.points {
        Some(0 | 1) => Err("points: expected at least 2".to_owned()),
        points => Ok(points),
    }
}

/// Both ends, from `low` and `high` or from `centre` and `spread`.
fn ends(range: &Range, log: bool) -> Result<(f64, f64), String> {
    if range.choices.is_some() {
        return Err("choices stand alone, without distribution".to_owned());
    }
    let (low, high) = match (&range.low, &range.high, range.centre, range.spread) {
        (Some(low), Some(high), None, None) => {
            let number = |name, value: &Value| {
                let problem = || format!("{name} = {value}: expected a number");
                super::space::number(value).filter(|x| x.is_finite()).ok_or_else(problem)
            };
            (number("low", low)?, number("high", high)?)
        }
        (None, None, Some(centre), Some(spread)) if log => {
            if !(centre > 0.0 && spread > 0.0 && centre.is_finite() && spread.is_finite()) {
                return Err(format!(
                    "centre = {centre}, spread = {spread}: expected two positive numbers"
                ));
            }
            (centre * (-spread).exp(), centre * spread.exp())
        }
        (None, None, Some(_), Some(_)) => {
            return Err("centre and spread are for log-uniform and log-integer; use low and high"
                .to_owned());
        }
        _ => return Err("expected low and high, or centre and spread".to_owned()),
    };
    if low > high {
        return Err(format!("low = {low} is above high = {high}"));
    }
    #[expect(clippy::float_cmp, reason = "the numbers are as they were written")]
    if low == high {
        return Err(format!(
            "low = high = {low} leaves nothing to search; put the value into [set]"
        ));
    }
    if log && low <= 0.0 {
        return Err(format!("low = {low}: a logarithm needs a positive number"));
    }
    Ok((low, high))
}

/// The section `[search]`.
pub(super) fn search(search: &SearchConfig, keys: &[Key]) -> Result<(), String> {
    if search.trials == Some(0) {
        return Err("search.trials = 0: expected at least 1".to_owned());
    }
    if let Some(time) = &search.time
        && search.time().is_none()
    {
        return Err(format!(
            "search.time = \"{time}\": expected a time, as in \"2h\" or \"90 min\""
        ));
    }
    if search.method == Method::Grid {
        let endless = keys.iter().find(|key| key.distribution.grid().is_none());
        return endless.map_or(Ok(()), |key| {
            Err(format!("keys.\"{}\": a grid needs points = N for a real number", key.path))
        });
    }
    if search.trials.is_none() && search.time.is_none() {
        return Err("no budget: give search.trials or search.time".to_owned());
    }
    Ok(())
}

/// Tries every key on the base, at both ends of its range or with every choice.
pub(super) fn on_the_base(config: &SweepConfig) -> Result<(), String> {
    for Key { path, distribution } in &config.keys {
        if config.set.contains_key(path) {
            return Err(format!("\"{path}\" stands both in [set] and in [keys]; keep one of them"));
        }
        let tried = match distribution {
            Distribution::Choice(values) => values.clone(),
            _ => vec![distribution.value(0.0), distribution.value(1.0)],
        };
        for value in tried {
            let parameters = Parameters::from([(path.clone(), value.clone())]);
            let set = config.assignments(&parameters);
            let problem = |problem: &str| format!("keys.\"{path}\" = {value}: {problem}");
            let run = trial::configuration(&config.base, &set).map_err(|e| problem(&reason(&e)))?;
            let table = Table::try_from(&run).map_err(|e| problem(&e.to_string()))?;
            if at(&table, path).is_none() {
                return Err(problem("the configuration has no such key"));
            }
        }
        if let Distribution::Integer { multiple_of: Some(Multiple::Key(other)), .. } = distribution
        {
            let is_integer = |key: &Key| {
                key.path == *other && matches!(key.distribution, Distribution::Integer { .. })
            };
            let is_fixed = config.fixed_integer(other).is_some_and(|n| n > 0);
            if other == path || !(config.keys.iter().any(is_integer) || is_fixed) {
                return Err(format!(
                    "keys.\"{path}\": multiple_of = \"{other}\" is no integer of [keys] or of the base"
                ));
            }
        }
    }
    Ok(())
}

/// The value of a dotted key.
pub(super) fn at<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
    match (table.get(head)?, rest) {
        (value, None) => Some(value),
        (Value::Table(inner), Some(rest)) => at(inner, rest),
        _ => None,
    }
}

/// What is wrong with a configuration, without the `--set` that this program wrote itself.
pub(super) fn reason(error: &TrainError) -> String {
    match error {
        TrainError::Config { origin, message } if origin.starts_with("--set") => message.clone(),
        other => other.to_string(),
    }
}

//! Labelled windows as the text files in which UCI HAR is given out.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use regard_data::labelled::LabelledSet;

/// Writes one part and the names of the activities; `ending` ends each line.
pub(crate) fn write(folder: &Path, part: &str, set: &LabelledSet, ending: &str) {
    let part_folder = folder.join(part);
    let signals = part_folder.join("Inertial Signals");
    fs::create_dir_all(&signals).unwrap();
    let lines = |file: &Path, lines: Vec<String>| {
        let text: String = lines.iter().flat_map(|line| [line, ending]).collect();
        fs::write(file, text).unwrap();
    };
    for (channel, column) in set.set.columns.iter().enumerate() {
        let line = |window: &regard_data::Series| {
            let values = (0..window.steps()).map(|t| window.row(t)[channel]);
            values.fold(String::new(), |mut line, value| {
                write!(line, "{:>16}", field(value)).unwrap();
                line
            })
        };
        let file = signals.join(format!("{column}_{part}.txt"));
        lines(&file, set.set.series.iter().map(line).collect());
    }
    let labels = set.labels.iter().map(|label| (label + 1).to_string());
    lines(&part_folder.join(format!("y_{part}.txt")), labels.collect());
    let subjects = set.groups.clone().expect("the windows have groups");
    lines(&part_folder.join(format!("subject_{part}.txt")), subjects);
    let names = set.classes.iter().enumerate().map(|(i, name)| format!("{} {name}", i + 1));
    lines(&folder.join("activity_labels.txt"), names.collect());
}

/// Seven digits, a zero and an exponent of three digits: `1.8085150e-004`.
fn field(value: f64) -> String {
    let text = format!("{value:.6e}");
    let (digits, exponent) = text.split_once('e').expect("an exponent");
    let exponent: i32 = exponent.parse().expect("a whole number");
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}0e{sign}{:03}", exponent.abs())
}

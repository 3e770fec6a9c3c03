//! The `.arff` files of the UEA and UCR archives.
//!
//! An attribute per step, then one that lists the classes; a case per line. A case of many
//! dimensions is one quoted value, with `\n` between its dimensions:
//!
//! ```text
//! @attribute signal relational
//!   @attribute t0 numeric
//!   @attribute t1 numeric
//! @end signal
//! @attribute class {up,down}
//! @data
//! '0.5,1\n3,2',up
//! ```
//!
//! A series shorter than the attributes ends in `?` in all dimensions; these steps are cut off.

use std::path::Path;

use super::cases::{Case, Cases, Dimension};
use super::error::{ArchiveProblem, Expected};
use super::lines::{Field, Line, Lines};
use crate::DataError;
use crate::labelled::LabelledOptions;
use crate::labelled::part::Part;

/// What stands between two dimensions of a case.
const BREAK: &[u8] = br"\n";

/// What the header says of the cases.
#[derive(Default)]
struct Header {
    /// Steps of the longest series.
    steps: usize,
    /// Whether a case is one quoted value.
    is_relational: bool,
    /// Whether the attributes of the steps of a relational one are being read.
    is_within: bool,
    /// The classes, and the line that lists them.
    declared: Option<(Vec<String>, u64)>,
}

/// Reads one file; one whose cases have no labels only if they need none.
pub(super) fn read(
    mut lines: Lines<'_>,
    file: &Path,
    options: &LabelledOptions,
    labelled: bool,
) -> Result<Part, DataError> {
    let header = Header::read(&mut lines, labelled)?;
    let mut cases = Cases::new(file, options);
    cases.dimensions = (!header.is_relational)
        .then(|| Expected { size: 1, reason: "as no attribute is relational".into() });
    cases.declared.clone_from(&header.declared);
    while let Some(line) = lines.next()? {
        if !line.is_comment() {
            cases.push(header.case(line)?)?;
        }
    }
    if cases.is_empty() {
        return Err(lines.end(ArchiveProblem::NoCases));
    }
    Ok(cases.into_part())
}

impl Header {
    /// Reads up to and with the line `@data`.
    fn read(lines: &mut Lines<'_>, labelled: bool) -> Result<Self, DataError> {
        let mut header = Self::default();
        while let Some(line) = lines.next()? {
            if line.is_comment() {
                continue;
            }
            let (key, rest) = line.all().word();
            match &key.text.to_ascii_lowercase()[..] {
                b"@relation" => {}
                b"@attribute" => header.attribute(rest)?,
                b"@end" => header.is_within = false,
                b"@data" => {
                    header.check(key, labelled)?;
                    return Ok(header);
                }
                _ => {
                    return Err(key.error(ArchiveProblem::NotAKey { found: line.all().excerpt() }));
                }
            }
        }
        Err(lines.end(ArchiveProblem::NoData))
    }

    fn attribute(&mut self, declaration: Field<'_>) -> Result<(), DataError> {
        let wrong = |expected| {
            let found = declaration.excerpt();
            Err(declaration.error(ArchiveProblem::Attribute { found, expected }))
        };
        if self.declared.is_some() {
            return wrong("@data, since the attribute of the classes comes last");
        }
        let kind = match declaration.text.first() {
            Some(b'\'' | b'"') => quoted(declaration)?.1,
            _ => declaration.word().1,
        };
        if kind.text.starts_with(b"{") {
            if self.is_within {
                return wrong("a numeric one in a relational attribute");
            }
            self.declared = Some((classes(kind)?, kind.line.number));
            return Ok(());
        }
        match &kind.text.to_ascii_lowercase()[..] {
            b"numeric" | b"real" | b"integer" if self.is_within || !self.is_relational => {
                self.steps += 1;
                Ok(())
            }
            b"relational" if self.steps == 0 && !self.is_relational => {
                (self.is_relational, self.is_within) = (true, true);
                Ok(())
            }
            _ => wrong(
                "numeric ones, or one relational attribute of numeric ones, then the classes in \
                 braces",
            ),
        }
    }

    fn check(&self, data: Field<'_>, labelled: bool) -> Result<(), DataError> {
        if self.steps == 0 {
            let (found, expected) = ("no numeric one".into(), "one for each step of a series");
            return Err(data.error(ArchiveProblem::Attribute { found, expected }));
        }
        if self.declared.is_none() && labelled {
            return Err(data.error(ArchiveProblem::Unlabelled));
        }
        Ok(())
    }

    fn case<'a>(&self, line: Line<'a>) -> Result<Case<'a>, DataError> {
        let all = line.all();
        if all.text.starts_with(b"{") {
            let found = "a case in braces".into();
            let expected = "all values, separated by commas";
            return Err(all.error(ArchiveProblem::Syntax { found, expected }));
        }
        let (mut dimensions, label) = if self.is_relational {
            let (inner, rest) = quoted(all)?;
            let dimensions = breaks(inner).map(Dimension::parse).collect::<Result<Vec<_>, _>>()?;
            let label = rest
                .text
                .strip_prefix(b",")
                .map(|_| rest.line.field(rest.start + 1, rest.start + rest.text.len()));
            (dimensions, label)
        } else {
            let mut fields: Vec<Field<'_>> = all.split(b',').collect();
            let label = self.declared.as_ref().and_then(|_| fields.pop());
            let values = fields.into_iter().map(Field::number).collect::<Result<_, _>>()?;
            (vec![Dimension { field: all, values }], label)
        };
        self.check_steps(&dimensions)?;
        cut(&mut dimensions);
        let label = match (label, &self.declared) {
            (_, None) => None,
            (Some(label), Some(_)) if !label.text.is_empty() => Some(unquoted(label)?),
            (_, Some(_)) => {
                let found = "the end of the line".into();
                let expected = "a comma and the label of the case";
                let problem = ArchiveProblem::Syntax { found, expected };
                return Err(line.error(line.text.len(), problem));
            }
        };
        Ok(Case { line, dimensions, label, times: None })
    }

    fn check_steps(&self, dimensions: &[Dimension<'_>]) -> Result<(), DataError> {
        for (i, Dimension { field, values }) in dimensions.iter().enumerate() {
            if values.len() != self.steps {
                let reason = "as there are attributes for steps".into();
                return Err(field.error(ArchiveProblem::Steps {
                    found: values.len(),
                    dimension: i + 1,
                    expected: Expected { size: self.steps, reason },
                }));
            }
        }
        Ok(())
    }
}

/// Cuts off the steps at the end that no dimension has, unless there are no others.
fn cut(dimensions: &mut [Dimension<'_>]) {
    let length = |dimension: &Dimension<'_>| {
        dimension.values.iter().rposition(|value| !value.is_nan()).map_or(0, |last| last + 1)
    };
    let steps = dimensions.iter().map(length).max().unwrap_or(0);
    if steps > 0 {
        for dimension in dimensions {
            dimension.values.truncate(steps);
        }
    }
}

/// The dimensions of a case.
fn breaks(inner: Field<'_>) -> impl Iterator<Item = Field<'_>> {
    let mut start = Some(inner.start);
    let end = inner.start + inner.text.len();
    std::iter::from_fn(move || {
        let from = start?;
        let rest = &inner.line.text[from..end];
        let length = rest.windows(BREAK.len()).position(|bytes| bytes == BREAK);
        start = length.map(|length| from + length + BREAK.len());
        Some(inner.line.field(from, length.map_or(end, |length| from + length)))
    })
}

/// What stands in the quotes at the start, and what behind them.
fn quoted(field: Field<'_>) -> Result<(Field<'_>, Field<'_>), DataError> {
    let syntax =
        |found: String, expected| Err(field.error(ArchiveProblem::Syntax { found, expected }));
    let Some(&quote @ (b'\'' | b'"')) = field.text.first() else {
        let expected = "the case in quotes, as its attribute is relational";
        return syntax(format!("{:?}", field.excerpt()), expected);
    };
    let inner = &field.text[1..];
    let is_end = |&i: &usize| inner[i] == quote && (i == 0 || inner[i - 1] != b'\\');
    match (0..inner.len()).find(is_end) {
        Some(length) => {
            let (start, end) = (field.start + 1, field.start + field.text.len());
            let line = field.line;
            Ok((line.field(start, start + length), line.field(start + length + 1, end)))
        }
        None => syntax("a quote without its end".into(), "the quote that ends the value"),
    }
}

/// A text without the quotes around it, if there are any.
fn unquoted(field: Field<'_>) -> Result<Field<'_>, DataError> {
    match field.text.first() {
        Some(b'\'' | b'"') => Ok(quoted(field)?.0),
        _ => Ok(field),
    }
}

/// The distinct names in `{…}`.
fn classes(kind: Field<'_>) -> Result<Vec<String>, DataError> {
    let end = kind.text.iter().position(|&byte| byte == b'}').ok_or_else(|| {
        let (found, expected) = (kind.excerpt(), "} behind the last class");
        kind.error(ArchiveProblem::Attribute { found, expected })
    })?;
    let mut names: Vec<String> = Vec::new();
    for field in kind.line.field(kind.start + 1, kind.start + end).split(b',') {
        let name = unquoted(field)?.lossy();
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

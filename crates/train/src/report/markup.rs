//! A writer for HTML and SVG that cannot leave a tag open or a name unescaped.
//!
//! Tag and attribute names are literals of this program; everything else passes through
//! [`escaped`]. Elements close themselves, so the result is always well-formed.

use std::fmt::{Display, Write};

use super::format::printable;

/// Attributes of an element: literal names, values of any kind.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a dyn Display)];

/// A piece of HTML or SVG.
#[derive(Clone, Debug, Default)]
pub(super) struct Markup {
    text: String,
}

impl Markup {
    /// Writes `<tag …>`, the `content`, `</tag>`.
    pub(super) fn element(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        content: impl FnOnce(&mut Self),
    ) {
        self.start(tag, attributes);
        self.text.push('>');
        content(self);
        self.text.push_str("</");
        self.text.push_str(tag);
        self.text.push('>');
    }

    /// Writes an element that holds only text.
    pub(super) fn leaf(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        text: impl Display,
    ) {
        self.element(tag, attributes, |inner| inner.text(text));
    }

    /// Writes an element without content, `<tag …/>`.
    pub(super) fn empty(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.start(tag, attributes);
        self.text.push_str("/>");
    }

    /// Writes text, escaped.
    pub(super) fn text(&mut self, text: impl Display) {
        self.text.push_str(&escaped(&text.to_string()));
    }

    /// Writes a style sheet of this program. Style sheets have no escapes, so no name may enter.
    pub(super) fn style(&mut self, sheets: &[&str]) {
        self.text.push_str("<style>\n");
        self.text.push_str(&sheets.concat());
        self.text.push_str("</style>");
    }

    /// Writes another piece.
    pub(super) fn append(&mut self, other: &Self) {
        self.text.push_str(&other.text);
    }

    /// Starts a new line in the source.
    pub(super) fn new_line(&mut self) {
        self.text.push('\n');
    }

    /// The finished text.
    pub(super) fn into_string(self) -> String {
        self.text
    }

    fn start(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.text.push('<');
        self.text.push_str(tag);
        for (name, value) in attributes {
            let value = escaped(&value.to_string());
            write!(self.text, " {name}=\"{value}\"").expect("writing to a string cannot fail");
        }
    }
}

/// `text` safe as content and as the value of an attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(c),
        }
    }
    safe
}

/// A coordinate: at most one decimal, which is a tenth of a screen pixel.
pub(super) fn coordinate(value: f64) -> String {
    debug_assert!(value.is_finite(), "a gap must not become a coordinate");
    let text = format!("{value:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".to_string(),
        Some(whole) => whole.to_string(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_and_attributes_are_escaped() {
        let name = "<script>alert('x')</script> & \"y\"\u{0}";
        let mut markup = Markup::default();
        markup.leaf("b", &[("title", &name)], name);
        let safe = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;y&quot;\u{fffd}";
        assert_eq!(markup.into_string(), format!("<b title=\"{safe}\">{safe}</b>"));
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!([3.0, -0.04, 1.25, -2.06].map(coordinate), ["3", "0", "1.2", "-2.1"]);
    }
}

//! What every page has: head, style sheet, figures that exist in two widths.

use std::fmt::Display;

use super::super::markup::Markup;
use super::super::plot;

const STYLE: &str = include_str!("report.css");
/// Nothing may be loaded and no script may run, even if a name slipped through unescaped.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// How much of the page a figure takes on a wide screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Half,
    Full,
}

impl Span {
    /// Width of the drawing on a wide screen, in CSS pixels.
    fn wide(self) -> f64 {
        match self {
            Self::Half => 500.0,
            Self::Full => 1000.0,
        }
    }
}

/// Width of the drawing on a phone, in CSS pixels.
const NARROW: f64 = 350.0;

/// A complete document.
pub(super) fn page(title: &str, version: &str, body: impl FnOnce(&mut Markup)) -> String {
    let mut html = Markup::default();
    html.element("html", &[("lang", &"en")], |html| {
        html.new_line();
        html.element("head", &[], |head| {
            head.empty("meta", &[("charset", &"utf-8")]);
            let viewport = "width=device-width, initial-scale=1";
            head.empty("meta", &[("name", &"viewport"), ("content", &viewport)]);
            head.empty("meta", &[("name", &"color-scheme"), ("content", &"light dark")]);
            let policy: [(&str, &dyn Display); 2] =
                [("http-equiv", &"Content-Security-Policy"), ("content", &POLICY)];
            head.empty("meta", &policy);
            head.leaf("title", &[], title);
            head.new_line();
            head.style(&[STYLE, &plot::style_sheet()]);
        });
        html.new_line();
        html.element("body", &[], |html| {
            html.element("main", &[], body);
            html.new_line();
            html.element("footer", &[], |footer| {
                footer.leaf("p", &[], format!("Written by regard {version}."));
            });
        });
    });
    format!("<!DOCTYPE html>\n{}\n", html.into_string())
}

/// A section with a heading.
pub(super) fn section(out: &mut Markup, heading: &str, content: impl FnOnce(&mut Markup)) {
    out.new_line();
    out.element("section", &[], |out| {
        out.leaf("h2", &[], heading);
        content(out);
    });
}

/// A figure drawn twice, for a phone and for a wide screen; the page shows the one that fits.
pub(super) fn figure(out: &mut Markup, span: Span, caption: &str, draw: impl Fn(f64) -> Markup) {
    let class = if span == Span::Full { "full" } else { "half" };
    out.new_line();
    out.element("figure", &[("class", &class)], |out| {
        out.element("div", &[("class", &"narrow")], |out| out.append(&draw(NARROW)));
        out.element("div", &[("class", &"wide")], |out| out.append(&draw(span.wide())));
        out.leaf("figcaption", &[], caption);
    });
}

/// Words and a number at a glance.
pub(super) fn tile(out: &mut Markup, name: &str, value: &str, detail: &str) {
    out.element("div", &[("class", &"tile")], |out| {
        out.leaf("dt", &[], name);
        out.element("dd", &[], |out| {
            out.leaf("b", &[], value);
            if !detail.is_empty() {
                out.leaf("small", &[], detail);
            }
        });
    });
}

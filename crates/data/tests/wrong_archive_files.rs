//! Every fault of a `.ts` or `.arff` file gives one message: file, line, column, what was found, what
//! was expected, what to do. None makes the reader panic.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use regard_data::labelled::{LabelledOptions, read_from};

const TS: &str = "# two gestures\n@problemName Gestures\n@timeStamps false\n@univariate false\n\
    @dimensions 2\n@equalLength true\n@seriesLength 3\n@classLabel true up down\n@data\n\
    1,2,3:4,5,6:up\n-1,?,1e3:7,8,9:down\n";
const STAMPED: &str = "@timeStamps true\n@classLabel true up down\n@data\n\
    (0,1),(1,2):(0,3),(1,4):up\n(0,5),(1,6):(0,7),(1,8):down\n";
const ARFF: &str = "% two gestures\n@relation gestures\n@attribute signal relational\n\
    @attribute t0 numeric\n@attribute t1 numeric\n@end signal\n@attribute class {up,down}\n@data\n\
    '1,2\\n3,4',up\n'5,6\\n7,?',down\n";
const PLAIN_ARFF: &str = "@relation r\n@attribute t0 numeric\n@attribute t1 real\n@attribute class {1,2}\n@data\n\
     1,2,1\n3,4,2\n";

fn message(name: &str, bytes: &[u8]) -> String {
    match read_from(bytes, Path::new(name), &LabelledOptions::default()) {
        Err(error) => error.to_string(),
        Ok(data) => panic!("{name} is read: {}", data.description),
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The messages of copies of a file in which the first of one text is replaced by another.
fn messages(name: &str, text: &str, damages: &[(&str, &str, &str)]) -> String {
    let mut all = String::new();
    for (what, from, to) in damages {
        assert!(text.contains(from), "{what}: {from:?}");
        let found = message(name, text.replacen(from, to, 1).as_bytes());
        writeln!(all, "{what}\n    {found}").unwrap();
    }
    all
}

#[test]
fn faults_of_a_ts_file() {
    insta::assert_snapshot!(messages(
        "g.ts",
        TS,
        &[
            ("empty file", TS, ""),
            ("blank lines", TS, "\n\r\n \n"),
            ("comments only", TS, "# a\n% b\n"),
            ("no @data", "@data\n", ""),
            ("a key cut short", TS, "@problemName Gestures\n@timeSta"),
            ("a value cut short", TS, "@problemName Gestures\n@timeStamps fal"),
            ("no cases", "1,2,3:4,5,6:up\n-1,?,1e3:7,8,9:down\n", "# none\n"),
            ("text in the header", "@problemName", "problemName"),
            ("wrong flag", "@timeStamps false", "@timeStamps perhaps"),
            ("flag without a value", "@equalLength true", "@equalLength"),
            ("wrong count", "@dimensions 2", "@dimensions two"),
            ("negative count", "@seriesLength 3", "@SERIESLENGTH -3"),
            (
                "count of thirty digits",
                "@dimensions 2",
                "@dimensions 999999999999999999999999999999"
            ),
            ("huge length", "@seriesLength 3", "@seriesLength 1000000000000000000"),
            ("huge dimensions", "@dimensions 2", "@dimensions 1000000000000000000"),
            ("wrong dimensions", "@dimensions 2", "@dimensions 3"),
            ("univariate", "@univariate false\n@dimensions 2", "@univariate true"),
            ("wrong length", "@seriesLength 3", "@seriesLength 4"),
            ("no labels", "@classLabel true up down", "@classLabel false"),
            ("regression", "@classLabel true up down", "@targetLabel true"),
            ("a dimension less", "-1,?,1e3:", ""),
            ("a dimension more", "-1,?,1e3:", "1,2,3:-1,?,1e3:"),
            ("a dimension shorter", "7,8,9", "7,8"),
            ("a case shorter", "-1,?,1e3:7,8,9", "-1,?:7,8"),
            (
                "a case shorter, no length declared",
                "@seriesLength 3\n@classLabel true up down\n\
              @data\n1,2,3:4,5,6:up\n-1,?,1e3:7,8,9",
                "@classLabel true up down\n@data\n1,2,3:4,5,6:up\n-1,?:7,8"
            ),
            ("text in numbers", "1e3", "1e"),
            ("an infinite number", "1e3", "1e999"),
            ("no number", "-1,?,", "-1,,"),
            ("a comma at the end", "7,8,9:", "7,8,9,:"),
            ("another decimal sign", "1e3", "1;3"),
            ("an empty dimension", "-1,?,1e3:", ":"),
            ("a dimension without a value", "-1,?,1e3", "?,NaN,?"),
            ("undeclared label", "9:down", "9:left"),
            ("empty label", "9:down", "9: "),
            ("no colon", "-1,?,1e3:7,8,9:down", "7,8,9"),
            ("no label", "9:down", "9"),
            ("an unknown label", "9:down", "9:?"),
            (
                "one class",
                "@classLabel true up down\n@data\n1,2,3:4,5,6:up\n-1,?,1e3:7,8,9:down",
                "@classLabel true up down\n@data\n1,2,3:4,5,6:up"
            ),
            ("stamps without @timeStamps", "1,2,3:4,5,6", "(0,1),(1,2),(2,3):(0,4),(1,5),(2,6)"),
            ("another format", "# two gestures", "time,u\n0,1\n"),
        ]
    ));
}

#[test]
fn faults_of_stamps() {
    insta::assert_snapshot!(messages(
        "s.ts",
        STAMPED,
        &[
            ("no closing parenthesis", "(1,8):down", "(1,8:down"),
            ("no closing parenthesis in between", "(0,5),", "(0,5,"),
            ("no opening parenthesis", "(0,7)", "0,7)"),
            ("two opening parentheses", "(0,5)", "((0,5)"),
            ("two closing parentheses", "(0,5)", "(0,5))"),
            ("no value", "(0,5)", "(0)"),
            ("three numbers", "(0,5)", "(0,5,6)"),
            ("no stamp", "(0,5)", "(,5)"),
            ("text for a value", "(0,5)", "(0,x)"),
            ("text for a stamp", "(1,6)", "(noon,6)"),
            ("text for the first stamp", "(0,1)", "(noon,1)"),
            ("an infinite stamp", "(1,6)", "(inf,6)"),
            ("a date among numbers", "(1,6)", "(2026-01-31,6)"),
            ("a stamp again", "(1,6)", "(0,6)"),
            ("another stamp in the next dimension", "(1,8)", "(2,8)"),
            ("a step less in the next dimension", "(0,7),(1,8)", "(0,7)"),
            ("a step more in the next dimension", "(1,8)", "(1,8),(2,9)"),
            ("a comma at the end", "(1,8):", "(1,8),:"),
            ("no comma", "(0,7),", "(0,7)"),
            ("no label", "(1,8):down", "(1,8)"),
            ("empty label", "(1,8):down", "(1,8):"),
            ("a label between dimensions", "(1,6):(0,7)", "(1,6):up:(0,7)"),
            ("no tuples", "(0,5),(1,6):(0,7),(1,8):down", "down"),
            ("plain numbers", "(0,5),(1,6):(0,7),(1,8):down", "5,6:7,8:down"),
            ("an empty dimension", "(0,7),(1,8):", "?:"),
        ]
    ));
}

#[test]
fn faults_of_an_arff_file() {
    insta::assert_snapshot!(messages(
        "g.arff",
        ARFF,
        &[
            ("empty file", ARFF, ""),
            ("no @data", "@data\n", ""),
            ("header cut short", ARFF, "@relation gestures\n@attribute sig"),
            ("no cases", "'1,2\\n3,4',up\n'5,6\\n7,?',down\n", ""),
            ("unknown key", "@relation", "@relations"),
            ("text attribute", "t0 numeric", "t0 string"),
            ("attribute without a type", "t0 numeric", "t0"),
            ("a quote in a name", "signal relational", "'signal relational"),
            ("relational twice", "@end signal", "@end signal\n@attribute other relational"),
            (
                "relational late",
                "@attribute signal relational\n",
                "@attribute a real\n@attribute b \
              relational\n"
            ),
            ("classes inside", "t0 numeric", "t0 {a,b}"),
            (
                "classes before the steps",
                "@attribute signal relational\n",
                "@attribute c {up}\n\
              @attribute signal relational\n"
            ),
            ("classes without a brace", "{up,down}", "{up,down"),
            ("no classes", "@attribute class {up,down}\n", ""),
            ("no steps", "@attribute t0 numeric\n@attribute t1 numeric\n", ""),
            ("sparse case", "'5,6\\n7,?',down", "{0 '5,6\\n7,8', 1 down}"),
            ("no quotes", "'5,6\\n7,?'", "5,6\\n7,?"),
            ("no closing quote", "'5,6\\n7,?'", "'5,6\\n7,?"),
            ("a step less", "7,?'", "7'"),
            ("a step more", "7,?'", "7,8,9'"),
            ("a dimension less", "'5,6\\n7,?'", "'5,6'"),
            ("an empty case", "'5,6\\n7,?'", "''"),
            ("a dimension without a value", "7,?", "?,?"),
            ("a case without a value", "5,6\\n7,?", "?,?\\n?,?"),
            ("text in numbers", "5,6", "5,six"),
            ("no label", "?',down", "?'"),
            ("empty label", "?',down", "?', "),
            ("undeclared label", "?',down", "?',left"),
            ("a label in half a quote", "?',down", "?','down"),
        ]
    ));
    insta::assert_snapshot!(messages(
        "p.arff",
        PLAIN_ARFF,
        &[
            ("a step less", "3,4,2", "3,2"),
            ("a step more", "3,4,2", "3,4,5,2"),
            ("only a label", "3,4,2", "2"),
            ("a quoted case", "3,4,2", "'3,4',2"),
            ("text in numbers", "3,4,2", "3,four,2"),
        ]
    ));
}

#[test]
fn bytes_that_are_no_text() {
    let mut all = String::new();
    let junk: Vec<u8> =
        (0..4096_u32).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let wide: Vec<u8> = TS.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (what, name, bytes) in [
        ("zeros", "g.ts", &[0; 100][..]),
        ("junk", "g.ts", &junk),
        ("junk", "g.arff", &junk),
        ("UTF-16", "g.ts", &wide),
        ("junk in a case", "g.ts", &[TS.as_bytes(), b"\xff\xfe\x00,\x80:1,2,3:up\n"].concat()),
    ] {
        writeln!(all, "{what}\n    {}", message(name, bytes)).unwrap();
    }
    insta::assert_snapshot!(all);
}

#[test]
fn gzip_data_cut_short_or_damaged() {
    let whole = gzip(&format!("{TS}{}", "1,2,3:4,5,6:up\n".repeat(500)));
    let mut flipped = gzip(TS);
    let last = flipped.len() - 6; // in the checksum
    flipped[last] ^= 0x55;
    for bytes in [&whole[..whole.len() / 2], &whole[..whole.len() - 3], &whole[..7], &flipped] {
        let found = message("g.ts.gz", bytes);
        assert!(found.starts_with("g.ts.gz, line "), "{found}");
        let problem = "the gzip data end early or are damaged; get the file again";
        assert!(found.ends_with(problem), "{found}");
    }
}

/// One change of the bytes of a file: where, how many bytes go, what comes.
type Change = (prop::sample::Index, usize, Vec<u8>);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        prop::sample::select(vec![
            &b"@data\n"[..],
            b"\n",
            b"\r\n",
            b":",
            b",",
            b"(",
            b")",
            b"'",
            b"\"",
            b"\\n",
            b"{",
            b"}",
            b"?",
            b"NaN",
            b"1e999",
            b"@timeStamps true\n",
            b"@classLabel false\n",
            b"@dimensions 18446744073709551615\n",
            b"@seriesLength 4294967296\n",
            b"\x1f\x8b",
            b"\0",
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), 0..9_usize, piece), 1..6)
}

proptest! {
    #[test]
    fn a_changed_file_is_read_or_refused(changes in changes(), file in 0..4_usize, packed: bool) {
        let (name, text) = [
            ("g.ts", TS), ("s.ts", STAMPED), ("g.arff", ARFF), ("p.arff", PLAIN_ARFF),
        ][file];
        let mut bytes = if packed { gzip(text) } else { text.as_bytes().to_vec() };
        for (at, removed, inserted) in changes {
            let at = at.index(bytes.len() + 1);
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, inserted);
        }
        match read_from(&bytes[..], Path::new(name), &LabelledOptions::default()) {
            Ok(data) => {
                let set = data.train.set;
                prop_assert!(set.series.iter().all(|s| s.channels == set.columns.len()));
                prop_assert!(set.series.iter().flat_map(|s| &s.values).all(|x| x.is_finite()));
            }
            Err(error) => prop_assert!(error.to_string().contains(name) || error.to_string()
                .contains("one class") || error.to_string().contains("distinct"), "{}", error),
        }
    }
}

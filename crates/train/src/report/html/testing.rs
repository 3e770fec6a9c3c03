//! Checks that every page must pass.

/// Elements of HTML that never have an end tag.
const VOID: [&str; 1] = ["meta"];

/// Panics unless every tag is closed in order and every attribute is quoted.
pub(super) fn assert_well_formed(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html.strip_prefix("<!DOCTYPE html>").expect("the document type comes first");
    while let Some(at) = rest.find('<') {
        assert!(!rest[..at].contains('>'), "a stray > in {:?}", &rest[..at.min(200)]);
        let end = at + rest[at..].find('>').expect("every tag ends");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "</{name}> closes another element");
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "an unfinished attribute in <{tag}>");
        let name = tag.split([' ', '/']).next().unwrap();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "<{tag}>");
        if !tag.ends_with('/') {
            assert!(!VOID.contains(&name), "<{tag}> has no content");
            open.push(name);
        }
        if name == "style" {
            rest = &rest[rest.find("</style>").expect("the style sheet ends")..];
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

/// Panics if the page could load anything or run a script.
pub(super) fn assert_self_contained(html: &str) {
    let lower = html.to_lowercase();
    for word in ["http:", "https:", "src=", "href=", "url(", "@import", "<script", "<link", " on"] {
        let hit =
            lower.match_indices(word).find(|(at, _)| word != " on" || is_handler(&lower[*at..]));
        assert!(hit.is_none(), "{word} at {hit:?}");
    }
}

/// Whether `text` starts with an event handler such as ` onload=`.
fn is_handler(text: &str) -> bool {
    let name: String = text[1..].chars().take_while(char::is_ascii_alphanumeric).collect();
    text[1 + name.len()..].starts_with('=')
}

//! The floors of the workspace: who may use whom.
//!
//! A crate uses only floors below its own, and what must not spread stays where it is.

use cargo_metadata::{Metadata, MetadataCommand, Package};

/// Every crate of the workspace and its floor.
const FLOORS: [(&str, u32); 5] = [
    ("regard-kernels", 1),
    ("regard-nn", 2),
    ("regard-data", 3),
    ("regard-train", 4),
    ("regard-cli", 5),
];

/// Crates from outside that only some of ours may use.
const RESERVED: [(&str, &[&str]); 3] = [
    ("anyhow", &["regard-cli"]),
    ("burn", &["regard-kernels", "regard-nn", "regard-train"]),
    ("clap", &["regard-cli"]),
];

fn workspace() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let mut command = MetadataCommand::new();
    command.manifest_path(manifest).no_deps().other_options([String::from("--offline")]);
    command.exec().expect("cargo reads the manifests")
}

/// Every dependency of a crate, normal, build and development.
fn edges(packages: &[&Package]) -> Vec<(String, String)> {
    let of = |package: &Package| {
        let user = package.name.to_string();
        let used = package.dependencies.iter().map(|used| used.name.clone());
        used.map(|used| (user.clone(), used)).collect::<Vec<_>>()
    };
    packages.iter().flat_map(|package| of(package)).collect()
}

/// One sentence for each edge that is not allowed.
fn violations(edges: &[(String, String)]) -> Vec<String> {
    let floor =
        |name: &str| FLOORS.iter().find(|(known, _)| *known == name).map(|(_, floor)| *floor);
    let mut found = Vec::new();
    for (user, used) in edges {
        let is_ours = used.starts_with("regard-");
        match (floor(user), floor(used)) {
            (None, _) => found.push(format!("{user} is on no floor")),
            (Some(_), None) if is_ours => found.push(format!("{used} is on no floor")),
            (Some(upper), Some(lower)) if lower >= upper => {
                found.push(format!("{user} (floor {upper}) uses {used} (floor {lower})"));
            }
            _ => {}
        }
        let reserved = RESERVED.iter().find(|(name, _)| name == used);
        if reserved.is_some_and(|(_, users)| !users.contains(&user.as_str())) {
            found.push(format!("{user} uses {used}, which is not for it"));
        }
    }
    found
}

#[test]
fn every_crate_uses_only_floors_below_its_own() {
    let metadata = workspace();
    assert_eq!(violations(&edges(&metadata.workspace_packages())), Vec::<String>::new());
}

#[test]
fn every_crate_is_on_a_floor() {
    let metadata = workspace();
    let packages = metadata.workspace_packages();
    let mut names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut known = FLOORS.map(|(name, _)| name);
    names.sort_unstable();
    known.sort_unstable();
    assert_eq!(names, known, "add the new crate to FLOORS, or remove the old one");
}

#[test]
fn forbidden_edges_are_found() {
    let edge = |user: &str, used: &str| (user.to_string(), used.to_string());
    let forbidden = [
        edge("regard-kernels", "regard-nn"),
        edge("regard-data", "regard-data"),
        edge("regard-data", "burn"),
        edge("regard-train", "anyhow"),
        edge("regard-cli", "regard-utils"),
        edge("regard-utils", "serde"),
        edge("regard-cli", "regard-kernels"), // allowed: it lies below
    ];
    assert_eq!(
        violations(&forbidden),
        [
            "regard-kernels (floor 1) uses regard-nn (floor 2)",
            "regard-data (floor 3) uses regard-data (floor 3)",
            "regard-data uses burn, which is not for it",
            "regard-train uses anyhow, which is not for it",
            "regard-utils is on no floor",
            "regard-utils is on no floor",
        ]
    );
}

//! The folder of a problem: `NAME_TRAIN.ts` and `NAME_TEST.ts`, or another extension.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::DataError;
use crate::labelled::LabelledError;

/// Extensions of the files, in order of preference.
const EXTENSIONS: [&str; 4] = [".ts", ".ts.gz", ".arff", ".arff.gz"];
const PARTS: [&str; 2] = ["_TRAIN", "_TEST"];

/// The files of a problem.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::labelled) struct Files {
    pub(in crate::labelled) train: PathBuf,
    pub(in crate::labelled) test: Option<PathBuf>,
}

/// The files of the problem asked for, in its folder or in the one above; without a name, those of
/// the only problem there is. `None` for a folder of other things.
///
/// # Errors
/// [`LabelledError::NoProblem`] if the one asked for is not there, or which is meant cannot be told.
pub(in crate::labelled) fn find(
    folder: &Path,
    asked: Option<&str>,
) -> Result<Option<Files>, DataError> {
    let mut problems = problems_in(folder)?;
    if asked.is_none_or(|name| !problems.contains_key(name)) {
        for inner in entries(folder)?.into_iter().filter(|entry| entry.is_dir()) {
            // What lies beside the problems need not be readable.
            let inner = problems_in(&inner).unwrap_or_default();
            for (name, files) in inner {
                problems.entry(name).or_insert(files);
            }
        }
    }
    let name = match asked {
        Some(name) => problems.contains_key(name).then(|| name.to_owned()),
        None if problems.is_empty() => return Ok(None),
        None => problems.keys().next().filter(|_| problems.len() == 1).cloned(),
    };
    match name.and_then(|name| problems.remove(&name)) {
        Some(files) => Ok(Some(files)),
        None => Err(LabelledError::NoProblem {
            folder: folder.to_owned(),
            asked: asked.map(str::to_owned),
            known: problems.into_keys().collect(),
        }
        .into()),
    }
}

/// The problems whose files lie in a folder, by name.
fn problems_in(folder: &Path) -> Result<BTreeMap<String, Files>, DataError> {
    let names: Vec<String> = entries(folder)?
        .iter()
        .filter(|entry| entry.is_file())
        .filter_map(|entry| Some(entry.file_name()?.to_str()?.to_owned()))
        .collect();
    let mut problems = BTreeMap::new();
    for extension in EXTENSIONS {
        let [train, test] = PARTS.map(|part| format!("{part}{extension}"));
        for name in names.iter().filter_map(|file| file.strip_suffix(&train)) {
            let file = |end: &str| folder.join(format!("{name}{end}"));
            let files =
                Files { train: file(&train), test: Some(file(&test)).filter(|f| f.is_file()) };
            problems.entry(name.to_owned()).or_insert(files);
        }
    }
    Ok(problems)
}

/// What a folder holds, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = |source| DataError::Io { file: folder.to_owned(), action: "read", source };
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let mut paths = entries
        .map(|entry| Ok(entry.map_err(unreadable)?.path()))
        .collect::<Result<Vec<_>, DataError>>()?;
    paths.sort_unstable();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn touch(file: &Path) {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "").unwrap();
    }

    #[test]
    fn a_problem_is_found_in_its_folder_and_in_the_one_above() {
        let root = TempDir::new().unwrap();
        let folder = root.path().join("A");
        for name in ["A_TRAIN.arff", "A_TEST.arff", "A_TRAIN.ts.gz", "A_TEST.ts.gz", "A.txt"] {
            touch(&folder.join(name));
        }
        let a =
            Files { train: folder.join("A_TRAIN.ts.gz"), test: Some(folder.join("A_TEST.ts.gz")) };
        for (path, name) in [(&folder, None), (&folder, Some("A"))] {
            assert_eq!(find(path, name).unwrap().as_ref(), Some(&a));
        }
        assert_eq!(find(root.path(), None).unwrap().as_ref(), Some(&a));
        touch(&root.path().join("B/B_TRAIN.ts"));
        assert_eq!(find(root.path(), Some("A")).unwrap().as_ref(), Some(&a));
        let b = Files { train: root.path().join("B/B_TRAIN.ts"), test: None };
        assert_eq!(find(root.path(), Some("B")).unwrap(), Some(b));
        assert_eq!(
            find(root.path(), None).unwrap_err().to_string(),
            format!(
                "{} holds the problems A, B; name one of them with the key data.problem, or give \
                 its folder",
                root.path().display()
            )
        );
        assert_eq!(
            find(&folder, Some("B")).unwrap_err().to_string(),
            format!(
                "{} has no files B_TRAIN.ts (or .ts.gz, .arff, .arff.gz), which data.problem asks \
                 for; it has A; give the folder of the problem, or the one that holds it",
                folder.display()
            )
        );
    }

    #[test]
    fn a_folder_of_other_things_has_no_problem() {
        let root = TempDir::new().unwrap();
        touch(&root.path().join("train.npz"));
        assert_eq!(find(root.path(), None).unwrap(), None);
    }
}

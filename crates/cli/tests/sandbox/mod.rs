//! A folder of its own for each test, and the program run in it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

/// An empty folder that goes away with the value.
pub(crate) struct Sandbox(TempDir);

/// What a finished command left behind.
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("the system's folder for temporary files is writable"))
    }

    /// The path of a file or folder in the sandbox.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let folder = fs::canonicalize(self.0.path()).expect("the sandbox is there");
        folder.join(name)
    }

    /// The program in this folder with these arguments, separated by spaces.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_regard"));
        command.args(arguments.split_whitespace()).current_dir(self.0.path());
        command.env_remove("RAYON_NUM_THREADS").env_remove("COLUMNS");
        command
    }

    /// Runs the program to its end.
    pub(crate) fn regard(&self, arguments: &str) -> Finished {
        self.finished(self.command(arguments).output().expect("the program starts"))
    }

    /// Reads what a command printed; paths in the sandbox become relative.
    pub(crate) fn finished(&self, output: Output) -> Finished {
        let folder = self.path("").display().to_string();
        let text = |bytes| {
            let text = String::from_utf8(bytes).expect("the program writes UTF-8");
            text.replace(&folder, "")
        };
        Finished {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Finished {
    /// Standard output of a command that has to succeed.
    pub(crate) fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }
}

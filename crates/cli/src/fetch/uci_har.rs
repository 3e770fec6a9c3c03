//! UCI HAR: the archive of the UCI repository, unpacked and checked against known contents.
//!
//! The archive holds another one, which holds the folder `UCI HAR Dataset`. We know no checksum
//! of the archive; the contents of the signal files are known by the ids that git gives them in
//! repositories that hold copies, the SHA-1 of `blob LENGTH\0` and the content.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use regard_data::labelled::{self, LabelledOptions};
use sha1::{Digest, Sha1};

use super::download::{copy_file, download, hex};
use super::unpack::{temporary_file, unpack};

/// Where the UCI repository serves the archive.
pub(crate) const ADDRESS: &str = "https://archive.ics.uci.edu/static/public/240/human+activity+recognition+using+smartphones.zip";

const FOLDER: &str = "UCI HAR Dataset";

/// The signal files, each with the id that git gives its content with LF line ends.
const SIGNALS: [(&str, &str); 18] = [
    ("body_acc_x_train", "929fde6b878e777f408626f624f836da08f4fe3a"),
    ("body_acc_y_train", "8176fab7248c2ed4f9f81ab269477bf382817ca7"),
    ("body_acc_z_train", "a39df0ded2436e9780bc5bd342aea3e600d8935d"),
    ("body_acc_x_test", "43cc8b67728804ae0f47cdade4776bb4710b560f"),
    ("body_acc_y_test", "798f707479b1e8b86d983d562f0da173540a28da"),
    ("body_acc_z_test", "54995aa9d1bc13a1cb38e34b0f08eb4672d18d9b"),
    ("body_gyro_x_train", "03a8e30004b496a2dc4d3ae86d4780b17dea67c4"),
    ("body_gyro_y_train", "83c9bd1900438683f205be232fc3c9f4490cf1df"),
    ("body_gyro_z_train", "27be709838197209bd9bbae0c718c537e4ea9052"),
    ("body_gyro_x_test", "19908204424d87d963d1d1319639428800234570"),
    ("body_gyro_y_test", "f08e94b66e1f02abc984e994d9cbfde3c875072b"),
    ("body_gyro_z_test", "8e0c93642c7fbe17f2b1c509909c89ea677c8e99"),
    ("total_acc_x_train", "b22467a24b422d35f7862e2049c4feeb78e3dd49"),
    ("total_acc_y_train", "e2b9ed7ba2a3b85cc0ecc3dd560b3fea845d926c"),
    ("total_acc_z_train", "939ca92650c1f9958343da1d5b0dc76544175ff5"),
    ("total_acc_x_test", "8aea0be2cecb04c78d79353d63f43bcc03f6eafe"),
    ("total_acc_y_test", "ae51100d85dfe6228df72e22162b398b59c8577f"),
    ("total_acc_z_test", "fe8c13f3ef7aa9e8d1d72135a55abda167ec9a3f"),
];

/// What to fetch, and where to put it.
#[derive(Debug)]
pub(crate) struct UciHar<'a> {
    /// Address, or name of a file, of the archive.
    pub(crate) from: &'a str,
    /// SHA-256 of the archive in hex, where the user knows one.
    pub(crate) sha256: Option<&'a str>,
    /// Folder that gets the folder `UCI HAR Dataset`.
    pub(crate) out: &'a Path,
}

impl UciHar<'_> {
    /// Downloads, unpacks and checks the files, unless they are there; says in one line what they
    /// hold. The folder appears whole or not at all.
    pub(crate) fn fetch(&self) -> Result<String> {
        self.fetch_and_check(&SIGNALS)
    }

    fn fetch_and_check(&self, signals: &[(&str, &str)]) -> Result<String> {
        let folder = self.out.join(FOLDER);
        if folder.exists() {
            check(&folder, signals).with_context(|| {
                let folder = folder.display();
                format!("{folder} is there and not whole; remove it, or give another --out")
            })?;
            return describe(&folder);
        }
        let out = self.out.display();
        fs::create_dir_all(self.out).with_context(|| format!("cannot make the folder {out}"))?;
        let mut archive = temporary_file(self.out)?;
        if self.from.contains("://") {
            download(self.from, &mut archive, self.sha256)?;
        } else {
            copy_file(self.from, &mut archive, self.sha256)?;
        }
        let place = tempfile::Builder::new().prefix(".regard-").tempdir_in(self.out);
        let place = place.with_context(|| format!("cannot make a folder in {out}"))?;
        unpack(archive, FOLDER, place.path())
            .with_context(|| format!("cannot unpack what {} holds", self.from))?;
        check(&place.path().join(FOLDER), signals)?;
        let description = describe(&place.path().join(FOLDER))?;
        fs::rename(place.path().join(FOLDER), &folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(description)
    }
}

/// Compares the signal files with their known contents.
fn check(folder: &Path, signals: &[(&str, &str)]) -> Result<()> {
    let mut different = Vec::new();
    for (name, expected) in signals {
        let file = signal_file(folder, name);
        ensure!(
            file.is_file(),
            "{} is missing, expected the {} signal files of UCI HAR",
            file.display(),
            signals.len()
        );
        let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let found = blob_id(&content);
        if found != *expected {
            different.push(format!("{name}.txt (found {found}, expected {expected})"));
        }
    }
    ensure!(
        different.is_empty(),
        "{} of {} signal files differ from the published ones in their git blob id: {}; the \
         archive is another version, or was changed",
        different.len(),
        signals.len(),
        different.join(", ")
    );
    Ok(())
}

fn signal_file(folder: &Path, name: &str) -> PathBuf {
    let part = if name.ends_with("_train") { "train" } else { "test" };
    folder.join(part).join("Inertial Signals").join(format!("{name}.txt"))
}

/// The id that git gives a file's content, with LF in place of CRLF.
fn blob_id(content: &[u8]) -> String {
    let mut text = Vec::with_capacity(content.len());
    for (i, &byte) in content.iter().enumerate() {
        if byte != b'\r' || content.get(i + 1) != Some(&b'\n') {
            text.push(byte);
        }
    }
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", text.len()));
    hash.update(&text);
    hex(&hash.finalize())
}

/// What the folder holds, which is read as a training would.
fn describe(folder: &Path) -> Result<String> {
    let data = labelled::read(folder, &LabelledOptions::default())?;
    let (_, description) = data.description.rsplit_once(": ").unwrap_or(("", &data.description));
    Ok(description.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::io::{Cursor, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread::{self, JoinHandle};

    use tempfile::TempDir;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    /// An archive of some files.
    fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    /// Three windows of each part, whose numbers are those of their lines, and the ids of the
    /// signal files with LF line ends.
    #[expect(clippy::type_complexity, reason = "files and their ids, read where they are made")]
    fn files(ending: &str) -> (Vec<(String, Vec<u8>)>, Vec<(&'static str, String)>) {
        let (mut files, mut ids) = (Vec::new(), Vec::new());
        for (name, _) in SIGNALS {
            let line = |i: usize| format!("{:>16}", format!("{i}.5000000e-001")).repeat(128);
            let text = |ending: &str| (0..3).map(|i| line(i) + ending).collect::<String>();
            ids.push((name, blob_id(text("\n").as_bytes())));
            let path = signal_file(Path::new(FOLDER), name).to_str().unwrap().replace('\\', "/");
            files.push((path, text(ending).into_bytes()));
        }
        for part in ["train", "test"] {
            for (name, text) in [("y", "1\n2\n1\n"), ("subject", "1\n1\n2\n")] {
                files.push((format!("{FOLDER}/{part}/{name}_{part}.txt"), text.into()));
            }
        }
        files.push((format!("{FOLDER}/activity_labels.txt"), "1 WALKING\n2 LAYING\n".into()));
        files.push((format!("{FOLDER}/.DS_Store"), vec![0; 9]));
        files.push((format!("__MACOSX/{FOLDER}/._README.txt"), vec![0; 9]));
        (files, ids)
    }

    fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(name, content)| (name.as_str(), &content[..])).collect();
        zip(&files)
    }

    /// The archive in an archive, as the UCI repository serves it.
    fn nested(files: &[(String, Vec<u8>)]) -> Vec<u8> {
        zip(&[("UCI HAR Dataset.names", b"notes"), ("UCI HAR Dataset.zip", &archive(files))])
    }

    /// A server that answers one request with a status and a body, of which `sent` bytes are sent.
    fn serve(status: &'static str, body: Vec<u8>, sent: usize) -> (String, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/a.zip", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            read_request(&mut stream);
            let length = body.len();
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n").unwrap();
            stream.write_all(&body[..sent]).unwrap();
        });
        (address, server)
    }

    fn read_request(stream: &mut TcpStream) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
    }

    /// What fetching into a folder gives; an error as the whole chain that a user sees.
    fn fetch(
        out: &Path,
        from: &str,
        ids: &[(&str, String)],
        sha256: Option<&str>,
    ) -> Result<String, String> {
        let ids: Vec<(&str, &str)> = ids.iter().map(|(name, id)| (*name, id.as_str())).collect();
        let fetched = UciHar { from, sha256, out }.fetch_and_check(&ids);
        fetched.map_err(|error| crate::message::chain(&error))
    }

    /// The error of an archive that a server sends whole, after which nothing is left of it.
    fn error_of(body: Vec<u8>, ids: &[(&str, String)], sha256: Option<&str>) -> String {
        let out = TempDir::new().unwrap();
        let sent = body.len();
        let (address, server) = serve("200 OK", body, sent);
        let error = fetch(out.path(), &address, ids, sha256).unwrap_err();
        server.join().unwrap();
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "{error}");
        error.replace(&address, "ADDRESS")
    }

    #[test]
    fn an_archive_in_an_archive_is_fetched_unpacked_and_checked() {
        for ending in ["\n", "\r\n"] {
            let (files, ids) = files(ending);
            let folder = TempDir::new().unwrap();
            let out = folder.path().join("new/uci-har");
            let body = nested(&files);
            let sent = body.len();
            let (address, server) = serve("200 OK", body, sent);
            let description = fetch(&out, &address, &ids, None).unwrap();
            server.join().unwrap();
            assert_eq!(
                description,
                "3 training and 3 test series of 128 steps, 9 channels, 2 classes"
            );
            let names: Vec<_> =
                fs::read_dir(&out).unwrap().map(|f| f.unwrap().file_name()).collect();
            assert_eq!(names, [FOLDER]);
            let file = |name: &str| out.join(FOLDER).join(name);
            assert_eq!(fs::read(file("train/y_train.txt")).unwrap(), b"1\n2\n1\n");
            assert!(!file(".DS_Store").exists());

            // A second time, nothing is fetched; a damaged file is found.
            assert_eq!(fetch(&out, "http://127.0.0.1:1/", &ids, None).unwrap(), description);
            fs::write(signal_file(&out.join(FOLDER), "body_gyro_y_test"), "1").unwrap();
            let error = fetch(&out, "http://127.0.0.1:1/", &ids, None).unwrap_err();
            let start = format!(
                "{} is there and not whole; remove it, or give another --out: 1 of 18 signal \
                 files differ from the published ones in their git blob id: body_gyro_y_test.txt \
                 (found ",
                out.join(FOLDER).display()
            );
            assert!(error.starts_with(&start), "{error}");
        }
    }

    #[test]
    fn a_file_takes_the_place_of_an_address() {
        let (files, ids) = files("\n");
        let folder = TempDir::new().unwrap();
        let from = folder.path().join("plain.zip");
        fs::write(&from, archive(&files)).unwrap();
        let from = from.to_str().unwrap();
        fetch(&folder.path().join("out"), from, &ids, None).unwrap();
        let error = fetch(folder.path(), "no-such-file.zip", &ids, None).unwrap_err();
        assert!(error.starts_with("cannot read no-such-file.zip: "), "{error}");
    }

    #[test]
    fn files_that_differ_are_named() {
        let (files, mut ids) = files("\n");
        ids[3].1 = "00".into();
        let found = blob_id(&files[3].1);
        assert_eq!(
            error_of(nested(&files), &ids, None),
            format!(
                "1 of 18 signal files differ from the published ones in their git blob id: \
                 body_acc_x_test.txt (found {found}, expected 00); the archive is another version, \
                 or was changed"
            )
        );
        let error = error_of(nested(&files[1..]), &ids, None);
        assert!(
            error.contains("body_acc_x_train.txt is missing, expected the 18 signal"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_checksum_is_found_before_unpacking() {
        let error = error_of(b"not an archive".to_vec(), &[], Some("abc"));
        assert!(error.starts_with("ADDRESS has the SHA-256 "), "{error}");
        assert!(error.contains("expected abc as --sha256 says"), "{error}");
    }

    #[test]
    fn other_contents_are_refused() {
        let start = "cannot unpack what ADDRESS holds: ";
        let error = error_of(b"<html>".to_vec(), &[], None);
        assert!(error.starts_with(&format!("{start}it is not a whole zip archive")), "{error}");
        let other = zip(&[("a.txt", b"a")]);
        assert_eq!(
            error_of(other.clone(), &[], None),
            format!("{start}it holds no folder \"UCI HAR Dataset\"; give another --from")
        );
        let deep = zip(&[("a.zip", &zip(&[("b.zip", &other)]))]);
        assert_eq!(
            error_of(deep, &[], None),
            format!(
                "{start}it is an archive in an archive in an archive, expected the folder \
                 \"UCI HAR Dataset\" in one"
            )
        );
        let (files, ids) = files("\n");
        let mut damaged = nested(&files);
        let middle = damaged.len() / 2;
        damaged[middle..middle + 64].fill(0x55);
        let error = error_of(damaged, &ids, None);
        assert!(error.starts_with(start), "{error}");
    }

    #[test]
    fn a_name_that_leads_out_of_the_folder_is_not_written() {
        let (mut files, ids) = files("\n");
        files.push((format!("{FOLDER}/../../escaped.txt"), b"out".to_vec()));
        let folder = TempDir::new().unwrap();
        let from = folder.path().join("a.zip");
        fs::write(&from, archive(&files)).unwrap();
        fetch(&folder.path().join("in/out"), from.to_str().unwrap(), &ids, None).unwrap();
        for place in ["", "in", "in/out"] {
            assert!(!folder.path().join(place).join("escaped.txt").exists());
        }
    }

    #[test]
    fn servers_that_fail_are_named() {
        let out = TempDir::new().unwrap();
        let (address, server) = serve("404 Not Found", b"none".to_vec(), 4);
        assert_eq!(
            fetch(out.path(), &address, &[], None).unwrap_err(),
            format!(
                "{address} answers with status 404, expected the archive; give another address, \
                 or a file, with --from"
            )
        );
        server.join().unwrap();

        let (address, server) = serve("200 OK", vec![7; 5000], 1234);
        let error = fetch(out.path(), &address, &[], None).unwrap_err();
        assert!(error.starts_with(&format!("the download of {address} broke off")), "{error}");
        assert!(error.contains("run the command again"), "{error}");
        server.join().unwrap();

        let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let address = format!("http://{unused}/a.zip");
        let error = fetch(out.path(), &address, &[], None).unwrap_err();
        let start =
            format!("cannot reach {address}; give another address, or a file, with --from: ");
        assert!(error.starts_with(&start), "{error}");
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
    }

    #[test]
    fn ids_are_those_of_git_whatever_the_line_ends() {
        // `git hash-object` of an empty file and of "test content\n" (Pro Git, §10.2).
        assert_eq!(blob_id(b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        let expected = "d670460b4b4aece5915caf5c68d12f560a9fe3e4";
        assert_eq!(blob_id(b"test content\n"), expected);
        assert_eq!(blob_id(b"test content\r\n"), expected);
        assert_ne!(blob_id(b"test\rcontent\n"), blob_id(b"testcontent\n"));
    }

    /// In other files, some numbers share their single precision with a neighbour of seven digits.
    #[test]
    #[ignore = "needs REGARD_DATA"]
    fn an_id_is_that_of_the_text_written_from_the_archive() {
        let folder =
            std::env::var("REGARD_DATA").expect("REGARD_DATA names the folder of data sets");
        let file = Path::new(&folder).join("uci-har/test.npz");
        let set = labelled::read(&file, &LabelledOptions::default()).unwrap().train.set;
        let total_acc_x = 6;
        let mut text = String::new();
        for window in &set.series {
            for t in 0..window.steps() {
                let number = format!("{:.6e}", window.row(t)[total_acc_x]);
                let (digits, exponent) = number.split_once('e').unwrap();
                let exponent: i32 = exponent.parse().unwrap();
                let sign = if exponent < 0 { '-' } else { '+' };
                let field = format!("{digits}0e{sign}{:03}", exponent.abs());
                write!(text, "{field:>16}").unwrap();
            }
            text.push('\n');
        }
        let (_, expected) = SIGNALS.iter().find(|(name, _)| *name == "total_acc_x_test").unwrap();
        assert_eq!(blob_id(text.as_bytes()), *expected);
    }
}

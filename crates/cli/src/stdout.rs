//! Standard output as a command writes to it.

use std::io::{self, ErrorKind, StdoutLock, Write};

/// Locked standard output on which a reader that has gone away is no error.
///
/// `regard runs list | head -1` has what it wants after one line: the rest is dropped in silence
/// and the exit code is still that of the command. Every other error says where it happened.
#[derive(Debug)]
pub(crate) struct Stdout<W = StdoutLock<'static>> {
    inner: W,
    has_reader: bool,
}

impl Stdout {
    /// Locks standard output of this process.
    pub(crate) fn lock() -> Self {
        Self::new(io::stdout().lock())
    }
}

impl<W: Write> Stdout<W> {
    fn new(inner: W) -> Self {
        Self { inner, has_reader: true }
    }

    fn if_read<T>(
        &mut self,
        unread: T,
        act: impl FnOnce(&mut W) -> io::Result<T>,
    ) -> io::Result<T> {
        if !self.has_reader {
            return Ok(unread);
        }
        match act(&mut self.inner) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.has_reader = false;
                Ok(unread)
            }
            result => result.map_err(|error| {
                io::Error::new(error.kind(), format!("cannot write to standard output: {error}"))
            }),
        }
    }
}

impl<W: Write> Write for Stdout<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.if_read(bytes.len(), |inner| inner.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.if_read((), Write::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Refuses every byte.
    struct Refusing(ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_reader_that_has_gone_away_is_no_error() {
        let mut out = Stdout::new(Refusing(ErrorKind::BrokenPipe));
        assert_eq!(out.write(b"abc").unwrap(), 3);
        writeln!(out, "more").unwrap();
        out.flush().unwrap();
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let mut out = Stdout::new(Refusing(ErrorKind::StorageFull));
        for error in [out.write(b"abc").unwrap_err(), out.flush().unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            assert_eq!(error.to_string(), "cannot write to standard output: no storage space");
        }
    }
}

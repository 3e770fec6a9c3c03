//! One PNG image: grey or in colours, of 1 to 16 bits, or with a palette; opaque, not interlaced.
//!
//! A row of bytes is stored as its difference from a guess that its filter makes of the bytes to
//! the left `a`, above `b` and above to the left `c`: 0, `a`, `b`, `⌊(a + b) / 2⌋`, or that of
//! `a, b, c` which is nearest to `a + b - c`.
//!
//! Source: PNG specification, third edition, W3C 2025, §9 (filters), §11 (chunks).

use std::io::Read;

use flate2::Crc;
use flate2::read::ZlibDecoder;
use thiserror::Error;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Pixels of the largest image that is read.
const MOST_PIXELS: u64 = 1 << 26;

/// What is wrong with a PNG image, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// Another file.
    #[error("the file is no PNG image; save it again as PNG, or remove it")]
    NotPng,
    /// A file that ends early, or bytes that do not fit together.
    #[error("found {found}, expected {expected}; the image is damaged: get it again")]
    Damaged {
        /// What stands there.
        found: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// An image of seven passes.
    #[error("found an interlaced image, expected one without; save it without interlacing")]
    Interlaced,
    /// An image with more pixels than is sensible.
    #[error("found {width} × {height} pixels, expected at most {most}; scale it down")]
    TooLarge {
        /// The width.
        width: u32,
        /// The height.
        height: u32,
        /// The most pixels.
        most: u64,
    },
    /// An image one can see through.
    #[error("found a transparent pixel, expected opaque ones; put the image on a background")]
    Transparent,
}

/// A decoded image.
#[derive(Debug, PartialEq)]
pub(super) struct Pixels {
    /// Height and width.
    pub(super) grid: [usize; 2],
    /// Values per pixel: 1 for grey, 3 for red, green and blue.
    pub(super) channels: usize,
    /// From 0 to 1, pixel by pixel, left to right, then top to bottom.
    pub(super) values: Vec<f64>,
}

/// What the first chunk says.
struct Header {
    width: usize,
    height: usize,
    bits: usize,
    colour: Colour,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Colour {
    Grey,
    Rgb,
    Palette,
    GreyAlpha,
    Rgba,
}

/// What the chunks hold.
#[derive(Default)]
struct Chunks<'a> {
    palette: &'a [u8],
    opacity: Option<&'a [u8]>,
    /// The compressed rows.
    data: Vec<u8>,
}

/// Decodes an image.
pub(super) fn decode(file: &[u8]) -> Result<Pixels, Fault> {
    let mut rest = file.strip_prefix(SIGNATURE).ok_or(Fault::NotPng)?;
    let (kind, content) = next_chunk(&mut rest)?;
    let header = Header::parse(kind, content)?;
    let mut chunks = Chunks::default();
    loop {
        let (kind, content) = next_chunk(&mut rest)?;
        match &kind {
            b"PLTE" => chunks.palette = content,
            b"tRNS" => chunks.opacity = Some(content),
            b"IDAT" => chunks.data.extend_from_slice(content),
            b"IEND" => break,
            _ => {}
        }
    }
    let rows = header.rows(&chunks.data)?;
    let samples = header.samples(&rows);
    header.pixels(&samples, &chunks)
}

/// The next chunk: length, kind, content, checksum.
fn next_chunk<'a>(rest: &mut &'a [u8]) -> Result<([u8; 4], &'a [u8]), Fault> {
    let chunk = || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let (covered, after) = after.split_at_checked(length.checked_add(4)?)?;
        let (sum, after) = after.split_first_chunk::<4>()?;
        Some((covered, u32::from_be_bytes(*sum), after))
    };
    let (covered, sum, after) =
        chunk().ok_or_else(|| damaged("the end of the file", "another chunk"))?;
    let mut crc = Crc::new();
    crc.update(covered);
    let (kind, content) = covered.split_first_chunk::<4>().expect("it has the kind");
    if crc.sum() != sum {
        let found = format!("a chunk {:?} with a wrong checksum", String::from_utf8_lossy(kind));
        return Err(damaged(found, "the checksum of its content"));
    }
    *rest = after;
    Ok((*kind, content))
}

fn damaged(found: impl Into<String>, expected: &'static str) -> Fault {
    Fault::Damaged { found: found.into(), expected }
}

impl Header {
    fn parse(kind: [u8; 4], content: &[u8]) -> Result<Self, Fault> {
        let wrong = || damaged("a header that is none", "size, bits and colour type of an image");
        let (&size, kinds) = content.split_first_chunk::<8>().ok_or_else(wrong)?;
        let [bits, colour, compression, filter, interlacing] = *kinds else { return Err(wrong()) };
        let (colour, depths): (_, &[u8]) = match colour {
            0 => (Colour::Grey, &[1, 2, 4, 8, 16]),
            2 => (Colour::Rgb, &[8, 16]),
            3 => (Colour::Palette, &[1, 2, 4, 8]),
            4 => (Colour::GreyAlpha, &[8, 16]),
            6 => (Colour::Rgba, &[8, 16]),
            _ => return Err(wrong()),
        };
        let [width, height] = [0, 4]
            .map(|at| u32::from_be_bytes([size[at], size[at + 1], size[at + 2], size[at + 3]]));
        let known = depths.contains(&bits) && compression == 0 && filter == 0;
        if kind != *b"IHDR" || !known || width == 0 || height == 0 {
            return Err(wrong());
        }
        if u64::from(width) * u64::from(height) > MOST_PIXELS {
            return Err(Fault::TooLarge { width, height, most: MOST_PIXELS });
        }
        if interlacing != 0 {
            return Err(Fault::Interlaced);
        }
        let bits = usize::from(bits);
        Ok(Self { width: width as usize, height: height as usize, bits, colour })
    }

    /// Numbers per pixel.
    fn numbers(&self) -> usize {
        match self.colour {
            Colour::Grey | Colour::Palette => 1,
            Colour::GreyAlpha => 2,
            Colour::Rgb => 3,
            Colour::Rgba => 4,
        }
    }

    /// Bytes of a row, without the byte that names its filter.
    fn row_bytes(&self) -> usize {
        (self.width * self.numbers() * self.bits).div_ceil(8)
    }

    /// The rows, unpacked and without their filters.
    fn rows(&self, data: &[u8]) -> Result<Vec<u8>, Fault> {
        let (length, pixel) = (self.row_bytes(), (self.numbers() * self.bits).div_ceil(8));
        let mut packed = ZlibDecoder::new(data);
        let mut rows: Vec<u8> = Vec::new();
        let mut row = vec![0; length + 1];
        let first = vec![0; length];
        for y in 0..self.height {
            packed
                .read_exact(&mut row)
                .map_err(|_| damaged(format!("{y} rows"), "as many rows as the image is high"))?;
            let start = rows.len();
            rows.extend_from_slice(&row[1..]);
            let (before, current) = rows.split_at_mut(start);
            let above = if y == 0 { &first[..] } else { &before[start - length..] };
            unfilter(row[0], current, above, pixel)
                .ok_or_else(|| damaged(format!("the filter {}", row[0]), "one from 0 to 4"))?;
        }
        Ok(rows)
    }

    /// The numbers of all pixels, as they are stored.
    fn samples(&self, rows: &[u8]) -> Vec<u16> {
        let per_row = self.width * self.numbers();
        let mut samples = Vec::with_capacity(self.height * per_row);
        for row in rows.chunks_exact(self.row_bytes()) {
            let sample = |i: usize| match self.bits {
                16 => u16::from_be_bytes([row[2 * i], row[2 * i + 1]]),
                8 => u16::from(row[i]),
                bits => {
                    let at = i * bits;
                    let byte = row[at / 8] >> (8 - bits - at % 8);
                    u16::from(byte & ((1 << bits) - 1))
                }
            };
            samples.extend((0..per_row).map(sample));
        }
        samples
    }

    fn pixels(&self, samples: &[u16], chunks: &Chunks<'_>) -> Result<Pixels, Fault> {
        let full_scale = f64::from((1_u32 << self.bits) - 1);
        let scaled = |samples: &mut dyn Iterator<Item = u16>| {
            samples.map(|sample| f64::from(sample) / full_scale).collect()
        };
        let grid = [self.height, self.width];
        let (channels, values): (usize, Vec<f64>) = match self.colour {
            Colour::Palette => (3, colours(samples, chunks)?),
            Colour::Grey | Colour::Rgb => {
                let numbers = self.numbers();
                // The one colour that is to be seen through.
                let clear = chunks.opacity.map(|bytes| bytes.as_chunks::<2>().0);
                let clear: Option<Vec<u16>> =
                    clear.map(|pairs| pairs.iter().map(|&pair| u16::from_be_bytes(pair)).collect());
                if clear.is_some_and(|clear| samples.chunks_exact(numbers).any(|p| p == clear)) {
                    return Err(Fault::Transparent);
                }
                (numbers, scaled(&mut samples.iter().copied()))
            }
            Colour::GreyAlpha | Colour::Rgba => {
                let channels = self.numbers() - 1;
                let pixels = samples.chunks_exact(channels + 1);
                let opaque = u16::MAX >> (16 - self.bits);
                if pixels.clone().any(|pixel| pixel[channels] != opaque) {
                    return Err(Fault::Transparent);
                }
                let kept = pixels.flat_map(|pixel| &pixel[..channels]);
                (channels, scaled(&mut kept.copied()))
            }
        };
        Ok(Pixels { grid, channels, values })
    }
}

/// The colours of the palette that the samples number.
fn colours(samples: &[u16], chunks: &Chunks<'_>) -> Result<Vec<f64>, Fault> {
    let colours = chunks.palette.as_chunks::<3>().0;
    let opacity = chunks.opacity.unwrap_or_default();
    let mut values = Vec::with_capacity(3 * samples.len());
    for &sample in samples {
        let colour = colours.get(usize::from(sample)).ok_or_else(|| {
            damaged(format!("the colour {sample}"), "one that the palette of the image has")
        })?;
        if opacity.get(usize::from(sample)).is_some_and(|&opacity| opacity != u8::MAX) {
            return Err(Fault::Transparent);
        }
        values.extend(colour.iter().map(|&byte| f64::from(byte) / f64::from(u8::MAX)));
    }
    Ok(values)
}

/// Adds the guesses of a filter to a row; `pixel` is how many bytes to the left its guess is.
fn unfilter(filter: u8, row: &mut [u8], above: &[u8], pixel: usize) -> Option<()> {
    for i in 0..row.len() {
        let (a, c) = if i < pixel { (0, 0) } else { (row[i - pixel], above[i - pixel]) };
        let b = above[i];
        let guess = match filter {
            0 => 0,
            1 => a,
            2 => b,
            3 => a.midpoint(b),
            4 => paeth(a, b, c),
            _ => return None,
        };
        row[i] = row[i].wrapping_add(guess);
    }
    Some(())
}

/// That of `a, b, c`, in this order, which is nearest to `a + b - c`.
fn paeth(a: u8, b: u8, c: u8) -> u8 {
    let estimate = i16::from(a) + i16::from(b) - i16::from(c);
    let distance = |byte: u8| (estimate - i16::from(byte)).abs();
    if distance(a) <= distance(b) && distance(a) <= distance(c) {
        a
    } else if distance(b) <= distance(c) {
        b
    } else {
        c
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
        let covered = [&kind[..], content].concat();
        let mut crc = Crc::new();
        crc.update(&covered);
        let length = u32::try_from(content.len()).unwrap();
        [&length.to_be_bytes()[..], &covered, &crc.sum().to_be_bytes()].concat()
    }

    fn header(width: u32, height: u32, kinds: [u8; 5]) -> Vec<u8> {
        let content = [&width.to_be_bytes()[..], &height.to_be_bytes(), &kinds].concat();
        chunk(*b"IHDR", &content)
    }

    fn image(header: &[u8], chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let chunks = chunks.iter().flat_map(|(kind, content)| chunk(**kind, content)).collect();
        [SIGNATURE.to_vec(), header.to_vec(), chunks, chunk(*b"IEND", b"")].concat()
    }

    fn packed(rows: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        flate2::read::ZlibEncoder::new(rows, flate2::Compression::fast())
            .read_to_end(&mut bytes)
            .unwrap();
        bytes
    }

    fn bytes_of(file: &[u8]) -> Vec<f64> {
        let values = decode(file).unwrap().values;
        values.iter().map(|value| (value * 255.0).round()).collect()
    }

    #[test]
    fn filters_add_what_they_guess() {
        // Rows of three grey bytes: as they are, left, above, mean, nearest; sums by hand.
        let rows = [0, 10, 20, 200, 1, 1, 2, 250, 2, 5, 6, 7, 3, 4, 9, 1, 4, 100, 3, 250];
        let file = image(&header(3, 5, [8, 0, 0, 0, 0]), &[(b"IDAT", &packed(&rows))]);
        // The last row: 7 is nearest to 7; 107 to 107 + 17 - 7; 110 to 110 + 11 - 17; mod 256.
        let expected = [[10, 20, 200], [1, 3, 253], [6, 9, 4], [7, 17, 11], [107, 110, 104]];
        let expected: Vec<f64> = expected.concat().into_iter().map(f64::from).collect();
        assert_eq!(bytes_of(&file), expected);
    }

    #[test]
    fn what_is_not_read_is_named() {
        let grey = [8, 0, 0, 0, 0];
        let rows = packed(&[0, 1, 2]);
        let message = |file: &[u8]| decode(file).unwrap_err().to_string();
        let whole = image(&header(2, 1, grey), &[(b"IDAT", &rows)]);
        assert_eq!(bytes_of(&whole), [1.0, 2.0]);
        let mut flipped = whole.clone();
        flipped[20] ^= 1;
        for (file, expected) in [
            (b"GIF89a".to_vec(), "no PNG image"),
            (whole[..30].to_vec(), "found the end of the file"),
            (flipped, "\"IHDR\" with a wrong checksum"),
            (image(&header(2, 1, [8, 0, 0, 0, 1]), &[]), "save it without interlacing"),
            (image(&header(2, 1, [3, 0, 0, 0, 0]), &[]), "a header that is none"),
            (image(&header(0, 1, grey), &[]), "a header that is none"),
            (image(&header(u32::MAX, u32::MAX, grey), &[]), "at most 67108864; scale it down"),
            (image(&header(2, 2, grey), &[(b"IDAT", &rows)]), "found 1 rows"),
            (image(&header(2, 1, grey), &[]), "found 0 rows"),
            (image(&header(2, 1, grey), &[(b"IDAT", &packed(&[5, 1, 2]))]), "the filter 5"),
            (image(&header(2, 1, grey), &[(b"tRNS", &[0, 2]), (b"IDAT", &rows)]), "transparent"),
            (
                image(&header(2, 1, [8, 3, 0, 0, 0]), &[(b"PLTE", &[9; 6]), (b"IDAT", &rows)]),
                "found the colour 2",
            ),
        ] {
            let found = message(&file);
            assert!(found.contains(expected), "{found}");
        }
    }
}

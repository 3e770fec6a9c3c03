//! Fields on a grid as VTK image data, which `ParaView` and others open: XML files `.vti`.
//!
//! Columns run along x and rows along y of the unit square. Values at cell centres are data of
//! cells, others data of points. Numbers are written so that they are read back without loss.
//!
//! Source: Kitware 2010, *The VTK User's Guide*, 11th ed., "VTK File Formats", `ImageData`.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::{OperatorError, Placement, Points};
use crate::DataError;
use crate::file::write_atomically;

/// Writes fields of one value per point under their names.
///
/// # Errors
/// [`OperatorError::NoGrid`] for points on a line, [`OperatorError::FieldLength`] for a field of
/// another length, [`DataError::Io`] if the file cannot be written.
pub fn write(path: &Path, points: &Points, fields: &[(&str, &[f64])]) -> Result<(), DataError> {
    points.check().map_err(DataError::from)?;
    let &Points::Grid { rows, columns, placement } = points else {
        return Err(OperatorError::NoGrid { file: path.to_owned() }.into());
    };
    let expected = points.count();
    if let Some((field, values)) = fields.iter().find(|(_, values)| values.len() != expected) {
        let (field, found) = ((*field).to_owned(), values.len());
        return Err(OperatorError::FieldLength { field, found, expected }.into());
    }
    write_atomically(path, |file| {
        let mut out = BufWriter::new(file);
        write_image(&mut out, [columns, rows], placement, fields)?;
        out.flush()
    })
}

fn write_image(
    out: &mut impl Write,
    sizes: [usize; 2],
    placement: Placement,
    fields: &[(&str, &[f64])],
) -> io::Result<()> {
    // Of `n` cells there are `n + 1` corners; of `n` points, `n - 1` cells.
    let (data, ends) = match placement {
        Placement::Cells => ("CellData", sizes),
        Placement::Nodes | Placement::Edges => ("PointData", sizes.map(|n| n - 1)),
    };
    let [dx, dy] = sizes.map(|n| match placement {
        Placement::Cells | Placement::Edges => 1.0 / n as f64,
        Placement::Nodes => 1.0 / (n as f64 - 1.0),
    });
    let extent = format!("0 {} 0 {} 0 0", ends[0], ends[1]);
    writeln!(out, "<?xml version=\"1.0\"?>")?;
    writeln!(out, "<VTKFile type=\"ImageData\" version=\"1.0\" byte_order=\"LittleEndian\">")?;
    writeln!(out, "<ImageData WholeExtent=\"{extent}\" Origin=\"0 0 0\" Spacing=\"{dx} {dy} 1\">")?;
    writeln!(out, "<Piece Extent=\"{extent}\">\n<{data}>")?;
    for (name, values) in fields {
        let name = escaped(name);
        writeln!(out, "<DataArray type=\"Float64\" Name=\"{name}\" format=\"ascii\">")?;
        for row in values.chunks(sizes[0]) {
            let texts: Vec<String> = row.iter().map(|value| format!("{value:?}")).collect();
            writeln!(out, "{}", texts.join(" "))?;
        }
        writeln!(out, "</DataArray>")?;
    }
    writeln!(out, "</{data}>\n</Piece>\n</ImageData>\n</VTKFile>")
}

/// A name as the value of an XML attribute.
fn escaped(name: &str) -> String {
    name.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(placement: Placement, fields: &[(&str, &[f64])]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("field.vti");
        write(&path, &Points::Grid { rows: 2, columns: 3, placement }, fields).unwrap();
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_file_has_one_row_of_numbers_per_row_of_the_grid() {
        let values = [0.1, -2.0, 1e-30, 4.0, 5.5, 6.0];
        let text = written(Placement::Nodes, &[("u", &values), ("a<b", &values)]);
        insta::assert_snapshot!(text, @r#"
        <?xml version="1.0"?>
        <VTKFile type="ImageData" version="1.0" byte_order="LittleEndian">
        <ImageData WholeExtent="0 2 0 1 0 0" Origin="0 0 0" Spacing="0.5 1 1">
        <Piece Extent="0 2 0 1 0 0">
        <PointData>
        <DataArray type="Float64" Name="u" format="ascii">
        0.1 -2.0 1e-30
        4.0 5.5 6.0
        </DataArray>
        <DataArray type="Float64" Name="a&lt;b" format="ascii">
        0.1 -2.0 1e-30
        4.0 5.5 6.0
        </DataArray>
        </PointData>
        </Piece>
        </ImageData>
        </VTKFile>
        "#);
    }

    #[test]
    fn cells_have_one_corner_more_and_edges_the_spacing_of_cells() {
        let cells = written(Placement::Cells, &[("u", &[0.0; 6])]);
        assert!(cells.contains("WholeExtent=\"0 3 0 2 0 0\""), "{cells}");
        assert!(cells.contains("Spacing=\"0.3333333333333333 0.5 1\""), "{cells}");
        assert!(cells.contains("<CellData>"), "{cells}");
        let edges = written(Placement::Edges, &[("u", &[0.0; 6])]);
        assert!(edges.contains("WholeExtent=\"0 2 0 1 0 0\""), "{edges}");
        assert!(edges.contains("Spacing=\"0.3333333333333333 0.5 1\""), "{edges}");
    }

    #[test]
    fn lines_and_fields_of_another_length_are_refused() {
        let message = |points: &Points| {
            write(Path::new("a.vti"), points, &[("u", &[0.0; 5])]).unwrap_err().to_string()
        };
        assert_eq!(
            message(&Points::Line(vec![0.0, 1.0])),
            "a.vti: found functions on a line, expected a grid of rows and columns; write .npz \
             instead"
        );
        assert_eq!(
            message(&Points::Grid { rows: 2, columns: 3, placement: Placement::Cells }),
            "field \"u\" has 5 values, expected 6, one per point"
        );
    }
}

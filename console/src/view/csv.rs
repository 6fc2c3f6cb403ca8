//! Views as CSV, for `skictl` and for pages.

use serde::Serialize;

use super::figures::printable;

/// Rows as CSV with a header, even if there are no rows.
///
/// # Errors
/// If a row is not flat.
pub fn rows(header: &[&str], rows: &[impl Serialize]) -> Result<String, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    writer.write_record(header)?;
    for row in rows {
        writer.serialize(row)?;
    }
    plain(&written(writer)?)
}

/// CSV whose cells can neither control a terminal nor run formulas in a spreadsheet:
/// <https://owasp.org/www-community/attacks/CSV_Injection>.
///
/// # Errors
/// If it is not CSV.
pub fn plain(raw: &[u8]) -> Result<String, csv::Error> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(raw);
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in reader.records() {
        writer.write_record(row?.iter().map(plain_cell))?;
    }
    Ok(String::from_utf8_lossy(&written(writer)?).into_owned())
}

fn written(writer: csv::Writer<Vec<u8>>) -> Result<Vec<u8>, csv::Error> {
    writer
        .into_inner()
        .map_err(|error| error.into_error().into())
}

/// Prefixes text that looks like a formula with `'`; numbers are unchanged.
fn plain_cell(text: &str) -> String {
    let text = printable(text);
    let is_number = text.parse::<f64>().is_ok_and(f64::is_finite);
    if text.starts_with(['=', '+', '-', '@']) && !is_number {
        return format!("'{text}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_and_never_a_formula() {
        for (text, expected) in [
            ("anna", "anna"),
            ("a, \"b\"", "\"a, \"\"b\"\"\""),
            (
                "=HYPERLINK(\"http://x\")",
                "\"'=HYPERLINK(\"\"http://x\"\")\"",
            ),
            ("@SUM(1)", "'@SUM(1)"),
            ("-2", "-2"),
            ("a\nb", "a\u{fffd}b"),
        ] {
            assert_eq!(
                rows(&["name"], &[(text,)]).unwrap(),
                format!("name\n{expected}\n")
            );
        }
        assert_eq!(rows(&["name"], &[] as &[(u64,)]).unwrap(), "name\n");
    }
}

//! Short texts that people give: one line, trimmed, bounded.

/// A text is empty, too long or not one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to {longest} characters on one line")]
pub struct BadText {
    /// The greatest number of characters allowed.
    pub longest: usize,
}

/// `given` without white space at its ends, if that leaves 1 to `longest` characters and none that moves a cursor or
/// turns the direction of writing (a name must not disguise the text beside it in the log).
///
/// # Errors
/// [`BadText`] otherwise.
pub fn single_line(given: &str, longest: usize) -> Result<String, BadText> {
    let text = given.trim();
    let disguises = |c: char| {
        c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if text.is_empty() || text.chars().count() > longest || text.chars().any(disguises) {
        return Err(BadText { longest });
    }
    Ok(text.to_owned())
}

/// What people or locks wrote, as a cell that no spreadsheet takes for a formula: one that begins like a formula gets an
/// apostrophe before it.
#[must_use]
pub fn harmless(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}")
    } else {
        cell
    }
}

/// Makes a newtype over `String` a text by [`single_line`]: conversions for serde and its `as_str`.
macro_rules! line_type {
    ($name:ident, $longest:literal) => {
        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadText;

            fn try_from(given: String) -> Result<Self, BadText> {
                text::single_line(&given, $longest).map(Self)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }
    };
}
pub(crate) use line_type;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_bounded_line() {
        for (given, taken) in [
            ("Front door", Some("Front door")),
            ("  Tür 3 ", Some("Tür 3")),
            ("12345", Some("12345")),
            ("", None),
            ("   ", None),
            ("a\nb", None),
            ("a\u{202e}b", None),
            ("a\0b", None),
            ("12345678901", None),
        ] {
            assert_eq!(single_line(given, 10).ok().as_deref(), taken, "{given:?}");
        }
    }

    #[test]
    fn no_cell_is_a_formula() {
        for formula in ["=HYPERLINK(1)", "+1", "-1", "@a", "\ta", "\ra"] {
            assert_eq!(harmless(formula.to_owned()), format!("'{formula}"));
        }
        for plain in ["", "jammed", "a=b"] {
            assert_eq!(harmless(plain.to_owned()), plain);
        }
    }
}

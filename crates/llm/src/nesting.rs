//! How deep a JSON text stands that comes in pieces, read once, whatever it adds up to.

/// Where the text stands after the last piece.
#[derive(Debug, Default)]
pub(crate) struct Nesting {
    depth: usize,
    is_text: bool,
    is_escaped: bool,
    /// An object or a list has begun.
    has_begun: bool,
}

impl Nesting {
    /// Reads the next piece.
    pub(crate) fn follow(&mut self, piece: &str) {
        for byte in piece.bytes() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.is_text => self.is_escaped = true,
                b'"' => self.is_text = !self.is_text,
                _ if self.is_text => {}
                b'{' | b'[' => {
                    self.has_begun = true;
                    self.depth = self.depth.saturating_add(1);
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Whether an object or a list has begun and ended.
    pub(crate) fn is_whole(&self) -> bool {
        self.has_begun && self.depth == 0 && !self.is_text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_pieces_is_whole_when_its_object_is() {
        let mut nesting = Nesting::default();
        for (piece, is_whole) in [
            ("", false),
            (" ", false),
            ("{\"a\": \"}", false),
            ("\\", false),
            ("\"}\"", false),
            (", \"b\": [1, {}]", false),
            ("}", true),
            (" ", true),
        ] {
            nesting.follow(piece);
            assert_eq!(nesting.is_whole(), is_whole, "after {piece:?}");
        }
    }
}

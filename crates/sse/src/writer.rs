//! From events to bytes: LF line ends, one space after the colon, a blank line after each block.

/// Appends one event. Every line of `data` becomes a `data` field, so what is read back is what was written.
pub fn write_event(out: &mut Vec<u8>, name: Option<&str>, data: &[u8]) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend(name.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')));
        out.push(b'\n');
    }
    let mut begin = 0;
    for end in memchr::memchr_iter(b'\n', data).chain([data.len()]) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(data.get(begin..end).unwrap_or_default());
        out.push(b'\n');
        begin = end.saturating_add(1);
    }
    out.push(b'\n');
}

/// Appends a comment as a block of its own, which every known client passes over. Line ends in `text` are
/// left out.
pub fn write_comment(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b": ");
    out.extend(text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')));
    out.extend_from_slice(b"\n\n");
}

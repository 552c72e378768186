//! A message's header fields, in order and with duplicates.

/// Above this, a header section is refused: one of about 130 KiB, forwarded, traps a component
/// (measured on Spin 4.1). Counted as [`Headers::size`] does.
pub const MAX_SECTION_BYTES: usize = 64 * 1024;

/// Above this, an upstream's header section is not handed on: the runtime takes one of 128 KiB, and an answer beyond that
/// would become an empty 500.
pub const MAX_ANSWER_SECTION_BYTES: usize = 120 * 1024;

/// The longest text of a client that is held against an expression, in bytes. It takes the engine a time in proportion
/// to it, and to the expression.
pub const MAX_MATCHED_BYTES: usize = 8 * 1024;

/// Fields that a host may refuse from a component, in requests and in answers: wasmtime's
/// `DEFAULT_FORBIDDEN_HEADERS`. An answer that holds one is an empty 500 on Spin 4.1, whose wasmtime 47 shows them to
/// the component and takes none back; wasmtime 48 takes them away before the component sees them. They belong to one
/// hop (RFC 9110 §7.6.1), or are set by the host itself.
pub const FORBIDDEN: [&str; 9] = [
    "connection",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

/// Whether a host may refuse the field `name` (lower case) from a component.
pub fn is_forbidden(name: &str) -> bool {
    FORBIDDEN.contains(&name)
}

/// Header fields in the order they came, duplicates kept. Names are in lower case, as Spin hands them over.
///
/// A plain list, because that is what crosses the component's boundary: a map would cost a conversion each way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// Takes a list as the runtime gives it.
    pub fn from_list(list: Vec<(String, Vec<u8>)>) -> Self {
        Self(list)
    }

    /// The list, as the runtime wants it.
    pub fn as_list(&self) -> &[(String, Vec<u8>)] {
        &self.0
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// The first value of `name` (lower case).
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The last value of `name` (lower case): the one Spin itself appended, where a client sent its own copy.
    pub fn last(&self, name: &str) -> Option<&[u8]> {
        self.all(name).last()
    }

    /// Every value of `name` (lower case).
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_slice())
    }

    /// The first value of `name` as text; `None` where it is absent or not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.first(name)
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Whether there is a field `name` (lower case).
    pub fn contains(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// Adds a field at the end.
    pub fn append(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.0.push((name.to_owned(), value.into()));
    }

    /// Replaces every field `name` by one.
    pub fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.remove(name);
        self.append(name, value);
    }

    /// Removes every field `name` (lower case).
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| key != name);
    }

    /// Keeps the fields whose name satisfies `keep`.
    pub fn retain_names(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }

    /// With one length at most, and none beside a transfer coding, which counts then (RFC 9112, section 6.3). Servers
    /// refuse to hand on an answer with two, be they equal.
    pub fn with_one_length(mut self) -> Self {
        if self.transfer_codings().next().is_some() {
            self.remove("content-length");
        }
        let mut found = false;
        self.0
            .retain(|(name, _)| name != "content-length" || !std::mem::replace(&mut found, true));
        if let Some(length) = self
            .text("content-length")
            .and_then(|it| it.split(',').next())
        {
            let length = length.trim().to_owned();
            self.edit(|name, _| (name == "content-length").then(|| length.clone().into_bytes()));
        }
        self
    }

    /// The transfer coding that the runtime has not undone: `gzip` of `gzip, chunked`.
    pub fn transfer_coding_left(&self) -> Option<&str> {
        self.transfer_codings()
            .find(|coding| !coding.eq_ignore_ascii_case("chunked"))
    }

    /// All but `identity`, which is none (RFC 2616, section 3.6; gone since RFC 7230).
    fn transfer_codings(&self) -> impl Iterator<Item = &str> {
        let fields = self
            .all("transfer-encoding")
            .filter_map(|it| std::str::from_utf8(it).ok());
        fields
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
    }

    /// The fields that every host lets a component send.
    pub fn without_forbidden(mut self) -> Self {
        self.retain_names(|name| !is_forbidden(name));
        self
    }

    /// Puts what `change` gives in the place of a field's value; `None` leaves it as it is.
    pub fn edit(&mut self, mut change: impl FnMut(&str, &[u8]) -> Option<Vec<u8>>) {
        for (name, value) in &mut self.0 {
            if let Some(changed) = change(name, value) {
                *value = changed;
            }
        }
    }

    /// The section's size as the runtime counts it: name, value and 64 bytes a field.
    pub fn size(&self) -> usize {
        self.0.iter().fold(0, |sum, (name, value)| {
            sum.saturating_add(name.len())
                .saturating_add(value.len())
                .saturating_add(64)
        })
    }

    /// Whether the section is too large to be forwarded safely.
    pub fn is_too_large(&self) -> bool {
        self.size() > MAX_SECTION_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(list: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in list {
            headers.append(name, *value);
        }
        headers
    }

    #[test]
    fn an_answer_has_one_length_at_most() {
        let length = |list: &[(&str, &str)]| {
            let headers = of(list).with_one_length();
            let lengths = headers
                .all("content-length")
                .map(|it| String::from_utf8_lossy(it).into_owned());
            lengths.collect::<Vec<_>>()
        };
        assert_eq!(length(&[("content-length", "5"), ("a", "b")]), ["5"]);
        assert_eq!(
            length(&[("content-length", "5"), ("content-length", "5")]),
            ["5"]
        );
        assert_eq!(length(&[("content-length", "5, 5")]), ["5"]);
        assert!(length(&[("content-length", "5"), ("transfer-encoding", "chunked")]).is_empty());
        assert!(length(&[("a", "b")]).is_empty());
        let identity = ("transfer-encoding", "Identity");
        assert_eq!(length(&[("content-length", "5"), identity]), ["5"]);
    }

    #[test]
    fn a_transfer_coding_that_is_left_is_named() {
        assert_eq!(
            of(&[("transfer-encoding", "gzip, chunked")]).transfer_coding_left(),
            Some("gzip")
        );
        assert_eq!(
            of(&[("transfer-encoding", "Chunked")]).transfer_coding_left(),
            None
        );
        assert_eq!(
            of(&[("transfer-encoding", "identity")]).transfer_coding_left(),
            None
        );
        assert_eq!(of(&[]).transfer_coding_left(), None);
    }

    #[test]
    fn what_a_host_may_refuse_is_left_out() {
        let field = |name: &str| (name.to_owned(), b"x".to_vec());
        let mut list: Vec<_> = FORBIDDEN.into_iter().map(field).collect();
        list.extend(["content-length", "set-cookie", "trailer", "set-cookie"].map(field));
        let left = Headers::from_list(list).without_forbidden();
        let names: Vec<&str> = left.iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            ["content-length", "set-cookie", "trailer", "set-cookie"]
        );
    }
}

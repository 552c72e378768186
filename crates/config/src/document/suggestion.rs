//! The known word that was probably meant.

/// A distance takes time; longer words are no misspelt names, and of more names one is not misspelt but missing.
const MAX_CHARS: usize = 64;
const MAX_COMPARED: usize = 1000;
const MAX_LISTED: usize = 20;

/// The nearest of `known`, if one is near enough to be meant. `basePath` and `base-path` are near `base_path`.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = plain(word);
    known
        .into_iter()
        .take(MAX_COMPARED)
        .map(|candidate| (strsim::osa_distance(&word, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| {
            let length = word.chars().count().max(candidate.chars().count());
            *distance <= length.div_ceil(4)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Names in backquotes, separated by commas. Of many names the first ones.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names = names.into_iter();
    let listed: Vec<String> = names
        .by_ref()
        .take(MAX_LISTED)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = if names.next().is_some() { ", …" } else { "" };
    listed.join(", ") + more
}

fn plain(word: &str) -> String {
    let mut plain = String::new();
    let mut after_lowercase = false;
    for letter in word.chars().take(MAX_CHARS) {
        if letter.is_uppercase() && after_lowercase {
            plain.push('_');
        }
        after_lowercase = letter.is_lowercase();
        match letter {
            '-' | ' ' => plain.push('_'),
            letter => plain.extend(letter.to_lowercase()),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_words_find_their_neighbour() {
        let known = [
            "name",
            "base_path",
            "strip_base_path",
            "max_body_size",
            "routes",
            "api",
            "on",
        ];
        for (word, expected) in [
            ("base_pth", Some("base_path")),
            ("basePath", Some("base_path")),
            ("base-path", Some("base_path")),
            ("BASE_PATH", Some("base_path")),
            ("maxBodySize", Some("max_body_size")),
            ("route", Some("routes")),
            ("nmae", Some("name")),
            ("ap", Some("api")),
            ("domains", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}

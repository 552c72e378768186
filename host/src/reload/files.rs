//! Files that may change.

use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;

/// Some files, and what was in them when they were last looked at.
#[derive(Debug)]
pub(super) struct WatchedFiles {
    files: Vec<PathBuf>,
    hasher: RandomState,
    /// What is in use.
    used: Vec<Option<u64>>,
    /// What they were at the last look, where that is not in use.
    seen: Option<Vec<Option<u64>>>,
}

impl WatchedFiles {
    /// Begins with what is in them now. What is no regular file, such as a pipe, can be read once only and is not watched.
    pub fn new(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let files: Vec<PathBuf> = files.into_iter().filter(|file| file.is_file()).collect();
        let hasher = RandomState::new();
        let used = digests(&files, &hasher);
        Self {
            files,
            hasher,
            used,
            seen: None,
        }
    }

    /// Whether there is anything to watch.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Looks again. True where something has changed since it was used, and is the same as at the last look or `at_once`;
    /// it counts as used then.
    pub fn have_changed(&mut self, at_once: bool) -> bool {
        let now = digests(&self.files, &self.hasher);
        if now == self.used {
            self.seen = None;
            return false;
        }
        if at_once || self.seen.as_ref() == Some(&now) {
            self.seen = None;
            self.used = now;
            return true;
        }
        self.seen = Some(now);
        false
    }
}

/// `None`: one that cannot be read.
fn digests(files: &[PathBuf], hasher: &RandomState) -> Vec<Option<u64>> {
    let digest = |file: &PathBuf| Some(hasher.hash_one(std::fs::read(file).ok()?));
    files.iter().map(digest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_it_is_the_same_twice() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.yaml");
        std::fs::write(&file, "one").unwrap();
        let mut watched = WatchedFiles::new([file.clone(), folder.path().join("none")]);
        assert!(!watched.is_empty() && !watched.have_changed(false));
        std::fs::write(&file, "").unwrap();
        assert!(!watched.have_changed(false));
        std::fs::write(&file, "two").unwrap();
        assert_eq!(
            [watched.have_changed(false), watched.have_changed(false)],
            [false, true]
        );
        assert!(!watched.have_changed(false));
        std::fs::write(&file, "three").unwrap();
        assert!(!watched.have_changed(false));
        std::fs::write(&file, "two").unwrap();
        assert!(!watched.have_changed(false) && !watched.have_changed(true));
        std::fs::remove_file(&file).unwrap();
        assert!(watched.have_changed(true));
        assert!(!watched.have_changed(true));
    }
}

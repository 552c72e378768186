//! Files that may change.

use std::fs::{Metadata, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

/// A file that is written in place counts as written once it has been left alone for so long.
const SETTLED: Duration = Duration::from_millis(500);

/// What was written so lately may be written again without its time changing, as that goes in steps.
const CLOCK_STEP: Duration = Duration::from_secs(2);

/// Nobody writes a configuration, or secrets, of more: in bytes. Of a larger file its size and time have to do.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Some files, and what was in them when they were last looked at.
#[derive(Debug)]
pub(super) struct WatchedFiles {
    files: Vec<PathBuf>,
    hasher: RandomState,
    /// What is in use.
    used: Vec<Option<FileState>>,
    /// What they were at the last look, where that is not in use.
    seen: Option<Vec<Option<FileState>>>,
}

/// What a file is like; equal where its content is.
#[derive(Debug, Clone, Copy)]
struct FileState {
    digest: u64,
    stamp: Stamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device_and_inode: (u64, u64),
    size: u64,
    modified: Option<SystemTime>,
}

impl PartialEq for FileState {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl WatchedFiles {
    /// Begins with what is in them now.
    pub fn new(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut watched = Self {
            files: files.into_iter().collect(),
            hasher: RandomState::new(),
            used: Vec::new(),
            seen: None,
        };
        watched.used = watched.look();
        watched
    }

    /// Whether there is anything to watch.
    pub fn is_empty(&self) -> bool {
        self.used.iter().all(Option::is_none)
    }

    /// Looks again. True where something has changed since it was used, and is settled or `at_once`; it counts as used then.
    pub fn have_changed(&mut self, at_once: bool) -> bool {
        let now = self.look();
        if now == self.used {
            self.used = now;
            self.seen = None;
            return false;
        }
        let is_settled = self.seen.as_ref() == Some(&now) && self.are_settled(&now);
        if at_once || is_settled {
            self.seen = None;
            self.used = now;
            return true;
        }
        self.seen = Some(now);
        false
    }

    /// Whether nobody seems to be writing still. A file in the place of another one was written before it came there.
    fn are_settled(&self, now: &[Option<FileState>]) -> bool {
        now.iter()
            .zip(&self.used)
            .all(|(now, used)| match (now, used) {
                (Some(now), Some(used))
                    if now.stamp.device_and_inode == used.stamp.device_and_inode =>
                {
                    now.stamp.is_older_than(SETTLED)
                }
                _ => true,
            })
    }

    fn look(&self) -> Vec<Option<FileState>> {
        let before = self.seen.as_ref().unwrap_or(&self.used);
        let files = self.files.iter().enumerate();
        let state = |(index, file): (usize, &PathBuf)| {
            let before = before.get(index).copied().flatten();
            self.state(file, before).ok()
        };
        files.map(state).collect()
    }

    fn state(&self, file: &Path, before: Option<FileState>) -> io::Result<FileState> {
        let stamp = Stamp::of(&std::fs::metadata(file)?);
        if let Some(before) = before.filter(|it| it.stamp == stamp)
            && stamp.is_older_than(CLOCK_STEP)
        {
            return Ok(before);
        }
        let digest = if stamp.size > MAX_BYTES {
            self.hasher.hash_one((stamp.size, stamp.modified))
        } else {
            self.hasher.hash_one(text_of_regular(file)?)
        };
        Ok(FileState { digest, stamp })
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device_and_inode: (metadata.dev(), metadata.ino()),
            size: metadata.len(),
            modified: metadata.modified().ok(),
        }
    }

    /// One of the future is as old as can be: clocks differ.
    fn is_older_than(&self, age: Duration) -> bool {
        self.modified.is_none_or(|modified| {
            modified.elapsed().is_ok_and(|elapsed| elapsed >= age) || modified > SystemTime::now()
        })
    }
}

/// The text of a file that is one: whoever reads what another has put into its place must not wait for it.
pub(super) fn text_of_regular(file: &Path) -> io::Result<String> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut open = OpenOptions::new();
    let mut opened = open.read(true).custom_flags(nonblocking).open(file)?;
    if !opened.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = String::new();
    opened.read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(file: &Path) {
        let before = SystemTime::UNIX_EPOCH;
        std::fs::File::options()
            .write(true)
            .open(file)
            .unwrap()
            .set_modified(before)
            .unwrap();
    }

    #[test]
    fn a_change_counts_once_it_is_the_same_twice_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.yaml");
        std::fs::write(&file, "one").unwrap();
        let mut watched = WatchedFiles::new([file.clone(), folder.path().join("none")]);
        assert!(!watched.is_empty() && !watched.have_changed(false));
        std::fs::write(&file, "").unwrap();
        assert_eq!(
            [watched.have_changed(false), watched.have_changed(false)],
            [false, false]
        );
        std::fs::write(&file, "two").unwrap();
        settle(&file);
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

    #[test]
    fn a_file_in_the_place_of_another_is_settled() {
        let folder = tempfile::tempdir().unwrap();
        let [file, fresh] = ["gateway.yaml", "fresh"].map(|name| folder.path().join(name));
        std::fs::write(&file, "one").unwrap();
        let mut watched = WatchedFiles::new([file.clone()]);
        std::fs::write(&fresh, "two").unwrap();
        std::fs::rename(&fresh, &file).unwrap();
        assert_eq!(
            [watched.have_changed(false), watched.have_changed(false)],
            [false, true]
        );
    }

    #[test]
    fn what_blocks_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        )
        .unwrap();
        assert!(text_of_regular(&pipe).is_err());
        assert!(WatchedFiles::new([pipe]).is_empty());
    }
}

//! Names that lead where a test says, for the gateway it starts alone: `/etc/hosts` stays as it is.

use std::{
    fs::{self, File},
    net::IpAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// Stands between a program and the system's resolver (<https://cwrap.org/nss_wrapper.html>).
const LIBRARY: &str = "libnss_wrapper.so";
/// The system's folders of libraries, and where Debian has one more for each kind of processor.
const LIBRARY_FOLDERS: [&str; 4] = ["/usr/lib", "/usr/lib64", "/lib", "/usr/local/lib"];

/// One name, and the address it stands for at present. A program that is linked to its libraries when it starts, as
/// both hosts are, asks here; one that holds its own copy of them does not.
#[derive(Debug)]
pub struct HostName {
    name: String,
    directory: TempDir,
    /// The library looks whether the file is newer, by the second: each writing makes it so.
    written: SystemTime,
}

impl HostName {
    /// A name that stands for this address.
    ///
    /// # Errors
    /// When the library is not there.
    pub fn new(name: &str, address: IpAddr) -> Result<Self> {
        let library = library();
        library.context(
            "libnss_wrapper.so is missing: ./scripts/test installs it (Debian: apt-get install libnss-wrapper)",
        )?;
        let mut host_name = Self {
            name: name.to_owned(),
            directory: tempfile::Builder::new()
                .prefix("spillway-names-")
                .tempdir()?,
            written: SystemTime::now(),
        };
        host_name.lead_to(address)?;
        Ok(host_name)
    }

    /// Lets the name stand for another address from now on.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn lead_to(&mut self, address: IpAddr) -> Result<()> {
        let (file, fresh) = (self.file(), self.directory.path().join("new"));
        fs::write(&fresh, format!("{address} {}\n", self.name))?;
        let second = Duration::from_secs(2);
        self.written = self.written.checked_add(second).unwrap_or(self.written);
        File::open(&fresh)?.set_modified(self.written)?;
        Ok(fs::rename(fresh, file)?)
    }

    /// The file with the name, for [`crate::Options::host_names`].
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("hosts")
    }
}

/// What makes a program ask the file first.
pub(crate) fn environment(file: &Path) -> [(&'static str, PathBuf); 2] {
    [
        ("LD_PRELOAD", PathBuf::from(LIBRARY)),
        ("NSS_WRAPPER_HOSTS", file.to_path_buf()),
    ]
}

fn library() -> Option<PathBuf> {
    let below = |folder: &str| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let deeper = entries.map(|entry| entry.path());
        [PathBuf::from(folder)].into_iter().chain(deeper)
    };
    LIBRARY_FOLDERS
        .into_iter()
        .flat_map(below)
        .map(|folder| folder.join(LIBRARY))
        .find(|file| file.exists())
}

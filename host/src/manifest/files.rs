//! The files that components get: copied at start into a folder of their own, which is all a
//! component sees, read-only.

use std::collections::BTreeMap;
use std::path::{Component as PathPart, Path, PathBuf};

use anyhow::{Context as _, bail};
use glob::Pattern;

use super::{ComponentDefinition, Manifest};

/// One entry of `files`.
#[derive(Debug, Clone)]
pub enum FileMount {
    /// A file, a folder or a glob pattern; the files keep their path below the manifest's folder.
    Pattern(String),
    /// A file or folder that the component finds elsewhere.
    Placed {
        /// Below the manifest's folder.
        source: String,
        /// In the component.
        destination: String,
    },
}

/// Copies of the files of all components; gone when this is dropped.
#[derive(Debug)]
pub struct MountedFiles {
    folder: tempfile::TempDir,
}

impl MountedFiles {
    /// Copies what the manifest's components ask for to a new folder in `state_dir`. Those of
    /// `generated`, by name, are given as they are, whether the file exists or not.
    ///
    /// # Errors
    /// When a file does not exist, lies outside the manifest's folder, or cannot be copied.
    pub fn copy(
        manifest: &Manifest,
        generated: &BTreeMap<String, String>,
        state_dir: &Path,
    ) -> anyhow::Result<Self> {
        remove_leftovers(state_dir);
        let folder = tempfile::Builder::new()
            .prefix(&format!("{FOLDER_PREFIX}{}-", std::process::id()))
            .tempdir_in(state_dir)
            .with_context(|| format!("no folder for files in {}", state_dir.display()))?;
        for (id, component) in &manifest.components {
            let target = folder.path().join(id);
            copy_component(&manifest.root, component, generated, &target)
                .with_context(|| format!("files of component `{id}`"))?;
        }
        Ok(Self { folder })
    }

    /// The folder that a component sees as `/`, if it has files.
    pub fn of_component(&self, id: &str) -> Option<PathBuf> {
        let folder = self.folder.path().join(id);
        folder.is_dir().then_some(folder)
    }
}

/// Followed by the number of the process.
const FOLDER_PREFIX: &str = "files-";

/// Removes what processes left behind that were killed.
fn remove_leftovers(state_dir: &Path) {
    for entry in std::fs::read_dir(state_dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name
            .to_str()
            .and_then(|name| name.strip_prefix(FOLDER_PREFIX)?.split_once('-'))
            .and_then(|(number, _)| rustix::process::Pid::from_raw(number.parse().ok()?));
        if process.is_some_and(|it| {
            rustix::process::test_kill_process(it) == Err(rustix::io::Errno::SRCH)
        }) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn copy_component(
    root: &Path,
    component: &ComponentDefinition,
    generated: &BTreeMap<String, String>,
    target: &Path,
) -> anyhow::Result<()> {
    let excluded = component
        .exclude_files
        .iter()
        .map(|text| Pattern::new(text).with_context(|| format!("exclude_files: `{text}`")))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let copy = Copy {
        root,
        target,
        excluded,
    };
    for mount in &component.files {
        match mount {
            FileMount::Pattern(name) if generated.contains_key(name) => {
                let text = generated.get(name).map_or("", String::as_str);
                std::fs::create_dir_all(target)?;
                std::fs::write(target.join(name), text)?;
            }
            FileMount::Pattern(pattern) => copy.pattern(pattern)?,
            FileMount::Placed {
                source,
                destination,
            } => copy.placed(source, destination)?,
        }
    }
    Ok(())
}

struct Copy<'a> {
    root: &'a Path,
    target: &'a Path,
    excluded: Vec<Pattern>,
}

impl Copy<'_> {
    fn pattern(&self, pattern: &str) -> anyhow::Result<()> {
        let path = self.root.join(pattern);
        if path.is_dir() {
            if matches!(
                Path::new(pattern).components().next_back(),
                None | Some(PathPart::CurDir | PathPart::ParentDir)
            ) {
                bail!(
                    "`{pattern}`: name the files, as in `{pattern}/**/*`, or use {{ source, destination }}"
                );
            }
            return self.all_files(&path.join("**/*"), self.root, "");
        }
        if path.is_file() {
            return self.file(&path, Path::new(pattern));
        }
        if Pattern::escape(pattern) == pattern {
            bail!("`{pattern}` does not exist");
        }
        self.all_files(&path, self.root, "")
    }

    fn placed(&self, source: &str, destination: &str) -> anyhow::Result<()> {
        let path = self.root.join(source);
        let destination = destination.trim_start_matches('/');
        if path.is_dir() {
            self.all_files(&path.join("**/*"), &path, destination)
        } else if path.is_file() {
            self.file(&path, Path::new(destination))
        } else {
            bail!("`{source}` does not exist")
        }
    }

    /// Copies all files of a pattern to below `destination`, by their path below `base`.
    fn all_files(&self, pattern: &Path, base: &Path, destination: &str) -> anyhow::Result<()> {
        let pattern = pattern.to_str().context("a pattern that is not UTF-8")?;
        std::fs::create_dir_all(self.target)?;
        for path in glob::glob(pattern).with_context(|| format!("pattern `{pattern}`"))? {
            let path = path?;
            let below_root = path.strip_prefix(self.root).unwrap_or(&path);
            let excluded = self.excluded.iter().any(|it| it.matches_path(below_root));
            if !path.is_file() || excluded {
                continue;
            }
            let relative = path
                .strip_prefix(base)
                .with_context(|| format!("{} is outside {}", path.display(), base.display()))?;
            self.file(&path, &Path::new(destination).join(relative))?;
        }
        Ok(())
    }

    fn file(&self, source: &Path, destination: &Path) -> anyhow::Result<()> {
        let stays_inside = destination
            .components()
            .all(|part| matches!(part, PathPart::Normal(_) | PathPart::CurDir));
        if !stays_inside {
            bail!(
                "{} leads out of the component's folder",
                destination.display()
            );
        }
        let target = self.target.join(destination);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("cannot create {}", parent.display()))?;
        }
        std::fs::copy(source, &target)
            .with_context(|| format!("cannot copy {}", source.display()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toml_document::TomlDocument;

    fn mounted(files: &str, exclude: &str) -> anyhow::Result<Vec<String>> {
        let root = tempfile::tempdir()?;
        for (name, text) in [
            ("a.json", "{}"),
            ("pages/x.html", "x"),
            ("pages/deep/y.md", "y"),
        ] {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap())?;
            std::fs::write(path, text)?;
        }
        let manifest = format!(
            "spin_manifest_version = 2\n[application]\nname = \"x\"\n[trigger]\nhttp = []\n\
             [component.c]\nsource = \"c.wasm\"\nfiles = {files}\nexclude_files = {exclude}\n"
        );
        let document = TomlDocument::new(root.path().join("spin.toml"), manifest);
        let manifest = Manifest::from_document(&document)?;
        let generated = BTreeMap::from([("made.json".to_owned(), "{}".to_owned())]);
        let mounted = MountedFiles::copy(&manifest, &generated, root.path())?;
        let folder = mounted.of_component("c").unwrap();
        let mut found: Vec<String> = glob::glob(folder.join("**/*").to_str().unwrap())?
            .flatten()
            .filter(|path| path.is_file())
            .map(|path| path.strip_prefix(&folder).unwrap().display().to_string())
            .collect();
        found.sort();
        Ok(found)
    }

    #[test]
    fn files_folders_and_patterns_keep_their_paths() {
        assert_eq!(mounted("['a.json']", "[]").unwrap(), ["a.json"]);
        assert_eq!(mounted("['made.json']", "[]").unwrap(), ["made.json"]);
        let all = ["pages/deep/y.md", "pages/x.html"];
        assert_eq!(mounted("['pages']", "[]").unwrap(), all);
        assert_eq!(mounted("['pages/**/*']", "[]").unwrap(), all);
        assert_eq!(
            mounted("['pages']", "['**/*.md']").unwrap(),
            ["pages/x.html"]
        );
    }

    #[test]
    fn placed_files_are_found_at_their_destination() {
        let files = "[{ source = 'pages', destination = '/' }, { source = 'a.json', destination = '/etc/b.json' }]";
        assert_eq!(
            mounted(files, "[]").unwrap(),
            ["deep/y.md", "etc/b.json", "x.html"]
        );
    }

    #[test]
    fn what_does_not_exist_or_leads_out_is_refused() {
        for files in [
            "['b.json']",
            "['..']",
            "[{ source = 'b', destination = '/' }]",
            "[{ source = 'a.json', destination = '/../a.json' }]",
        ] {
            let error = format!("{:#}", mounted(files, "[]").unwrap_err());
            assert!(error.starts_with("files of component `c`: "), "{error}");
        }
    }
}

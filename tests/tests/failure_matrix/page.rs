//! The page docs/failure-matrix.md: written of what was observed, compared, and read again.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use anyhow::{Context, Result};
use spillway_tests::repository_root;

use crate::{
    columns::{Column, Mode},
    failures::failures,
    observed::Observed,
};

const BEGINNING: &str = "\
# Failure matrix

Every cell is one call of a client through the gateway to upstreams of its own, one of which fails as the row says; \
the column says what else there is to go to. **recovered** stands where the client got a complete answer all the same; \
everything else is what it was told. The test `failure_matrix` observes all of it and writes this page \
(`UPDATE_GOLDEN=1`); it fails where a cell differs.

Calls are those that an upstream saw, the first's and the second's; connections that it refused or did not take \
are none, nor are probes. A `—` stands where a failure cannot be had: nobody sees that a connection was refused, so \
that no upstream can do it once; a stream's head is no matter where no stream is asked for.
";

/// What was observed of a column, by the failure's number. The column does not have those that are missing.
pub struct Rows {
    pub column: Column,
    pub seen: BTreeMap<usize, Observed>,
}

impl Rows {
    /// Nothing yet.
    pub fn new(column: Column) -> Self {
        Self {
            column,
            seen: BTreeMap::new(),
        }
    }
}

/// The page.
pub fn write(observed: &[Rows]) -> String {
    let mut page = BEGINNING.to_owned();
    page.push_str("\n## At a glance\n\n");
    let titles: Vec<String> = observed.iter().map(|rows| rows.column.title()).collect();
    push_heading(&mut page, "failure", &titles);
    for (number, failure) in failures().iter().enumerate() {
        let cells = observed.iter().map(|rows| {
            let cell = rows.seen.get(&number);
            cell.map_or("—".to_owned(), |seen| {
                if seen.is_recovered {
                    "**recovered**".to_owned()
                } else {
                    seen.gist.clone()
                }
            })
        });
        push_row(&mut page, failure.name, &cells.collect::<Vec<_>>());
    }
    for rows in observed {
        push_column(&mut page, rows);
    }
    page
}

fn push_column(page: &mut String, rows: &Rows) {
    let title = rows.column.title();
    page.push_str(&format!("\n## {}\n\n", capitalised(&title)));
    if rows.column.mode == Mode::Whole {
        page.push_str(rows.column.setup.explanation());
        page.push_str("\n\n");
    }
    let titles = [
        "client got",
        "`x-gateway-attempts`",
        "tried",
        "calls",
        "ejected",
    ];
    push_heading(page, "failure", &titles.map(str::to_owned));
    for (number, failure) in failures().iter().enumerate() {
        let Some(seen) = rows.seen.get(&number) else {
            continue;
        };
        let recovered = if seen.is_recovered {
            "**recovered**: "
        } else {
            ""
        };
        let calls: Vec<String> = seen.calls.iter().map(ToString::to_string).collect();
        let ejected = if seen.ejected.is_empty() {
            "nothing".to_owned()
        } else {
            seen.ejected.join("; ")
        };
        push_row(
            page,
            failure.name,
            &[
                format!("{recovered}{}", seen.got),
                seen.attempts.clone(),
                seen.tried.join(", "),
                calls.join(" + "),
                ejected,
            ],
        );
    }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

fn push_heading(page: &mut String, first: &str, others: &[String]) {
    push_row(page, first, others);
    let line = vec!["---".to_owned(); others.len()];
    push_row(page, "---", &line);
}

fn push_row(page: &mut String, first: &str, others: &[String]) {
    page.push_str(&format!("| {first} | {} |\n", others.join(" | ")));
}

fn place() -> PathBuf {
    repository_root().join("docs/failure-matrix.md")
}

/// Compares with the committed page, or writes it if `UPDATE_GOLDEN` is set. The lines that differ, if any.
pub fn compare(page: &str) -> Result<Option<String>> {
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(place(), page)?;
        return Ok(None);
    }
    let committed = committed()?;
    if committed == page {
        return Ok(None);
    }
    Ok(Some(differences(&committed, page)))
}

/// The lines that differ, each below the title of its section.
fn differences(old: &str, new: &str) -> String {
    let (old, new) = (titled(old), titled(new));
    let gone = old.iter().filter(|line| !new.contains(line));
    let come = new.iter().filter(|line| !old.contains(line));
    let lines: Vec<String> = gone
        .map(|(title, line)| format!("{title}\n- {line}"))
        .chain(come.map(|(title, line)| format!("{title}\n+ {line}")))
        .collect();
    lines.join("\n")
}

/// The lines of a page, each with its section's title: tables have equal rows.
fn titled(page: &str) -> Vec<(&str, &str)> {
    let mut title = "";
    let mut lines = Vec::new();
    for line in page.lines() {
        if line.starts_with('#') {
            title = line;
        }
        lines.push((title, line));
    }
    lines
}

fn committed() -> Result<String> {
    let place = place();
    fs::read_to_string(&place).with_context(|| format!("reading {}", place.display()))
}

/// The names of the failures that the committed page calls recovered in a column.
pub fn recovered(column: Column) -> Result<Vec<String>> {
    let page = committed()?;
    let position = Column::all()
        .iter()
        .position(|other| *other == column)
        .context("no such column")?;
    let glance = page
        .split("\n## ")
        .find(|part| part.starts_with("At a glance"))
        .context("no overview in the page")?;
    let is_recovered = |line: &&str| {
        let mut cells = line.split(" | ").skip(1);
        cells
            .nth(position)
            .is_some_and(|cell| cell.contains("**recovered**"))
    };
    let name = |line: &str| {
        let name = line.trim_start_matches("| ").split(" | ").next();
        name.unwrap_or_default().to_owned()
    };
    Ok(glance.lines().filter(is_recovered).map(name).collect())
}

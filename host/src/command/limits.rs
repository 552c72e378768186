//! `spillway limits`: where the limits of a running gateway stand.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;

use super::admin::{AdminArguments, ask};
use crate::log_lines::{Destination, notice};

/// What `spillway limits` takes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "The gateway's `admin.token` is taken from SPILLWAY_ADMIN_TOKEN.")]
pub struct LimitsArguments {
    #[command(flatten)]
    admin: AdminArguments,

    /// Only those of this API, by its name, or by its kind and name: `llm`, `model/llm`.
    #[arg(long, value_name = "NAME")]
    api: Option<String>,

    /// Only those of this rule.
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,

    /// Those of one value of whatever is counted by: a user, a consumer, an app's key, an address. `@FILE` takes it
    /// from a file, so that others do not see it; one that begins with `@` is written with two.
    #[arg(long, value_name = "VALUE")]
    value: Option<String>,

    /// A table, or the JSON document of the gateway.
    #[arg(long, value_name = "FORM", default_value = "text")]
    format: LimitsFormat,
}

/// How `limits` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LimitsFormat {
    /// A line a limit.
    Text,
    /// `{"limits": [{"api", "rule", "by", "value", "unit", "window_seconds", "limit", "used", …}], "complete"}`.
    Json,
}

/// What the gateway tells.
#[derive(Deserialize)]
struct Told {
    limits: Vec<Limit>,
    complete: bool,
}

#[derive(Deserialize)]
struct Limit {
    api: String,
    rule: String,
    by: Option<String>,
    value: Option<String>,
    unit: String,
    window_seconds: Option<u64>,
    limit: u64,
    used: u64,
    reserved: u64,
    debt: u64,
    remaining: u64,
    reset_seconds: Option<u64>,
    dry_run: bool,
}

const COLUMNS: [&str; 10] = [
    "API",
    "RULE",
    "BY",
    "VALUE",
    "LIMIT",
    "USED",
    "RESERVED",
    "DEBT",
    "LEFT",
    "RESETS IN",
];

/// From here on columns are numbers.
const FIRST_NUMBER: usize = 5;

/// Prints what the gateway tells.
///
/// # Errors
/// Why it tells nothing.
pub(super) fn run(arguments: &LimitsArguments) -> anyhow::Result<ExitCode> {
    let value = arguments.value.as_deref().map(value_of).transpose()?;
    let query: Vec<(&str, &str)> = [
        ("api", arguments.api.as_deref()),
        ("rule", arguments.rule.as_deref()),
        ("value", value.as_deref()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    let body = ask(&arguments.admin, "limits", &query)?;
    if arguments.format == LimitsFormat::Json {
        Destination::Stdout.write(&body);
        Destination::Stdout.write(b"\n");
        return Ok(ExitCode::SUCCESS);
    }
    let told: Told = serde_json::from_slice(&body)
        .context("the gateway tells of limits in another form: is it of the same release?")?;
    if told.limits.is_empty() {
        let of = if query.is_empty() { "" } else { " of these" };
        notice(&format!("no limit{of} has been used in the last days"));
    } else {
        Destination::Stdout.write(table(&told.limits).as_bytes());
    }
    if !told.complete {
        notice(
            "these are those that were used last; there are more than the gateway keeps: ask for one with --value",
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn value_of(text: &str) -> anyhow::Result<String> {
    let Some(file) = text.strip_prefix('@') else {
        return Ok(text.to_owned());
    };
    if file.starts_with('@') {
        return Ok(file.to_owned());
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    Ok(text.trim().to_owned())
}

fn table(limits: &[Limit]) -> String {
    let rows: Vec<[String; 10]> = limits.iter().map(row).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let longest = cells.map(|cell| cell.chars().count()).max();
        let title = COLUMNS.get(column).map_or(0, |title| title.len());
        longest.unwrap_or_default().max(title)
    };
    let widths: [usize; 10] = std::array::from_fn(width);
    let mut text = String::new();
    let mut write = |cells: &[String; 10]| {
        let mut line = String::new();
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            // Writing to a string cannot fail.
            let _ = if column < FIRST_NUMBER {
                write!(line, "{cell:<width$}  ")
            } else {
                write!(line, "{cell:>width$}  ")
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    };
    write(&COLUMNS.map(str::to_owned));
    for row in &rows {
        write(row);
    }
    text
}

fn row(limit: &Limit) -> [String; 10] {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let unit = limit.unit.trim_start_matches("concurrent-");
    let allowed = match limit.window_seconds {
        Some(seconds) => format!("{} {unit} in {}", limit.limit, window(seconds)),
        None => format!("{} {unit} at once", limit.limit),
    };
    let dry_run = if limit.dry_run { " (dry run)" } else { "" };
    let by = limit.by.as_deref();
    [
        limit.api.clone(),
        format!("{}{dry_run}", limit.rule),
        by.map_or("all requests", |by| by.trim_start_matches("limit_by_"))
            .to_owned(),
        or_none(&limit.value),
        allowed,
        limit.used.to_string(),
        limit.reserved.to_string(),
        limit.debt.to_string(),
        limit.remaining.to_string(),
        limit
            .reset_seconds
            .map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s")),
    ]
}

fn window(seconds: u64) -> String {
    match seconds {
        1 => "a second".to_owned(),
        60 => "a minute".to_owned(),
        3_600 => "an hour".to_owned(),
        86_400 => "a day".to_owned(),
        other => format!("{other} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(rule: &str, value: Option<&str>, window_seconds: Option<u64>) -> Limit {
        Limit {
            api: "model/llm".to_owned(),
            rule: rule.to_owned(),
            by: value.map(|_| "limit_by_per_consumer".to_owned()),
            value: value.map(str::to_owned),
            unit: "tokens".to_owned(),
            window_seconds,
            limit: 500,
            used: 412,
            reserved: 88,
            debt: 0,
            remaining: 0,
            reset_seconds: window_seconds.map(|_| 24),
            dry_run: value.is_none(),
        }
    }

    #[test]
    fn a_table_has_a_line_a_limit_and_its_columns_stand_below_each_other() {
        let text = table(&[
            limit("default_rule", Some("dify"), Some(60)),
            limit("all", None, None),
        ]);
        assert_eq!(
            text,
            "API        RULE           BY            VALUE  LIMIT                   USED  RESERVED  DEBT  LEFT  RESETS IN\n\
             model/llm  default_rule   per_consumer  dify   500 tokens in a minute   412        88     0     0       24 s\n\
             model/llm  all (dry run)  all requests  -      500 tokens at once       412        88     0     0          -\n"
        );
    }
}

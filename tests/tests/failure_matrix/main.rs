//! Every failure of an upstream, end to end: what the client gets, what the upstreams see, and what is ejected.
//! The whole of it is docs/failure-matrix.md.

use std::sync::Arc;

use anyhow::{Context, Result};
use spillway_tests::run;
use tokio::task::{JoinSet, LocalSet};

use crate::{
    columns::Column,
    observed::Observed,
    page::Rows,
    service::{PARTS, Service},
};

mod clients;
mod columns;
mod failures;
mod observed;
mod page;
mod service;

/// Calls all cells of a part of a column at the same time.
async fn observe(column: Column, part: usize) -> Result<Vec<(usize, Observed)>> {
    let service = Arc::new(Service::start(column, part).await?);
    let mut calls: JoinSet<Result<(usize, Observed)>> = JoinSet::new();
    for place in 0..service.cells.len() {
        let service = Arc::clone(&service);
        calls.spawn_local(async move {
            let cell = service.cells.get(place).context("no such cell")?;
            Ok((cell.number, cell.observe(&service, column).await?))
        });
    }
    calls.join_all().await.into_iter().collect()
}

/// Calls all cells of all columns at the same time.
async fn observe_all() -> Result<Vec<Rows>> {
    let mut parts = JoinSet::new();
    for column in Column::all() {
        for part in 0..PARTS {
            parts.spawn_local(async move { (column, observe(column, part).await) });
        }
    }
    let mut columns: Vec<Rows> = Column::all().into_iter().map(Rows::new).collect();
    for (column, observed) in parts.join_all().await {
        let observed = observed?;
        if let Some(rows) = columns.iter_mut().find(|rows| rows.column == column) {
            rows.seen.extend(observed);
        }
    }
    Ok(columns)
}

#[test]
fn every_failure_ends_as_the_page_says() -> Result<()> {
    run(async {
        let rows = LocalSet::new().run_until(observe_all()).await?;
        let difference = page::compare(&page::write(&rows))?;
        assert!(
            difference.is_none(),
            "docs/failure-matrix.md says something else (UPDATE_GOLDEN=1 rewrites it):\n{}",
            difference.unwrap_or_default()
        );
        Ok(())
    })
}

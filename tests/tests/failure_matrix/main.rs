//! Every failure of an upstream, end to end: what the client gets, what the upstreams see, and what is set aside.
//! The whole of it is docs/failure-matrix.md.

use std::sync::Arc;

use anyhow::{Context, Result};
use spillway_tests::run;
use tokio::task::{JoinSet, LocalSet};

use crate::{
    columns::Column, failures::failures, observed::Observed, page::Rows, service::Service,
};

mod clients;
mod columns;
mod failures;
mod observed;
mod page;
mod service;

/// Calls all cells of a column at the same time.
async fn observe(column: Column) -> Result<Rows> {
    let service = Arc::new(Service::start(column).await?);
    let mut calls: JoinSet<Result<(usize, Observed)>> = JoinSet::new();
    for place in 0..service.cells.len() {
        let service = Arc::clone(&service);
        calls.spawn_local(async move {
            let cell = service.cells.get(place).context("no such cell")?;
            Ok((cell.number, cell.observe(&service, column).await?))
        });
    }
    let mut rows: Vec<Option<Observed>> = failures().iter().map(|_| None).collect();
    while let Some(called) = calls.join_next().await {
        let (number, observed) = called??;
        if let Some(row) = rows.get_mut(number) {
            *row = Some(observed);
        }
    }
    Ok(Rows { column, rows })
}

/// Calls all cells of all columns at the same time.
async fn observe_all() -> Result<Vec<Rows>> {
    let mut columns = JoinSet::new();
    for (place, column) in Column::all().into_iter().enumerate() {
        columns.spawn_local(async move { (place, observe(column).await) });
    }
    let mut observed = Vec::new();
    while let Some(column) = columns.join_next().await {
        let (place, rows) = column?;
        observed.push((place, rows?));
    }
    observed.sort_by_key(|(place, _)| *place);
    Ok(observed.into_iter().map(|(_, rows)| rows).collect())
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

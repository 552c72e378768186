//! How calls are spread over a provider's endpoints.

use std::sync::Arc;

use anyhow::Result;
use spillway_tests::{
    run,
    standin::{Behaviour, Gate, StandinModel},
    until,
};

use crate::{calls, chat, served, start};

const YAML: &str = r#"
models:
  - name: llm
    routes: [{ targets: [{ provider: own }] }]
providers:
  - { name: own, endpoints: ["$one", "$other"], load_balance: { lb_policy: least_request } }
"#;

#[test]
fn calls_go_where_the_fewest_are_in_flight() -> Result<()> {
    run(async {
        let (one, other) = (StandinModel::start("one")?, StandinModel::start("other")?);
        let gateway = Arc::new(start(YAML, &[("one", &one), ("other", &other)]).await?);
        let gates = [Gate::new(), Gate::new()];
        for (endpoint, gate) in [&one, &other].into_iter().zip(&gates) {
            endpoint.next(Behaviour::held(gate, Behaviour::Normal));
        }
        let first = Arc::clone(&gateway);
        let first = tokio::spawn(async move { first.call(&chat("m", "first")).await });
        until("one of the endpoints is busy", async || {
            let asked = calls(&one).len().saturating_add(calls(&other).len());
            Ok((asked == 1).then_some(()))
        })
        .await?;
        let (busy, idle) = if calls(&one).is_empty() {
            ((&other, &gates[1]), (&one, &gates[0]))
        } else {
            ((&one, &gates[0]), (&other, &gates[1]))
        };
        idle.1.open();
        for _ in 0..4 {
            served(&gateway, "m", "next").await?;
        }
        assert_eq!((calls(busy.0).len(), calls(idle.0).len()), (1, 4));
        busy.1.open();
        assert_eq!(first.await??.status(), 200);
        for _ in 0..2 {
            served(&gateway, "m", "last").await?;
        }
        assert_eq!(
            (calls(busy.0).len(), calls(idle.0).len()),
            (2, 5),
            "idle, they are used in turn"
        );
        Ok(())
    })
}

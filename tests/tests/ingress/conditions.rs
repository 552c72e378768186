//! Routes of the operator's own: conditions and precedence. Which one was taken shows in the service.

use anyhow::Result;
use spillway_tests::{
    client::Request,
    run,
    standin::Service::{self, Api, PluginDaemon, Web},
};

use crate::Ingress;

async fn with_routes(routes: &str) -> Result<Ingress> {
    Ingress::plain(&format!("routes:\n{routes}")).await
}

async fn expect(ingress: &Ingress, request: Request, service: Service, why: &str) -> Result<()> {
    let target = request.target.clone();
    let (seen, _) = ingress.forwarded(request).await?;
    assert_eq!(seen.service, service, "{target}: {why}");
    assert_eq!(seen.target, target);
    Ok(())
}

#[test]
fn headers_decide() -> Result<()> {
    run(async {
        let ingress = with_routes(
            r#"
      - name: exact
        path: /v1/chat-messages
        match: { headers: { x-app-id: "9a34" } }
        service: plugin_daemon
      - name: prefix
        path: /v1/workflows/run
        match: { headers: { X-App-Id: { prefix: "team-" } } }
        service: plugin_daemon
      - name: present
        path: /v1/messages
        match: { headers: { x-canary: { present: true } } }
        service: plugin_daemon
      - name: absent
        path: /v1/conversations
        match: { headers: { x-canary: { present: false } } }
        service: plugin_daemon
"#,
        )
        .await?;
        let with = |target: &str, name: &str, value: &str| Request::get(target).header(name, value);
        for (request, service, why) in [
            (
                with("/v1/chat-messages", "X-App-ID", "9a34"),
                PluginDaemon,
                "names compare in any case",
            ),
            (
                with("/v1/chat-messages", "X-App-ID", "9A34"),
                Api,
                "values compare exactly",
            ),
            (
                with("/v1/chat-messages", "X-App-ID", "9a345"),
                Api,
                "a plain text is the whole value",
            ),
            (
                Request::get("/v1/chat-messages"),
                Api,
                "the header is missing",
            ),
            (
                with("/v1/workflows/run", "x-app-id", "team-a"),
                PluginDaemon,
                "the value begins so",
            ),
            (
                with("/v1/workflows/run", "x-app-id", "a-team-"),
                Api,
                "the value does not begin so",
            ),
            (
                with("/v1/messages", "x-canary", ""),
                PluginDaemon,
                "an empty header is there",
            ),
            (
                Request::get("/v1/messages"),
                Api,
                "the header must be there",
            ),
            (
                Request::get("/v1/conversations"),
                PluginDaemon,
                "the header must not be there",
            ),
            (
                with("/v1/conversations", "x-canary", "1"),
                Api,
                "the header is there",
            ),
        ] {
            expect(&ingress, request, service, why).await?;
        }
        Ok(())
    })
}

#[test]
fn query_parameters_decide() -> Result<()> {
    run(async {
        let ingress = with_routes(
            r#"
      - name: exact
        path: /v1/a
        match: { query: { app: "a b", mode: { prefix: "s" } } }
        service: plugin_daemon
      - name: present
        path: /v1/b
        match: { query: { debug: { present: true } } }
        service: web
"#,
        )
        .await?;
        for (target, service, why) in [
            (
                "/v1/a?app=a%20b&mode=stream",
                PluginDaemon,
                "values are decoded",
            ),
            (
                "/v1/a?mode=stream&x&app=a+b",
                PluginDaemon,
                "the order does not matter, and + is a space",
            ),
            (
                "/v1/a?a%70p=a%20b&mode=s",
                PluginDaemon,
                "names are decoded",
            ),
            ("/v1/a?app=a%20b", Api, "all conditions must hold"),
            ("/v1/a?app=a&mode=stream", Api, "another value"),
            ("/v1/b?debug", Web, "a parameter without a value is there"),
            ("/v1/b?debug=", Web, "an empty value is there"),
            ("/v1/b?debugger=1", Api, "another parameter"),
        ] {
            expect(&ingress, Request::get(target), service, why).await?;
        }
        Ok(())
    })
}

#[test]
fn paths_are_prefixes_of_whole_segments_or_exact_and_methods_count() -> Result<()> {
    run(async {
        let ingress = with_routes(
            r"
      - name: prefix
        path: /v1/part
        service: plugin_daemon
      - name: exact
        path: { exact: /v1/whole }
        service: plugin_daemon
      - name: method
        path: /v1/write
        methods: [POST, PUT]
        service: plugin_daemon
",
        )
        .await?;
        for (request, service, why) in [
            (Request::get("/v1/part"), PluginDaemon, "the path itself"),
            (Request::get("/v1/part/x?y"), PluginDaemon, "below it"),
            (Request::get("/v1/partial"), Api, "another segment"),
            (Request::get("/v1/whole"), PluginDaemon, "the path itself"),
            (
                Request::get("/v1/whole?x=1"),
                PluginDaemon,
                "a query is no part of the path",
            ),
            (Request::get("/v1/whole/x"), Api, "below it"),
            (
                Request::new("POST", "/v1/write"),
                PluginDaemon,
                "a method that is named",
            ),
            (
                Request::new("PUT", "/v1/write/x"),
                PluginDaemon,
                "a method that is named",
            ),
            (Request::get("/v1/write"), Api, "a method that is not named"),
        ] {
            expect(&ingress, request, service, why).await?;
        }
        Ok(())
    })
}

#[test]
fn the_longest_path_wins_then_more_conditions_then_file_order() -> Result<()> {
    run(async {
        let ingress = with_routes(
            r#"
      - name: short
        path: /v1
        service: web
      - name: long
        path: /v1/chat-messages
        service: plugin_daemon
      - name: first-of-two
        path: /v1/two
        match: { headers: { a: "1" } }
        service: api
      - name: second-of-two
        path: /v1/two
        match: { headers: { b: "1" } }
        service: plugin_daemon
      - name: both
        path: /v1/two
        match: { headers: { a: "1", b: "1" }, query: { c: "1" } }
        service: web
      - name: before-the-table
        path: /console/api
        service: plugin_daemon
      - name: below-the-table
        path: /
        service: plugin_daemon
"#,
        )
        .await?;
        let get = Request::get;
        for (request, service, why) in [
            (
                get("/v1/x"),
                Web,
                "a route of the operator's comes before the table",
            ),
            (get("/v1/chat-messages"), PluginDaemon, "the longer path"),
            (
                get("/v1/two").header("a", "1"),
                Api,
                "the only one that holds",
            ),
            (
                get("/v1/two").header("b", "1"),
                PluginDaemon,
                "the only one that holds",
            ),
            (
                get("/v1/two").header("b", "1").header("a", "1"),
                Api,
                "file order among equals",
            ),
            (
                get("/v1/two?c=1").header("b", "1").header("a", "1"),
                Web,
                "more conditions",
            ),
            (get("/v1/two"), Web, "none holds, so the shorter path"),
            (
                get("/console/api/x"),
                PluginDaemon,
                "before the table among equals",
            ),
            (get("/api/x"), Api, "the table's longer path"),
            (
                get("/apps"),
                PluginDaemon,
                "the operator's root before the table's",
            ),
        ] {
            expect(&ingress, request, service, why).await?;
        }
        Ok(())
    })
}

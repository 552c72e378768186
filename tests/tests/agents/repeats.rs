//! What is sent again when a service could not be reached, or broke off.

use anyhow::Result;
use spillway_tests::{assert_dify_error, client::Request, run, standin::Behaviour};

use crate::Published;

#[test]
fn a_reset_is_tried_once_more_where_twice_is_as_good_as_once() -> Result<()> {
    run(async {
        let published = Published::start("", "").await?;
        for (method, again) in [
            ("GET", true),
            ("PUT", true),
            ("DELETE", true),
            ("OPTIONS", true),
            ("POST", false),
            ("PATCH", false),
        ] {
            for body in ["", "{\"a\":1}"] {
                let request = if body.is_empty() {
                    Request::new(method, "/v1/x").bearer("app-1")
                } else {
                    let mut request =
                        Request::post("/v1/x", "application/json", body).bearer("app-1");
                    request.method = method.to_owned();
                    request
                };
                let before = published.dify.api.requests().len();
                published.dify.api.next(Behaviour::Reset);
                let answer = published.call(&request).await?;
                let seen = published.dify.api.requests();
                let tries = seen.len() - before;
                if again {
                    assert!(answer.status() < 300, "{method}: {}", answer.text());
                    assert_eq!(tries, 2, "{method}");
                    assert_eq!(seen.last().map(|seen| seen.text()), Some(body.to_owned()));
                } else {
                    assert_dify_error(&answer, 502);
                    assert_eq!(tries, 1, "{method}");
                }
            }
        }
        // Twice in a row is enough.
        published.dify.api.next(Behaviour::Reset);
        published.dify.api.next(Behaviour::Reset);
        let answer = published
            .call(&Request::get("/v1/x").bearer("app-1"))
            .await?;
        assert_dify_error(&answer, 502);
        Ok(())
    })
}

#[test]
fn a_refused_connection_is_tried_once_more_whatever_the_method() -> Result<()> {
    run(async {
        let published = Published::start("", "").await?;
        for method in ["GET", "POST", "DELETE"] {
            let request = Request::new(method, "/v1/x").bearer("app-1");
            published.dify.api.kill().await;
            let call = published.call(&request);
            // The second try comes 100 ms later: it finds the service again if it is back by then, and else the
            // gateway says so.
            let (answer, restarted) = tokio::join!(call, async { published.dify.api.restart() });
            restarted?;
            assert!(matches!(answer?.status(), 200..=299), "{method}");
        }
        published.dify.api.kill().await;
        let answer = published
            .call(&Request::post("/v1/x", "text/plain", "x").bearer("app-1"))
            .await?;
        assert_dify_error(&answer, 502);
        assert!(answer.text().contains("restarting"), "{}", answer.text());
        Ok(())
    })
}

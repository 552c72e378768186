//! Who may call.

use anyhow::Result;
use spillway_tests::{
    Reason, assert_openai_error, chat_request, client::Request, mark, reason, run,
};

use crate::{DIFY_KEY, FIRST_KEY, Models, OTHER_KEY};

fn call(text: &str) -> Request {
    Request::json("/llm/keyed/v1/chat/completions", &chat_request("m", text))
}

#[test]
fn the_right_key_opens_in_every_header_it_can_stand_in() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        for (name, value) in [
            ("Authorization", format!("Bearer {DIFY_KEY}")),
            ("authorization", format!("bearer {DIFY_KEY}")),
            ("x-api-key", DIFY_KEY.to_owned()),
            ("X-API-Key", DIFY_KEY.to_owned()),
            ("api-key", DIFY_KEY.to_owned()),
        ] {
            let mark = mark();
            let answer = models
                .gateway
                .call(&call(&mark).header(name, &value))
                .await?;
            assert_eq!(answer.status(), 200, "{name}: {}", answer.text());
            let seen = models.first.wait_for_request(&mark).await?;
            assert_eq!(
                seen.header_values("authorization"),
                [format!("Bearer {FIRST_KEY}")],
                "{name}"
            );
            let all = format!("{:?}", seen.headers);
            assert!(
                !all.contains(DIFY_KEY),
                "{name}: the consumer's key went to the provider: {all}"
            );
        }
        Ok(())
    })
}

#[test]
fn an_empty_authorization_counts_as_none() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        for empty in ["", "Bearer", "Bearer "] {
            let with_key = call("hi")
                .header("Authorization", empty)
                .header("x-api-key", DIFY_KEY);
            assert_eq!(
                models.gateway.call(&with_key).await?.status(),
                200,
                "{empty:?} beside a right key"
            );
            let without = models
                .gateway
                .call(&call("hi").header("Authorization", empty))
                .await?;
            assert_openai_error(&without, 401);
            let open = Request::json(
                "/llm/v1/embeddings",
                &serde_json::json!({"model": "own-e", "input": "x"}),
            )
            .header("Authorization", empty);
            assert_eq!(
                models.gateway.call(&open).await?.status(),
                200,
                "{empty:?} where no key is needed"
            );
        }
        Ok(())
    })
}

#[test]
fn without_the_right_key_nothing_opens() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mark = mark();
        for (what, request) in [
            ("no key", call(&mark)),
            ("a wrong key", call(&mark).bearer("sk-wrong")),
            (
                "a beginning of the key",
                call(&mark).bearer(DIFY_KEY.trim_end_matches('1')),
            ),
            (
                "more than the key",
                call(&mark).bearer(&format!("{DIFY_KEY}x")),
            ),
            ("another case", call(&mark).bearer(&DIFY_KEY.to_uppercase())),
            ("the provider's key", call(&mark).bearer(FIRST_KEY)),
            (
                "another scheme",
                call(&mark).header("Authorization", &format!("Basic {DIFY_KEY}")),
            ),
            ("no scheme", call(&mark).header("x-api-key", "sk-wrong")),
            ("the placeholder", call(&mark).bearer("{{ dify_key }}")),
        ] {
            let answer = models.gateway.call(&request).await?;
            let message = assert_openai_error(&answer, 401);
            assert!(!message.contains("sk-"), "{what}: a key in {message:?}");
            reason(&answer.head, Reason::Unauthorized);
        }
        assert!(
            models.first.requests_mentioning(&mark).is_empty(),
            "a refused call was sent on"
        );
        Ok(())
    })
}

#[test]
fn a_known_consumer_who_is_not_admitted_is_refused() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mark = mark();
        let answer = models.gateway.call(&call(&mark).bearer(OTHER_KEY)).await?;
        assert_openai_error(&answer, 403);
        reason(&answer.head, Reason::Unauthorized);
        assert!(
            models.first.requests_mentioning(&mark).is_empty(),
            "a refused call was sent on"
        );
        Ok(())
    })
}

#[test]
fn the_list_of_models_needs_a_key_as_well() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let list = Request::get("/llm/keyed/v1/models");
        assert_openai_error(&models.gateway.call(&list).await?, 401);
        assert_eq!(
            models.gateway.call(&list.bearer(DIFY_KEY)).await?.status(),
            200
        );
        Ok(())
    })
}

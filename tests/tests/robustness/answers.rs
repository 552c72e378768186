//! Random answers from services and vendors.

use anyhow::Result;
use spillway_tests::{
    Chat, Random,
    client::Request,
    run,
    standin::{Behaviour, Step},
    stream_request,
};

use crate::{ROUNDS, Target};

#[test]
fn random_streams_from_a_vendor() -> Result<()> {
    run(async {
        let target = Target::start().await?;
        let mut random = Random::new(4);
        let pieces = [
            "data: ",
            "data:",
            "data",
            "\n",
            "\n\n",
            "\r\n",
            "\r\n\r\n",
            "\r",
            ":",
            ": comment\n",
            "event: x\n",
            "id: 1\n",
            "retry: 9\n",
            "[DONE]",
            "data: [DONE]\n\n",
            "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}",
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"é\"}}]}\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n",
            "data: {\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1e300,\"total_tokens\":\"x\"}}\n\n",
            "data: {\"error\":{\"message\":\"no\"}}\n\n",
            "data: {\"error\":null,\"choices\":[]}\n\n",
            "data: {\"choices\":null}\n\n",
            "data: {\"choices\":5}\n\n",
            "data: [1]\n\n",
            "data: null\n\n",
            "data: \"text\"\n\n",
            "data: {\n\n",
            "\u{feff}",
            "\0",
            "{",
            "}",
        ];
        for round in 0..ROUNDS {
            let body = if round % 5 == 0 {
                random.bytes(500)
            } else {
                random.mixture(&pieces, 12).into_bytes()
            };
            let mut steps = vec![Step::text(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n",
            )];
            let size = random.below(40) + 1;
            steps.extend(
                body.chunks(size)
                    .map(|part| Step::Write(bytes::Bytes::copy_from_slice(part))),
            );
            steps.push(if random.below(4) == 0 {
                Step::Reset
            } else {
                Step::Close
            });
            target.model.next(Behaviour::Raw(steps));
            let request = Request::json("/llm/v1/chat/completions", &stream_request("m", "hi"));
            let answer = target.gateway.call(&request).await?;
            if answer.status() == 200 {
                Chat::read(&answer.text());
            } else {
                assert_eq!(answer.status(), 502, "{}", answer.text());
                let error = answer.json();
                assert!(error.pointer("/error/message").is_some(), "{error}");
            }
        }
        target.assert_unharmed().await
    })
}

#[test]
fn random_answers_from_services_and_vendors() -> Result<()> {
    run(async {
        let target = Target::start().await?;
        let mut random = Random::new(5);
        let pieces = [
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 999 X\r\n",
            "HTTP/1.0 200\r\n",
            "HTTP/2 200 OK\r\n",
            "\r\n",
            "\r\n\r\n",
            "Content-Length: 3\r\n",
            "Content-Length: 3, 4\r\n",
            "Content-Length: x\r\n",
            "Transfer-Encoding: chunked\r\n",
            "3\r\nabc\r\n",
            "0\r\n\r\n",
            "zz\r\n",
            "Content-Type: application/json\r\n",
            "Content-Type: text/event-stream\r\n",
            "Connection: upgrade\r\nUpgrade: websocket\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n",
            "HTTP/1.1 304 Not Modified\r\n",
            "Set-Cookie: a=b\r\n",
            "X: \u{e9}\r\n",
            "X\r\n",
            ": y\r\n",
            "Keep-Alive: 1\r\n",
            "Host: x\r\n",
            "Proxy-Authenticate: x\r\n",
            "{}",
            "{\"choices\":[{\"message\":{\"content\":\"x\"}}]}",
            "abc",
        ];
        for _ in 0..ROUNDS {
            let text = random.mixture(&pieces, 10);
            let steps = vec![
                Step::text(text.clone()),
                if random.below(4) == 0 {
                    Step::Reset
                } else {
                    Step::Close
                },
            ];
            target.dify.api.always(Behaviour::Raw(steps.clone()));
            target.model.always(Behaviour::Raw(steps));
            let mut stream = stream_request("m", "hi");
            if random.below(2) == 0 {
                stream["stream"] = false.into();
            }
            for request in [
                Request::get("/api/x"),
                Request::json("/llm/v1/chat/completions", &stream),
            ] {
                let mut connection = target.gateway.connect().await?;
                connection
                    .send(&request.header("Connection", "close"))
                    .await?;
                let answer = connection.drain().await?;
                assert!(
                    answer.starts_with(b"HTTP/1.1 "),
                    "no answer, the vendor having sent {text:?}: {answer:?}"
                );
            }
        }
        target.assert_unharmed().await
    })
}

//! Random requests: bytes, paths, headers.

use anyhow::Result;
use spillway_tests::{
    Random,
    client::{Body, Request},
    run,
};

use crate::{ROUNDS, Target};

#[test]
fn random_bytes_instead_of_requests() -> Result<()> {
    run(async {
        let target = Target::start().await?;
        let mut random = Random::new(1);
        let pieces = [
            "GET / HTTP/1.1\r\n",
            "POST /llm/v1/chat/completions HTTP/1.1\r\n",
            "Host: a\r\n",
            "\r\n",
            "\n",
            "\0",
            "Content-Length: 5\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "ffffffffffffffff\r\n",
            "0\r\n\r\n",
            "5\r\nhello\r\n",
            "Connection: close\r\n",
            "Expect: 100-continue\r\n",
            "{}",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "GET http://other/ HTTP/1.1\r\n",
            "CONNECT a:1 HTTP/1.1\r\n",
            "OPTIONS * HTTP/1.1\r\n",
            "GET /\u{e9} HTTP/1.1\r\n",
            "Host: \u{e9}\r\n",
        ];
        for round in 0..ROUNDS {
            let mut connection = target.gateway.connect().await?;
            let bytes = if round % 3 == 0 {
                random.bytes(2000)
            } else {
                random.mixture(&pieces, 12).into_bytes()
            };
            // The gateway may close before it has read everything.
            let _ = connection.write(&bytes).await;
            let _ = connection.end_writing().await;
            connection.drain().await?;
        }
        target.assert_unharmed().await
    })
}

#[test]
fn random_paths_and_headers() -> Result<()> {
    run(async {
        let target = Target::start().await?;
        let mut random = Random::new(2);
        let paths = [
            "/",
            "//",
            "v1",
            "/v1/r",
            "/api",
            "/e/",
            "/llm",
            "/llm/v1",
            "models",
            "/_gateway",
            "/..",
            "/.",
            "%",
            "%2f",
            "%zz",
            "%00",
            "?",
            "&",
            "=",
            "a",
            "a=b",
            "+",
            "%ff",
            ";",
            "@",
            ":",
            "*",
            "#",
            "/socket.io/",
            "%E4%BD%A0",
            "~",
            "'",
            "\"",
            "{",
            "}",
            "|",
            "\\",
            "^",
            "`",
        ];
        let names = [
            "h",
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "X-Forwarded-Host",
            "X-Forwarded-Port",
            "Authorization",
            "x-api-key",
            "api-key",
            "Cookie",
            "Accept",
            "Content-Type",
            "TE",
            "Trailer",
            "Upgrade",
            "Connection",
            "spin-client-addr",
            "Range",
            "X-Mark",
            "Via",
        ];
        let values = [
            "",
            " ",
            ",",
            "v",
            "127.0.0.1",
            "::1",
            "[::1]:80",
            "999.1.1.1",
            "unknown",
            "Bearer ",
            "Bearer\t",
            "text/html",
            "*/*;q=0",
            "close",
            "keep-alive",
            "a, b",
            "\"quoted",
            "=",
            ";",
            "65536",
            "-1",
            "https",
            "\u{e9}",
            "%",
            "=?",
        ];
        for _ in 0..ROUNDS {
            let method = *random.choose(&[
                "GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "M-SEARCH",
            ]);
            let path = format!("/{}", random.mixture(&paths, 8));
            let lines = random.below(12);
            let mut request = Request::new(method, &path);
            for _ in 0..lines {
                let name = *random.choose(&names);
                request = request.header(name, &random.mixture(&values, 3));
            }
            if random.below(3) == 0 {
                request = request.body(Body::Length(random.bytes(300).into()));
            }
            let mut connection = target.gateway.connect().await?;
            connection.send(&request).await?;
            connection.end_writing().await?;
            let answer = connection.drain().await?;
            // A target that is none is refused by the host, with or without an answer; others are answered.
            if !answer.is_empty() {
                assert!(answer.starts_with(b"HTTP/1.1 "), "{request:?}: {answer:?}");
            }
        }
        target.assert_unharmed().await
    })
}

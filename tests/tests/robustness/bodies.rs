//! Random bodies of model calls.

use anyhow::{Result, bail};
use spillway_tests::{Random, assert_openai_error, client::Request, run};

use crate::{ROUNDS, Target};

#[test]
fn random_json_bodies() -> Result<()> {
    run(async {
        let target = Target::start().await?;
        let mut random = Random::new(3);
        let pieces = [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"model\"",
            "\"m\"",
            "\"a1b2c\"",
            "\"stream\"",
            "true",
            "false",
            "null",
            "\"messages\"",
            "\"stream_options\"",
            "{\"include_usage\":true}",
            "1e999",
            "-0",
            "12345678901234567890",
            "\"\\ud800\"",
            "\"\\u0000\"",
            "\"\"",
            " ",
            "\n",
            "\"input\"",
            "\"prompt\"",
            "{\"model\":\"m\",",
            "\"stream\":true,",
            "\"messages\":[],",
            "\"stream_options\":null,",
            "\"stream_options\":5,",
            "\"x\":1}",
            "\"model\":[\"m\"],",
            "\u{feff}",
            "\"é\"",
            "tru",
            "\\",
        ];
        let paths = ["chat/completions", "completions", "embeddings"];
        for round in 0..ROUNDS {
            let body = match round % 4 {
                0 => random.bytes(300),
                1 => format!("{{\"model\":\"m\",{}\"x\":1}}", random.mixture(&pieces, 6))
                    .into_bytes(),
                _ => random.mixture(&pieces, 14).into_bytes(),
            };
            let path = format!("/llm/v1/{}", random.choose(&paths));
            let request = Request::post(&path, "application/json", body);
            let answer = target.gateway.call(&request).await?;
            match answer.status() {
                200 => {}
                status @ (400 | 404 | 413) => {
                    assert_openai_error(&answer, status);
                }
                status => bail!("{status} for {request:?}: {}", answer.text()),
            }
        }
        target.assert_unharmed().await
    })
}

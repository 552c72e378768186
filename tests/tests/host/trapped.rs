//! An instance that traps.

use std::path::PathBuf;

use anyhow::Result;
use spillway_tests::{
    Gateway, Options,
    client::{End, Incoming, Request},
    embedded_only, run,
};

#[test]
fn streams_of_a_trapped_instance_end_dirty() -> Result<()> {
    if !embedded_only("Spin ends the streams of a trapped instance as if they were complete") {
        return Ok(());
    }
    run(async {
        let options = Options {
            manifest: Some(PathBuf::from("tests/trap/spin.toml")),
            ..Options::default()
        };
        let mut gateway = Gateway::start("{}", options).await?;
        let mut streams: Vec<Incoming> = Vec::new();
        for _ in 0..4 {
            let mut stream = gateway.begin(&Request::get("/stream")).await?;
            assert_eq!(
                stream.next_piece().await?.as_deref(),
                Some(&b"line 0\n"[..])
            );
            streams.push(stream);
        }
        let trapped = gateway.call(&Request::get("/trap")).await?;
        assert_eq!(trapped.status(), 500, "{}", trapped.text());
        for stream in streams {
            let ended = stream.finish().await?;
            assert!(
                matches!(ended.end, End::Dirty(_)),
                "a stream cut by a trap looked complete"
            );
        }
        let after = gateway.call(&Request::get("/")).await?;
        assert_eq!(after.status(), 200, "a new instance serves");
        gateway.terminate()?;
        gateway.exit_code().await?;
        Ok(())
    })
}

//! `spillway check --connect`.

use std::time::Duration;

use anyhow::Result;
use spillway_tests::{Distant, Options, Outcome, Redis, prepare, run, standin::ReservedPort};

use crate::spillway;

async fn check(redis: &str, more: &[&str]) -> Result<Outcome> {
    let yaml = format!(
        "state: {{ redis: \"{redis}\" }}\nagents:\n  - name: dify\n    services: {{ api: \"http://127.0.0.1:5001\" }}\n"
    );
    let directory = prepare(&yaml, &Options::default())?;
    let arguments = [&["check", "gateway.yaml", "--connect"], more].concat();
    spillway(directory.path(), &arguments).await
}

#[test]
fn a_redis_that_can_be_used_is_tried_out_and_its_distance_told() -> Result<()> {
    run(async {
        let redis = Redis::start_with(&["--requirepass", "pass-1"]).await?;
        let near = format!("redis://:{{{{ password }}}}@{}", redis.address());
        let secrets = r#"secrets={"password": "pass-1"}"#;
        let checked = check(&near, &["--variable", secrets]).await?;
        let said = checked.everything();
        assert_eq!(checked.code, Some(0), "{said}");
        assert!(
            said.contains("Redis can be used") && !said.contains("pass-1"),
            "{said}"
        );

        let far = Distant::start(redis.address(), Duration::from_millis(80))?;
        let address = format!("redis://:pass-1@{}", far.address());
        let checked = check(&address, &[]).await?;
        let said = checked.everything();
        assert_eq!(checked.code, Some(0), "{said}");
        assert!(
            said.contains("warning") && said.contains("ms away"),
            "{said}"
        );

        let far = Distant::start(redis.address(), Duration::from_millis(250))?;
        let address = format!("redis://:pass-1@{}", far.address());
        let checked = check(&address, &[]).await?;
        let said = checked.everything();
        assert_eq!(checked.code, Some(1), "{said}");
        assert!(said.contains("200 ms at most"), "{said}");
        Ok(())
    })
}

#[test]
fn what_is_wrong_is_told_with_what_to_do() -> Result<()> {
    run(async {
        let gone = ReservedPort::reserve()?;
        let no_scripts = [
            "--user",
            "scriptless",
            "on",
            ">pass-1",
            "~spillway:*",
            "+@all",
            "-@scripting",
            "+select",
        ];
        let redis =
            Redis::start_with(&[&["--requirepass", "pass-0"], &no_scripts[..]].concat()).await?;
        let at = |user: &str| format!("redis://{user}{}", redis.address());
        for (address, words) in [
            (format!("redis://{}", gone.address()), "refused"),
            (at(""), "wants a password"),
            (at(":other@"), "user name or password"),
            (at("scriptless:pass-1@"), "+@scripting"),
            ("{{ redis_url }}".to_owned(), "redis_url"),
        ] {
            let checked = check(&address, &[]).await?;
            let said = checked.everything();
            assert_eq!(checked.code, Some(1), "{address}: {said}");
            assert!(
                said.contains(words),
                "{address}: {words:?} is not said: {said}"
            );
            assert!(
                !said.contains("pass-1") && !said.contains("other@"),
                "{said}"
            );
        }
        Ok(())
    })
}

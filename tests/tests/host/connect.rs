//! `spillway check --connect`.

use std::time::Duration;

use anyhow::Result;
use spillway_tests::{
    Distant, Gateway, Options, Outcome, Redis,
    client::Request,
    embedded_only, prepare, run,
    standin::{
        ModelOptions, RagflowOptions, ReservedPort, StandinAnthropic, StandinDify, StandinModel,
        StandinRagflow,
    },
    until,
};

use crate::spillway;

async fn check(redis: &str, more: &[&str]) -> Result<Outcome> {
    let dify = StandinDify::start()?;
    let yaml = format!(
        "state: {{ redis: \"{redis}\" }}\nagents:\n  - name: dify\n    services: {{ api: \"{}\" }}\n",
        dify.api.url()
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
        assert!(said.contains("140 ms at most"), "{said}");
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

/// Upstreams of every kind, of which some are well.
struct Upstreams {
    dify: StandinDify,
    gone: ReservedPort,
    vendor: StandinModel,
    claude: StandinAnthropic,
    engine: StandinRagflow,
}

impl Upstreams {
    fn start() -> Result<Self> {
        Ok(Self {
            dify: StandinDify::start()?,
            gone: ReservedPort::reserve()?,
            vendor: StandinModel::start_with(ModelOptions {
                name: "vendor".to_owned(),
                api_keys: vec!["sk-good".to_owned()],
                ..ModelOptions::default()
            })?,
            claude: StandinAnthropic::start("sk-ant-good")?,
            engine: StandinRagflow::start(RagflowOptions {
                api_keys: vec!["ragflow-good".to_owned()],
                ..RagflowOptions::default()
            })?,
        })
    }

    fn yaml(&self) -> String {
        format!(
            r#"
agents:
  - {{ name: dify, services: {{ api: "{dify}", web: "{gone}" }} }}
models:
  - {{ name: llm, routes: [{{ targets: [{{ provider: vendor }}] }}] }}
providers:
  - {{ name: vendor, base_url: "{vendor}", api_keys: [sk-good, sk-revoked] }}
  - {{ name: claude, type: anthropic, base_url: "{claude}", api_keys: [sk-ant-good] }}
  - {{ name: moved, base_url: "{vendor}/elsewhere", api_keys: [sk-good] }}
  - {{ name: nowhere, base_url: "http://nobody.invalid/v1" }}
  - {{ name: encrypted, base_url: "https://{plain}/v1" }}
knowledge:
  - {{ name: handbook, api_keys: [k], backend: {{ type: ragflow, base_url: "{engine}", api_key: ragflow-good }} }}
  - {{ name: closed, api_keys: [k], backend: {{ type: ragflow, base_url: "{engine}", api_key: ragflow-bad }} }}
  - {{ name: absent, api_keys: [k], backend: {{ type: dify_compatible, base_url: "{gone}", api_key: e }} }}
"#,
            dify = self.dify.api.url(),
            gone = self.gone.url(),
            vendor = self.vendor.base_url(),
            plain = self.vendor.address(),
            claude = self.claude.base_url(),
            engine = self.engine.url(),
        )
    }
}

/// What is wrong with them.
const WRONG: [[&str; 2]; 6] = [
    ["agents `dify`, web", "takes no connection"],
    ["providers `vendor`, api_keys[1]", "does not take the key"],
    ["providers `encrypted`", "TLS"],
    ["providers `nowhere`", "does not resolve"],
    ["knowledge `closed`", "does not take the key"],
    ["knowledge `absent`", "takes no connection"],
];

fn has_line(text: &str, words: &[&str]) -> bool {
    text.lines()
        .any(|line| words.iter().all(|words| line.contains(words)))
}

#[test]
fn upstreams_are_tried_with_their_keys() -> Result<()> {
    run(async {
        let upstreams = Upstreams::start()?;
        let directory = prepare(&upstreams.yaml(), &Options::default())?;
        let checked = spillway(directory.path(), &["check", "--embedded", "--connect"]).await?;
        let said = checked.everything();
        assert_eq!(checked.code, Some(1), "{said}");
        for words in WRONG {
            assert!(has_line(&said, &words), "{words:?}: {said}");
        }
        for place in [
            "agents `dify`, api",
            "providers `vendor`, api_keys[0]",
            "providers `claude`",
        ] {
            assert!(has_line(&said, &[place, "answers"]), "{place}: {said}");
        }
        assert!(
            has_line(
                &said,
                &["warning", "providers `moved`", "no list of models"]
            ),
            "{said}"
        );
        for secret in ["sk-good", "sk-revoked", "sk-ant-good", "ragflow-"] {
            assert!(!said.contains(secret), "{said}");
        }
        // Nothing that would cost anything.
        for request in upstreams.vendor.requests() {
            assert_eq!(request.method, "GET", "{}", request.target);
        }
        Ok(())
    })
}

#[test]
fn what_cannot_be_used_is_a_warning_at_start() -> Result<()> {
    if !embedded_only("Spin tries nothing out") {
        return Ok(());
    }
    run(async {
        let upstreams = Upstreams::start()?;
        let options = Options {
            probes_upstreams: true,
            ..Options::default()
        };
        let gateway = Gateway::start(&upstreams.yaml(), options).await?;
        for words in WRONG {
            until(words[0], async || {
                Ok(has_line(&gateway.log(), &words).then_some(()))
            })
            .await?;
        }
        assert_eq!(gateway.call(&Request::get("/api/x")).await?.status(), 200);
        Ok(())
    })
}

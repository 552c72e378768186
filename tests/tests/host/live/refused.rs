//! What cannot be used changes nothing.

use super::*;

#[test]
fn a_broken_file_changes_nothing_and_says_why() -> Result<()> {
    if !embedded_only("Spin reads its configuration once") {
        return Ok(());
    }
    run(async {
        let dify = StandinDify::start()?;
        let right = yaml(&dify);
        let gateway = Gateway::start(&right, watching()).await?;
        let version = in_force(&gateway).await?;
        let broken = [
            ("servces: {}\n", "1:1"),
            // Read as a whole it would serve nobody.
            ("", "publishes nothing"),
            (
                "agents:\n  - name: dify\n    services: { api: \"{{ api }}\" }\n",
                "`api`",
            ),
        ];
        for (text, why) in broken {
            gateway.configure(text)?;
            until(why, async || Ok(gateway.log().contains(why).then_some(()))).await?;
            until("health to tell of it", async || {
                Ok(in_force(&gateway).await?.1.then_some(()))
            })
            .await?;
            assert_eq!(in_force(&gateway).await?.0, version.0);
            assert_eq!(gateway.call(&Request::get("/api/x")).await?.status(), 200);
        }
        fs::remove_file(gateway.directory().join("gateway.yaml"))?;
        until("the log to name the file", async || {
            Ok(gateway.log().contains("cannot be read").then_some(()))
        })
        .await?;
        assert_eq!(gateway.call(&Request::get("/api/x")).await?.status(), 200);
        gateway.configure(&right)?;
        until("health to be as before", async || {
            Ok((in_force(&gateway).await? == version).then_some(()))
        })
        .await?;
        let page = gateway.call(&Request::get("/_gateway/metrics")).await?;
        let samples = metrics::parse(&page.text()).map_err(anyhow::Error::msg)?;
        let of = |name: &str, labels: &[(&str, &str)]| metrics::total(&samples, name, labels);
        let reloads = "spillway_config_reloads_total";
        assert_eq!(of(reloads, &[("result", "refused")]), 4.0);
        assert_eq!(of(reloads, &[("result", "loaded")]), 0.0);
        assert_eq!(of("spillway_config_info", &[("version", &version.0)]), 1.0);
        assert_eq!(of("spillway_config_last_reload_successful", &[]), 1.0);
        assert!(of("spillway_config_last_reload_success_timestamp_seconds", &[]) > 1e9);
        Ok(())
    })
}

#[test]
fn a_normal_form_that_cannot_be_read_is_not_put_in_force() -> Result<()> {
    if !embedded_only("Spin reads its configuration once") {
        return Ok(());
    }
    run(async {
        let dify = StandinDify::start()?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("form.json");
        let form = |service: &str| {
            let services = serde_json::json!({ service: dify.api.url() });
            serde_json::json!({"agents": [{"name": "dify", "services": services}]}).to_string()
        };
        fs::write(&file, form("api"))?;
        let given = format!("gateway_config=@{}", file.display());
        let options = watching().arguments(&["--variable", &given]);
        let gateway = Gateway::start(&yaml(&dify), options).await?;
        fs::write(&file, form("apis"))?;
        until("the log to tell of it", async || {
            Ok(gateway.log().contains("cannot be used").then_some(()))
        })
        .await?;
        assert_eq!(gateway.call(&Request::get("/api/x")).await?.status(), 200);
        assert!(in_force(&gateway).await?.1);
        Ok(())
    })
}

//! Secrets and certificates.

use super::*;

fn models(vendor: &StandinModel) -> String {
    format!(
        r#"
models: [{{ name: llm, routes: [{{ targets: [{{ provider: vendor }}] }}] }}]
providers: [{{ name: vendor, base_url: "{}", api_keys: ["{{{{ vendor_key }}}}"] }}]
"#,
        vendor.base_url()
    )
}

fn show(certificates: &Certificates, folder: &Path) -> Result<()> {
    fs::copy(certificates.server_certificate(), folder.join("server.pem"))?;
    fs::copy(certificates.server_key(), folder.join("server.key"))?;
    Ok(())
}

/// Chats until the vendor is sent this key.
async fn uses(gateway: &Gateway, vendor: &StandinModel, key: &str) -> Result<()> {
    let chat = Request::json("/llm/v1/chat/completions", &stream_request("m", "hi"));
    until(key, async || {
        assert_eq!(gateway.call(&chat).await?.status(), 200);
        let requests = vendor.requests();
        let last = requests.last().context("no request")?;
        let used = last.header("authorization").unwrap_or_default();
        Ok(used.ends_with(key).then_some(()))
    })
    .await
}

#[test]
fn sighup_has_a_secret_that_was_replaced_used_at_once() -> Result<()> {
    if !embedded_only("Spin reads its configuration once") {
        return Ok(());
    }
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let folder = tempfile::tempdir()?;
        let secrets = folder.path().join("secrets.json");
        let key_is = |key: &str| -> Result<()> {
            let text = serde_json::json!({ "vendor_key": key }).to_string();
            Ok(fs::write(&secrets, text)?)
        };
        key_is("sk-first")?;
        let given = format!("secrets=@{}", secrets.display());
        let options = watching().arguments(&["--variable", &given]);
        let gateway = Gateway::start(&models(&vendor), options).await?;
        gateway.hang_up()?;
        until("SIGHUP to find nothing new", async || {
            Ok(gateway.log().contains("nothing has changed").then_some(()))
        })
        .await?;
        for key in ["sk-first", "sk-second"] {
            key_is(key)?;
            gateway.hang_up()?;
            uses(&gateway, &vendor, key).await?;
        }
        let log = gateway.log();
        assert!(
            !log.contains("sk-first") && !log.contains("sk-second"),
            "{log}"
        );
        Ok(())
    })
}

#[test]
fn a_certificate_is_replaced_under_load() -> Result<()> {
    if !embedded_only("Spin reads its certificate once") {
        return Ok(());
    }
    run(async {
        let dify = StandinDify::start()?;
        let both = [Certificates::make().await?, Certificates::make().await?];
        let folder = tempfile::tempdir()?;
        show(&both[0], folder.path())?;
        let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let options = Options::default().arguments(&[
            "--tls-cert",
            &file("server.pem"),
            "--tls-key",
            &file("server.key"),
            "--tls-listen",
            "127.0.0.1:0",
        ]);
        let gateway = Gateway::start(&yaml(&dify), options).await?;
        let log = gateway.log();
        let listens = log.split("Serving https://").nth(1).context("no HTTPS")?;
        let address: SocketAddr = listens.lines().next().unwrap_or_default().parse()?;
        let tunnel = TlsTunnel::to(address, &[&both[0], &both[1]]).await?;
        let load = Load::on(tunnel.address());
        let shown = async || {
            let connection = Connection::open(tunnel.address()).await?;
            let answer = connection.call(&Request::get("/api/x")).await?;
            assert_eq!(answer.finish().await?.status(), 200);
            tunnel.certificate()
        };
        let first = shown().await?;
        // The certificate of one, and still the key of the other.
        fs::copy(
            both[1].server_certificate(),
            folder.path().join("server.pem"),
        )?;
        until("the log to tell of the pair", async || {
            Ok(gateway
                .log()
                .contains("do not belong together")
                .then_some(()))
        })
        .await?;
        assert_eq!(shown().await?, first);
        show(&both[1], folder.path())?;
        let second = until("the other certificate", async || {
            let now = shown().await?;
            Ok((now != first).then_some(now))
        })
        .await?;
        assert_eq!(shown().await?, second);
        assert!(load.end().await? > 0);
        Ok(())
    })
}

#[test]
fn a_secret_whose_file_is_gone_stays_as_it_was_last() -> Result<()> {
    if !embedded_only("Spin reads its configuration once") {
        return Ok(());
    }
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let folder = tempfile::tempdir()?;
        let key = folder.path().join("key");
        fs::write(&key, "{\"vendor_key\": \"sk-first\"}")?;
        let given = format!("secrets=@{}", key.display());
        let options = watching().arguments(&["--variable", &given]);
        let gateway = Gateway::start(&models(&vendor), options).await?;
        uses(&gateway, &vendor, "sk-first").await?;
        fs::write(&key, "{\"vendor_key\": \"sk-second\"}")?;
        uses(&gateway, &vendor, "sk-second").await?;
        fs::remove_file(&key)?;
        until("the file to be missed", async || {
            Ok(in_force(&gateway).await?.1.then_some(()))
        })
        .await?;
        uses(&gateway, &vendor, "sk-second").await?;
        // Tried again, with the same words.
        gateway.hang_up()?;
        until("the file to be missed again", async || {
            let told = gateway.log().matches("cannot be read").count();
            Ok((told >= 2).then_some(()))
        })
        .await
    })
}

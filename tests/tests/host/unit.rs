//! The unit for systemd: its command starts what docs/operating.md installs.

use std::{fs, os::unix::fs::symlink, process::Command};

use anyhow::{Context, Result};
use spillway_tests::{
    Program,
    client::{Connection, Request},
    embedded_only, repository_root, run, spillway_binary,
    standin::StandinDify,
    until,
};

#[test]
fn the_unit_starts_what_is_installed() -> Result<()> {
    if !embedded_only("the unit is for the embedded host") {
        return Ok(());
    }
    run(async {
        let dify = StandinDify::start()?;
        let (root, installed) = (repository_root(), tempfile::tempdir()?);
        let [share, etc, state] = ["share", "etc", "state"].map(|name| installed.path().join(name));
        fs::create_dir_all(&share)?;
        fs::create_dir_all(&etc)?;
        let binary = spillway_binary()?;
        let target = binary.parent().and_then(|it| it.parent());
        let components = target.context("no folder")?.join("wasm32-wasip2/wasm");
        symlink(components, share.join("components"))?;
        for file in ["deploy/compose/spin.toml", "runtime-config.toml"] {
            let from = root.join(file);
            fs::copy(&from, share.join(from.file_name().context("no name")?))?;
        }
        let api = dify.api.url();
        let yaml = format!("agents:\n  - name: dify\n    services: {{ api: \"{api}\" }}\n");
        fs::write(etc.join("gateway.yaml"), yaml)?;
        fs::write(etc.join("secrets.json"), "{}\n")?;

        let unit = fs::read_to_string(root.join("deploy/systemd/spillway.service"))?;
        let setting = |name: &str| unit.lines().find_map(|line| line.strip_prefix(name));
        let place = |text: &str| {
            text.replace("/etc/spillway", &etc.to_string_lossy())
                .replace("/var/lib/spillway", &state.to_string_lossy())
                .replace("127.0.0.1:3000", "127.0.0.1:0")
        };
        let command = setting("ExecStart=").context("no ExecStart")?;
        let mut words = command.split_whitespace();
        assert_eq!(words.next(), Some("/usr/local/bin/spillway"));
        assert_eq!(setting("WorkingDirectory="), Some("/usr/share/spillway"));
        let mut start = Command::new(binary);
        start.args(words.map(place)).current_dir(&share);
        let program = Program::start(&mut start)?;
        let address = until("the address", async || {
            let output = program.output();
            let line = output.split("Serving http://").nth(1);
            Ok(line.and_then(|line| line.lines().next()).map(str::to_owned))
        })
        .await?;
        let connection = Connection::open(address.parse()?).await?;
        let answer = connection.call(&Request::get("/api/x")).await?;
        assert_eq!(answer.finish().await?.status(), 200);
        Ok(())
    })
}

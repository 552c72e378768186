//! What `spillway up` refuses.

use anyhow::Result;
use spillway_tests::{Options, prepare, run};

use crate::{MISSPELT, RIGHT, assert_names, spillway};

const UP: [&str; 7] = [
    "up",
    "-f",
    "spin.toml",
    "--listen",
    "127.0.0.1:0",
    "--state-dir",
    ".spin",
];

#[test]
fn up_refuses_the_same_file_the_same_way() -> Result<()> {
    run(async {
        let directory = prepare(MISSPELT, &Options::default())?;
        let refused = spillway(directory.path(), &UP).await?;
        assert_eq!(refused.code, Some(1), "{}", refused.everything());
        assert_names(&refused.everything(), 3, 5, "services");
        Ok(())
    })
}

#[test]
fn up_names_a_feature_of_the_manifest_that_it_does_not_know() -> Result<()> {
    run(async {
        let directory = prepare(RIGHT, &Options::default())?;
        let manifest = directory.path().join("spin.toml");
        let text = std::fs::read_to_string(&manifest)?;
        let trigger = "\n[[trigger.telepathy]]\nroute = \"/x\"\ncomponent = \"ingress\"\n";
        std::fs::write(&manifest, text + trigger)?;
        let refused = spillway(directory.path(), &UP).await?;
        assert_eq!(refused.code, Some(1), "{}", refused.everything());
        assert!(
            refused.everything().contains("telepathy"),
            "{}",
            refused.everything()
        );
        Ok(())
    })
}

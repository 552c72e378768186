//! What operators read about their mistakes. Each `messages/*.yaml` is read and must give the lines of the
//! `.txt` beside it; `UPDATE_MESSAGES=1 cargo test -p spillway-config --all-features` writes those anew.

use std::fs;
use std::path::Path;

use spillway_config::read;

#[test]
fn mistakes_are_told_as_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    let mut cases: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    cases.sort();
    assert!(cases.len() >= 15);
    for case in cases {
        let text = fs::read_to_string(&case).unwrap();
        let told = told(&text);
        assert!(
            !told.contains("to-be-shown") && !told.contains("to be shown"),
            "{}: {told}",
            case.display()
        );
        let expected_in = case.with_extension("txt");
        if std::env::var_os("UPDATE_MESSAGES").is_some() {
            fs::write(&expected_in, &told).unwrap();
        }
        let expected = fs::read_to_string(&expected_in).unwrap_or_default();
        assert_eq!(told, expected, "{}", case.display());
    }
}

/// The lines that `spillway check` prints.
fn told(text: &str) -> String {
    let diagnostics = match read(text) {
        Ok(checked) => checked.warnings,
        Err(diagnostics) => diagnostics,
    };
    diagnostics
        .iter()
        .map(|diagnostic| format!("{}\n", diagnostic.in_file("gateway.yaml")))
        .collect()
}

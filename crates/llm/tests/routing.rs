//! Which route serves a call, and which models a caller may use.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use spillway_config::Gateway;
use spillway_llm::{CallFacts, InputTokens, ModelApi, ModelCatalogue, NoRoute, Operation};
use spillway_platform::{Headers, RequestHead};

const PROVIDERS: &str = r#""providers":[{"name":"p","base_url":"http://p"}]"#;

fn catalogue(models: &str) -> ModelCatalogue {
    let document = format!("{{{models},{PROVIDERS}}}");
    ModelCatalogue::new(&serde_json::from_str::<Gateway>(&document).unwrap()).unwrap()
}

fn several() -> ModelCatalogue {
    catalogue(
        r#""models":[
        {"name":"deep","base_path":"/llm/team","routes":[{"targets":[{"provider":"p"}]}]},
        {"name":"llm","routes":[
            {"match":{"model":["gpt-4o","gpt-4o-*"]},"targets":[{"provider":"p","model":"gpt-4o-mini"},{"provider":"p","model":"qwen-plus"}]},
            {"name":"embed","match":{"model":["text-*"]},"targets":[{"provider":"p","model":"text-embedding-3-small"}]}]}]"#,
    )
}

fn head(fields: &[(&str, &str)]) -> RequestHead {
    let list = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
    RequestHead {
        method: http::Method::POST,
        scheme: "http".to_owned(),
        authority: "gateway".to_owned(),
        path_and_query: "/llm/v1/chat/completions".to_owned(),
        headers: Headers::from_list(list.collect()),
        peer: None,
    }
}

/// The name of the route that serves a chat.
fn route<'a>(
    api: &'a ModelApi,
    model: &str,
    consumer: Option<&str>,
    fields: &[(&str, &str)],
) -> Result<&'a str, NoRoute> {
    let asked = CallFacts {
        model: Some(model),
        path: "/v1/chat/completions",
        head: &head(fields),
        consumer,
    };
    api.route(&asked).map(|route| route.name.as_str())
}

#[test]
fn apis_are_found_by_the_longest_base_path_of_whole_segments() {
    let catalogue = several();
    let found = |path: &'static str| {
        catalogue
            .api(path)
            .map(|(api, rest)| (api.name.as_str(), rest))
    };
    assert_eq!(found("/llm/v1/models"), Some(("llm", "/v1/models")));
    assert_eq!(found("/llm/team/v1/models"), Some(("deep", "/v1/models")));
    assert_eq!(found("/llm"), Some(("llm", "")));
    assert_eq!(found("/llmx/v1"), None);
}

#[test]
fn models_are_routed_listed_and_suggested() {
    let catalogue = several();
    let (api, _) = catalogue.api("/llm/").unwrap();
    for (model, expected) in [
        ("gpt-4o", Ok("gpt-4o")),
        ("gpt-4o-2024", Ok("gpt-4o")),
        ("text-x", Ok("embed")),
        ("gpt-4", Err(NoRoute::Unknown)),
    ] {
        assert_eq!(route(api, model, None, &[]), expected, "{model}");
    }
    // `qwen-plus` is a target, but no client may ask for it.
    let models: Vec<&str> = api
        .models(None)
        .into_iter()
        .map(|(model, _)| model)
        .collect();
    assert_eq!(models, ["gpt-4o", "gpt-4o-mini", "text-embedding-3-small"]);
    assert_eq!(api.near(None, "gtp-4o"), ["gpt-4o", "gpt-4o-mini"]);
    assert_eq!(api.near(None, "zzz"), Vec::<&str>::new());
}

fn conditional() -> ModelCatalogue {
    catalogue(
        r#""consumers":[{"name":"a","credentials":[]},{"name":"b","credentials":[],"models":["small","regexp:^qwen"]},{"name":"c","credentials":[],"models":[]}],
        "models":[{"name":"llm","routes":[
            {"name":"canary","match":{"model":["large"],"headers":{"x-canary":{"present":true}}},"targets":[{"provider":"p"}]},
            {"name":"of a","match":{"model":["large"],"consumers":["a"]},"targets":[{"provider":"p"}]},
            {"name":"vectors","match":{"path":"/v1/embeddings"},"targets":[{"provider":"p"}]},
            {"name":"closed","match":{"model":["secret"]},"auth":["a"],"targets":[{"provider":"p"}]},
            {"name":"mapped","match":{"model":["regexp:^qwen[0-9]"]},"targets":[{"provider":"p","models":{"qwen2":"x","qwen*":"y","qwen25*":"z"}}]},
            {"name":"rest","match":{"model":["small","large"]},"targets":[{"provider":"p"}]}]}]"#,
    )
}

#[test]
fn headers_consumers_paths_and_expressions_choose() {
    let catalogue = conditional();
    let (api, _) = catalogue.api("/llm").unwrap();
    let canary = [("x-canary", "1")];
    for (model, consumer, fields, expected) in [
        ("large", None, &[][..], Ok("rest")),
        ("large", Some("a"), &[], Ok("of a")),
        ("large", Some("a"), &canary, Ok("canary")),
        ("secret", Some("a"), &[], Ok("closed")),
        ("secret", Some("x"), &[], Err(NoRoute::Forbidden)),
        ("secret", None, &[], Err(NoRoute::Forbidden)),
        ("small", Some("b"), &[], Ok("rest")),
        ("large", Some("b"), &[], Err(NoRoute::Forbidden)),
        ("qwen2", Some("b"), &[], Ok("mapped")),
        ("small", Some("c"), &[], Err(NoRoute::Forbidden)),
        ("qwen", None, &[], Err(NoRoute::Unknown)),
    ] {
        assert_eq!(
            route(api, model, consumer, fields),
            expected,
            "{model} {consumer:?}"
        );
    }
    let embeds = CallFacts {
        model: Some("anything"),
        path: "/v1/embeddings",
        head: &head(&[]),
        consumer: None,
    };
    assert_eq!(api.route(&embeds).unwrap().name, "vectors");
    let without_model = CallFacts {
        model: None,
        path: "/v1/files",
        ..embeds
    };
    assert_eq!(api.route(&without_model).err(), Some(NoRoute::Unknown));
}

#[test]
fn everybody_sees_the_models_that_they_may_use() {
    let catalogue = conditional();
    let (api, _) = catalogue.api("/llm").unwrap();
    for (consumer, expected) in [
        (None, &["large", "qwen2", "small"][..]),
        (Some("a"), &["large", "secret", "qwen2", "small"]),
        (Some("b"), &["qwen2", "small"]),
        (Some("c"), &[]),
    ] {
        let models: Vec<&str> = api
            .models(consumer)
            .into_iter()
            .map(|(model, _)| model)
            .collect();
        assert_eq!(models, expected, "{consumer:?}");
    }
    assert_eq!(api.near(Some("b"), "smal"), ["small"]);
    assert_eq!(api.near(Some("b"), "larg"), Vec::<&str>::new());
}

#[test]
fn a_target_calls_models_by_its_own_names() {
    let catalogue = conditional();
    let (api, _) = catalogue.api("/llm").unwrap();
    let asked = CallFacts {
        model: Some("qwen2"),
        path: "/v1/chat/completions",
        head: &head(&[]),
        consumer: None,
    };
    let target = &api.route(&asked).unwrap().targets[0];
    for (asked, name, label) in [
        ("qwen2", "x", "x"),
        ("qwen3", "y", "y"),
        ("qwen25-max", "z", "z"),
        ("other", "other", "as_asked"),
    ] {
        assert_eq!(
            (target.model_for(asked), target.model_label(asked)),
            (name, label)
        );
    }
}

#[test]
fn what_is_too_long_for_a_target_goes_to_the_next_or_is_refused() {
    let models = |route: &str| {
        let catalogue = catalogue(&format!(
            r#""models":[{{"name":"llm","routes":[{{{route}}}]}}]"#
        ));
        let (api, _) = catalogue.api("/llm/v1").unwrap();
        let head = head(&[]);
        let facts = CallFacts {
            model: Some("m"),
            path: "/v1/chat/completions",
            head: &head,
            consumer: None,
        };
        api.route(&facts).unwrap().clone()
    };
    let window = |tokens: u64, more: &str| {
        format!(r#"{{"provider":"p","context_window":{{"max_input_tokens":{tokens}{more}}}}}"#)
    };
    let next = r#","on_exceeded":"next""#;
    let plain = r#"{"provider":"p"}"#;
    for (targets, route, tokens, exceeded) in [
        (plain.to_owned(), "", 1_000_000, None),
        (window(100, ""), "", 100, None),
        (window(100, ""), "", 101, Some(100)),
        (format!("{},{plain}", window(100, "")), "", 101, Some(100)),
        (format!("{},{plain}", window(100, next)), "", 101, None),
        (
            format!("{},{}", window(100, next), window(200, "")),
            "",
            150,
            None,
        ),
        (
            format!("{},{}", window(100, next), window(200, next)),
            "",
            201,
            Some(200),
        ),
        (
            plain.to_owned(),
            r#","context_window":{"max_input_tokens":50}"#,
            51,
            Some(50),
        ),
        (
            window(100, ""),
            r#","context_window":{"max_input_tokens":50}"#,
            51,
            None,
        ),
        (
            format!("{},{},{plain}", window(100, next), window(200, "")),
            "",
            300,
            None,
        ),
    ] {
        let route = models(&format!(r#""targets":[{targets}]{route}"#));
        let input = InputTokens {
            total: tokens,
            largest: tokens,
        };
        let found = route.exceeded_window(Operation::ChatCompletions, "m", 0, input, false);
        assert_eq!(found, exceeded, "{targets} {tokens}");
        let bound = route.exceeded_window(Operation::ChatCompletions, "m", 0, input, true);
        assert!(
            bound.is_some() || exceeded.is_none() && !targets.contains("next") || tokens <= 100
        );
    }
}

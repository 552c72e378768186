//! Addresses and keys whose templates have been filled in: whether they can be used. No message shows a value.

use super::check::urls::{self, Rest};
use crate::gateway::{MIN_ADMIN_TOKEN, is_short_token};
use crate::{DifyService, Error, Gateway, template};

/// What is wrong with addresses and keys once `lookup` has filled them in, each with its place in the configuration. A value that
/// is missing is another's affair.
pub fn resolved_mistakes(
    gateway: &Gateway,
    lookup: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let mut mistakes = Vec::new();
    let mut look = |place: String, text: &str, judge: &dyn Fn(&str) -> Result<(), String>| {
        if !template::is_templated(text) {
            return;
        }
        let Ok(resolved) = filled_in(text, &lookup) else {
            return;
        };
        if judge(&resolved).is_err() {
            mistakes.push(format!(
                "{place}: `{text}` is no address once its values are in it"
            ));
        }
    };
    let service = |text: &str| urls::http_mistake(text, Rest::Nothing);
    let base = |text: &str| urls::http_mistake(text, Rest::Path);
    for api in &gateway.agents {
        for kind in DifyService::ALL {
            let url = api.services.url(kind).unwrap_or_default();
            look(
                format!("agents, `{}`, services.{}", api.name, kind.as_str()),
                url,
                &service,
            );
        }
        let url = api.url.as_deref().unwrap_or_default();
        look(format!("agents, `{}`, url", api.name), url, &service);
    }
    for provider in &gateway.providers {
        for url in provider.urls() {
            look(format!("providers, `{}`", provider.name), url, &base);
        }
    }
    for api in &gateway.knowledge {
        let place = format!("knowledge, `{}`, backend.base_url", api.name);
        look(place, api.backend.base_url(), &base);
    }
    let redis = |text: &str| {
        if text.is_empty() {
            Ok(())
        } else {
            urls::redis_mistake(text)
        }
    };
    look("state.redis".to_owned(), &gateway.state.redis, &redis);
    if let Some(mistake) = mistakes
        .last_mut()
        .filter(|mistake| mistake.starts_with("state.redis"))
    {
        mistake.push_str(
            ". In a password each letter besides `A-Z a-z 0-9 - . _ ~` has to be percent-encoded (`%2F` for `/`)",
        );
    }
    for provider in &gateway.providers {
        let keys = provider.api_keys.iter().map(|key| key.key.as_str());
        for key in keys.filter(|key| template::is_templated(key)) {
            if filled_in(key, &lookup).is_ok_and(|key| !key.is_ascii()) {
                mistakes.push(format!(
                    "providers, `{}`, api_keys: the value of `{key}` holds letters that no key has, such as `…`: is it an example's?",
                    provider.name
                ));
            }
        }
    }
    let token = gateway.admin.token.as_str();
    let is_short = |token: String| !token.is_empty() && is_short_token(&token);
    if template::is_templated(token) && filled_in(token, &lookup).is_ok_and(is_short) {
        mistakes.push(format!(
            "admin.token: the value of `{token}` can be found by trying: give it {MIN_ADMIN_TOKEN} letters or more, such as `openssl rand -hex 32` gives"
        ));
    }
    mistakes
}

fn filled_in(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, Error> {
    let json = serde_json::Value::from(text).to_string();
    let resolved = template::resolve(&json, lookup)?;
    Ok(serde_json::from_str(&resolved).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_out_of_an_example_is_none() {
        let yaml = "models: [{ name: l, routes: [{ targets: [{ provider: p }] }] }]\nproviders: [{ name: p, base_url: 'https://p.example/v1', api_keys: ['{{ key }}'] }]\n";
        let gateway = crate::read(yaml).unwrap().gateway;
        let found = |key: &str| resolved_mistakes(&gateway, |_| Some(key.to_owned()));
        assert!(found("sk-1").is_empty());
        let shown = found("sk-…");
        assert!(
            shown.len() == 1 && shown[0].contains("`{{ key }}`") && !shown[0].contains("sk-"),
            "{shown:?}"
        );
    }

    #[test]
    fn what_becomes_no_address_is_named_without_its_value() {
        let yaml = "state: { redis: 'redis://:{{ password }}@redis:6379/5' }\nagents: [{ name: d, services: { api: '{{ api }}' } }]\nmodels: [{ name: l, routes: [{ targets: [{ provider: p }] }] }]\nproviders: [{ name: p, base_url: 'https://{{ host }}/v1' }]\n";
        let gateway = crate::read(yaml).unwrap().gateway;
        let found = |password: &str, api: &str, host: &str| {
            resolved_mistakes(&gateway, |name| {
                Some(match name {
                    "password" => password.to_owned(),
                    "api" => api.to_owned(),
                    _ => host.to_owned(),
                })
            })
        };
        assert!(found("a%2Fb", "http://api:5001", "p.example").is_empty());
        assert!(resolved_mistakes(&gateway, |_| None).is_empty());
        for (password, api, host, place) in [
            (
                "geheim/ABC#x",
                "http://api",
                "p",
                "state.redis: `redis://:{{ password }}@redis:6379/5` is no",
            ),
            (
                "p",
                "sk-SECRETKEY",
                "p",
                "agents, `d`, services.api: `{{ api }}` is no",
            ),
            ("p", "http://u:geheim@api", "p", "services.api"),
            ("p", "HTTP://api", "p", "services.api"),
            (
                "p",
                "http://api",
                "x y",
                "providers, `p`: `https://{{ host }}/v1` is no",
            ),
            ("p", "http://api/a", "p", "services.api"),
        ] {
            let shown = found(password, api, host);
            assert_eq!(shown.len(), 1, "{shown:?}");
            assert!(shown[0].contains(place), "{shown:?}");
            assert!(
                !shown[0].contains("geheim") && !shown[0].contains("SECRETKEY"),
                "{shown:?}"
            );
        }
    }
}

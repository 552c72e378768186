//! What is to be tried.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::Full;
use serde_json::json;
use spillway_config::{
    AgentApiConfig, DifyService, Gateway, KnowledgeApiConfig, KnowledgeBackend, Provider,
};
use spillway_llm::Dialect;
use spillway_platform::{Headers, Upstream};

use super::answers::Expected;
use super::sending::Sender;
use super::{Finding, TrialVerdict};

/// One request, and what its answer should be.
pub(super) struct Trial {
    /// Where it stands in `gateway.yaml`, and its address.
    place: String,
    /// `None`: the address is none.
    request: Option<Request<Full<Bytes>>>,
    expected: Expected,
}

impl Trial {
    fn new(place: &str, url: &str, expected: Expected) -> Self {
        Self {
            place: format!("{place}, {url}"),
            request: None,
            expected,
        }
    }

    /// With this request at the upstream of the URL.
    fn asks(mut self, url: &str, make: impl FnOnce(&Upstream) -> Asked) -> Self {
        self.request = Upstream::parse(url).and_then(|upstream| {
            let asked = make(&upstream);
            let mut request = Request::builder()
                .method(asked.method)
                .uri(format!("{}{}", upstream.origin(), asked.path))
                .header(header::HOST, upstream.authority.as_str())
                .header(
                    header::USER_AGENT,
                    concat!("spillway/", env!("CARGO_PKG_VERSION")),
                )
                .header(header::ACCEPT, "application/json");
            for (name, value) in asked.headers.iter() {
                request = request.header(name, value);
            }
            request.body(Full::new(asked.body)).ok()
        });
        self
    }

    /// Whether another one asks the same of the same.
    pub fn is(&self, other: &Self) -> bool {
        let asked = |request: &Request<Full<Bytes>>| {
            let head = (request.method().clone(), request.uri().clone());
            (head, request.headers().clone())
        };
        self.request.as_ref().map(asked) == other.request.as_ref().map(asked)
    }

    pub async fn run(self, sender: &Sender) -> Finding {
        let (verdict, words) = match self.request {
            None => (TrialVerdict::Wrong, "is no address".to_owned()),
            Some(request) => match sender.send(request).await {
                Err(why) => (TrialVerdict::Wrong, why),
                Ok(answer) => self.expected.judge(&answer),
            },
        };
        let words = format!("{} {words}", self.place);
        Finding { verdict, words }
    }
}

/// What is asked of an upstream.
struct Asked {
    method: Method,
    path: String,
    headers: Headers,
    body: Bytes,
}

impl Asked {
    fn get(path: String) -> Self {
        Self {
            method: Method::GET,
            path,
            headers: Headers::default(),
            body: Bytes::new(),
        }
    }

    fn with_bearer(mut self, key: &str) -> Self {
        if !key.is_empty() {
            self.headers
                .append("authorization", format!("Bearer {key}"));
        }
        self
    }
}

/// All that a configuration leads to, in the order of the file.
pub(super) fn trials(gateway: &Gateway) -> Vec<Trial> {
    let agents = gateway.agents.iter().flat_map(agent);
    let providers = gateway.providers.iter().flat_map(provider);
    let knowledge = gateway.knowledge.iter().map(knowledge);
    agents.chain(providers).chain(knowledge).collect()
}

fn agent(api: &AgentApiConfig) -> Vec<Trial> {
    let services = DifyService::ALL.iter().filter_map(|service| {
        let url = api.services.url(*service)?;
        Some((format!("agents `{}`, {}", api.name, service.as_str()), url))
    });
    let own = api.url.as_deref();
    let own = own.map(|url| (format!("agents `{}`", api.name), url));
    let all = services.chain(own).filter(|(_, url)| !url.is_empty());
    let trial = |(place, url): (String, &str)| {
        let root = |upstream: &Upstream| Asked::get(upstream.path_of("/".to_owned()));
        Trial::new(&place, url, Expected::Anything).asks(url, root)
    };
    all.map(trial).collect()
}

fn provider(provider: &Provider) -> Vec<Trial> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_secs());
    let is_good = |from: Option<u64>, until: Option<u64>| {
        from.is_none_or(|from| from <= now) && until.is_none_or(|until| now < until)
    };
    let count = provider.api_keys.len();
    let keys = provider.api_keys.iter().enumerate().filter(|(_, key)| {
        let seconds = |moment: Option<spillway_config::Moment>| moment.map(|it| it.unix_seconds());
        is_good(seconds(key.not_before), seconds(key.expires))
    });
    let mut keys: Vec<(String, Option<&str>)> = keys
        .map(|(index, key)| (which(index, count), Some(key.key.as_str())))
        .collect();
    if keys.is_empty() {
        keys.push((String::new(), None));
    }
    let dialect = Dialect::of(provider.provider_type);
    let mut trials = Vec::new();
    for url in provider.urls() {
        for (which, key) in &keys {
            let place = format!("providers `{}`{which}", provider.name);
            let expected = Expected::Models {
                with_key: key.is_some(),
            };
            trials.push(Trial::new(&place, url, expected).asks(url, |upstream| {
                let mut asked = Asked::get(dialect.probe(upstream));
                dialect.authorize(*key, &mut asked.headers);
                asked
            }));
        }
    }
    trials
}

/// Which key it is, where there are several.
fn which(index: usize, count: usize) -> String {
    match count {
        0 | 1 => String::new(),
        _ => format!(", api_keys[{index}]"),
    }
}

fn knowledge(api: &KnowledgeApiConfig) -> Trial {
    let place = format!("knowledge `{}`", api.name);
    let url = api.backend.base_url();
    match &api.backend {
        KnowledgeBackend::Ragflow(backend) => {
            Trial::new(&place, url, Expected::Ragflow).asks(url, |upstream| {
                let path = "/api/v1/datasets?page=1&page_size=1".to_owned();
                Asked::get(upstream.path_of(path)).with_bearer(&backend.api_key)
            })
        }
        KnowledgeBackend::DifyCompatible(backend) => {
            Trial::new(&place, url, Expected::DifyKnowledge).asks(url, |upstream| {
                let question = json!({
                    "knowledge_id": "spillway-check", "query": "spillway check",
                    "retrieval_setting": {"top_k": 1, "score_threshold": 0.99},
                });
                let mut asked = Asked::get(upstream.path_of("/retrieval".to_owned()));
                asked.method = Method::POST;
                asked.headers.append("content-type", "application/json");
                asked.body = question.to_string().into();
                asked.with_bearer(&backend.api_key)
            })
        }
    }
}

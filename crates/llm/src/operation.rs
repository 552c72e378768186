//! Which of OpenAI's endpoints a path means.

use http::Method;

use crate::stateful;

/// An endpoint of a model API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `POST /chat/completions`.
    ChatCompletions,
    /// `POST /completions`.
    Completions,
    /// `POST /embeddings`.
    Embeddings,
    /// `GET /models` and `GET /models/{id}`.
    Models,
    /// Files, batches and responses: what a provider keeps under the key that made it.
    Stateful,
}

/// What a method and path mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationMatch<'a> {
    /// An endpoint; for `GET /models/{id}` with the model's name as it stands in the path.
    Found(Operation, Option<&'a str>),
    /// The path exists for these methods only, as an `Allow` header lists them.
    WrongMethod(&'static str),
    /// Below files, batches or responses, but nothing that the gateway knows: for routes that list it. With the methods
    /// that it knows of this path.
    Unlisted(Option<&'static str>),
    /// No such path.
    Unknown,
}

impl Operation {
    /// Reads the path below the API's base path; `/v1` before it may be left out.
    pub fn of<'a>(method: &Method, path: &'a str) -> OperationMatch<'a> {
        let path = path
            .strip_prefix("/v1")
            .filter(|rest| rest.starts_with('/'))
            .unwrap_or(path);
        let path = path.strip_suffix('/').unwrap_or(path);
        let (operation, id) = match path {
            "/chat/completions" => (Self::ChatCompletions, None),
            "/completions" => (Self::Completions, None),
            "/embeddings" => (Self::Embeddings, None),
            "/models" => (Self::Models, None),
            _ => match path.strip_prefix("/models/") {
                Some(id) => (Self::Models, Some(id)),
                None => return stateful::operation_of(method, path),
            },
        };
        let wanted = if operation == Self::Models {
            "GET"
        } else {
            "POST"
        };
        if method.as_str() == wanted {
            OperationMatch::Found(operation, id)
        } else {
            OperationMatch::WrongMethod(wanted)
        }
    }

    /// The path below a provider's base URL; empty where it is the client's own.
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::Models => "/models",
            Self::Stateful => "",
        }
    }

    /// Whether it can be streamed.
    pub const fn streams(self) -> bool {
        matches!(self, Self::ChatCompletions | Self::Completions)
    }
}

/// An endpoint's path from its version on, whether the client wrote that or not.
pub fn versioned(path: &str) -> String {
    if path.starts_with("/v1/") {
        path.to_owned()
    } else {
        format!("/v1{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_found_with_and_without_the_version() {
        for path in [
            "/v1/chat/completions",
            "/chat/completions",
            "/chat/completions/",
        ] {
            let found = OperationMatch::Found(Operation::ChatCompletions, None);
            assert_eq!(Operation::of(&Method::POST, path), found, "{path}");
        }
        let model = OperationMatch::Found(Operation::Models, Some("org/name"));
        assert_eq!(Operation::of(&Method::GET, "/v1/models/org/name"), model);
        assert_eq!(
            Operation::of(&Method::GET, "/v1/embeddings"),
            OperationMatch::WrongMethod("POST")
        );
        assert_eq!(
            Operation::of(&Method::POST, "/models"),
            OperationMatch::WrongMethod("GET")
        );
        for path in [
            "/",
            "",
            "/v1",
            "/v1chat/completions",
            "/v1/v1/models",
            "/chat",
        ] {
            let found = Operation::of(&Method::GET, path);
            assert_eq!(found, OperationMatch::Unknown, "{path}");
        }
    }
}

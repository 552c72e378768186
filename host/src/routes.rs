//! Which component answers a path: `/exact`, `/folder/...` and `/users/:name`, as Spin decides it.
//! Leading and trailing slashes of path and route do not count.

use std::borrow::Cow;
use std::cmp::Ordering;

/// The routes of an application; `T` is what a route leads to.
#[derive(Debug)]
pub struct Router<T> {
    /// In the order in which they are tried.
    routes: Vec<Route<T>>,
}

/// One route.
#[derive(Debug)]
pub struct Route<T> {
    /// As the manifest writes it.
    pub raw: String,
    /// What it leads to.
    pub target: T,
    segments: Vec<Segment>,
    wildcard: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Segment {
    Exact(String),
    Named(String),
}

/// The forms in which a route is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTexts {
    /// As the manifest writes it.
    pub raw: String,
    /// As an absolute path without a trailing slash.
    pub based: String,
    /// Without its wildcard.
    pub prefix: String,
    /// Whether it ends in `...`.
    pub wildcard: bool,
}

/// A path's route.
#[derive(Debug)]
pub struct RouteMatch<'router, 'path, T> {
    /// The route.
    pub route: &'router Route<T>,
    /// What `...` stands for, with its leading slash.
    pub path_info: Cow<'path, str>,
    /// What each `:name` stands for.
    pub named: Vec<(&'router str, &'path str)>,
}

/// Whether a manifest may write such a route.
///
/// # Errors
/// A sentence saying what is wrong.
pub fn check_route(raw: &str) -> Result<(), String> {
    parse(raw).map(|_| ())
}

fn parse(raw: &str) -> Result<(Vec<Segment>, bool), String> {
    let (path, wildcard) = match raw.strip_suffix("/...").or_else(|| raw.strip_suffix("/*")) {
        Some(path) => (path, true),
        None => (raw, false),
    };
    let segments = path
        .split('/')
        .filter(|text| !text.is_empty())
        .map(|text| match text.strip_prefix(':') {
            Some(name) if name.is_empty() || name.contains('.') => Err(format!(
                "route \"{raw}\": `{text}` needs a name without a dot"
            )),
            Some(name) => Ok(Segment::Named(name.to_owned())),
            None if text == "..." || text.starts_with('*') => Err(format!(
                "route \"{raw}\": a wildcard stands at the end only"
            )),
            None => Ok(Segment::Exact(text.to_owned())),
        })
        .collect::<Result<_, _>>()?;
    Ok((segments, wildcard))
}

impl<T> Route<T> {
    /// The forms in which it is told.
    pub fn texts(&self) -> RouteTexts {
        let absolute = if self.raw.starts_with('/') {
            self.raw.clone()
        } else {
            format!("/{}", self.raw)
        };
        RouteTexts {
            raw: self.raw.clone(),
            based: absolute.strip_suffix('/').unwrap_or(&absolute).to_owned(),
            prefix: self
                .raw
                .strip_suffix("/...")
                .unwrap_or(&self.raw)
                .to_owned(),
            wildcard: self.wildcard,
        }
    }

    /// Exact before named before wildcard, from left to right; the shorter of two equal ones first.
    fn precedence(&self, other: &Self) -> Ordering {
        let rank = |route: &Self, at: usize| match route.segments.get(at) {
            Some(Segment::Exact(_)) => 0_u8,
            Some(Segment::Named(_)) => 1,
            None if route.wildcard && at == route.segments.len() => 2,
            None => 3,
        };
        let length = |route: &Self| {
            route
                .segments
                .len()
                .saturating_add(usize::from(route.wildcard))
        };
        let common = length(self).min(length(other));
        (0..common)
            .map(|at| rank(self, at).cmp(&rank(other, at)))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| length(self).cmp(&length(other)))
    }

    fn matches<'path>(&self, path: &'path str) -> Option<RouteMatch<'_, 'path, T>> {
        let mut rest = path.trim_matches('/');
        let mut named = Vec::new();
        for (at, segment) in self.segments.iter().enumerate() {
            if at > 0 {
                rest = rest.strip_prefix('/')?;
            }
            let end = rest.find('/').unwrap_or(rest.len());
            let (text, after) = rest.split_at_checked(end)?;
            match segment {
                Segment::Exact(exact) if exact == text => {}
                Segment::Named(name) if !rest.is_empty() => named.push((name.as_str(), text)),
                Segment::Exact(_) | Segment::Named(_) => return None,
            }
            rest = after;
        }
        let path_info = if self.wildcard {
            path_info(self.wildcard_rest(rest)?, path)
        } else if rest.is_empty() {
            Cow::Borrowed("")
        } else {
            return None;
        };
        Some(RouteMatch {
            route: self,
            path_info,
            named,
        })
    }

    /// What is left for the wildcard once the segments took theirs.
    fn wildcard_rest<'a>(&self, rest: &'a str) -> Option<&'a str> {
        if self.segments.is_empty() || rest.is_empty() {
            Some(rest)
        } else {
            rest.strip_prefix('/')
        }
    }
}

/// A wildcard's text with the slashes that the whole path has around it.
fn path_info<'a>(rest: &str, path: &'a str) -> Cow<'a, str> {
    let trailing = path.ends_with('/');
    if rest.is_empty() {
        return Cow::Borrowed(if trailing { "/" } else { "" });
    }
    let length = rest
        .len()
        .saturating_add(1)
        .saturating_add(usize::from(trailing));
    let slice = path.len().checked_sub(length).and_then(|at| path.get(at..));
    match slice {
        Some(slice)
            if slice
                .strip_prefix('/')
                .is_some_and(|it| it.starts_with(rest)) =>
        {
            Cow::Borrowed(slice)
        }
        // More than one slash at the end: only one is kept.
        _ => Cow::Owned(format!("/{rest}{}", if trailing { "/" } else { "" })),
    }
}

impl<T> Router<T> {
    /// Makes a router of routes in file order, and returns those that another one with the same text
    /// displaces (the last one counts).
    ///
    /// # Errors
    /// A sentence naming the route that is none.
    pub fn new(
        routes: impl IntoIterator<Item = (String, T)>,
    ) -> Result<(Self, Vec<Route<T>>), String> {
        let mut kept: Vec<Route<T>> = Vec::new();
        let mut displaced = Vec::new();
        for (raw, target) in routes {
            let (segments, wildcard) = parse(&raw)?;
            let route = Route {
                raw,
                target,
                segments,
                wildcard,
            };
            match kept.iter_mut().find(|other| other.raw == route.raw) {
                Some(other) => displaced.push(std::mem::replace(other, route)),
                None => kept.push(route),
            }
        }
        kept.sort_by(Route::precedence);
        Ok((Self { routes: kept }, displaced))
    }

    /// The same routes, leading elsewhere.
    ///
    /// # Errors
    /// The first of `map`.
    pub fn try_map<U, E>(
        self,
        map: impl Fn(RouteTexts, T) -> Result<U, E>,
    ) -> Result<Router<U>, E> {
        let routes = self
            .routes
            .into_iter()
            .map(|route| {
                let texts = route.texts();
                Ok(Route {
                    target: map(texts, route.target)?,
                    raw: route.raw,
                    segments: route.segments,
                    wildcard: route.wildcard,
                })
            })
            .collect::<Result<_, E>>()?;
        Ok(Router { routes })
    }

    /// All routes, in the order in which they are tried.
    pub fn routes(&self) -> impl Iterator<Item = &Route<T>> {
        self.routes.iter()
    }

    /// The route of a path.
    pub fn find<'path>(&self, path: &'path str) -> Option<RouteMatch<'_, 'path, T>> {
        self.routes.iter().find_map(|route| route.matches(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(routes: &[&str]) -> Router<()> {
        let routes = routes.iter().map(|raw| ((*raw).to_owned(), ()));
        Router::new(routes).unwrap().0
    }

    fn found<'a>(router: &'a Router<()>, path: &str) -> &'a str {
        router.find(path).map_or("none", |found| &found.route.raw)
    }

    #[test]
    fn the_longest_route_wins_and_exact_beats_named_beats_wildcard() {
        let router = router(&[
            "/...",
            "/llm/...",
            "/llm",
            "/llm/:model",
            "/llm/a/...",
            "/x/:y/z",
        ]);
        for (path, route) in [
            ("/", "/..."),
            ("/llm", "/llm"),
            ("/llm/", "/llm"),
            ("//llm", "/llm"),
            ("/llmx", "/..."),
            ("/llm/gpt", "/llm/:model"),
            ("/llm/gpt.json", "/llm/:model"),
            ("/llm/gpt/4", "/llm/..."),
            ("/llm/a", "/llm/a/..."),
            ("/llm/a/b/c", "/llm/a/..."),
            ("/x/1/z", "/x/:y/z"),
            ("/x/1/y", "/..."),
        ] {
            assert_eq!(found(&router, path), route, "{path}");
        }
    }

    #[test]
    fn without_a_wildcard_other_paths_match_nothing() {
        let router = router(&["/", "/a/:b"]);
        assert_eq!(found(&router, "/"), "/");
        assert_eq!(found(&router, ""), "/");
        assert_eq!(found(&router, "/b"), "none");
        assert_eq!(found(&router, "/a"), "none");
        assert_eq!(found(&router, "/a/b/c"), "none");
    }

    #[test]
    fn path_info_is_what_follows_the_route() {
        let router = router(&["/a/...", "/n/:name/..."]);
        for (path, info) in [
            ("/a", ""),
            ("/a/", "/"),
            ("/a/b", "/b"),
            ("/a/b/", "/b/"),
            ("/a/b//c", "/b//c"),
            ("/a/b//", "/b/"),
            ("/n/x/y", "/y"),
        ] {
            assert_eq!(router.find(path).unwrap().path_info, info, "{path}");
        }
        assert_eq!(router.find("/n/x/y").unwrap().named, [("name", "x")]);
    }

    #[test]
    fn the_last_of_equal_routes_counts() {
        let routes = [
            ("/a".to_owned(), 1),
            ("/b".to_owned(), 2),
            ("/a".to_owned(), 3),
        ];
        let (router, displaced) = Router::new(routes).unwrap();
        assert_eq!(router.find("/a").unwrap().route.target, 3);
        assert_eq!(displaced.len(), 1);
        assert_eq!(displaced[0].target, 1);
    }

    #[test]
    fn texts_of_a_route() {
        let router = router(&["/...", "/b/", "c"]);
        let texts: Vec<_> = router
            .routes()
            .map(Route::texts)
            .map(|texts| (texts.prefix, texts.based, texts.wildcard))
            .collect();
        let text = str::to_owned;
        assert_eq!(
            texts,
            [
                (text("/b/"), text("/b"), false),
                (text("c"), text("/c"), false),
                (text(""), text("/..."), true),
            ]
        );
    }

    #[test]
    fn routes_that_are_none_are_refused() {
        for raw in ["/a/.../b", "/:", "/:a.json", "/*rest"] {
            assert!(check_route(raw).is_err(), "{raw}");
        }
    }
}

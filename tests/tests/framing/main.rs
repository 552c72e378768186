//! Requests that two servers could take for two different things, written to the socket byte by byte. Each table
//! says what becomes of each of them, and by whom: nothing gets to a service that it was not routed to, what follows
//! on the connection is answered as what it is or not at all, and no instance traps.

use anyhow::{Context, Result, ensure};
use spillway_tests::{
    Gateway, Options,
    client::{Connection, Request, Response},
    mark,
    standin::{StandinDify, StandinError},
};

mod bodies;
mod conversations;
mod expected;
mod lengths;
mod lines;
mod sizes;
mod targets;

use expected::{Arrival, Expected, Outcome};

/// Stands for the case's mark in the bytes of a request; as long as one, so that lengths stay what they are.
const MARK: &str = "{the--mark}";
/// What follows each case on its connection.
const FOLLOWING: &str = "/v1/following";
/// A request that stands where none is: in a body, or behind one whose end is in doubt.
const SMUGGLED: &str = "GET /console/api/smuggled HTTP/1.1\r\nHost: dify\r\n\r\n";

/// One request, byte by byte, and what is to become of it.
struct Case {
    name: String,
    bytes: Vec<u8>,
    expected: Expected,
}

impl Case {
    fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>, expected: Expected) -> Self {
        Self {
            name: name.into(),
            bytes: bytes.into(),
            expected,
        }
    }
}

/// A request line and the header lines that every case has, without the empty line after them.
fn head(request_line: &str) -> String {
    format!("{request_line}\r\nHost: dify\r\nAuthorization: Bearer app-1\r\nX-Mark: {MARK}\r\n")
}

/// `POST /v1/x` with these header lines and these bytes after the head.
fn post(lines: &str, rest: &str) -> String {
    format!("{}{lines}\r\n{rest}", head("POST /v1/x HTTP/1.1"))
}

/// `GET` of a target.
fn get(target: &str) -> String {
    format!("{}\r\n", head(&format!("GET {target} HTTP/1.1")))
}

/// Puts the mark where it belongs.
fn marked(bytes: &[u8], mark: &str) -> Vec<u8> {
    let mut marked = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(place) = rest
        .windows(MARK.len())
        .position(|window| window == MARK.as_bytes())
    {
        let (before, after) = rest.split_at(place);
        marked.extend_from_slice(before);
        marked.extend_from_slice(mark.as_bytes());
        rest = after.split_at(MARK.len()).1;
    }
    marked.extend_from_slice(rest);
    marked
}

/// A gateway in front of a Dify.
struct Target {
    gateway: Gateway,
    dify: StandinDify,
}

/// How a case and what follows it are written.
#[derive(Debug, Clone, Copy)]
enum Writes {
    Together,
    Apart,
}

impl Target {
    async fn start() -> Result<Self> {
        let dify = StandinDify::start()?;
        let mut yaml = "agents:\n  - name: dify\n    services:\n".to_owned();
        for (service, standin) in dify.services() {
            yaml.push_str(&format!("      {service}: {}\n", standin.url()));
        }
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        Ok(Self { gateway, dify })
    }

    /// Sends every case, with another request behind it, and compares. All that is wrong is told together.
    async fn check(&self, cases: &[Case]) -> Result<()> {
        let mut wrong = Vec::new();
        for case in cases {
            for writes in [Writes::Together, Writes::Apart] {
                let outcome = self
                    .outcome(case, writes)
                    .await
                    .with_context(|| format!("{} ({writes:?})", case.name))?;
                if let Err(error) = outcome.compare(&case.expected) {
                    wrong.push(format!("{} ({writes:?}): {error:#}", case.name));
                }
            }
        }
        self.assert_unharmed().await?;
        // Also what no mark was found in: the remains of something else.
        for (_, service) in self.dify.services() {
            for request in service.requests() {
                let whole = request.header("x-mark").is_some();
                if !whole || request.path().contains("smuggled") {
                    wrong.push(format!("a service got what nobody sent: {request:?}"));
                }
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n\n"));
        Ok(())
    }

    async fn outcome(&self, case: &Case, writes: Writes) -> Result<Outcome> {
        let mark = mark();
        let following = format!(
            "{}Connection: close\r\n\r\n",
            head(&format!("GET {FOLLOWING} HTTP/1.1"))
        );
        let case = marked(&case.bytes, &mark);
        let following = marked(following.as_bytes(), &mark);
        let mut connection = self.gateway.connect().await?;
        // The gateway may close before it has read everything.
        match writes {
            Writes::Together => {
                let _ = connection.write(&[case, following].concat()).await;
            }
            Writes::Apart => {
                let _ = connection.write(&case).await;
                let _ = connection.write(&following).await;
            }
        }
        let (answers, rest) = answers(connection).await?;
        Ok(Outcome {
            answers,
            rest,
            arrived: self.dify.requests_mentioning(&mark),
        })
    }

    /// Asserts that nothing has trapped and that requests are still served.
    async fn assert_unharmed(&self) -> Result<()> {
        self.gateway.assert_no_trap();
        let request = Request::get("/v1/info")
            .bearer("app-1")
            .header("X-Mark", &mark());
        let answer = self.gateway.call(&request).await?;
        ensure!(answer.status() == 200, "afterwards: {answer:?}");
        Ok(())
    }
}

/// Every answer until the peer closes, and what came after the last whole one.
async fn answers(mut connection: Connection) -> Result<(Vec<Response>, String)> {
    let mut answers = Vec::new();
    loop {
        match connection.answer("GET").await {
            Ok(incoming) => {
                let (answer, kept) = incoming.finish_and_keep().await?;
                answers.push(answer);
                connection = kept;
            }
            Err(StandinError::NoHead { received }) => return Ok((answers, received)),
            Err(error) => return Err(error.into()),
        }
    }
}

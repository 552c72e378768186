//! The same requests through Debian's nginx, set up as Dify sets it up, and through Spillway, to the same stand-in
//! Dify: the stand-in sees the same, the client gets the same, and every difference is one of a closed list with its
//! reason (`justified.rs`). A difference that is not there fails, and so does a reason that nothing needs any more.

use std::{collections::BTreeSet, net::SocketAddr};

use anyhow::{Result, ensure};
use spillway_tests::{
    Gateway, Options,
    client::{Connection, Response},
    mark, run,
    standin::{RecordedRequest, StandinDify},
};

mod differences;
mod justified;
mod nginx;
mod requests;
mod trailers;

use differences::{Difference, differences};
use nginx::Nginx;
use requests::{Case, Written};

/// So many requests are the least.
const LEAST: usize = 60;

/// What became of one request on one of the two ways.
struct Exchange {
    /// What the stand-in saw, in the order of its services.
    arrived: Vec<RecordedRequest>,
    /// What the client got, or why it got nothing.
    answer: Result<Response, String>,
    /// Where the gateway listens.
    gateway: SocketAddr,
}

async fn exchange(case: &Case, dify: &StandinDify, gateway: SocketAddr) -> Exchange {
    let mark = mark();
    if let Some(behaviour) = &case.answered {
        for (_, service) in dify.services() {
            service.when(&mark, behaviour.clone());
        }
    }
    let answer = call(case, &mark, gateway).await;
    Exchange {
        arrived: dify.requests_mentioning(&mark),
        answer: answer.map_err(|error| error.to_string()),
        gateway,
    }
}

async fn call(case: &Case, mark: &str, gateway: SocketAddr) -> Result<Response> {
    let mut connection = Connection::open(gateway).await?;
    match case.marked(mark) {
        Written::Request(request) => connection.send(&request).await?,
        Written::Bytes(bytes) => connection.write(&bytes).await?,
    }
    Ok(connection.answer(&case.method()).await?.finish().await?)
}

fn agents(dify: &StandinDify) -> String {
    let mut yaml = "agents:\n  - name: dify\n    services:\n".to_owned();
    for (service, standin) in dify.services() {
        yaml.push_str(&format!("      {service}: {}\n", standin.url()));
    }
    yaml.push_str(&format!("      socket_io: {}\n", dify.api.url()));
    yaml
}

/// What was found out so far.
#[derive(Default)]
struct Findings {
    requests: usize,
    unexplained: Vec<Difference>,
    /// The reasons that were needed.
    needed: BTreeSet<usize>,
}

/// Both gateways in front of one Dify.
struct Both {
    dify: StandinDify,
    nginx: Nginx,
    gateway: Gateway,
}

impl Both {
    async fn start() -> Result<Self> {
        let dify = StandinDify::start()?;
        let nginx = Nginx::start(&dify).await?;
        let gateway = Gateway::start(&agents(&dify), Options::default()).await?;
        Ok(Self {
            dify,
            nginx,
            gateway,
        })
    }

    /// Sends these requests both ways.
    async fn compare(&self, cases: &[Case], findings: &mut Findings) {
        for case in cases {
            let by_nginx = exchange(case, &self.dify, self.nginx.address()).await;
            let by_gateway = exchange(case, &self.dify, self.gateway.address()).await;
            findings.requests = findings.requests.saturating_add(1);
            for difference in differences(case, &by_nginx, &by_gateway) {
                match justified::reason(&difference) {
                    Some(number) => {
                        findings.needed.insert(number);
                    }
                    None => findings.unexplained.push(difference),
                }
            }
        }
    }
}

#[test]
fn what_passed_through_nginx_passes_through_the_gateway() -> Result<()> {
    run(async {
        let both = Both::start().await?;
        let cases = requests::all(&both.dify);
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), cases.len(), "two requests have one name");

        let mut findings = Findings::default();
        both.compare(&cases, &mut findings).await;
        both.dify.plugin_daemon.kill().await;
        both.compare(&requests::to_a_dead_plugin_daemon(), &mut findings)
            .await;

        let Findings {
            requests,
            unexplained,
            needed,
        } = findings;
        assert!(requests >= LEAST, "only {requests} requests");
        let differences: String = unexplained.iter().map(Difference::to_string).collect();
        let unneeded: Vec<&str> = justified::all()
            .enumerate()
            .filter(|(number, _)| !needed.contains(number))
            .map(|(_, justified)| justified.why)
            .collect();
        ensure!(
            unexplained.is_empty() && unneeded.is_empty(),
            "{requests} requests, {} differences that are not justified:\n{differences}\n\
             Reasons that nothing needs any more: {unneeded:#?}\n\
             nginx said:\n{}",
            unexplained.len(),
            both.nginx.log()
        );
        Ok(())
    })
}

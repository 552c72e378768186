//! `spillway up`: runs an application until it is told to stop.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use ipnet::IpNet;

use super::running::{EndingSignals, Running, Signals};
use super::values::{VariableParser, parse_address, parse_size};
use crate::application::{Application, ApplicationSettings, Base, LiveApplication};
use crate::capacity::{UploadRate, default_budget};
use crate::gateway_config::{self, name_of, text_of};
use crate::harsh;
use crate::log_lines::{Destination, notice};
use crate::manifest::Manifest;
use crate::reload::{Certificate, ConfigSource, GivenValue, Reloader, VersionSource};
use crate::reuse::{ReuseLimits, Spread, parse_count, parse_duration, parse_duration_spread};
use crate::runtime_config::RuntimeConfig;
use crate::server::{Listeners, Server};
use crate::template::Template;
use crate::tls;
use crate::toml_document::TomlDocument;
use crate::trials::Trials;
use crate::variables::environment_name;

/// What `spillway up` takes.
#[derive(Debug, Clone, Args)]
pub struct UpArguments {
    /// The application's manifest, or the folder of its spin.toml.
    #[arg(
        short = 'f',
        long = "from",
        value_name = "FILE",
        default_value = "spin.toml"
    )]
    pub from: PathBuf,

    /// The configuration that components get as the variable gateway_config, unless that is given
    /// otherwise [default: gateway.yaml beside the manifest, if there is one].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Address and port for HTTP; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", env = "SPIN_HTTP_LISTEN_ADDR", default_value = "127.0.0.1:3000", value_parser = parse_address)]
    pub listen: SocketAddr,

    /// Certificate chain for HTTPS, PEM. With it the host listens for HTTPS as well.
    #[arg(long, value_name = "FILE", env = "SPIN_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// Key of the certificate, PEM.
    #[arg(long, value_name = "FILE", env = "SPIN_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Address and port for HTTPS.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3443", value_parser = parse_address)]
    pub tls_listen: SocketAddr,

    /// Where key-value stores are kept, and limits on connections
    /// [default: runtime-config.toml beside the manifest, if there is one].
    #[arg(long, value_name = "FILE", env = "RUNTIME_CONFIG_FILE")]
    pub runtime_config_file: Option<PathBuf>,

    /// Give an application variable a value; `NAME=@FILE` takes the file's text. Wins over
    /// SPIN_VARIABLE_NAME. May be repeated.
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = VariableParser)]
    pub variables: Vec<(String, GivenValue)>,

    /// Where files that outlive a run are kept [default: .spin beside the manifest].
    #[arg(long, value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,

    /// Where compiled components are kept [default: compiled in the state folder].
    #[arg(long, value_name = "FOLDER", env = "SPILLWAY_CACHE_DIR")]
    pub cache_dir: Option<PathBuf>,

    /// Throw away what components write to stdout and stderr.
    #[arg(short, long)]
    pub quiet: bool,

    /// How long a client may take to send a request's head, from the connection's beginning or the
    /// end of the last answer on; then the connection is closed.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub header_timeout: Duration,

    /// How long a client may read none of what is being sent to it; then the connection is closed.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    pub send_timeout: Duration,

    /// Take the listening sockets over from the host that was started with the same file and addresses, once this one is
    /// ready; that one then lets run what runs and ends. No connection is refused in between. Start the first one with
    /// it, too. The file is a Unix socket, made where there is none.
    #[arg(long, value_name = "FILE")]
    pub hand_over: Option<PathBuf>,

    /// How many connections one client address (of IPv6, one /64) may hold; more are closed at once. 0: any number.
    /// `trusted_proxies` of gateway.yaml are not counted.
    #[arg(long, value_name = "COUNT", default_value_t = 1024)]
    pub max_connections_per_client: usize,

    /// How slowly a request's body may come, in bytes a second on average, after ten seconds; a slower client, or one
    /// that is silent for a minute, gets 408. 0: as slowly as it likes. `trusted_proxies` are not held to it.
    #[arg(long, value_name = "BYTES", default_value_t = 240)]
    pub min_upload_rate: u64,

    /// How much memory all instances may hold, such as 2GiB; while they hold more, requests with a body above 64 KiB
    /// get 503 [default: half of the machine's, or of the container's].
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory_budget: Option<u64>,

    /// How many requests an instance of a component serves before it is replaced: a number, or a
    /// range such as 1..8 from which each instance draws.
    /// [default: 128].
    #[arg(long, value_name = "COUNT", value_parser = parse_count)]
    pub max_instance_reuse_count: Option<Spread<usize>>,

    /// How many requests may await the head of their answer in one instance at once: a number, or
    /// a range.
    #[arg(long, value_name = "COUNT", default_value = "16", value_parser = parse_count)]
    pub max_instance_concurrent_reuse_count: Spread<usize>,

    /// How long an instance without work is kept: 1s, 500ms, or a range such as 1s..8s.
    /// [default: 1s].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration_spread)]
    pub idle_instance_timeout: Option<Spread<Duration>>,

    /// How long a request may take to the head of its answer, and an instance to finish after its
    /// last request; a duration or a range. Cuts streams that run longer [default: no limit].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration_spread)]
    pub request_timeout: Option<Spread<Duration>>,

    /// Do not try out what the configuration leads to. Without it each upstream and the Redis are asked once at start, and for
    /// each new version, in the background, and what cannot be used is told in the log.
    #[arg(long)]
    pub skip_connect: bool,

    /// Let components reach what the manifest's allowed_outbound_hosts name and nothing more. Without it they may reach
    /// what the configuration sends to as well.
    #[arg(long)]
    pub strict_hosts: bool,

    /// For tests: be the least friendly host that the interfaces allow. Slow, and instances die young.
    #[arg(long)]
    pub harsh: bool,

    /// Destinations allowed to every component besides the manifest's. The demo's stand-ins listen on ports
    /// that no manifest could name.
    #[arg(skip)]
    pub additional_outbound_hosts: Vec<String>,
}

impl UpArguments {
    /// Starts the application and returns once it serves.
    ///
    /// # Errors
    /// When anything is missing or wrong; the message says what to do.
    pub async fn start(&self) -> anyhow::Result<Running> {
        let begun = Instant::now();
        // Before anything that takes time: a SIGHUP must not end what is still starting.
        let signals = Signals::new()?;
        tls::install_provider();
        raise_file_limit();
        let source = self.source()?;
        let version = source.read()?;
        version.tell();
        let settings = self.settings(&source.manifest, version.trusted_proxies.clone())?;
        let base = Arc::new(Base::new(&source.manifest, settings)?);
        let first = Application::new(&base, &version.manifest, &version.variables)?;
        let live = Arc::new(LiveApplication::new(first));
        let certificate = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                let certificate = Certificate::read(certificate.clone(), key.clone())?;
                Some(Arc::new(certificate))
            }
            _ => None,
        };
        let listeners = Listeners {
            http: self.listen,
            https: certificate.clone().map(|it| (self.tls_listen, it)),
            header_timeout: self.header_timeout,
            send_timeout: self.send_timeout,
            hand_over: self.hand_over.clone(),
        };
        let server = Server::start(Arc::clone(&live), listeners).await?;
        let banner = banner(&live.current(), &server, begun.elapsed());
        let trials = if self.skip_connect {
            Trials::Skipped
        } else {
            Trials::Wanted
        };
        trials.begin(&version, None);
        Ok(Running {
            signals,
            reloader: Reloader::new(source, version, live, certificate, trials),
            server,
            banner,
        })
    }

    /// Where the application's versions come from.
    fn source(&self) -> anyhow::Result<VersionSource> {
        let mut manifest = Manifest::load(&self.from)?;
        for host in &self.additional_outbound_hosts {
            let host = Template::parse(host).map_err(anyhow::Error::msg)?;
            for component in manifest.components.values_mut() {
                component.allowed_outbound_hosts.push(host.clone());
            }
        }
        let given: BTreeMap<String, GivenValue> = self.variables.iter().cloned().collect();
        let config = self.config_source(&manifest, &given)?;
        let strict_hosts = self.strict_hosts;
        Ok(VersionSource::new(manifest, given, config, strict_hosts))
    }

    /// A document, unless the application takes none or the variable itself is given.
    fn config_source(
        &self,
        manifest: &Manifest,
        given: &BTreeMap<String, GivenValue>,
    ) -> anyhow::Result<ConfigSource> {
        let reads_config = manifest.variables.contains_key(gateway_config::VARIABLE);
        if self.config.is_some() && !reads_config {
            bail!(
                "--config: {} has no variable `{}`, so its components take no configuration",
                manifest.path.display(),
                gateway_config::VARIABLE
            );
        }
        let given_otherwise = given.contains_key(gateway_config::VARIABLE)
            || std::env::var_os(environment_name(gateway_config::VARIABLE)).is_some();
        if !reads_config || given_otherwise {
            return Ok(ConfigSource::Variable);
        }
        let beside = manifest.root.join("gateway.yaml");
        let mounted = manifest.root.join(gateway_config::NORMAL_FORM_FILE);
        match &self.config {
            Some(file) if file.is_file() => Ok(ConfigSource::Document(file.clone())),
            Some(file) => Ok(ConfigSource::Text(name_of(file), text_of(file)?)),
            None if beside.is_file() => Ok(ConfigSource::Document(beside)),
            None if mounted.is_file() => Ok(ConfigSource::Variable),
            None => bail!(
                "no configuration: write a gateway.yaml beside {}, or name one with --config",
                manifest.path.display()
            ),
        }
    }

    fn settings(
        &self,
        manifest: &Manifest,
        trusted_proxies: Vec<IpNet>,
    ) -> anyhow::Result<ApplicationSettings> {
        let state_dir = self
            .state_dir
            .clone()
            .unwrap_or_else(|| manifest.root.join(".spin"));
        let beside = manifest.root.join("runtime-config.toml");
        let file: Option<&Path> = match &self.runtime_config_file {
            Some(file) => Some(file),
            None => beside.is_file().then_some(&beside),
        };
        let runtime_config = match file {
            None => RuntimeConfig::without_file(&state_dir),
            Some(file) => RuntimeConfig::parse(&TomlDocument::read(file)?, &state_dir)?,
        };
        let default = if self.harsh {
            harsh::reuse_limits()
        } else {
            ReuseLimits::default()
        };
        let reuse = ReuseLimits {
            requests: self.max_instance_reuse_count.unwrap_or(default.requests),
            concurrent_requests: self.max_instance_concurrent_reuse_count,
            idle: self.idle_instance_timeout.unwrap_or(default.idle),
            request: self.request_timeout,
        };
        Ok(ApplicationSettings {
            cache_dir: self
                .cache_dir
                .clone()
                .unwrap_or_else(|| state_dir.join("compiled")),
            state_dir,
            runtime_config,
            reuse,
            max_connections_per_client: Some(self.max_connections_per_client)
                .filter(|limit| *limit > 0),
            upload_rate: (self.min_upload_rate > 0).then_some(UploadRate(self.min_upload_rate)),
            memory_budget: self.memory_budget.unwrap_or_else(default_budget),
            trusted_proxies,
            quiet: self.quiet,
            harsh: self.harsh,
        })
    }
}

/// Every stream needs two sockets, and the usual soft limit is 1024 files.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Refused where a supervisor forbids it: the host then serves as many as it may.
    let _ = setrlimit(Resource::Nofile, raised);
}

fn banner(application: &Application, server: &Server, took: Duration) -> String {
    let base = &application.base;
    let loaded = base.components.saturating_sub(base.compiled);
    let mut lines = vec![
        format!(
            "Started in {:.2} s ({} compiled, {loaded} from cache)",
            took.as_secs_f64(),
            base.compiled
        ),
        String::new(),
        format!("Serving http://{}", server.http),
    ];
    lines.extend(
        server
            .https
            .map(|address| format!("Serving https://{address}")),
    );
    lines.push("Available Routes:".to_owned());
    for route in application.router.routes() {
        let texts = route.texts();
        let path = texts.based.strip_suffix("/...").unwrap_or(&texts.based);
        let wildcard = if texts.wildcard { " (wildcard)" } else { "" };
        lines.push(format!(
            "  {}: http://{}{path}{wildcard}",
            route.target.component, server.http
        ));
        let description = route.target.description.iter();
        lines.extend(description.map(|description| format!("    {description}")));
    }
    lines.push(String::new());
    lines.join("\n")
}

pub(super) fn run(arguments: UpArguments) -> anyhow::Result<ExitCode> {
    on_threads(async {
        let starting = tokio::spawn(end_where_stopped(Signals::new()?.ending));
        let running = arguments.start().await?;
        starting.abort();
        Destination::Stdout.write(running.banner.as_bytes());
        running.until_stopped().await
    })
}

/// A process that is told to stop while it starts ends there and then, and takes no other one's place.
async fn end_where_stopped(mut signals: EndingSignals) {
    signals.next().await;
    notice("Stopped before it served");
    #[expect(
        clippy::exit,
        reason = "what starts compiles for seconds without a turn for anything else"
    )]
    std::process::exit(0)
}

pub(super) fn on_threads(
    serving: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let outcome = runtime.block_on(serving);
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome.map(|()| ExitCode::SUCCESS)
}

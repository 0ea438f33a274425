//! Redis, or Valkey: one server, one with a password, one with TLS, a cluster of three, a replicated pair.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{NotStarted, Process, Recipe, Running, Service, binary, directory, find, free_port};

/// The password of [`Kind::Password`].
pub const PASSWORD: &str = "p:a@s/s w%rd";

/// One server, found or started: `redis://127.0.0.1:PORT/`.
#[must_use]
pub fn single() -> Service {
    find(&Kind::Single)
}

/// Three masters, found or started: `redis-cluster://127.0.0.1:PORT,…/`.
#[must_use]
pub fn cluster() -> Service {
    find(&Kind::Cluster)
}

/// What can be started with [`own`](super::own), and for some be [found](super::find).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// One server: `redis://127.0.0.1:PORT/`.
    Single,
    /// One server that wants [`PASSWORD`]; the URL is without it.
    Password,
    /// One server that speaks TLS alone: `rediss://localhost:PORT/?ca=FILE`, the certificate of its own
    /// authority being in that file.
    Tls,
    /// Three masters: `redis-cluster://127.0.0.1:PORT,…/`.
    Cluster,
    /// A master, a replica of it and a sentinel: `redis-sentinel://127.0.0.1:PORT/mymaster`. The service's
    /// first [process](Service::process) is the master.
    Sentinel,
}

impl Recipe for Kind {
    fn variable(&self) -> &'static str {
        match self {
            Self::Single => "CONFORMANCE_REDIS_URL",
            Self::Password => "CONFORMANCE_REDIS_PASSWORD_URL",
            Self::Tls => "CONFORMANCE_REDIS_TLS_URL",
            Self::Cluster => "CONFORMANCE_REDIS_CLUSTER_URL",
            Self::Sentinel => "CONFORMANCE_REDIS_SENTINEL_URL",
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::Tls => "install redis-server or valkey-server, and openssl",
            _ => "install redis-server or valkey-server",
        }
    }

    fn start(&self) -> Result<Running, NotStarted> {
        match self {
            Self::Single => plain(&[]),
            Self::Password => plain(&["--requirepass", PASSWORD]),
            Self::Tls => encrypted(),
            Self::Cluster => three_masters(),
            Self::Sentinel => replicated(),
        }
    }

    #[cfg(feature = "docker")]
    fn contain(&self) -> Result<Running, NotStarted> {
        match self {
            Self::Single => contained(),
            _ => Err(NotStarted::Missing("a container of it is not known here".into())),
        }
    }
}

fn plain(settings: &[&str]) -> Result<Running, NotStarted> {
    let (port, server) = server(settings)?;
    Ok(Running::new(format!("redis://127.0.0.1:{port}/")).with(server))
}

#[cfg(feature = "docker")]
fn contained() -> Result<Running, NotStarted> {
    use testcontainers::{
        GenericImage, ImageExt as _,
        core::{IntoContainerPort as _, WaitFor},
    };
    let image = GenericImage::new("redis", "7.4-alpine")
        .with_exposed_port(6379.tcp())
        .with_wait_for(WaitFor::message_on_stdout("Ready to accept connections"));
    let container = super::Container::start(image.with_cmd(["redis-server", "--save", ""]))?;
    let address = container.address(6379)?;
    Ok(Running::new(format!("redis://{address}/")).with(container))
}

fn encrypted() -> Result<Running, NotStarted> {
    let program = program()?;
    let openssl = binary(&["openssl"], &[])?;
    let directory = directory()?;
    let files = certificates(&openssl, directory.path())?;
    let port = free_port()?;
    let mut command = command(&program, directory.path(), 0);
    command.args(["--tls-port", &port.to_string(), "--tls-auth-clients", "no"]);
    command.arg("--tls-ca-cert-file").arg(&files.ca);
    command.arg("--tls-cert-file").arg(&files.certificate);
    command.arg("--tls-key-file").arg(&files.key);
    let server = Process::start(command, directory)?.until_ready(|| connects(port))?;
    let url = format!("rediss://localhost:{port}/?ca={}", files.ca.display());
    Ok(Running::new(url).with(server))
}

fn three_masters() -> Result<Running, NotStarted> {
    let mut ports = Vec::new();
    let mut servers = Vec::new();
    for _ in 0..3 {
        let (port, server) = server(&["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"])?;
        ports.push(port);
        servers.push(server);
    }
    join(&ports)?;
    let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let running = Running::new(format!("redis-cluster://{}/", hosts.join(",")));
    Ok(servers.into_iter().fold(running, Running::with))
}

fn replicated() -> Result<Running, NotStarted> {
    let (master_port, master) = server(&[])?;
    let (replica_port, replica) =
        server(&["--replicaof", &format!("127.0.0.1 {master_port}"), "--repl-diskless-sync-delay", "0"])?;
    for _ in 0..3000 {
        if ask(replica_port, "INFO replication").contains("master_link_status:up") {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let directory = directory()?;
    let port = free_port()?;
    let settings = directory.path().join("sentinel.conf");
    let lines = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor mymaster 127.0.0.1 {master_port} 1\n\
         sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 5000\n",
        directory.path().display()
    );
    std::fs::write(&settings, lines).map_err(|e| NotStarted::failed("sentinel.conf", e))?;
    let mut command = Command::new(program()?);
    command.arg(&settings).arg("--sentinel");
    let knows = || ask(port, "SENTINEL replicas mymaster").contains(&format!("{replica_port}"));
    let sentinel = Process::start(command, directory)?.until_ready(knows)?;
    let running = Running::new(format!("redis-sentinel://127.0.0.1:{port}/mymaster"));
    Ok(running.with(master).with(replica).with(sentinel))
}

fn program() -> Result<PathBuf, NotStarted> {
    binary(&["redis-server", "valkey-server"], &["/usr/sbin", "/usr/local/bin"])
}

fn command(program: &Path, directory: &Path, port: u16) -> Command {
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.arg("--dir").arg(directory);
    command
}

/// A server on that port, empty: what a restart of one brings.
///
/// # Errors
/// [`NotStarted::Missing`] when it is not installed, [`NotStarted::Failed`] when it does not start.
pub fn on_port(port: u16) -> Result<Process, NotStarted> {
    started(port, &[])
}

fn server(settings: &[&str]) -> Result<(u16, Process), NotStarted> {
    let mut result = Err(NotStarted::Failed("not tried".to_owned()));
    // Between its choice and its use another may take a port.
    for _ in 0..3 {
        let port = if settings.contains(&"--cluster-enabled") { port_below_bus()? } else { free_port()? };
        result = started(port, settings).map(|server| (port, server));
        if !matches!(result, Err(NotStarted::Failed(_))) {
            break;
        }
    }
    result
}

/// A port for a server of a cluster, which talks to the others at that port + 10,000.
fn port_below_bus() -> Result<u16, NotStarted> {
    for _ in 0..1000 {
        let port = free_port()?;
        let bus = port.checked_add(10_000);
        if bus.is_some_and(|bus| TcpListener::bind(("127.0.0.1", bus)).is_ok()) {
            return Ok(port);
        }
    }
    Err(NotStarted::Failed("no two free ports that are 10,000 apart".to_owned()))
}

fn started(port: u16, settings: &[&str]) -> Result<Process, NotStarted> {
    let program = program()?;
    let directory = directory()?;
    let mut command = command(&program, directory.path(), port);
    command.args(settings);
    Process::start(command, directory)?.until_ready(|| answers(port))
}

/// Shares the slots out, and waits until each of the three sees the cluster whole.
///
/// The bus of each is at its port + 10,000: that is known without any tool.
fn join(ports: &[u16]) -> Result<(), NotStarted> {
    let failed = |what: &str| NotStarted::Failed(format!("the cluster does not come about: {what}"));
    let Some(first) = ports.first() else { return Err(failed("no servers")) };
    let share = 16_384_usize.div_ceil(ports.len());
    for (index, port) in ports.iter().enumerate() {
        let (from, to) = (index * share, ((index + 1) * share).min(16_384) - 1);
        let slots = ask(*port, &format!("CLUSTER ADDSLOTSRANGE {from} {to}"));
        let epoch = ask(*port, &format!("CLUSTER SET-CONFIG-EPOCH {}", index + 1));
        let met = ask(*port, &format!("CLUSTER MEET 127.0.0.1 {first}"));
        for answer in [slots, epoch, met] {
            if !answer.starts_with("+OK") {
                return Err(failed(&answer));
            }
        }
    }
    for _ in 0..3000 {
        let whole = |port: &u16| {
            let info = ask(*port, "CLUSTER INFO");
            info.contains("cluster_state:ok")
                && info.contains(&format!("cluster_known_nodes:{}", ports.len()))
        };
        if ports.iter().all(whole) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(failed("not whole in time"))
}

fn connects(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), Duration::from_secs(1)).is_ok()
}

fn answers(port: u16) -> bool {
    let answer = ask(port, "PING");
    answer.starts_with("+PONG") || answer.starts_with("-NOAUTH")
}

/// The beginning of a server's answer to one command; empty when it does not answer.
fn ask(port: u16, command: &str) -> String {
    let asked = || -> std::io::Result<String> {
        let mut stream =
            TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer)?;
        answer.truncate(read);
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    asked().unwrap_or_default()
}

struct Certificates {
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

/// A CA of our own, and what it signed for `localhost` and `127.0.0.1`.
fn certificates(openssl: &Path, directory: &Path) -> Result<Certificates, NotStarted> {
    let file = |name: &str| directory.join(name);
    let run = |arguments: &[&str]| {
        let output = Command::new(openssl).args(arguments).current_dir(directory).output();
        let output = output.map_err(|e| NotStarted::failed("openssl", e))?;
        if output.status.success() {
            return Ok(());
        }
        Err(NotStarted::failed("openssl", String::from_utf8_lossy(&output.stderr)))
    };
    let names = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";
    std::fs::write(file("names"), names).map_err(|e| NotStarted::failed("certificates", e))?;
    #[rustfmt::skip]
    run(&["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", "/CN=conformance CA", "-keyout", "ca.key", "-out", "ca.pem"])?;
    #[rustfmt::skip]
    run(&["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
        "-keyout", "server.key", "-out", "server.csr"])?;
    #[rustfmt::skip]
    run(&["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
        "-days", "2", "-extfile", "names", "-out", "server.pem"])?;
    Ok(Certificates { ca: file("ca.pem"), certificate: file("server.pem"), key: file("server.key") })
}

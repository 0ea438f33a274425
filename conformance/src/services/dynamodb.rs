//! DynamoDB: a server that speaks its protocol, with limits and conditions as DynamoDB has them.

use std::{
    io::{Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    process::Command,
    time::Duration,
};

use super::{NotStarted, Process, Recipe, Running, Service, binary, directory, find, free_port};

/// The key that the URL has; its secret is the same. The servers started here take any.
pub const KEY: &str = "conformance";

/// One server, found or started, and a table of it that the first storage creates:
/// `dynamodb://KEY:SECRET@conformance?region=eu-west-1&endpoint=http://127.0.0.1:PORT&create_table=true`.
#[must_use]
pub fn single() -> Service {
    find(&Single)
}

/// One server, which keeps its data in memory; for [`own`](super::own).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Single;

/// One server, which keeps its data in a file and has it still when it is started again; for
/// [`own_server`](super::own_server).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durable;

impl Recipe for Durable {
    fn variable(&self) -> &'static str {
        Single.variable()
    }

    fn remedy(&self) -> &'static str {
        Single.remedy()
    }

    fn start(&self) -> Result<Running, NotStarted> {
        start(true)
    }
}

impl Recipe for Single {
    fn variable(&self) -> &'static str {
        "CONFORMANCE_DYNAMODB_URL"
    }

    fn remedy(&self) -> &'static str {
        "put dynoxide on PATH (npm: @dynoxide/linux-x64)"
    }

    fn start(&self) -> Result<Running, NotStarted> {
        start(false)
    }

    #[cfg(feature = "docker")]
    fn contain(&self) -> Result<Running, NotStarted> {
        use testcontainers::{GenericImage, ImageExt as _, core::IntoContainerPort as _};
        let image = GenericImage::new("amazon/dynamodb-local", "2.6.1").with_exposed_port(8000.tcp());
        let command = ["-jar", "DynamoDBLocal.jar", "-inMemory", "-sharedDb"];
        let container = super::Container::start(image.with_cmd(command))?;
        let address = container.address(8000)?;
        for _ in 0..3000 {
            if answers(&address) {
                return Ok(Running::new(url(&address)).with(container));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(NotStarted::Failed("the container does not answer in time".into()))
    }
}

fn start(durable: bool) -> Result<Running, NotStarted> {
    let program = binary(&["dynoxide"], &[])?;
    let mut result = Err(NotStarted::Failed("not tried".to_owned()));
    // Between its choice and its use another may take a port.
    for _ in 0..3 {
        let port = free_port()?;
        let directory = directory()?;
        let mut command = Command::new(&program);
        command.args(["serve", "--host", "127.0.0.1", "--port", &port.to_string()]);
        if durable {
            command.arg("--db-path").arg(directory.path().join("tables"));
        }
        let address = format!("127.0.0.1:{port}");
        let server = Process::start(command, directory)?.until_ready(|| answers(&address));
        result = server.map(|server| Running::new(url(&address)).with(server));
        if result.is_ok() {
            break;
        }
    }
    result
}

fn url(address: &str) -> String {
    format!("dynamodb://{KEY}:{KEY}@conformance?region=eu-west-1&endpoint=http://{address}&create_table=true")
}

/// Whether a server answers there, be it with an error.
fn answers(address: &str) -> bool {
    let asked = || -> std::io::Result<bool> {
        let Some(to) = address.to_socket_addrs()?.next() else { return Ok(false) };
        let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut beginning = [0; 5];
        stream.read_exact(&mut beginning)?;
        Ok(beginning == *b"HTTP/")
    };
    asked().unwrap_or(false)
}

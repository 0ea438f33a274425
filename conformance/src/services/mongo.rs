//! MongoDB: one server without a password, or one that wants it.

use std::{
    io::{Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    path::Path,
    process::Command,
    time::Duration,
};

use super::{NotStarted, Process, Recipe, Running, Service, binary, directory, find, free_port};

/// The database that URLs name.
const DATABASE: &str = "conformance";

/// One server, found or started: `mongodb://127.0.0.1:PORT/conformance`, to which options may be added.
#[must_use]
pub fn single() -> Service {
    find(&Kind::Single)
}

/// What can be started with [`own`](super::own), and for some be [found](super::find).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// One server: `mongodb://127.0.0.1:PORT/conformance`.
    Single,
}

impl Recipe for Kind {
    fn variable(&self) -> &'static str {
        "CONFORMANCE_MONGO_URL"
    }

    fn remedy(&self) -> &'static str {
        "install mongod, or pip install SecantusDB==0.7.0b3"
    }

    fn start(&self) -> Result<Running, NotStarted> {
        let mut result = Err(NotStarted::Failed("not tried".to_owned()));
        // Between its choice and its use another may take a port.
        for _ in 0..3 {
            let port = free_port()?;
            let directory = directory()?;
            let data = directory.path().join("data");
            std::fs::create_dir(&data).map_err(|e| NotStarted::failed("the server's directory", e))?;
            let server = Process::start(command(port, &data, false)?, directory)?;
            let address = format!("127.0.0.1:{port}");
            let server = server.until_ready(|| answers(&address));
            result = server.map(|server| Running::new(url(&address)).with(server));
            if !matches!(result, Err(NotStarted::Failed(_))) {
                break;
            }
        }
        result
    }

    #[cfg(feature = "docker")]
    fn contain(&self) -> Result<Running, NotStarted> {
        use testcontainers::{
            GenericImage, ImageExt as _,
            core::{IntoContainerPort as _, WaitFor},
        };
        let image = GenericImage::new("mongo", "7")
            .with_exposed_port(27017.tcp())
            .with_wait_for(WaitFor::message_on_stdout("Waiting for connections"));
        let container = super::Container::start(image.with_cmd(["mongod", "--bind_ip_all"]))?;
        let address = container.address(27017)?;
        for _ in 0..3000 {
            if answers(&address) {
                return Ok(Running::new(format!("mongodb://{address}/{DATABASE}")).with(container));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(NotStarted::Failed("the container does not answer in time".into()))
    }
}

/// A server on that port over the data in that directory, with or without passwords: what a restart of one brings.
///
/// # Errors
/// [`NotStarted::Missing`] when it is not installed, [`NotStarted::Failed`] when it does not start.
pub fn on_port(port: u16, data: &Path, passwords: bool) -> Result<Process, NotStarted> {
    let address = format!("127.0.0.1:{port}");
    Process::start(command(port, data, passwords)?, directory()?)?.until_ready(|| answers(&address))
}

/// The real server where it is installed, else one that speaks its protocol.
fn command(port: u16, data: &Path, passwords: bool) -> Result<Command, NotStarted> {
    let port = port.to_string();
    let mut command = if let Ok(mongod) = binary(&["mongod"], &[]) {
        let mut command = Command::new(mongod);
        command.args(["--bind_ip", "127.0.0.1", "--port", &port, "--setParameter", "ttlMonitorSleepSecs=1"]);
        command.arg("--dbpath").arg(data);
        command
    } else {
        let mut command = Command::new(binary(&["mongod", "secantusd-py"], &[])?);
        command
            .args(["--host", "127.0.0.1", "--port", &port, "--standalone"])
            .arg("--storage-path")
            .arg(data);
        command
    };
    if passwords {
        command.arg("--auth");
    }
    Ok(command)
}

fn url(address: &str) -> String {
    format!("mongodb://{address}/{DATABASE}")
}

/// Whether the server says hello.
fn answers(address: &str) -> bool {
    let asked = || -> std::io::Result<bool> {
        let Some(address) = address.to_socket_addrs()?.next() else { return Ok(false) };
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(HELLO)?;
        let mut header = [0; 16];
        stream.read_exact(&mut header)?;
        // An answer to request 1, as a message.
        Ok(header.get(8..) == Some(&[1, 0, 0, 0, 0xdd, 7, 0, 0]))
    };
    asked().unwrap_or(false)
}

/// `{hello: 1, $db: "admin"}` as an `OP_MSG` of one section.
const HELLO: &[u8] = b"\x34\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\
    \x1f\0\0\0\x10hello\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_has_the_lengths_that_it_says() {
        let says = |at: usize| usize::from(HELLO[at]);
        assert_eq!((HELLO.len(), HELLO.len() - 21), (says(0), says(21)));
    }
}

//! PostgreSQL: one server, whose superuser has a password that a URL must encode.

use std::{
    io::{Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    path::Path,
    process::Command,
    time::Duration,
};

use super::{NotStarted, Process, Recipe, Running, Service, binary, directory, find, free_port};

/// The password of the user `postgres`.
pub const PASSWORD: &str = "p:a@s/s w%rd";

/// [`PASSWORD`] as it stands in a URL.
const ENCODED: &str = "p%3Aa%40s%2Fs%20w%25rd";

/// One server: `postgres://postgres:…@127.0.0.1:PORT/postgres`.
#[must_use]
pub fn single() -> Service {
    find(&Single)
}

/// One server, to be started with [`own`](super::own), or [found](single).
#[derive(Clone, Copy, Debug)]
pub struct Single;

impl Recipe for Single {
    fn variable(&self) -> &'static str {
        "CONFORMANCE_POSTGRES_URL"
    }

    fn remedy(&self) -> &'static str {
        "install postgresql"
    }

    fn start(&self) -> Result<Running, NotStarted> {
        let initdb = program("initdb")?;
        let postgres = program("postgres")?;
        let directory = directory()?;
        let account = Account::of(directory.path())?;
        let password = directory.path().join("password");
        std::fs::write(&password, PASSWORD).map_err(|e| NotStarted::failed("initdb", e))?;
        account.own(directory.path())?;
        account.own(&password)?;
        let data = directory.path().join("data");

        let mut command = account.command(&initdb);
        command.args(["-A", "scram-sha-256", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"]);
        command.arg("-D").arg(&data).arg("--pwfile").arg(&password);
        let output = command.output().map_err(|e| NotStarted::failed("initdb", e))?;
        if !output.status.success() {
            return Err(NotStarted::failed("initdb", String::from_utf8_lossy(&output.stderr)));
        }

        let port = free_port()?;
        let mut command = account.command(&postgres);
        command.arg("-D").arg(&data).args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        command.args(["-c", &format!("unix_socket_directories={}", directory.path().display())]);
        command.args(["-c", "fsync=off", "-c", "max_connections=200"]);
        let address = format!("127.0.0.1:{port}");
        let server = Process::start(command, directory)?.until_ready(|| answers(&address))?;
        Ok(Running::new(url(&address)).with(server))
    }

    #[cfg(feature = "docker")]
    fn contain(&self) -> Result<Running, NotStarted> {
        use testcontainers::{
            GenericImage, ImageExt as _,
            core::{IntoContainerPort as _, WaitFor},
        };
        let image = GenericImage::new("postgres", "17-alpine")
            .with_exposed_port(5432.tcp())
            .with_wait_for(WaitFor::message_on_stdout("PostgreSQL init process complete"));
        let command = ["postgres", "-c", "fsync=off", "-c", "max_connections=200"];
        let image = image.with_env_var("POSTGRES_PASSWORD", PASSWORD).with_cmd(command);
        let container = super::Container::start(image)?;
        let address = container.address(5432)?;
        // It starts once more after that message.
        for _ in 0..3000 {
            if answers(&address) {
                return Ok(Running::new(url(&address)).with(container));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(NotStarted::Failed("the container does not answer in time".into()))
    }
}

fn program(name: &str) -> Result<std::path::PathBuf, NotStarted> {
    // Debian's packages put nothing but the clients on PATH.
    let versions: Vec<String> =
        (13..30).rev().map(|version| format!("/usr/lib/postgresql/{version}/bin")).collect();
    let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
    binary(&[name], &versions)
}

fn url(address: &str) -> String {
    format!("postgres://postgres:{ENCODED}@{address}/postgres")
}

/// Whether the server takes a client: it asks for a password.
fn answers(address: &str) -> bool {
    let asked = || -> std::io::Result<bool> {
        let Some(address) = address.to_socket_addrs()?.next() else { return Ok(false) };
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        // The startup message: its length, protocol 3.0, parameters.
        let parameters = b"user\0postgres\0database\0postgres\0\0";
        stream.write_all(&[0, 0, 0, 41, 0, 3, 0, 0])?;
        stream.write_all(parameters)?;
        let mut kind = [0];
        stream.read_exact(&mut kind)?;
        Ok(kind == *b"R")
    };
    asked().unwrap_or(false)
}

/// The account under which the server runs: ours, but where that is root, which PostgreSQL refuses.
#[derive(Clone, Copy)]
struct Account(Option<(u32, u32)>);

impl Account {
    #[cfg(unix)]
    fn of(ours: &Path) -> Result<Self, NotStarted> {
        use std::os::unix::fs::MetadataExt as _;
        let owner = std::fs::metadata(ours).map_err(|e| NotStarted::failed("the account", e))?.uid();
        if owner != 0 {
            return Ok(Self(None));
        }
        let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let account = ["postgres", "nobody"].iter().find_map(|name| {
            let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        });
        match account {
            Some(account) => Ok(Self(Some(account))),
            None => Err(NotStarted::Missing("no account that PostgreSQL would run under".into())),
        }
    }

    #[cfg(not(unix))]
    fn of(_ours: &Path) -> Result<Self, NotStarted> {
        Ok(Self(None))
    }

    fn own(self, path: &Path) -> Result<(), NotStarted> {
        #[cfg(unix)]
        if let Some((user, group)) = self.0 {
            std::os::unix::fs::chown(path, Some(user), Some(group))
                .map_err(|e| NotStarted::failed("the server's directory", e))?;
        }
        let _ = path;
        Ok(())
    }

    fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        #[cfg(unix)]
        if let Some((user, group)) = self.0 {
            use std::os::unix::process::CommandExt as _;
            command.uid(user).gid(group).current_dir("/");
        }
        command
    }
}

//! S3: moto, which is a fake of it in Python, or MinIO; with one bucket.

use std::{
    io::{Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    process::Command,
    time::Duration,
};

use super::{NotStarted, Process, Recipe, Running, Service, binary, directory, find, free_port};

/// The bucket that is there.
pub const BUCKET: &str = "conformance";

/// The key of the account, and its secret.
pub const KEY: &str = "conformance";

/// The secret of [`KEY`].
pub const SECRET: &str = "conformance-secret";

/// What Python does first: it makes moto atomic, and with `waitress` fast.
const FIRST: &str = include_str!("moto.py");

/// One server with one bucket, found or started: `s3://conformance?endpoint=http://127.0.0.1:PORT&…`.
#[must_use]
pub fn single() -> Service {
    find(&Kind::Plain)
}

/// What can be started with [`own`](super::own).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// One server with [`BUCKET`], whose URL has all that is needed to get at it.
    Plain,
}

impl Recipe for Kind {
    fn variable(&self) -> &'static str {
        "CONFORMANCE_S3_URL"
    }

    fn remedy(&self) -> &'static str {
        "pip install 'moto[server,s3]' waitress"
    }

    fn start(&self) -> Result<Running, NotStarted> {
        let program = binary(&["moto_server"], &["/usr/local/bin"])?;
        let mut result = Err(NotStarted::Failed("not tried".to_owned()));
        // Between its choice and its use another may take a port.
        for _ in 0..3 {
            let address = format!("127.0.0.1:{}", free_port()?);
            let port = address.rsplit(':').next().unwrap_or_default();
            let directory = directory()?;
            std::fs::write(directory.path().join("sitecustomize.py"), FIRST)
                .map_err(|e| NotStarted::failed("sitecustomize.py", e))?;
            let mut command = Command::new(&program);
            command.args(["-H", "127.0.0.1", "-p", port]).env("PYTHONPATH", directory.path());
            let ready = || status(&address, "GET /moto-api/") == Some(200);
            result = Process::start(command, directory)?.until_ready(ready).and_then(|server| {
                create_bucket(&address).map(|()| Running::new(url(&address)).with(server))
            });
            if !matches!(result, Err(NotStarted::Failed(_))) {
                break;
            }
        }
        result
    }

    #[cfg(feature = "docker")]
    fn contain(&self) -> Result<Running, NotStarted> {
        use testcontainers::{GenericImage, ImageExt as _, core::IntoContainerPort as _};
        let image = GenericImage::new("minio/minio", "RELEASE.2025-09-07T16-13-09Z")
            .with_entrypoint("sh")
            .with_exposed_port(9000.tcp());
        // What lies there when it starts is a bucket.
        let command = format!("mkdir -p /data/{BUCKET} && minio server /data");
        let request = image
            .with_cmd(["-c", &command])
            .with_env_var("MINIO_ROOT_USER", KEY)
            .with_env_var("MINIO_ROOT_PASSWORD", SECRET);
        let container = super::Container::start(request)?;
        let address = container.address(9000)?;
        for _ in 0..600 {
            if status(&address, "GET /minio/health/ready") == Some(200) {
                return Ok(Running::new(url(&address)).with(container));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(NotStarted::Failed("MinIO did not answer in time".to_owned()))
    }
}

/// Creates [`BUCKET`] on a server that was started here, as is needed again when it was started again.
///
/// # Errors
/// [`NotStarted::Failed`] when the server refuses.
pub fn create_bucket(address: &str) -> Result<(), NotStarted> {
    // It asks nobody who he is, so that the request need not be signed.
    match status(address, &format!("PUT /{BUCKET}")) {
        Some(200) => Ok(()),
        other => Err(NotStarted::failed("the bucket is not created", format!("{other:?}"))),
    }
}

fn url(address: &str) -> String {
    format!(
        "s3://{BUCKET}?endpoint=http://{address}&allow_http=true&region=us-east-1&access_key_id={KEY}\
         &secret_access_key={SECRET}"
    )
}

/// The status with which a server answers a request without a body; `None` when it does not.
fn status(address: &str, request: &str) -> Option<u16> {
    let asked = || -> std::io::Result<String> {
        let address = address.to_socket_addrs()?.next().ok_or(std::io::ErrorKind::NotFound)?;
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let head = format!(
            "{request} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    asked().ok()?.split_whitespace().nth(1)?.parse().ok()
}

//! A server on the way to the reference, which can be killed: it answers what it was asked, and nothing goes on
//! without its answer.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use cache_api::{Error, ErrorKind, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::fault::Fault;

/// The time limit of a [`Link`].
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    over: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    accepts: JoinHandle<()>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { port, running: Mutex::new(Some(Running::over(listener))) }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn kill(&self) {
        let Some(running) = self.running.lock().unwrap().take() else { return };
        running.over.store(true, Ordering::SeqCst);
        // It waits for a connection.
        drop(TcpStream::connect(self.address()));
        running.accepts.join().unwrap();
        for stream in running.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn restart(&self) {
        let listener = TcpListener::bind(self.address()).unwrap();
        *self.running.lock().unwrap() = Some(Running::over(listener));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Running {
    fn over(listener: TcpListener) -> Self {
        let (over, open) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (ends, opened) = (Arc::clone(&over), Arc::clone(&open));
        let accepts = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(std::result::Result::ok) {
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                opened.lock().unwrap().push(stream.try_clone().unwrap());
                std::thread::spawn(move || serve(stream));
            }
        });
        Self { over, open, accepts }
    }
}

/// Takes so many bytes, and answers with so many.
fn serve(mut stream: TcpStream) {
    let mut wanted = [0; 8];
    while stream.read_exact(&mut wanted).is_ok() {
        let [takes, answers] =
            [&wanted[..4], &wanted[4..]].map(|n| u32::from_be_bytes(n.try_into().unwrap()));
        let mut bytes = vec![0; takes as usize];
        if stream.read_exact(&mut bytes).is_err() || stream.write_all(&vec![1; answers as usize]).is_err() {
            break;
        }
    }
}

/// One connection to it.
#[derive(Debug)]
pub(crate) struct Link {
    address: String,
    fault: Fault,
    connection: tokio::sync::Mutex<Option<tokio::net::TcpStream>>,
}

impl Link {
    pub(crate) fn to(address: &str, fault: Fault) -> Arc<Self> {
        Arc::new(Self { address: address.to_owned(), fault, connection: tokio::sync::Mutex::default() })
    }

    pub(crate) async fn ask(&self, gives: usize, takes: usize) -> Result<()> {
        let mut connection = self.connection.lock().await;
        let asked = async {
            if connection.is_none() {
                *connection = Some(tokio::net::TcpStream::connect(&self.address).await?);
            }
            // Taken out meanwhile: what is dropped in the middle is not used again.
            let mut stream = connection.take().unwrap();
            let sizes = [gives, takes].map(|n| u32::try_from(n).unwrap().to_be_bytes()).concat();
            let answered = async {
                stream.write_all(&sizes).await?;
                stream.write_all(&vec![2; gives]).await?;
                stream.read_exact(&mut vec![0; takes]).await
            };
            let answered = answered.await;
            if answered.is_ok() || self.fault == Fault::KeepsBrokenConnections {
                *connection = Some(stream);
            }
            answered.map(drop)
        };
        let answered = if self.fault == Fault::WaitsForAnswers {
            Ok(asked.await)
        } else {
            tokio::time::timeout(TIMEOUT, asked).await
        };
        let kind =
            if self.fault == Fault::GivesUpForGood { ErrorKind::Other } else { ErrorKind::Unavailable };
        match answered {
            Ok(answered) => answered.map_err(|e| Error::new(kind, "ask").with_source(e)),
            Err(_) => Err(Error::new(ErrorKind::Timeout, "ask")),
        }
    }
}

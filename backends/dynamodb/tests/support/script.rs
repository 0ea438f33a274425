//! A server that gives the answers it was told, one after another, and the last one for ever.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// The answers begin with the HTTP status; none at all is silence.
pub(crate) async fn serve(answers: Vec<(u16, String)>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let (answers, count) = (Arc::new(answers), Arc::clone(&asked));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(answer(client, Arc::clone(&answers), Arc::clone(&count)));
        }
    });
    (endpoint, asked)
}

async fn answer(mut client: TcpStream, answers: Arc<Vec<(u16, String)>>, asked: Arc<AtomicUsize>) {
    let mut seen = Vec::new();
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = client.read(&mut buffer).await {
        seen.extend_from_slice(&buffer[..read]);
        let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&seen[..end]).to_lowercase();
        let length =
            head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).unwrap_or("0");
        if seen.len() < end + 4 + length.parse::<usize>().unwrap() {
            continue;
        }
        seen.clear();
        let number = asked.fetch_add(1, Ordering::SeqCst);
        let Some((status, body)) = answers.get(number).or(answers.last()) else { continue };
        let answer = format!(
            "HTTP/1.1 {status} OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if client.write_all(answer.as_bytes()).await.is_err() {
            break;
        }
    }
}

/// An error as DynamoDB gives it.
pub(crate) fn error(code: &str, message: &str) -> (u16, String) {
    (400, format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"{message}"}}"#))
}

//! Upgrades go through untouched, whatever lies above.

use std::time::Duration;

use crate::support::builder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Switches protocols, then echoes four bytes.
async fn echo() -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let answer = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            let mut bytes = [0; 4];
            stream.read_exact(&mut bytes).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
        }
    });
    addr
}

#[tokio::test]
async fn a_connection_is_upgraded() {
    let url = format!("http://{}/", echo().await);
    for builder in [builder(), builder().timeout(Duration::from_secs(30))] {
        let client = builder.build().await.unwrap();
        let request = client.get(&url).header("connection", "upgrade").header("upgrade", "echo");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 101);
        let mut upgraded = response.upgrade().await.unwrap();
        upgraded.write_all(b"ping").await.unwrap();
        let mut bytes = [0; 4];
        upgraded.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"ping");
    }
}

//! The proxy before an echo server: what passes, stops, is cut and counted.

use std::{io, num::NonZeroU32, time::Duration};

use cache_conformance::proxy::{Direction, Proxy};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};

/// Longer than anything here takes; the clock is paused, and jumps when nothing else goes on.
const LONG: Duration = Duration::from_secs(3600);

async fn echo() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    Proxy::to(address.to_string()).await.unwrap()
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn says(client: &mut TcpStream, bytes: &[u8]) {
    client.write_all(bytes).await.unwrap();
}

async fn hears(client: &mut TcpStream, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}

#[tokio::test]
async fn passes_everything_on_and_counts() {
    let proxy = echo().await;
    let mut client = connect(&proxy).await;
    for round in 1..=3_u8 {
        let bytes = vec![round; 200_000];
        let (mut from, mut to) = client.split();
        let mut echoed = vec![0; bytes.len()];
        let (written, read) = tokio::join!(to.write_all(&bytes), from.read_exact(&mut echoed));
        written.unwrap();
        read.unwrap();
        assert!(echoed == bytes);
    }
    assert_eq!(proxy.bytes(Direction::ToServer), 600_000);
    assert_eq!(proxy.bytes(Direction::ToClient), 600_000);
    assert_eq!((proxy.connections(), proxy.open()), (1, 1));
    // The end is passed on, too.
    client.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0; 10]).await.unwrap(), 0);
}

#[tokio::test]
async fn counts_round_trips() {
    let proxy = echo().await;
    let (mut one, mut two) = (connect(&proxy).await, connect(&proxy).await);
    for _ in 0..3 {
        says(&mut one, b"a question").await;
        hears(&mut one, 10).await.unwrap();
    }
    assert_eq!(proxy.trips(), 3);
    assert_eq!(proxy.trips(), 0);
    // Two clients, each on a connection of its own.
    says(&mut one, b"a").await;
    says(&mut two, b"b").await;
    hears(&mut two, 1).await.unwrap();
    hears(&mut one, 1).await.unwrap();
    assert_eq!(proxy.trips(), 2);
}

#[tokio::test(start_paused = true)]
async fn stalls_both_ways_and_goes_on_where_it_stopped() {
    for directions in [&[Direction::ToServer][..], &[Direction::ToClient], &Direction::BOTH] {
        let proxy = echo().await;
        let mut client = connect(&proxy).await;
        says(&mut client, b"before").await;
        assert_eq!(hears(&mut client, 6).await.unwrap(), b"before");
        proxy.stall(directions);
        says(&mut client, b"during").await;
        assert!(timeout(LONG, hears(&mut client, 6)).await.is_err(), "{directions:?}");
        let reached = proxy.bytes(Direction::ToServer);
        assert_eq!(reached, if directions.contains(&Direction::ToServer) { 6 } else { 12 });
        // Whoever comes now is let in, and waits as well.
        let mut late = connect(&proxy).await;
        says(&mut late, b"late").await;
        assert!(timeout(LONG, hears(&mut late, 4)).await.is_err());
        proxy.resume();
        assert_eq!(hears(&mut client, 6).await.unwrap(), b"during");
        assert_eq!(hears(&mut late, 4).await.unwrap(), b"late");
    }
}

#[tokio::test]
async fn cuts_what_is_open_and_takes_what_comes() {
    let proxy = echo().await;
    let mut clients = [connect(&proxy).await, connect(&proxy).await];
    for client in &mut clients {
        says(client, b"hello").await;
        hears(client, 5).await.unwrap();
    }
    proxy.cut();
    for client in &mut clients {
        assert_eq!(hears(client, 1).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
    let mut next = connect(&proxy).await;
    says(&mut next, b"again").await;
    assert_eq!(hears(&mut next, 5).await.unwrap(), b"again");
    assert_eq!((proxy.connections(), proxy.open()), (3, 1));
}

#[tokio::test]
async fn cuts_what_is_stalled() {
    let proxy = echo().await;
    let mut client = connect(&proxy).await;
    says(&mut client, b"hello").await;
    hears(&mut client, 5).await.unwrap();
    proxy.stall(&Direction::BOTH);
    says(&mut client, b"hello").await;
    proxy.cut();
    assert_eq!(hears(&mut client, 1).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn cuts_in_the_middle() {
    for direction in Direction::BOTH {
        let proxy = echo().await;
        let mut client = connect(&proxy).await;
        says(&mut client, &[1; 10]).await;
        hears(&mut client, 10).await.unwrap();
        proxy.cut_after(direction, 7);
        says(&mut client, &[2; 10]).await;
        // A reset may overtake the bytes before it.
        let mut heard = 0;
        let end = loop {
            match client.read(&mut [0; 10]).await {
                Ok(read @ 1..) => heard += read,
                other => break other,
            }
        };
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert!(heard <= 7, "{heard} bytes");
        assert_eq!(proxy.bytes(direction), 17);
        // Once only.
        let mut next = connect(&proxy).await;
        says(&mut next, &[3; 100]).await;
        assert_eq!(hears(&mut next, 100).await.unwrap(), [3; 100]);
    }
}

#[tokio::test]
async fn refuses_and_takes_again() {
    let proxy = echo().await;
    proxy.refuse(true);
    let refused = async {
        let mut client = TcpStream::connect(proxy.address()).await?;
        client.write_all(b"hello").await?;
        hears(&mut client, 5).await
    };
    refused.await.unwrap_err();
    assert_eq!(proxy.connections(), 0);
    proxy.refuse(false);
    let mut client = connect(&proxy).await;
    says(&mut client, b"hello").await;
    assert_eq!(hears(&mut client, 5).await.unwrap(), b"hello");
}

#[tokio::test(start_paused = true)]
async fn throttles() {
    let proxy = echo().await;
    proxy.throttle(NonZeroU32::new(1000));
    let mut client = connect(&proxy).await;
    let begun = Instant::now();
    says(&mut client, &[1; 5000]).await;
    hears(&mut client, 5000).await.unwrap();
    // One way after the other could be twice that; together they take a little longer than one.
    assert!(begun.elapsed() >= Duration::from_secs(5), "{:?}", begun.elapsed());
    proxy.throttle(None);
    // What was read before may still be slow.
    says(&mut client, &[1; 200]).await;
    hears(&mut client, 200).await.unwrap();
    let begun = Instant::now();
    says(&mut client, &[1; 50_000]).await;
    hears(&mut client, 50_000).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_server_that_is_not_there_resets() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = Proxy::to(nobody.to_string()).await.unwrap();
    let mut client = connect(&proxy).await;
    hears(&mut client, 1).await.unwrap_err();
}

#[tokio::test]
async fn dropped_it_ends_all() {
    let proxy = echo().await;
    let mut client = connect(&proxy).await;
    says(&mut client, b"hello").await;
    hears(&mut client, 5).await.unwrap();
    let address = proxy.address();
    drop(proxy);
    hears(&mut client, 1).await.unwrap_err();
    TcpStream::connect(address).await.unwrap_err();
}

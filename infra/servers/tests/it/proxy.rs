//! The proxy that breaks connections.

use std::io;
use std::time::Duration;

use skilift_servers::CutProxy;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const MOMENT: Duration = Duration::from_millis(100);

/// A client's and a server's end of one connection through a new proxy.
async fn connected() -> anyhow::Result<(CutProxy, TcpListener, TcpStream, TcpStream)> {
    let server = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = CutProxy::start(server.local_addr()?).await?;
    let (near, far) = connect(&proxy, &server).await?;
    Ok((proxy, server, near, far))
}

async fn connect(proxy: &CutProxy, server: &TcpListener) -> io::Result<(TcpStream, TcpStream)> {
    let near = TcpStream::connect(proxy.addr()).await?;
    let (far, _) = server.accept().await?;
    Ok((near, far))
}

async fn crosses(near: &mut TcpStream, far: &mut TcpStream) -> io::Result<()> {
    let mut byte = [0];
    near.write_all(b"a").await?;
    far.read_exact(&mut byte).await?;
    assert_eq!(&byte, b"a");
    far.write_all(b"b").await?;
    near.read_exact(&mut byte).await?;
    assert_eq!(&byte, b"b");
    Ok(())
}

#[tokio::test]
async fn cuts_and_heals() -> anyhow::Result<()> {
    let (proxy, server, mut near, mut far) = connected().await?;
    crosses(&mut near, &mut far).await?;

    proxy.cut().await;
    for end in [&mut near, &mut far] {
        let error = end.read_u8().await.expect_err("the connection is gone");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    let refused = TcpStream::connect(proxy.addr()).await.expect_err("refused");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    proxy.cut().await;

    proxy.heal().await?;
    let (mut near, mut far) = connect(&proxy, &server).await?;
    crosses(&mut near, &mut far).await?;
    Ok(())
}

#[tokio::test]
async fn forwards_nothing_while_it_stalls_and_everything_afterwards() -> anyhow::Result<()> {
    let (proxy, _server, mut near, mut far) = connected().await?;
    crosses(&mut near, &mut far).await?;

    proxy.stall();
    near.write_all(b"ride").await?;
    far.write_all(b"answer").await?;
    near.shutdown().await?;
    let mut received = String::new();
    assert!(timeout(MOMENT, far.read_u8()).await.is_err());
    assert!(timeout(MOMENT, near.read_u8()).await.is_err());

    proxy.heal().await?;
    timeout(Duration::from_secs(60), far.read_to_string(&mut received)).await??;
    assert_eq!(received, "ride");
    // One direction has ended, the other one has not.
    far.write_all(b" follows").await?;
    drop(far);
    received.clear();
    near.read_to_string(&mut received).await?;
    assert_eq!(received, "answer follows");
    Ok(())
}

#[tokio::test]
async fn cuts_what_is_stalled() -> anyhow::Result<()> {
    let (proxy, server, mut near, mut far) = connected().await?;
    proxy.stall();
    // More than all buffers on the way hold.
    let flood = vec![0; 64 << 20];
    assert!(timeout(MOMENT, near.write_all(&flood)).await.is_err());
    timeout(MOMENT * 10, proxy.cut()).await?;
    assert!(far.read_u8().await.is_err());

    proxy.heal().await?;
    let (mut near, mut far) = connect(&proxy, &server).await?;
    crosses(&mut near, &mut far).await?;
    Ok(())
}

#[tokio::test]
async fn ends_when_dropped() -> anyhow::Result<()> {
    let (proxy, _server, mut near, _far) = connected().await?;
    let addr = proxy.addr();
    drop(proxy);
    assert!(timeout(MOMENT * 10, near.read_u8()).await?.is_err());
    assert!(TcpStream::connect(addr).await.is_err());
    Ok(())
}

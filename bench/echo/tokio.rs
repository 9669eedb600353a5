// SPDX-License-Identifier: MIT
//! The echo server with tokio: a task for each connection.
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn echo(mut connection: TcpStream) {
    let mut bytes = [0; 4096];
    while let Ok(n @ 1..) = connection.read(&mut bytes).await {
        if connection.write_all(&bytes[..n]).await.is_err() {
            return;
        }
    }
}

async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listening on a loopback port");
    bench::print(&[("port", listener.local_addr().unwrap().port() as f64)]);
    loop {
        let (connection, _) = listener.accept().await.expect("a connection");
        tokio::spawn(echo(connection));
    }
}

fn main() {
    bench::run(serve());
}

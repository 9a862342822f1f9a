//! A server that takes every upload and keeps nothing: what is measured against it is the client.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (connection, _) = listener.accept().await?;
        tokio::spawn(async move { serve(connection).await.unwrap_or_default() });
    }
}

async fn serve(mut connection: TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut buffer = vec![0; 256 << 10];
    let mut filled = 0;
    loop {
        let end = loop {
            if let Some(at) = buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            let count = connection.read(&mut buffer[filled..]).await?;
            if count == 0 {
                return Ok(());
            }
            filled += count;
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        let lower = head.to_lowercase();
        let header = |name: &str| lower.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let length: usize = header("content-length").and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        if header("expect").is_some() {
            connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let taken = length.min(filled - end);
        let mut missing = length - taken;
        buffer.copy_within(end + taken..filled, 0);
        filled -= end + taken;
        while missing > 0 {
            let most = missing.min(buffer.len());
            let count = connection.read(&mut buffer[..most]).await?;
            if count == 0 {
                return Ok(());
            }
            missing -= count;
        }
        let body = answer(&head);
        let answer = format!(
            "HTTP/1.1 200 OK\r\netag: \"0123456789abcdef0123456789abcdef\"\r\ncontent-type: application/xml\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        connection.write_all(answer.as_bytes()).await?;
        if !head.starts_with("HEAD") {
            connection.write_all(body.as_bytes()).await?;
        }
    }
}

fn answer(head: &str) -> String {
    let etag = "<ETag>\"0123456789abcdef0123456789abcdef\"</ETag>";
    let line = head.lines().next().unwrap_or_default();
    match line.split(' ').next() {
        Some("POST") if line.contains("uploadId=") => format!(
            "<CompleteMultipartUploadResult><Location>l</Location><Bucket>b</Bucket><Key>k</Key>{etag}\
             </CompleteMultipartUploadResult>"
        ),
        Some("POST") => "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId>\
                         </InitiateMultipartUploadResult>"
            .to_owned(),
        Some("GET") => "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>".to_owned(),
        _ => String::new(),
    }
}

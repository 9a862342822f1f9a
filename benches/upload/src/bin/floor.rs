//! The least that there is to do: the file goes into a socket behind the head of a request.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;

use upload_bench::{Measured, Task};

fn main() {
    let task = Task::from_env();
    let address = task.endpoint.trim_start_matches("http://");
    let mut connection = TcpStream::connect(address).expect("a server");
    let measured = Measured::begin();
    let mut file = File::open(&task.file).expect("a file");
    let length = file.metadata().expect("a file").len();
    let head = format!(
        "PUT /{}/{} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n\r\n",
        task.bucket, task.key
    );
    connection.write_all(head.as_bytes()).expect("a server that reads");
    let mut buffer = vec![0; 128 << 10];
    loop {
        let count = file.read(&mut buffer).expect("a file that can be read");
        if count == 0 {
            break;
        }
        connection.write_all(&buffer[..count]).expect("a server that reads");
    }
    let count = connection.read(&mut buffer).expect("an answer");
    assert!(buffer[..count].starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&buffer[..count]));
    measured.end();
}

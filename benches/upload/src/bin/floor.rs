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
        "PUT /{}/{} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n",
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
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    measured.end();
}

//! Tells Cargo what the embedded migrations depend on, which their macro cannot.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
}

//! The compatibility matrix: every SDK's client works with every kind of upstream, whatever the eras and
//! transports on the two sides, through one server's endpoint and through the aggregated one.
//!
//! `tests/sdk/matrix.mjs` starts the servers and the gateway and runs the cells; it says how to run one by hand.

use std::path::Path;

use crate::support::{process::Process, sdk::Sdk};

const DOCUMENT: &str = "docs/COMPATIBILITY.md";

#[tokio::test(flavor = "multi_thread")]
async fn every_client_works_with_every_upstream_as_the_document_says() {
    let sdk = Sdk::locate();
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT);
    let arguments = [
        sdk.program("matrix.mjs").into_os_string(),
        "--gateway".into(),
        env!("CARGO_BIN_EXE_conduit").into(),
        "--reference-client".into(),
        Sdk::built("reference-client").into_os_string(),
        "--document".into(),
        document.into_os_string(),
    ];
    let driver = Process::spawn(sdk.node(), arguments, &[]);
    // The driver has a deadline for each program, so that it always ends.
    let status = driver.finish().await;
    println!("{}", driver.output());
    assert!(status.success(), "{status}:\n{}", driver.output());
}

//! Whether files can be written and read, and what the server can do beyond that.

use std::sync::Arc;
use std::time::Duration;

use object_store_storage::{Capability, Check, ProbedCapability, StorageError};
use tokio::time::timeout;

use super::failed;
use crate::client::Client;
use crate::probe::probe;

/// For some twenty requests.
const TIME: Duration = Duration::from_mins(1);

pub(super) async fn look(client: &Arc<Client>) -> Vec<Check> {
    match timeout(TIME, probe(client)).await {
        Ok(Ok(probed)) => {
            client.know(probed.iter().cloned().collect());
            let written = Check::ok("read_write", "an object was written, read and deleted");
            std::iter::once(written).chain(probed.into_iter().map(line)).collect()
        }
        Ok(Err(error @ StorageError::AccessDenied { .. })) => vec![Check::error(
            "read_write",
            error.to_string(),
            "Allow these credentials s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and \
             s3:ListMultipartUploadParts on what is in the bucket",
        )],
        Ok(Err(error)) => vec![failed("read_write", &error)],
        Err(_) => vec![super::late("read_write")],
    }
}

fn line(probed: ProbedCapability) -> Check {
    let ProbedCapability { capability, is_there, evidence } = probed;
    match capability {
        _ if is_there => Check::ok(capability.name(), evidence),
        Capability::VerifiesSignatures => {
            Check::error(capability.name(), evidence, format!("Without it: {}", capability.without()))
        }
        _ if !capability.is_missed() => Check::ok(capability.name(), format!("not there, and not missed: {evidence}")),
        _ => Check::warning(capability.name(), evidence, format!("Without it: {}", capability.without())),
    }
}

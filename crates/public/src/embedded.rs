//! The embedded S3 server as storage of this module.

use std::path::Path;

use object_store_embedded_s3::Embedded;
use object_store_s3_provider::{S3Config, S3Credentials};
use object_store_service::ConfigError;

/// The bucket of the embedded server.
const BUCKET: &str = "object-store";

/// Starts the server over `directory`, or finds the one that another process runs there.
pub(crate) async fn start(directory: &Path) -> Result<Embedded, ConfigError> {
    object_store_embedded_s3::connect_or_start(directory)
        .await
        .map_err(|error| ConfigError::new("the embedded S3 server", "cannot be used").because(error))
}

/// How to reach it.
pub(crate) fn s3_config(embedded: &Embedded) -> S3Config {
    let credentials = S3Credentials::Static {
        access_key_id: embedded.access_key_id.clone(),
        secret_access_key: embedded.secret_access_key.clone(),
        session_token: None,
    };
    S3Config::new(Some(embedded.endpoint.clone()), embedded.region.clone(), BUCKET, credentials)
}

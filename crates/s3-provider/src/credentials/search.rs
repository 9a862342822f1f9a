//! Where credentials come from, and in which order.

use std::time::Duration;

use s3::creds::Credentials;
use tokio::time::timeout;

use super::error::CredentialsError;
use super::surroundings::Surroundings;
use super::{container, environment, instance, profile, web_identity};

/// How long a search may take. Requests have shorter times of their own; this one is for programs.
const SEARCH_TIME: Duration = Duration::from_mins(1);

/// The credentials of the first source that is set up. One that is set up and fails ends the search: nobody wants to go
/// on as somebody else.
pub(super) async fn search(surroundings: &Surroundings) -> Result<Credentials, CredentialsError> {
    timeout(SEARCH_TIME, first(surroundings))
        .await
        .unwrap_or(Err(CredentialsError::Late { seconds: SEARCH_TIME.as_secs() }))
}

async fn first(surroundings: &Surroundings) -> Result<Credentials, CredentialsError> {
    if let Some(found) = environment::find(surroundings) {
        return found;
    }
    if let Some(found) = profile::find(surroundings).await {
        return found;
    }
    if let Some(found) = web_identity::find(surroundings).await {
        return found;
    }
    if let Some(found) = container::find(surroundings).await {
        return found;
    }
    instance::find(surroundings).await
}

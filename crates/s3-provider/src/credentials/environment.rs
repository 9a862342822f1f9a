//! Keys in the environment.

use s3::creds::Credentials;

use super::error::CredentialsError;
use super::keys::Keys;
use super::surroundings::Surroundings;

pub(super) fn find(surroundings: &Surroundings) -> Option<Result<Credentials, CredentialsError>> {
    let keys = Keys {
        access_key_id: surroundings.variable("AWS_ACCESS_KEY_ID"),
        secret_access_key: surroundings.variable("AWS_SECRET_ACCESS_KEY"),
        session_token: surroundings.variable("AWS_SESSION_TOKEN"),
        expiration: surroundings.variable("AWS_CREDENTIAL_EXPIRATION"),
    };
    if keys.access_key_id.is_none() && keys.secret_access_key.is_none() {
        return None;
    }
    Some(keys.written_in("the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)"))
}

//! A profile of the shared files (AWS SDKs and Tools Reference Guide, "Shared config and credentials files").

use std::io;
use std::path::PathBuf;

use ini::{Ini, ParseOption};
use s3::creds::Credentials;

use super::error::CredentialsError;
use super::keys::Keys;
use super::process;
use super::surroundings::Surroundings;
use super::web_identity::{WebIdentity, exchange};

pub(super) async fn find(surroundings: &Surroundings) -> Option<Result<Credentials, CredentialsError>> {
    let asked_for = surroundings.variable("AWS_PROFILE");
    let profile = match Profile::read(asked_for.as_deref(), surroundings).await {
        Ok(Some(profile)) => profile,
        Ok(None) => return None,
        Err(error) => return Some(Err(error)),
    };
    profile.credentials(asked_for.is_some(), surroundings).await
}

struct Profile {
    name: String,
    /// Its sections, those of the credentials file first.
    sections: Vec<ini::Properties>,
}

impl Profile {
    /// `None` when none was asked for and there is none.
    async fn read(asked_for: Option<&str>, surroundings: &Surroundings) -> Result<Option<Self>, CredentialsError> {
        let name = asked_for.unwrap_or("default");
        let files = [
            (file(surroundings, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"), vec![name.to_owned()]),
            (
                file(surroundings, "AWS_CONFIG_FILE", ".aws/config"),
                if name == "default" {
                    vec!["default".to_owned(), "profile default".to_owned()]
                } else {
                    vec![format!("profile {name}")]
                },
            ),
        ];
        let mut sections = Vec::new();
        let mut looked_at = Vec::new();
        for (path, headings) in files {
            let Some(path) = path else { continue };
            if let Some(file) = read(&path).await? {
                sections.extend(headings.iter().filter_map(|heading| file.section(Some(heading.as_str())).cloned()));
            }
            looked_at.push(path.display().to_string());
        }
        match (sections.is_empty(), asked_for) {
            (true, Some(profile)) => Err(CredentialsError::ProfileMissing {
                profile: profile.to_owned(),
                files: if looked_at.is_empty() { "any file".to_owned() } else { looked_at.join(" and ") },
            }),
            (true, None) => Ok(None),
            (false, _) => Ok(Some(Self { name: name.to_owned(), sections })),
        }
    }

    async fn credentials(
        &self,
        must_have_some: bool,
        surroundings: &Surroundings,
    ) -> Option<Result<Credentials, CredentialsError>> {
        let place = format!("profile {:?}", self.name);
        if let (Some(role_arn), Some(token_file)) = (self.get("role_arn"), self.get("web_identity_token_file")) {
            let session_name = self.get("role_session_name");
            let identity = WebIdentity { token_file: token_file.into(), role_arn, session_name };
            return Some(exchange(&identity, surroundings).await);
        }
        for setting in ["source_profile", "credential_source", "sso_session", "sso_start_url"] {
            if self.get(setting).is_some() {
                return Some(Err(CredentialsError::Unsupported { profile: self.name.clone(), setting }));
            }
        }
        let keys = Keys {
            access_key_id: self.get("aws_access_key_id"),
            secret_access_key: self.get("aws_secret_access_key"),
            session_token: self.get("aws_session_token"),
            expiration: None,
        };
        if keys.access_key_id.is_some() || keys.secret_access_key.is_some() {
            return Some(keys.written_in(&place));
        }
        if let Some(command) = self.get("credential_process") {
            return Some(process::run(&command).await);
        }
        // One that says only which region is none of ours, unless it was asked for by name.
        must_have_some.then_some(Err(CredentialsError::Incomplete { place, missing: "credentials" }))
    }

    fn get(&self, name: &str) -> Option<String> {
        let found = self.sections.iter().find_map(|section| section.get(name))?;
        Some(found.trim().to_owned()).filter(|value| !value.is_empty())
    }
}

fn file(surroundings: &Surroundings, variable: &str, usual: &str) -> Option<PathBuf> {
    surroundings.variable(variable).map(PathBuf::from).or_else(|| surroundings.in_home(usual))
}

/// `None` when there is no such file.
async fn read(path: &PathBuf) -> Result<Option<Ini>, CredentialsError> {
    let unreadable = |source| CredentialsError::Unreadable { path: path.clone(), source };
    let text = match tokio::fs::read_to_string(path).await {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(unreadable(error)),
    };
    // Keys may contain what other files quote and escape.
    let options = ParseOption { enabled_quote: false, enabled_escape: false, ..ParseOption::default() };
    let parsed = Ini::load_from_str_opt(&text, options);
    // What the parser says may quote the line, and the line may be a key.
    let wrong = |line| io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is no setting"));
    parsed.map(Some).map_err(|error| unreadable(wrong(error.line)))
}

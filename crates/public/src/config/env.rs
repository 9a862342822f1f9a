//! Configuration from environment variables.

use std::str::FromStr;
use std::time::Duration;

use object_store_media::Format;
use object_store_repo::DatabaseConfig;
use object_store_s3_provider::{S3Config, S3Credentials};
use object_store_service::{ConfigError, Limits, Quota, Settings};
use object_store_storage::CdnUrl;

use crate::config::{Config, DatabaseChoice, StorageChoice};

/// Where the embedded defaults keep their data unless `OBJECT_STORE_DIR` says otherwise.
#[cfg(feature = "embedded")]
const DEFAULT_DIRECTORY: &str = ".object-store";

/// The settings that mean: storage is an S3 bucket. `AWS_*` alone do not, since many a shell has them for other ends.
const S3_SETTINGS: [&str; 9] = [
    "OBJECT_STORE_S3_BUCKET",
    "OBJECT_STORE_S3_ENDPOINT",
    "OBJECT_STORE_S3_PUBLIC_ENDPOINT",
    "OBJECT_STORE_S3_REGION",
    "OBJECT_STORE_S3_ACCESS_KEY_ID",
    "OBJECT_STORE_S3_SECRET_ACCESS_KEY",
    "OBJECT_STORE_S3_SESSION_TOKEN",
    "OBJECT_STORE_S3_PREFIX",
    "OBJECT_STORE_S3_PATH_STYLE",
];

/// What the names of our variables, and of those that we fall back on, start with.
const KNOWN_PREFIXES: [&str; 3] = ["OBJECT_STORE_", "DATABASE_URL", "AWS_"];

impl Config {
    /// Reads the variables of this process. The README has the table of them.
    ///
    /// # Errors
    /// A setting that is missing or wrong, by its name.
    pub fn from_env() -> Result<Self, ConfigError> {
        let vars: Vec<_> = std::env::vars_os().collect();
        for (name, value) in &vars {
            let name = name.to_string_lossy();
            if value.to_str().is_none() && KNOWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
                return Err(ConfigError::new(name, "must be UTF-8"));
            }
        }
        Self::from_vars(|wanted| {
            let found = vars.iter().find(|(name, _)| name == wanted);
            found.and_then(|(_, value)| value.to_str()).map(str::to_owned)
        })
    }

    /// Reads variables from wherever `get` finds them. An empty variable is as good as none.
    ///
    /// # Errors
    /// As [`Config::from_env`].
    pub fn from_vars(get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let vars = Vars(&get);
        Ok(Self { database: database(&vars)?, storage: storage(&vars)?, settings: settings(&vars)? })
    }
}

struct Vars<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Vars<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    /// The first of several variables that is set.
    fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.get(name))
    }

    fn parse<T: FromStr>(&self, name: &str, allowed: &str) -> Result<Option<T>, ConfigError> {
        self.get(name)
            .map(|value| value.parse().map_err(|_| ConfigError::new(name, format!("must be {allowed}, not {value:?}"))))
            .transpose()
    }
}

fn database(vars: &Vars<'_>) -> Result<DatabaseChoice, ConfigError> {
    let Some(url) = vars.first(&["OBJECT_STORE_DATABASE_URL", "DATABASE_URL"]) else {
        return default_database(vars);
    };
    let mut config = DatabaseConfig::new(url);
    if let Some(schema) = vars.get("OBJECT_STORE_DATABASE_SCHEMA") {
        config.schema = schema;
    }
    if let Some(count) = vars.parse("OBJECT_STORE_DATABASE_MAX_CONNECTIONS", "a number above 0")? {
        config.max_connections = count;
    }
    Ok(DatabaseChoice::Configured(config))
}

fn storage(vars: &Vars<'_>) -> Result<StorageChoice, ConfigError> {
    if vars.first(&S3_SETTINGS).is_none() {
        return default_storage(vars);
    }
    let bucket = vars
        .get("OBJECT_STORE_S3_BUCKET")
        .ok_or_else(|| ConfigError::new("OBJECT_STORE_S3_BUCKET", "is missing: other OBJECT_STORE_S3_* are set"))?;
    let endpoint = vars.first(&["OBJECT_STORE_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]);
    let region = vars.first(&["OBJECT_STORE_S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"]);
    let mut config =
        S3Config::new(endpoint, region.unwrap_or_else(|| "us-east-1".to_owned()), bucket, credentials(vars)?);
    config.public_endpoint = vars.get("OBJECT_STORE_S3_PUBLIC_ENDPOINT");
    config.prefix = vars.get("OBJECT_STORE_S3_PREFIX").unwrap_or_default();
    if let Some(path_style) = vars.parse("OBJECT_STORE_S3_PATH_STYLE", "true or false")? {
        config.path_style = path_style;
    }
    Ok(StorageChoice::S3(Box::new(config)))
}

fn credentials(vars: &Vars<'_>) -> Result<S3Credentials, ConfigError> {
    let id = vars.get("OBJECT_STORE_S3_ACCESS_KEY_ID");
    let secret = vars.get("OBJECT_STORE_S3_SECRET_ACCESS_KEY");
    let session_token = vars.get("OBJECT_STORE_S3_SESSION_TOKEN");
    match (id, secret) {
        (Some(access_key_id), Some(secret_access_key)) => {
            Ok(S3Credentials::Static { access_key_id, secret_access_key, session_token })
        }
        (None, None) => Ok(S3Credentials::Default),
        (None, Some(_)) => Err(ConfigError::new("OBJECT_STORE_S3_ACCESS_KEY_ID", "is missing: its secret is set")),
        (Some(_), None) => Err(ConfigError::new("OBJECT_STORE_S3_SECRET_ACCESS_KEY", "is missing: its id is set")),
    }
}

fn settings(vars: &Vars<'_>) -> Result<Settings, ConfigError> {
    const BYTES: &str = "a number of bytes";
    let mut settings = Settings::default();
    if let Some(text) = vars.get("OBJECT_STORE_CDN_URL") {
        let cdn = CdnUrl::parse(&text).map_err(|error| ConfigError::new("OBJECT_STORE_CDN_URL", error.to_string()))?;
        settings.cdn = Some(cdn);
    }
    let Limits { formats, max_image_bytes, max_audio_bytes, max_pixels, max_side, max_frames, max_duration, max_page } =
        &mut settings.limits;
    set(max_image_bytes, vars.parse("OBJECT_STORE_MAX_IMAGE_BYTES", BYTES)?);
    set(max_audio_bytes, vars.parse("OBJECT_STORE_MAX_AUDIO_BYTES", BYTES)?);
    set(max_pixels, vars.parse("OBJECT_STORE_MAX_PIXELS", "a number of pixels")?);
    set(max_side, vars.parse("OBJECT_STORE_MAX_SIDE", "a number of pixels")?);
    set(max_frames, vars.parse("OBJECT_STORE_MAX_FRAMES", "a number of frames")?);
    set(max_page, vars.parse("OBJECT_STORE_MAX_PAGE", "a number of items, at most 65535")?);
    set(max_duration, seconds(vars, "OBJECT_STORE_MAX_DURATION_SECONDS")?);
    set(&mut settings.timings.signed_url, seconds(vars, "OBJECT_STORE_URL_SECONDS")?);
    set(&mut settings.quota, quota(vars)?);
    set(formats, vars.get("OBJECT_STORE_FORMATS").map(|names| parse_formats(&names)).transpose()?);
    Ok(settings)
}

/// `unlimited` counts without limiting: for operators beside hosts that have limits of their own.
fn quota(vars: &Vars<'_>) -> Result<Option<Quota>, ConfigError> {
    const NAME: &str = "OBJECT_STORE_MAX_USER_BYTES";
    match vars.get(NAME) {
        Some(word) if word == "unlimited" => Ok(Some(Quota::Counted)),
        _ => Ok(vars.parse(NAME, "a number of bytes, or `unlimited`")?.map(Quota::PerUser)),
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn seconds(vars: &Vars<'_>, name: &str) -> Result<Option<Duration>, ConfigError> {
    Ok(vars.parse(name, "a number of seconds")?.map(Duration::from_secs))
}

fn parse_formats(names: &str) -> Result<Vec<Format>, ConfigError> {
    names.split(',').map(|name| Format::from_name(name.trim()).ok_or_else(|| unknown_format(name.trim()))).collect()
}

fn unknown_format(name: &str) -> ConfigError {
    let known: Vec<_> = Format::all().iter().map(|format| format.name()).collect();
    ConfigError::new("OBJECT_STORE_FORMATS", format!("knows {}, not {name:?}", known.join(", ")))
}

#[cfg(feature = "embedded")]
fn directory(vars: &Vars<'_>) -> std::path::PathBuf {
    vars.get("OBJECT_STORE_DIR").unwrap_or_else(|| DEFAULT_DIRECTORY.to_owned()).into()
}

#[cfg(feature = "embedded")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature there is no default")]
fn default_database(vars: &Vars<'_>) -> Result<DatabaseChoice, ConfigError> {
    Ok(DatabaseChoice::Directory(directory(vars)))
}

#[cfg(feature = "embedded")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature there is no default")]
fn default_storage(vars: &Vars<'_>) -> Result<StorageChoice, ConfigError> {
    Ok(StorageChoice::Embedded(directory(vars)))
}

#[cfg(not(feature = "embedded"))]
fn default_database(_: &Vars<'_>) -> Result<DatabaseChoice, ConfigError> {
    Err(ConfigError::new(
        "OBJECT_STORE_DATABASE_URL",
        "is missing: set it to postgres://… or sqlite:PATH, or build with the feature `embedded`",
    ))
}

#[cfg(not(feature = "embedded"))]
fn default_storage(_: &Vars<'_>) -> Result<StorageChoice, ConfigError> {
    Err(ConfigError::new(
        "OBJECT_STORE_S3_BUCKET",
        "is missing: set it and the other OBJECT_STORE_S3_*, or build with the feature `embedded`",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENOUGH: [(&str, &str); 2] =
        [("OBJECT_STORE_DATABASE_URL", "postgres://app:hunter2@localhost/app"), ("OBJECT_STORE_S3_BUCKET", "media")];

    fn read(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_vars(|name| {
            let found = vars.iter().rev().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn with(more: &[(&'static str, &'static str)]) -> Result<Config, ConfigError> {
        read(&[&ENOUGH, more].concat())
    }

    fn s3(config: &Config) -> &S3Config {
        let StorageChoice::S3(s3) = &config.storage else { panic!("{:?}", config.storage) };
        s3
    }

    #[test]
    fn our_variables_win_over_those_of_others() {
        let config = with(&[
            ("DATABASE_URL", "mysql://elsewhere"),
            ("AWS_REGION", "eu-west-1"),
            ("OBJECT_STORE_S3_REGION", "eu-north-1"),
            ("AWS_ENDPOINT_URL", "https://s3.example.org"),
        ])
        .unwrap();
        assert_eq!(s3(&config).region, "eu-north-1");
        assert_eq!(s3(&config).endpoint.as_deref(), Some("https://s3.example.org"));
        assert!(s3(&config).path_style);
        assert!(
            matches!(&config.database, DatabaseChoice::Configured(database) if database.url.starts_with("postgres"))
        );
    }

    #[test]
    fn an_error_names_the_setting_and_what_is_allowed() {
        let wrong = [
            ("OBJECT_STORE_MAX_IMAGE_BYTES", "25 MiB"),
            ("OBJECT_STORE_MAX_PAGE", "70000"),
            ("OBJECT_STORE_MAX_USER_BYTES", "none"),
            ("OBJECT_STORE_S3_PATH_STYLE", "yes"),
            ("OBJECT_STORE_DATABASE_MAX_CONNECTIONS", "-1"),
            ("OBJECT_STORE_FORMATS", "png, svg"),
        ];
        for (name, value) in wrong {
            let message = with(&[(name, value)]).unwrap_err().to_string();
            assert!(message.starts_with(name), "{message}");
            assert!(message.contains("must be") || message.contains("knows png"), "{message}");
        }
    }

    #[test]
    fn half_of_a_bucket_is_an_error() {
        let error = read(&[ENOUGH[0], ("OBJECT_STORE_S3_ENDPOINT", "http://localhost:9000")]).unwrap_err();
        assert_eq!(error.setting, "OBJECT_STORE_S3_BUCKET");
        let error = with(&[("OBJECT_STORE_S3_ACCESS_KEY_ID", "id")]).unwrap_err();
        assert_eq!(error.setting, "OBJECT_STORE_S3_SECRET_ACCESS_KEY");
        let error = with(&[("OBJECT_STORE_S3_SECRET_ACCESS_KEY", "hunter2")]).unwrap_err();
        assert_eq!(error.setting, "OBJECT_STORE_S3_ACCESS_KEY_ID");
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn limits_can_be_set() {
        let config = with(&[
            ("OBJECT_STORE_MAX_AUDIO_BYTES", "5368709120"),
            ("OBJECT_STORE_MAX_DURATION_SECONDS", "60"),
            ("OBJECT_STORE_FORMATS", "png,heic"),
            ("OBJECT_STORE_URL_SECONDS", ""),
        ])
        .unwrap();
        assert_eq!(config.settings.limits.max_audio_bytes, 5 << 30);
        assert_eq!(config.settings.limits.max_duration, Duration::from_mins(1));
        assert_eq!(config.settings.limits.formats, [Format::Png, Format::Heic]);
        assert_eq!(config.settings.timings, Settings::default().timings);
    }

    #[test]
    fn a_quota_is_off_unless_it_is_set() {
        let quota = |value| with(&[("OBJECT_STORE_MAX_USER_BYTES", value)]).unwrap().settings.quota;
        assert_eq!(quota(""), Quota::Off);
        assert_eq!(quota("1000000"), Quota::PerUser(1_000_000));
        assert_eq!(quota("unlimited"), Quota::Counted);
    }

    #[test]
    fn no_secret_is_shown() {
        let config =
            with(&[("OBJECT_STORE_S3_ACCESS_KEY_ID", "id"), ("OBJECT_STORE_S3_SECRET_ACCESS_KEY", "hunter2")]).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[cfg(feature = "embedded")]
    #[test]
    fn nothing_configured_is_the_embedded_default() {
        let config = read(&[("AWS_ACCESS_KEY_ID", "for something else"), ("OBJECT_STORE_DIR", "here")]).unwrap();
        assert!(matches!(&config.storage, StorageChoice::Embedded(directory) if directory.as_os_str() == "here"));
        assert!(matches!(&config.database, DatabaseChoice::Directory(directory) if directory.as_os_str() == "here"));
    }

    #[cfg(not(feature = "embedded"))]
    #[test]
    fn nothing_configured_is_an_error() {
        assert_eq!(read(&[]).unwrap_err().setting, "OBJECT_STORE_DATABASE_URL");
        assert_eq!(read(&ENOUGH[..1]).unwrap_err().setting, "OBJECT_STORE_S3_BUCKET");
    }
}

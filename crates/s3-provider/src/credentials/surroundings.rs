use std::env;
use std::fmt;
use std::path::PathBuf;

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// What the process was started with, as far as credentials are concerned.
pub(crate) struct Surroundings {
    variable: Box<Lookup>,
    home: Option<PathBuf>,
    /// Where requests are signed for, unless a variable says otherwise.
    region: String,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn of_process(region: &str) -> Self {
        Self { variable: Box::new(|name| env::var(name).ok()), home: env::home_dir(), region: region.to_owned() }
    }

    #[cfg(test)]
    pub(crate) fn given(variables: &[(&str, &str)]) -> Self {
        let variables: std::collections::HashMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let variable = Box::new(move |name: &str| variables.get(name).cloned());
        Self { variable, home: None, region: "eu-central-1".to_owned() }
    }

    /// A variable; an empty one counts as none.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    /// A file below the home directory.
    pub(super) fn in_home(&self, path: &str) -> Option<PathBuf> {
        Some(self.home.as_ref()?.join(path))
    }

    pub(super) fn region(&self) -> String {
        self.variable("AWS_REGION")
            .or_else(|| self.variable("AWS_DEFAULT_REGION"))
            .unwrap_or_else(|| self.region.clone())
    }
}

// Variables hold secrets.
impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

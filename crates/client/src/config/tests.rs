use super::*;

struct Home(tempfile::TempDir);

impl Home {
    fn new(config: &str, credentials: &str) -> Home {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".aws")).unwrap();
        std::fs::write(dir.path().join(".aws/config"), config).unwrap();
        std::fs::write(dir.path().join(".aws/credentials"), credentials).unwrap();
        Home(dir)
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    fn resolve<const N: usize>(&self, vars: [(&str, &str); N]) -> Result<Config, ConfigError> {
        self.resolve_with(vars, &Overrides::default())
    }

    fn resolve_with<const N: usize>(
        &self,
        vars: [(&str, &str); N],
        overrides: &Overrides,
    ) -> Result<Config, ConfigError> {
        let environment = Environment::from_iter(vars.into_iter().chain([("HOME", self.path())]));
        Config::resolve(&environment, overrides)
    }
}

const CONFIG: &str = "\
# comment
[default]
region = eu-central-1
services = local

[profile staging]
Region=eu-west-1
endpoint_url = https://staging.test/

[profile \"with space\"]
region = us-west-2

[services local]
s3 =
  endpoint_url = http://127.0.0.1:9000
mq =
  endpoint_url = http://127.0.0.1:8080
";

const CREDENTIALS: &str = "\
[default]
aws_access_key_id = FILEID
aws_secret_access_key = file+secret=

; comment
[staging]
aws_access_key_id = STAGINGID
aws_secret_access_key = staging-secret
aws_session_token = staging-token

[with space]
aws_access_key_id = SPACEID
aws_secret_access_key = s
";

#[test]
fn the_default_profile_gives_credentials_region_and_the_service_endpoint() {
    let config = Home::new(CONFIG, CREDENTIALS).resolve([]).unwrap();
    assert_eq!(config.credentials.access_key_id, "FILEID");
    assert_eq!(config.credentials.secret_access_key, "file+secret=");
    assert_eq!(config.region, "eu-central-1");
    assert_eq!(config.endpoint.as_str(), "http://127.0.0.1:8080/");
}

#[test]
fn the_environment_wins_over_the_files() {
    let home = Home::new(CONFIG, CREDENTIALS);
    let config = home
        .resolve([
            ("AWS_ACCESS_KEY_ID", "ENVID"),
            ("AWS_SECRET_ACCESS_KEY", "env"),
            ("AWS_DEFAULT_REGION", "ap-south-1"),
            ("AWS_ENDPOINT_URL", "http://all.test"),
            ("AWS_ENDPOINT_URL_MQ", "http://mq.test:81"),
        ])
        .unwrap();
    assert_eq!(config.credentials.access_key_id, "ENVID");
    assert_eq!(config.region, "ap-south-1");
    assert_eq!(config.endpoint.as_str(), "http://mq.test:81/");
    let config = home
        .resolve([("AWS_REGION", "a"), ("AWS_DEFAULT_REGION", "b")])
        .unwrap();
    assert_eq!(config.region, "a");
}

#[test]
fn a_profile_named_in_the_environment_keeps_the_environments_key() {
    let home = Home::new(CONFIG, CREDENTIALS);
    let vars = [
        ("AWS_PROFILE", "staging"),
        ("AWS_ACCESS_KEY_ID", "ENVID"),
        ("AWS_SECRET_ACCESS_KEY", "e"),
    ];
    let config = home.resolve(vars).unwrap();
    assert_eq!(config.credentials.access_key_id, "ENVID");
    assert_eq!(config.region, "eu-west-1");
    assert_eq!(config.endpoint.as_str(), "https://staging.test/");
}

#[test]
fn a_profile_named_on_the_command_line_wins_over_the_environments_key() {
    let home = Home::new(CONFIG, CREDENTIALS);
    let overrides = Overrides {
        profile: Some("staging".to_owned()),
        ..Overrides::default()
    };
    let vars = [
        ("AWS_ACCESS_KEY_ID", "ENVID"),
        ("AWS_SECRET_ACCESS_KEY", "e"),
    ];
    let config = home.resolve_with(vars, &overrides).unwrap();
    assert_eq!(config.credentials.access_key_id, "STAGINGID");
    assert_eq!(
        config.credentials.session_token.as_deref(),
        Some("staging-token")
    );
}

#[test]
fn a_quoted_profile_name_is_found() {
    let config = Home::new(CONFIG, CREDENTIALS)
        .resolve([("AWS_PROFILE", "with space")])
        .unwrap();
    assert_eq!(config.region, "us-west-2");
    assert_eq!(config.credentials.access_key_id, "SPACEID");
}

#[test]
fn without_an_endpoint_it_is_awss_own() {
    let home = Home::new("[default]\nregion = eu-west-1\n", CREDENTIALS);
    let config = home.resolve([]).unwrap();
    assert_eq!(
        config.endpoint.as_str(),
        "https://mq.eu-west-1.amazonaws.com/"
    );
    let home = Home::new(CONFIG, CREDENTIALS);
    let config = home
        .resolve([("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")])
        .unwrap();
    assert_eq!(
        config.endpoint.as_str(),
        "https://mq.eu-central-1.amazonaws.com/"
    );
}

#[test]
fn files_can_be_elsewhere() {
    let home = Home::new("", "");
    let other = Home::new(CONFIG, CREDENTIALS);
    let (config, credentials) = (
        format!("{}/.aws/config", other.path()),
        format!("{}/.aws/credentials", other.path()),
    );
    let config = home
        .resolve([
            ("AWS_CONFIG_FILE", config.as_str()),
            ("AWS_SHARED_CREDENTIALS_FILE", &credentials),
        ])
        .unwrap();
    assert_eq!(config.credentials.access_key_id, "FILEID");
}

#[test]
fn what_is_missing_is_named() {
    let empty = Home::new("", "");
    assert!(matches!(empty.resolve([]), Err(ConfigError::NoCredentials)));
    assert!(matches!(
        empty.resolve([("AWS_PROFILE", "x")]),
        Err(ConfigError::NoProfile(_))
    ));
    let key = [("AWS_ACCESS_KEY_ID", "A")];
    assert!(matches!(
        empty.resolve(key),
        Err(ConfigError::PartialCredentials { .. })
    ));
    let key = [("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "S")];
    assert!(matches!(empty.resolve(key), Err(ConfigError::NoRegion)));
    let sso = Home::new("[default]\nregion = a\nsso_session = corp\n", "");
    let error = sso.resolve([]).unwrap_err();
    assert!(error.to_string().contains("sso_session"), "{error}");
}

#[test]
fn an_endpoint_that_is_no_address_is_refused() {
    let home = Home::new(CONFIG, CREDENTIALS);
    for text in ["127.0.0.1:8080", "ftp://x", "nonsense"] {
        let error = home.resolve([("AWS_ENDPOINT_URL_MQ", text)]).unwrap_err();
        assert!(matches!(error, ConfigError::Endpoint(_)), "{text}");
    }
}

#[test]
fn a_broken_file_is_named_with_its_line() {
    let home = Home::new("[default\n", "");
    let error = home.resolve([]).unwrap_err().to_string();
    assert!(error.contains("config, line 1"), "{error}");
}

//! What is read before anything is opened, so that what is wrong is known while nothing has changed.

use super::{logins, secrets};
use crate::amqp::Terms;
use crate::error::Error;
use crate::listener::Tls;
use crate::options::Options;
use crate::settings::Settings;
use crate::timers::Timers;

/// The settings that the options name.
pub(super) fn settings(options: &Options) -> Result<Settings, Error> {
    let Some(file) = &options.settings else {
        return Ok(Settings::default());
    };
    let text = secrets::read(file)?;
    Settings::parse(&text, options.profile).map_err(|cause| Error::File {
        path: file.clone(),
        reason: cause.to_string(),
    })
}

/// What clients are offered: of a flag and a setting the stricter one.
pub(super) fn terms(options: &Options, settings: &Settings, timers: Timers) -> Terms {
    let consumers = [
        options.consumers_per_channel_max,
        settings.consumers_per_channel_max,
    ];
    let consumers = consumers.into_iter().flatten().filter(|max| *max > 0);
    Terms {
        channels_max: settings
            .channels_max
            .map_or(options.channels_max, |max| max.min(options.channels_max)),
        consumers_per_channel_max: consumers.min(),
        heartbeat_s: settings.heartbeat_s,
        message_size_max: settings.message_size_max,
        timers,
    }
}

/// Reads every file that the options name, and changes nothing.
pub(super) fn check(options: &Options) -> Result<(), Error> {
    settings(options)?;
    Tls::open(options)?;
    if let Some(file) = &options.definitions {
        secrets::definitions(file)?;
    }
    if let Some(file) = &options.monitoring_user_file {
        secrets::login(file)?;
    }
    if let Some(file) = &options.logins {
        logins::read(file)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn the_stricter_of_flag_and_setting_holds() {
        let flags = [
            "brokerd",
            "--channels-max",
            "50",
            "--consumers-per-channel-max",
            "9",
        ];
        let options = Command::parse_from(flags).options;
        let settings = Settings {
            channels_max: Some(60),
            consumers_per_channel_max: Some(4),
            ..Settings::default()
        };
        let terms = terms(&options, &settings, Timers::default());
        assert_eq!(terms.channels_max, 50);
        assert_eq!(terms.consumers_per_channel_max, Some(4));
    }

    #[test]
    fn a_check_finds_what_is_wrong_and_leaves_no_trace() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let file = directory.path().join("settings.json");
        let check_text = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let mut options = Command::parse_from(["brokerd", "--check"]).options;
            options.data_dir.clone_from(&data);
            options.settings = Some(file.clone());
            check(&options).map_err(|error| error.to_string())
        };
        assert_eq!(check_text(r#"{"heartbeat": "90"}"#), Ok(()));
        let refused = check_text(r#"{"heartbeats": "90"}"#).unwrap_err();
        assert!(
            refused.ends_with("unknown setting 'heartbeats'"),
            "{refused}"
        );
        assert!(!data.exists());
    }
}

//! The keys of LavinMQ's INI file that act, as `section.key`.

use std::collections::BTreeMap;

use super::value::Entry;
use super::{Error, Settings, TrustedSources};

const PROXY: &str = "amqp.tcp_proxy_protocol";
const TRUSTED: &str = "amqp.proxy_protocol_trusted_sources";

/// Smaller files of the log cost more than they give back.
const SEGMENT_SIZE_MIN: u64 = 1 << 20;

pub(super) fn set(settings: &mut Settings, entry: Entry<'_>) -> Result<(), Error> {
    let socket = &mut settings.socket;
    match entry.key {
        "main.consumer_timeout" => settings.consumer_timeout_ms = Some(entry.u64()?),
        "main.free_disk_min" => settings.disk_free_min = Some(entry.u64()?),
        "main.free_disk_warn" => settings.disk_free_warn = Some(entry.u64()?),
        "main.segment_size" => {
            let expected = "a number of bytes of at least 1048576";
            settings.segment_size = Some(entry.at_least(SEGMENT_SIZE_MIN, expected)?);
        }
        "main.tcp_nodelay" => socket.nodelay = Some(entry.switch()?),
        "main.tcp_keepalive" => socket.keepalive = Some(entry.keepalive()?),
        "main.tcp_recv_buffer_size" => socket.receive_buffer_bytes = Some(entry.buffer_bytes()?),
        "main.tcp_send_buffer_size" => socket.send_buffer_bytes = Some(entry.buffer_bytes()?),
        "amqp.heartbeat" => settings.heartbeat_s = Some(entry.u16()?),
        "amqp.channel_max" => {
            let channels = Some(entry.u16()?).filter(|channels| *channels > 0);
            // LavinMQ's 0 is no limit, and no number of a channel is larger.
            settings.channels_max = Some(channels.unwrap_or(u16::MAX));
        }
        "amqp.max_message_size" => {
            let expected = "a number of bytes of at least 1";
            settings.message_size_max = Some(entry.at_least(1, expected)?);
        }
        "amqp.max_consumers_per_channel" => {
            settings.consumers_per_channel_max = Some(entry.u64()?);
        }
        PROXY => drop(entry.switch()?),
        TRUSTED => drop(sources(entry)?),
        unknown => return Err(Error::Unknown(unknown.to_owned())),
    }
    Ok(())
}

/// Whose PROXY headers are believed. Without a list everybody's are, as LavinMQ has it.
pub(super) fn proxy(entries: &BTreeMap<String, String>) -> Result<Option<TrustedSources>, Error> {
    let entry = |key| {
        let value = entries.get(key)?;
        Some(Entry { key, value })
    };
    if !entry(PROXY).map_or(Ok(false), Entry::switch)? {
        return Ok(None);
    }
    Ok(Some(
        entry(TRUSTED).map_or_else(|| Ok(TrustedSources::default()), sources)?,
    ))
}

fn sources(entry: Entry<'_>) -> Result<TrustedSources, Error> {
    let expected = "a list of addresses and networks";
    entry.value.parse().map_err(|_| entry.refused(expected))
}

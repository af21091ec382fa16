//! Reading one value: numbers in their range, truths, durations.

use std::time::Duration;

use super::{Error, Keepalive};

/// A setting as it was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a str,
}

impl Entry<'_> {
    pub(super) fn refused(self, expected: &'static str) -> Error {
        Error::Value {
            key: self.key.to_owned(),
            value: self.value.to_owned(),
            expected,
        }
    }

    pub(super) fn u16(self) -> Result<u16, Error> {
        let expected = "a whole number from 0 to 65535";
        self.value.parse().map_err(|_| self.refused(expected))
    }

    pub(super) fn u64(self) -> Result<u64, Error> {
        let expected = "a whole number";
        self.value.parse().map_err(|_| self.refused(expected))
    }

    /// A number of at least `least`.
    pub(super) fn at_least(self, least: u64, expected: &'static str) -> Result<u64, Error> {
        let value = self.u64().ok().filter(|value| *value >= least);
        value.ok_or_else(|| self.refused(expected))
    }

    /// RabbitMQ's truths.
    pub(super) fn boolean(self) -> Result<bool, Error> {
        match self.value {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.refused("true or false")),
        }
    }

    /// LavinMQ's truths; 1 and 2 were versions of the PROXY protocol.
    pub(super) fn switch(self) -> Result<bool, Error> {
        match self.value.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "1" | "2" => Ok(true),
            "false" | "no" | "off" | "n" | "0" => Ok(false),
            _ => Err(self.refused("true, false, yes or no")),
        }
    }

    /// Bytes of a socket's buffer, as much as a system takes.
    pub(super) fn buffer_bytes(self) -> Result<usize, Error> {
        let expected = "a number of bytes from 1024 to 1073741824";
        let bytes = self.value.parse().ok();
        let bytes = bytes.filter(|bytes| (1024..=1 << 30).contains(bytes));
        bytes.ok_or_else(|| self.refused(expected))
    }

    /// `idle:interval:probes`, the times in seconds, or `false`.
    pub(super) fn keepalive(self) -> Result<Keepalive, Error> {
        if matches!(self.value, "false" | "no" | "off") {
            return Ok(Keepalive::Off);
        }
        // The kernel's own bounds.
        let number = |text: &str, most: u32| {
            let number = text.trim().parse::<u32>().ok();
            number.filter(|number| (1..=most).contains(number))
        };
        let parts: Vec<&str> = self.value.split(':').collect();
        let read = match parts.as_slice() {
            [idle, interval, probes] => number(idle, 32_767)
                .zip(number(interval, 32_767))
                .zip(number(probes, 127)),
            _ => None,
        };
        let ((idle_s, interval_s), probes) =
            read.ok_or_else(|| self.refused("idle:interval:probes, the times in seconds"))?;
        Ok(Keepalive::On {
            idle: Duration::from_secs(idle_s.into()),
            interval: Duration::from_secs(interval_s.into()),
            probes,
        })
    }
}

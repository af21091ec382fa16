//! Counters as the API shows them: how far they are, how fast they grow, and on request samples of the last ten
//! minutes.
//!
//! `msg_rates_age` and `msg_rates_incr` (and `lengths_…`, `data_rates_…`) ask for samples that reach back so many
//! seconds, so many seconds apart.

use serde_json::{Map, Value, json};

use super::error::Error;
use super::listing::Parameters;
use crate::broker::{
    History, OfChannel, OfConnection, OfExchange, OfNode, OfQueue, PERIODS, Series,
};

/// Counters of which the sum is told too, as `deliver_get`.
const DELIVERIES: [&str; 4] = ["get", "get_no_ack", "deliver", "deliver_no_ack"];

/// Samples that are asked for.
#[derive(Debug, Clone, Copy)]
struct Window {
    /// Samples in all, the newest included.
    count: usize,
    /// From one to the next, in periods.
    step: usize,
}

/// Which samples are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Windows {
    lengths: Option<Window>,
    messages: Option<Window>,
    data: Option<Window>,
}

impl Windows {
    pub(super) fn of(parameters: &Parameters) -> Result<Self, Error> {
        let window = |name: &str| -> Result<Option<Window>, Error> {
            let number = |end: &str| parameters.number(&format!("{name}_{end}"));
            let (Some(age_s), Some(step_s)) = (number("age")?, number("incr")?) else {
                return Ok(None);
            };
            let (period_ms, periods) = PERIODS;
            let (period_s, periods) = ((period_ms / 1000) as usize, periods as usize);
            let step = step_s.div_ceil(period_s).clamp(1, periods - 1);
            let age = (age_s / period_s).min(periods - 1);
            let count = age / step + 1;
            Ok(Some(Window { count, step }))
        };
        Ok(Self {
            lengths: window("lengths")?,
            messages: window("msg_rates")?,
            data: window("data_rates")?,
        })
    }

    /// How many periods these samples, and a rate, are made of.
    pub(super) fn periods(&self) -> u32 {
        let windows = [self.lengths, self.messages, self.data];
        let periods = windows
            .iter()
            .flatten()
            // The newest sample may be up to a step old.
            .map(|window| window.count * window.step + 1)
            .max()
            .unwrap_or(2);
        u32::try_from(periods)
            .unwrap_or(PERIODS.1)
            .clamp(2, PERIODS.1)
    }

    /// `message_stats` of a channel, a virtual host or the node.
    pub(super) fn of_channel(&self, history: &History) -> Value {
        self.messages(OfChannel::NAMES, history)
    }

    /// `message_stats` of a queue.
    pub(super) fn of_queue(&self, history: &History) -> Value {
        let counters = usize::from(OfQueue::Ready);
        self.messages(&OfQueue::NAMES[..counters], history)
    }

    /// `message_stats` of an exchange.
    pub(super) fn of_exchange(&self, history: &History) -> Value {
        self.messages(OfExchange::NAMES, history)
    }

    /// `churn_rates` of the node.
    pub(super) fn of_node(&self, history: &History) -> Value {
        Value::Object(members(OfNode::NAMES, history, self.messages))
    }

    /// Adds how long queues are.
    pub(super) fn add_lengths(&self, to: &mut Value, history: &History) {
        let lengths = usize::from(OfQueue::Ready)..;
        let History { last_ms, series } = history;
        let history = History {
            last_ms: *last_ms,
            series: series.get(lengths.clone()).unwrap_or_default().to_vec(),
        };
        let mut lengths = members(&OfQueue::NAMES[lengths], &history, self.lengths);
        let all = Series::sum(&history.series);
        add(&mut lengths, "messages", &all, (*last_ms, self.lengths));
        extend(to, lengths);
    }

    /// Adds how many bytes came and went.
    pub(super) fn add_traffic(&self, to: &mut Value, history: &History) {
        extend(to, members(OfConnection::NAMES, history, self.data));
    }

    fn messages(&self, names: &[&str], history: &History) -> Value {
        let mut shown = members(names, history, self.messages);
        let deliveries = names.iter().zip(&history.series);
        let deliveries = deliveries.filter(|(name, _)| DELIVERIES.contains(name));
        let mut deliveries = deliveries.map(|(_, series)| series).peekable();
        if deliveries.peek().is_some() {
            let sum = Series::sum(deliveries);
            add(
                &mut shown,
                "deliver_get",
                &sum,
                (history.last_ms, self.messages),
            );
        }
        Value::Object(shown)
    }
}

fn extend(to: &mut Value, with: Map<String, Value>) {
    if let Some(members) = to.as_object_mut() {
        members.extend(with);
    }
}

fn members(names: &[&str], history: &History, window: Option<Window>) -> Map<String, Value> {
    let mut members = Map::new();
    for (name, series) in names.iter().zip(&history.series) {
        add(&mut members, name, series, (history.last_ms, window));
    }
    members
}

fn add(
    members: &mut Map<String, Value>,
    name: &str,
    series: &Series,
    (last_ms, window): (u64, Option<Window>),
) {
    members.insert(name.to_owned(), json!(series.now));
    let details = match window {
        None => json!({"rate": rate(series.ended.iter().rev().take(2).copied(), 1)}),
        Some(window) => samples(&series.ended, last_ms, window),
    };
    members.insert(format!("{name}_details"), details);
}

/// Growth per second from the oldest to the newest value, which are periods apart and the newest first.
#[expect(
    clippy::cast_precision_loss,
    reason = "a rate is told to a fraction of one, whatever its size"
)]
fn rate(newest_first: impl Iterator<Item = u64>, step: usize) -> f64 {
    let values: Vec<u64> = newest_first.collect();
    let (Some(newest), Some(oldest)) = (values.first(), values.last()) else {
        return 0.0;
    };
    let steps = (values.len() - 1).max(1) * step;
    let seconds = PERIODS.0 as f64 / 1000.0 * steps as f64;
    // Lengths shrink as well.
    newest.wrapping_sub(*oldest).cast_signed() as f64 / seconds
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an average is told to a fraction of one, whatever its size"
)]
fn samples(ended: &[u64], last_ms: u64, Window { count, step }: Window) -> Value {
    let (period_ms, _) = PERIODS;
    let step_ms = period_ms * step as u64;
    // Samples are taken at multiples of the step, so that asking again shows the same ones.
    let skipped = (last_ms % step_ms / period_ms) as usize;
    let values: Vec<u64> = ended
        .iter()
        .rev()
        .skip(skipped)
        .step_by(step)
        .take(count)
        .copied()
        .collect();
    let newest_ms = last_ms - last_ms % step_ms;
    let samples = values.iter().zip(0..).map(|(value, number)| {
        json!({"sample": value, "timestamp": newest_ms.saturating_sub(number * step_ms)})
    });
    let samples: Vec<Value> = samples.collect();
    let sum: f64 = values.iter().map(|value| *value as f64).sum();
    json!({
        "rate": rate(values.iter().take(2).copied(), step),
        "avg_rate": rate(values.iter().copied(), step),
        "avg": sum / values.len().max(1) as f64,
        "samples": samples,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST_MS: u64 = 1_795_251_875_000;

    fn history(ended: &[u64]) -> History {
        let series = Series {
            now: 40_000,
            ended: ended.to_vec(),
        };
        History {
            last_ms: LAST_MS,
            series: vec![series],
        }
    }

    fn windows(query: &[(&str, &str)]) -> Windows {
        Windows::of(&Parameters::from_pairs(query)).unwrap()
    }

    #[test]
    fn without_samples_the_rate_is_that_of_the_last_period() {
        let shown = windows(&[]).messages(&["publish"], &history(&[0, 7274, 13344, 25650, 39561]));
        assert_eq!(shown["publish"], 40_000);
        assert_eq!(shown["publish_details"], json!({"rate": 2782.2}));
    }

    #[test]
    fn samples_are_as_rabbitmq_shows_them() {
        let windows = windows(&[("msg_rates_age", "20"), ("msg_rates_incr", "5")]);
        assert_eq!(windows.periods(), 6);
        let shown = windows.messages(&["publish"], &history(&[0, 0, 7274, 13344, 25650, 39561]));
        let details = &shown["publish_details"];
        assert_eq!(details["rate"], 2782.2);
        assert_eq!(details["avg_rate"], 1978.05);
        assert_eq!(details["avg"], 17165.8);
        assert_eq!(details["samples"].as_array().unwrap().len(), 5);
        assert_eq!(
            details["samples"][1],
            json!({"sample": 25650, "timestamp": LAST_MS - 5000})
        );
        assert!(details["samples"][4]["sample"] == 0);
    }

    #[test]
    fn samples_further_apart_lie_at_multiples_of_their_distance() {
        let windows = windows(&[("msg_rates_age", "20"), ("msg_rates_incr", "10")]);
        let shown = windows.messages(
            &["publish"],
            &history(&[0, 0, 0, 7274, 13344, 25650, 39561]),
        );
        let details = &shown["publish_details"];
        assert_eq!(details["samples"][0]["timestamp"], LAST_MS - 5000);
        assert_eq!(details["rate"], 1837.6);
        assert_eq!(details["samples"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn lengths_may_shrink_and_nothing_reaches_back_further_than_what_is_known() {
        let shown = windows(&[]).messages(&["messages"], &history(&[10, 5]));
        assert_eq!(shown["messages_details"]["rate"], -1.0);
        let windows = windows(&[("lengths_age", "86400"), ("lengths_incr", "1")]);
        assert_eq!(windows.periods(), PERIODS.1);
    }
}

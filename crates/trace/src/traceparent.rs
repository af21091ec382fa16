//! The header `traceparent`: W3C Trace Context, section 3.2.

use std::fmt;
use std::str::FromStr;

/// One span of a trace, as it is named to other processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

/// No version 00 header with ids that are not all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidTraceParent;

impl TraceParent {
    /// `None` for ids that are all zero, which name nothing.
    pub fn new(trace_id: [u8; 16], span_id: [u8; 8], flags: u8) -> Option<Self> {
        let (trace_id, span_id) = (u128::from_be_bytes(trace_id), u64::from_be_bytes(span_id));
        (trace_id != 0 && span_id != 0).then_some(Self {
            trace_id,
            span_id,
            flags,
        })
    }

    fn read(text: &str) -> Option<Self> {
        let mut fields = text.split('-');
        let mut field = |digits: usize| {
            let field = fields.next().filter(|field| field.len() == digits)?;
            let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            field.bytes().all(is_digit).then_some(field)
        };
        let version = field(2)?;
        let trace_id = u128::from_str_radix(field(32)?, 16).ok()?;
        let span_id = u64::from_str_radix(field(16)?, 16).ok()?;
        let flags = u8::from_str_radix(field(2)?, 16).ok()?;
        let is_whole = version != "00" || fields.next().is_none();
        let parent = Self::new(trace_id.to_be_bytes(), span_id.to_be_bytes(), flags)?;
        (version != "ff" && is_whole).then_some(parent)
    }

    pub fn trace_id(self) -> [u8; 16] {
        self.trace_id.to_be_bytes()
    }

    pub fn span_id(self) -> [u8; 8] {
        self.span_id.to_be_bytes()
    }

    pub fn flags(self) -> u8 {
        self.flags
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id, self.span_id, self.flags
        )
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    /// Of a later version, what follows the flags is passed over, as section 4.3 has it.
    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        Self::read(text).ok_or(InvalidTraceParent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_reads_back_as_it_is_written() {
        let parent: TraceParent = EXAMPLE.parse().unwrap();
        assert_eq!(parent.to_string(), EXAMPLE);
        assert_eq!(parent.flags(), 1);
        assert_eq!(parent.span_id()[7], 0xb7);
        let later = format!("cc{}-what-comes", &EXAMPLE[2..]);
        assert_eq!(later.parse(), Ok(parent));
    }

    #[test]
    fn what_names_no_span_is_refused() {
        let zero_trace = format!("00-{:032}-00f067aa0ba902b7-01", 0);
        let zero_span = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{:016}-01", 0);
        for text in [
            "",
            "00",
            &zero_trace,
            &zero_span,
            &EXAMPLE.replace('f', "F"),
            &EXAMPLE.replace("00-4", "ff-4"),
            &EXAMPLE[..54],
            &format!("{EXAMPLE}-more"),
            &EXAMPLE.replace('-', "_"),
            &EXAMPLE.replace('3', "+"),
            &EXAMPLE.replace('3', "é"),
        ] {
            assert_eq!(
                text.parse::<TraceParent>(),
                Err(InvalidTraceParent),
                "{text}"
            );
        }
    }
}

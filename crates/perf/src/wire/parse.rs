//! Bytes to frames, and the arguments of the few methods a load generator meets.

use super::{FRAME_END, MethodId};
use crate::Error;

/// Larger frames than any broker negotiates: the stream is out of step.
const FRAME_SIZE_MAX: usize = 16 << 20;

/// One frame, borrowed from the bytes it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u8,
    pub(crate) payload: &'a [u8],
}

/// The first frame of `bytes` and its length, or `None` until all of it is there.
#[inline]
pub(crate) fn next_frame(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Error> {
    let Some(head) = bytes.first_chunk::<7>() else {
        return Ok(None);
    };
    let [kind, _, _, a, b, c, d] = *head;
    let size = u32::from_be_bytes([a, b, c, d]) as usize;
    if size > FRAME_SIZE_MAX {
        return Err(Error::protocol(format!("a frame of {size} bytes")));
    }
    let Some(end) = bytes.get(7 + size) else {
        return Ok(None);
    };
    if *end != FRAME_END {
        return Err(Error::protocol("a frame without its end"));
    }
    let payload = &bytes[7..7 + size];
    Ok(Some((Frame { kind, payload }, size + 8)))
}

impl<'a> Frame<'a> {
    /// Of a method frame.
    #[inline]
    pub(crate) fn method_id(&self) -> Result<MethodId, Error> {
        match self.payload {
            [a, b, c, d, ..] => Ok((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]))),
            _ => Err(Error::protocol("a method frame without a method")),
        }
    }

    /// The arguments of a method frame.
    #[inline]
    pub(crate) fn arguments(&self) -> Arguments<'a> {
        Arguments(self.payload.get(4..).unwrap_or_default())
    }

    /// Of a content header frame.
    #[inline]
    pub(crate) fn body_size(&self) -> Result<usize, Error> {
        let size = self.payload.get(4..12).and_then(<[u8]>::first_chunk::<8>);
        let size = size.ok_or_else(|| Error::protocol("a content header that is too short"))?;
        usize::try_from(u64::from_be_bytes(*size))
            .map_err(|_| Error::protocol("a body beyond all memory"))
    }
}

/// Method arguments, read from the front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arguments<'a>(&'a [u8]);

impl<'a> Arguments<'a> {
    #[inline]
    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self
            .0
            .split_at_checked(len)
            .ok_or_else(|| Error::protocol("method arguments that are too short"))?;
        self.0 = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or_else(|| Error::protocol("method arguments that are too short"))?;
        self.0 = rest;
        Ok(*taken)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Error> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn short(&mut self) -> Result<&'a [u8], Error> {
        let len = self.u8()?;
        self.take(usize::from(len))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BASIC_ACK, Put, method};
    use super::*;

    #[test]
    fn a_frame_that_is_cut_anywhere_is_waited_for() {
        let mut bytes = Vec::new();
        method(&mut bytes, 1, BASIC_ACK, |arguments| arguments.put_u64(9));
        for len in 0..bytes.len() {
            assert!(next_frame(&bytes[..len]).unwrap().is_none(), "{len} bytes");
        }
        let (frame, used) = next_frame(&bytes).unwrap().unwrap();
        assert_eq!(used, bytes.len());
        assert_eq!(frame.method_id().unwrap(), BASIC_ACK);
        assert_eq!(frame.arguments().u64().unwrap(), 9);
    }

    #[test]
    fn a_stream_out_of_step_is_an_error() {
        assert!(next_frame(b"\x01\0\x01\xff\xff\xff\xff").is_err());
        assert!(next_frame(b"\x01\0\x01\0\0\0\x01a\0").is_err());
        assert!(Arguments(b"\x04abc").short().is_err());
    }
}

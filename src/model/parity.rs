//! How closely Amazon MQ's restrictions are followed where they protect nobody.

/// Restrictions that only irritate are dropped by default; an installation can have them back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Parity {
    /// Every refusal of Amazon MQ, word for word.
    Strict,
    /// What the engine can do is allowed.
    #[default]
    Extended,
}

impl Parity {
    pub const ALL: [Self; 2] = [Self::Strict, Self::Extended];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Extended => "extended",
        }
    }

    pub fn is_strict(self) -> bool {
        self == Self::Strict
    }
}

impl std::str::FromStr for Parity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|parity| parity.name() == text)
            .ok_or_else(|| format!("{text:?} is none of strict, extended"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_the_default_is_extended() {
        for parity in Parity::ALL {
            assert_eq!(parity.name().parse(), Ok(parity));
        }
        assert!("lenient".parse::<Parity>().is_err());
        assert!(!Parity::default().is_strict());
    }
}

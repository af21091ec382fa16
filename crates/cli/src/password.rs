//! Where a broker user's password comes from.

use std::io::BufRead;

use crate::error::Error;

/// 24 characters of 57: about 140 bits.
const GENERATED_CHARS: usize = 24;
/// Without what people confuse (0 O, 1 l I).
const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";

/// `Debug` leaves the password out.
#[derive(Clone, clap::Args)]
pub(crate) struct PasswordArgs {
    /// Password of that user; other users of this machine can see it in the list of processes.
    /// Generated and printed once if none is given in any way
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "WARREN_BROKER_PASSWORD",
        hide_env_values = true
    )]
    password: Option<String>,
    /// Read the password from the first line of the standard input
    #[arg(long, conflicts_with = "password")]
    password_stdin: bool,
}

impl std::fmt::Debug for PasswordArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordArgs").finish_non_exhaustive()
    }
}

pub(crate) enum Password {
    Given(String),
    Generated(String),
}

impl PasswordArgs {
    pub(crate) fn password(&self) -> Result<Password, Error> {
        match self.given()? {
            Some(password) => Ok(Password::Given(password)),
            None => Ok(Password::Generated(generate()?)),
        }
    }

    pub(crate) fn given(&self) -> Result<Option<String>, Error> {
        if self.password_stdin {
            return first_line(std::io::stdin().lock()).map(Some);
        }
        Ok(self
            .password
            .clone()
            .filter(|password| !password.is_empty()))
    }
}

fn first_line(mut input: impl BufRead) -> Result<String, Error> {
    let mut line = String::new();
    input.read_line(&mut line).map_err(Error::Input)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        Err(Error::NoPassword)
    } else {
        Ok(password.to_owned())
    }
}

fn generate() -> Result<String, Error> {
    let mut password = String::with_capacity(GENERATED_CHARS);
    // The largest multiple of the alphabet's size that fits a byte: above it, some characters
    // would be likelier than others.
    let fair = 256 / ALPHABET.len() * ALPHABET.len();
    while password.len() < GENERATED_CHARS {
        let mut byte = [0u8];
        aws_lc_rs::rand::fill(&mut byte).map_err(|_| Error::Random)?;
        let at = usize::from(byte[0]);
        if at < fair {
            password.push(char::from(ALPHABET[at % ALPHABET.len()]));
        }
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_passwords_differ_and_satisfy_the_api() {
        let (one, two) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.len(), GENERATED_CHARS);
        assert!(one.bytes().all(|b| b.is_ascii_alphanumeric()));
    }

    #[test]
    fn the_first_line_is_the_password() {
        assert_eq!(first_line(&b"pa ss\r\nrest"[..]).unwrap(), "pa ss");
        assert!(matches!(first_line(&b"\n"[..]), Err(Error::NoPassword)));
    }
}

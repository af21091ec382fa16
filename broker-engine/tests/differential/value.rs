//! Field values in scripts and on the wire.
//!
//! Owns the literals: `1000` is an `I`, or an `l` when it does not fit; `true`, `void`, `"text"` or a bare word,
//! `[a, b]`, `{key: value}`; every other type by its tag, such as `b(5)`, `d(1.5)`, `D(2, 314)`, `x("\x00")`.

use std::fmt::Write as _;

/// Reads what was received; `None` where it ends early.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn octet(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    /// A number of so many bytes.
    pub(crate) fn number(&mut self, width: usize) -> Option<u64> {
        let taken = self.take(width)?;
        Some(
            taken
                .iter()
                .fold(0, |number, byte| number << 8 | u64::from(*byte)),
        )
    }

    pub(crate) fn short_text(&mut self) -> Option<&'a [u8]> {
        let length = self.octet()?;
        self.take(usize::from(length))
    }

    pub(crate) fn long_text(&mut self) -> Option<&'a [u8]> {
        let length = self.number(4)?;
        self.take(usize::try_from(length).ok()?)
    }
}

pub(crate) fn put_long(buffer: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("scripts are small");
    buffer.extend(length.to_be_bytes());
    buffer.extend(bytes);
}

pub(crate) fn quoted(text: &[u8]) -> String {
    match std::str::from_utf8(text) {
        Ok(text) => format!("{text:?}"),
        Err(_) => format!("\"{}\"", text.escape_ascii()),
    }
}

/// A table's content in words.
pub(crate) fn show_table(content: &[u8]) -> Option<String> {
    let mut bytes = Bytes(content);
    let mut text = String::from("{");
    while !bytes.0.is_empty() {
        let separator = if text.len() > 1 { ", " } else { "" };
        let name = bytes.short_text()?.escape_ascii().to_string();
        write!(text, "{separator}{name}: {}", show(&mut bytes)?).ok()?;
    }
    Some(text + "}")
}

/// A value in words: the literal that makes it.
fn show(bytes: &mut Bytes<'_>) -> Option<String> {
    let tag = char::from(bytes.octet()?);
    let signed = |bytes: &mut Bytes<'_>, width: usize| {
        let shift = 64 - 8 * width;
        bytes
            .number(width)
            .map(|number| (number << shift).cast_signed() >> shift)
    };
    Some(match tag {
        't' => (bytes.octet()? != 0).to_string(),
        'V' => "void".to_owned(),
        'I' => signed(bytes, 4)?.to_string(),
        'b' => format!("b({})", signed(bytes, 1)?),
        'B' => format!("B({})", bytes.number(1)?),
        's' => format!("s({})", signed(bytes, 2)?),
        'u' => format!("u({})", bytes.number(2)?),
        'i' => format!("i({})", bytes.number(4)?),
        'l' | 'L' => format!("{tag}({})", signed(bytes, 8)?),
        'T' => format!("T({})", bytes.number(8)?),
        'f' => {
            let bits = u32::try_from(bytes.number(4)?).ok()?;
            format!("f({:?})", f32::from_bits(bits))
        }
        'd' => format!("d({:?})", f64::from_bits(bytes.number(8)?)),
        'D' => format!("D({}, {})", bytes.number(1)?, bytes.number(4)?),
        'S' => quoted(bytes.long_text()?),
        'x' => format!("x({})", quoted(bytes.long_text()?)),
        'F' => show_table(bytes.long_text()?)?,
        'A' => {
            let mut items = Bytes(bytes.long_text()?);
            let mut shown = Vec::new();
            while !items.0.is_empty() {
                shown.push(show(&mut items)?);
            }
            format!("[{}]", shown.join(", "))
        }
        _ => return None,
    })
}

/// Reads a line of a script.
pub(crate) struct Cursor<'a> {
    rest: &'a str,
}

/// What a line is made of.
#[derive(Debug)]
pub(crate) enum Word {
    Plain(Vec<u8>),
    Pair(String, Vec<u8>),
    /// The content of a table, without its length.
    Table(Vec<u8>),
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(line: &'a str) -> Self {
        Self { rest: line }
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, character: char) -> bool {
        self.skip_spaces();
        match self.rest.strip_prefix(character) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, character: char) -> Result<(), String> {
        if self.eat(character) {
            Ok(())
        } else {
            Err(format!("expected '{character}' before '{}'", self.rest))
        }
    }

    /// The next word; `None` at the end or before a comment.
    pub(crate) fn word(&mut self) -> Result<Option<Word>, String> {
        self.skip_spaces();
        if self.rest.is_empty() || self.rest.starts_with("# ") {
            return Ok(None);
        }
        if self.rest.starts_with('{') {
            return self.table().map(Word::Table).map(Some);
        }
        if self.rest.starts_with('"') {
            return self.text().map(Word::Plain).map(Some);
        }
        let end = self
            .rest
            .find(|character: char| character.is_whitespace() || character == '=')
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let Some(value) = rest.strip_prefix('=') else {
            self.rest = rest;
            return Ok(Some(Word::Plain(word.into())));
        };
        self.rest = value;
        let value = if value.starts_with('"') {
            self.text()?
        } else {
            let end = value.find(char::is_whitespace).unwrap_or(value.len());
            self.rest = &value[end..];
            value[..end].into()
        };
        Ok(Some(Word::Pair(word.to_owned(), value)))
    }

    /// A quoted text, with `\xHH`, `\n`, `\"` and `\\`; `"a"*3` is `"aaa"`.
    fn text(&mut self) -> Result<Vec<u8>, String> {
        self.expect('"')?;
        let mut text = Vec::new();
        let mut characters = self.rest.chars();
        loop {
            match characters.next().ok_or("a text has no end")? {
                '"' => break,
                '\\' => match characters.next() {
                    Some('n') => text.push(b'\n'),
                    Some('x') => {
                        let digits: String = characters.by_ref().take(2).collect();
                        let byte = u8::from_str_radix(&digits, 16);
                        text.push(byte.map_err(|error| error.to_string())?);
                    }
                    Some(other) => text.extend(other.to_string().bytes()),
                    None => return Err("a text has no end".to_owned()),
                },
                other => text.extend(other.to_string().bytes()),
            }
        }
        self.rest = characters.as_str();
        if let Some(rest) = self.rest.strip_prefix('*') {
            let end = rest
                .find(|character: char| !character.is_ascii_digit())
                .unwrap_or(rest.len());
            let count = rest[..end].parse().map_err(|_| "expected a count")?;
            self.rest = &rest[end..];
            text = text.repeat(count);
        }
        Ok(text)
    }

    /// A table's content.
    fn table(&mut self) -> Result<Vec<u8>, String> {
        self.expect('{')?;
        let mut content = Vec::new();
        while !self.eat('}') {
            let name = if self.rest.starts_with('"') {
                self.text()?
            } else {
                self.bare(":,{}").into()
            };
            self.expect(':')?;
            content.push(u8::try_from(name.len()).map_err(|_| "a name is too long")?);
            content.extend(name);
            self.value(&mut content)?;
            if !self.eat(',') {
                self.expect('}')?;
                break;
            }
        }
        Ok(content)
    }

    fn bare(&mut self, ends: &str) -> &'a str {
        self.skip_spaces();
        let end = self
            .rest
            .find(|character: char| character.is_whitespace() || ends.contains(character))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// Appends tag and bytes.
    fn value(&mut self, buffer: &mut Vec<u8>) -> Result<(), String> {
        self.skip_spaces();
        if self.rest.starts_with('{') {
            buffer.push(b'F');
            put_long(buffer, &self.table()?);
            return Ok(());
        }
        if self.rest.starts_with('"') {
            buffer.push(b'S');
            put_long(buffer, &self.text()?);
            return Ok(());
        }
        if self.eat('[') {
            let mut items = Vec::new();
            while !self.eat(']') {
                self.value(&mut items)?;
                if !self.eat(',') {
                    self.expect(']')?;
                    break;
                }
            }
            buffer.push(b'A');
            put_long(buffer, &items);
            return Ok(());
        }
        let word = self.bare(",{}[]()");
        if self.rest.starts_with('(') {
            return self.tagged(word, buffer);
        }
        match word {
            "true" => buffer.extend(b"t\x01"),
            "false" => buffer.extend(b"t\x00"),
            "void" => buffer.push(b'V'),
            _ => match (word.parse::<i32>(), word.parse::<i64>()) {
                (Ok(number), _) => {
                    buffer.push(b'I');
                    buffer.extend(number.to_be_bytes());
                }
                (_, Ok(number)) => {
                    buffer.push(b'l');
                    buffer.extend(number.to_be_bytes());
                }
                _ => {
                    buffer.push(b'S');
                    put_long(buffer, word.as_bytes());
                }
            },
        }
        Ok(())
    }

    fn tagged(&mut self, tag: &str, buffer: &mut Vec<u8>) -> Result<(), String> {
        self.expect('(')?;
        buffer.extend(tag.bytes());
        if matches!(tag, "S" | "x") {
            put_long(buffer, &self.text()?);
            return self.expect(')');
        }
        let word = self.bare(",)");
        let wrong = || format!("'{word}' does not fit '{tag}'");
        let integer = || word.parse::<i64>().map_err(|_| wrong());
        match tag {
            "b" | "B" => buffer.extend(&integer()?.to_be_bytes()[7..]),
            "s" | "u" => buffer.extend(&integer()?.to_be_bytes()[6..]),
            "I" | "i" => buffer.extend(&integer()?.to_be_bytes()[4..]),
            "l" | "L" | "T" => buffer.extend(integer()?.to_be_bytes()),
            "f" => buffer.extend(word.parse::<f32>().map_err(|_| wrong())?.to_be_bytes()),
            "d" => buffer.extend(word.parse::<f64>().map_err(|_| wrong())?.to_be_bytes()),
            "D" => {
                buffer.push(integer()?.to_be_bytes()[7]);
                self.expect(',')?;
                let value = self.bare(")").parse::<u32>().map_err(|_| wrong())?;
                buffer.extend(value.to_be_bytes());
            }
            _ => return Err(format!("there is no type '{tag}'")),
        }
        self.expect(')')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_literal_is_shown_as_it_was_written() {
        let table = r#"{a: 1, b: l(5000000000), c: b(-1), d: B(255), e: s(-2), f: u(3), g: i(4), h: L(5), i: T(6), j: f(1.5), k: d(-0.25), l: D(2, 314), m: "text", n: x("\0"), o: true, p: void, q: [1, "x"], r: {s: {}}}"#;
        let Ok(Some(Word::Table(content))) = Cursor::new(&table.replace(r"\0", r"\x00")).word()
        else {
            panic!("no table");
        };
        assert_eq!(show_table(&content).unwrap(), table);
    }

    #[test]
    fn words_pairs_and_comments_are_told_apart() {
        let mut cursor = Cursor::new(r#"a b=c d="e f" "g"*2 #h # i"#);
        let mut words = Vec::new();
        while let Some(word) = cursor.word().unwrap() {
            words.push(format!("{word:?}"));
        }
        let expected = [
            format!("{:?}", Word::Plain(b"a".into())),
            format!("{:?}", Word::Pair("b".into(), b"c".into())),
            format!("{:?}", Word::Pair("d".into(), b"e f".into())),
            format!("{:?}", Word::Plain(b"gg".into())),
            format!("{:?}", Word::Plain(b"#h".into())),
        ];
        assert_eq!(words, expected);
    }
}

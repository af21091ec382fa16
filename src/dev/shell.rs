//! Text as words of a POSIX shell.

/// One word, ready to paste.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%".contains(c);
    if text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_spaces_and_quotes_is_one_word() {
        assert_eq!(word("/a/b-1.c"), "/a/b-1.c");
        assert_eq!(word("/my dir/it's"), r"'/my dir/it'\''s'");
    }
}

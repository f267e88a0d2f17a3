//! Python's tokens, as far as a module of settings needs them.

/// A token, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Counted from 1.
    pub(super) line: usize,
    /// Bytes of the source.
    pub(super) from: usize,
    pub(super) to: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Name(String),
    Text(String),
    /// A text whose value only running the program would show: `f"…{x}…"`, or bytes.
    Other,
    Int(i64),
    Float(f64),
    /// An operator or bracket.
    Op(&'static str),
}

/// A logical line: what stands between two ends of lines outside of brackets.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Line {
    /// Columns before its first token.
    pub(super) indent: usize,
    pub(super) tokens: Vec<Token>,
}

/// What is wrong with the text as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct SyntaxError {
    line: usize,
    what: &'static str,
}

/// Longest first, so that `**` is not two stars.
const OPERATORS: &[&str] = &[
    "**=", "//=", ">>=", "<<=", "...", "!=", "==", "<=", ">=", "->", "+=", "-=", "*=", "/=", "%=", "&=",
    "|=", "^=", "@=", ":=", "**", "//", "<<", ">>", "(", ")", "[", "]", "{", "}", ",", ":", ".", ";", "=",
    "+", "-", "*", "/", "%", "@", "&", "|", "^", "~", "<", ">", "!",
];

/// Cuts `source` into logical lines. Blank lines and comments are gone.
pub(super) fn lines(source: &str) -> Result<Vec<Line>, SyntaxError> {
    let mut reader = Reader { source, at: 0, line: 1, depth: 0 };
    let (mut lines, mut current) = (Vec::new(), Line::default());
    let mut line_start = 0;
    // The indent of the statement before, on the same line.
    let mut beside = None;
    while let Some(c) = reader.peek() {
        match c {
            '\n' => {
                reader.bump();
                if reader.depth == 0 && !current.tokens.is_empty() {
                    lines.push(std::mem::take(&mut current));
                }
                line_start = reader.at;
                beside = None;
            }
            '#' => reader.skip_while(|c| c != '\n'),
            '\\' => {
                reader.bump();
                if reader.peek() == Some('\r') {
                    reader.bump();
                }
                if reader.bump() != Some('\n') {
                    return Err(reader.error("a backslash that no end of line follows"));
                }
            }
            c if c.is_whitespace() || c == '\u{feff}' => {
                reader.bump();
            }
            _ => {
                let token = reader.token()?;
                if token.kind == Kind::Op(";") && reader.depth == 0 {
                    beside = Some(current.indent);
                    lines.push(std::mem::take(&mut current));
                    continue;
                }
                if current.tokens.is_empty() {
                    current.indent = beside.unwrap_or(token.from.saturating_sub(line_start));
                }
                current.tokens.push(token);
            }
        }
    }
    if reader.depth > 0 {
        return Err(reader.error("a bracket is not closed"));
    }
    lines.push(current);
    lines.retain(|line| !line.tokens.is_empty());
    Ok(lines)
}

struct Reader<'a> {
    source: &'a str,
    at: usize,
    line: usize,
    /// Brackets that are open.
    depth: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn skip_while(&mut self, more: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&more) {
            self.bump();
        }
    }

    fn error(&self, what: &'static str) -> SyntaxError {
        SyntaxError { line: self.line, what }
    }

    fn token(&mut self) -> Result<Token, SyntaxError> {
        let (from, line) = (self.at, self.line);
        let c = self.peek().unwrap_or(' ');
        let kind = if c.is_ascii_digit() || (c == '.' && self.second_is_digit()) {
            self.number()
        } else if c == '"' || c == '\'' {
            self.text("")?
        } else if c.is_alphabetic() || c == '_' {
            self.skip_while(|c| c.is_alphanumeric() || c == '_');
            let name = self.source.get(from..self.at).unwrap_or_default().to_owned();
            match self.peek() {
                Some('"' | '\'') if is_prefix(&name) => self.text(&name.to_ascii_lowercase())?,
                _ => Kind::Name(name),
            }
        } else {
            self.operator()?
        };
        Ok(Token { kind, line, from, to: self.at })
    }

    fn second_is_digit(&self) -> bool {
        self.rest().chars().nth(1).is_some_and(|c| c.is_ascii_digit())
    }

    fn operator(&mut self) -> Result<Kind, SyntaxError> {
        let found = OPERATORS.iter().find(|operator| self.rest().starts_with(**operator));
        let operator = found.ok_or_else(|| self.error("a character that Python does not know"))?;
        self.at += operator.len();
        match *operator {
            "(" | "[" | "{" => self.depth += 1,
            ")" | "]" | "}" => {
                self.depth =
                    self.depth.checked_sub(1).ok_or_else(|| self.error("a bracket that nothing opens"))?;
            }
            _ => {}
        }
        Ok(Kind::Op(operator))
    }

    fn number(&mut self) -> Kind {
        let from = self.at;
        while let Some(c) = self.peek() {
            let sign = matches!(c, '+' | '-')
                && self.source.get(from..self.at).is_some_and(|sofar| {
                    !sofar.starts_with("0x") && !sofar.starts_with("0X") && sofar.ends_with(['e', 'E'])
                });
            if !(c.is_alphanumeric() || c == '_' || c == '.' || sign) {
                break;
            }
            self.bump();
        }
        let digits: String =
            self.source.get(from..self.at).unwrap_or_default().chars().filter(|c| *c != '_').collect();
        let lower = digits.to_ascii_lowercase();
        let based = [("0x", 16), ("0o", 8), ("0b", 2)]
            .iter()
            .find_map(|(prefix, base)| Some(i64::from_str_radix(lower.strip_prefix(prefix)?, *base)));
        match based {
            Some(Ok(number)) => Kind::Int(number),
            Some(Err(_)) => Kind::Other,
            None => match (digits.parse(), digits.parse::<f64>()) {
                (Ok(number), _) => Kind::Int(number),
                (_, Ok(number)) if number.is_finite() => Kind::Float(number),
                _ => Kind::Other,
            },
        }
    }

    /// A literal in quotes, after its prefix.
    fn text(&mut self, prefix: &str) -> Result<Kind, SyntaxError> {
        let quote = self.bump().unwrap_or('"');
        let triple: String = [quote, quote].iter().collect();
        let is_triple = self.rest().starts_with(&triple);
        if is_triple {
            self.at += 2;
        }
        let raw = prefix.contains('r');
        let mut text = String::new();
        loop {
            let unclosed = self.error("a text is not closed");
            let c = self.bump().ok_or_else(|| unclosed.clone())?;
            if c == quote && !is_triple {
                break;
            }
            if c == quote && self.rest().starts_with(&triple) {
                self.at += 2;
                break;
            }
            match c {
                '\n' if !is_triple => return Err(unclosed),
                '\\' if raw => {
                    text.push(c);
                    text.extend(self.bump());
                }
                '\\' => self.escape(&mut text),
                c => text.push(c),
            }
        }
        // An f-string without a field is a text like any other.
        let computed = prefix.contains('b') || prefix.contains('f') && text.contains(['{', '}']);
        Ok(if computed { Kind::Other } else { Kind::Text(text) })
    }

    fn escape(&mut self, text: &mut String) {
        let Some(c) = self.bump() else { return };
        let code = match c {
            '\n' => return,
            'n' => Some('\n'),
            't' => Some('\t'),
            'r' => Some('\r'),
            '0' => Some('\0'),
            '\\' | '\'' | '"' => Some(c),
            'x' => self.hex(2),
            'u' => self.hex(4),
            'U' => self.hex(8),
            _ => None,
        };
        match code {
            Some(code) => text.push(code),
            // What Python does not know as an escape stays as it is written.
            None => text.extend(['\\', c]),
        }
    }

    fn hex(&mut self, digits: usize) -> Option<char> {
        let code = self.rest().get(..digits)?;
        let code = u32::from_str_radix(code, 16).ok()?;
        self.at += digits;
        char::from_u32(code)
    }
}

fn is_prefix(name: &str) -> bool {
    matches!(name.to_ascii_lowercase().as_str(), "r" | "u" | "b" | "f" | "rb" | "br" | "rf" | "fr")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds(source: &str) -> Vec<Vec<Kind>> {
        let lines = lines(source).unwrap();
        lines.into_iter().map(|line| line.tokens.into_iter().map(|token| token.kind).collect()).collect()
    }

    fn text(source: &str) -> Kind {
        kinds(source).remove(0).remove(0)
    }

    #[test]
    fn texts() {
        for (source, meant) in [
            (r#""a""#, "a"),
            (r#"'it\'s'"#, "it's"),
            (r#"r"\d\"""#, r#"\d\""#),
            (r#"u"ü""#, "ü"),
            (r#"f"plain""#, "plain"),
            (r#""\x41\u00fc\n\q""#, "Aü\n\\q"),
            ("\"\"\"two\nlines \"quoted\" \"\"\"", "two\nlines \"quoted\" "),
            ("'''a'''", "a"),
            ("''", ""),
            ("'a\\\nb'", "ab"),
        ] {
            assert_eq!(text(source), Kind::Text(meant.to_owned()), "{source}");
        }
        assert_eq!(text("f\"{a}\""), Kind::Other);
        assert_eq!(text("b'x'"), Kind::Other);
    }

    #[test]
    fn numbers() {
        assert_eq!(text("1_209_600"), Kind::Int(1_209_600));
        assert_eq!(text("0x1F"), Kind::Int(31));
        assert_eq!(text("0.7"), Kind::Float(0.7));
        assert_eq!(text("1e3"), Kind::Float(1000.0));
        assert_eq!(text("99999999999999999999"), Kind::Float(1e20));
        assert_eq!(text("1j"), Kind::Other);
    }

    #[test]
    fn lines_end_outside_of_brackets() {
        let all = lines("A = [  # first\n  1,\n]\nif B:\n    C = 1; D = 2\nE = \\\n  3\n").unwrap();
        let shape: Vec<_> =
            all.iter().map(|line| (line.indent, line.tokens.len(), line.tokens[0].line)).collect();
        assert_eq!(shape, [(0, 6, 1), (0, 3, 4), (4, 3, 5), (4, 3, 5), (0, 3, 6)]);
    }

    #[test]
    fn what_is_no_python_is_told_with_its_line() {
        for (source, line) in
            [("A = 'x\n", 1), ("\nA = (1,\n", 3), (")", 1), ("A = $", 1), ("a \\ b", 1), ("'''", 1)]
        {
            assert_eq!(lines(source).unwrap_err().line, line, "{source}");
        }
    }

    proptest! {
        #[test]
        fn whatever_it_is_it_is_no_panic(source in "\\PC*") {
            let _ = lines(&source);
        }

        #[test]
        fn nor_if_it_looks_like_python(source in "[a-z0-9 \n\"'#\\\\{}()\\[\\]:=+,.rbf-]*") {
            let _ = lines(&source);
        }
    }
}

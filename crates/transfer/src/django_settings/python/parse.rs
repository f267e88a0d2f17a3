//! From tokens to settings.

use super::token::{Kind, Line, Token};
use super::{Assignment, Env, Module, Value};

/// How deep brackets may be nested, and values that are made of others. Settings have some six levels.
const DEEPEST: usize = 60;
/// The most values that another setting may be made of: each line could double them.
const LARGEST: usize = 10_000;
/// The most characters that are shown of what is not understood.
const SHOWN: usize = 100;

/// Reads the assignments of a module.
pub(super) fn module(source: &str, lines: &[Line]) -> Module {
    let mut module = Module::default();
    for line in lines {
        let tokens = line.tokens.as_slice();
        let number = tokens.first().map_or(0, |token| token.line);
        if tokens.first().is_some_and(|token| is_name(token, "from"))
            && tokens.last().is_some_and(|token| token.kind == Kind::Op("*"))
        {
            module.imports.push((shown(source, tokens), number));
            continue;
        }
        let Some(Parts { targets, operator, value }) = split(tokens) else {
            // `NAME.update(…)`, `NAME.append(…)`: it is no longer what we knew.
            if let [Token { kind: Kind::Name(name), .. }, Token { kind: Kind::Op("."), .. }, ..] = tokens {
                module.conditional.push((name.clone(), number));
            }
            continue;
        };
        for target in targets {
            let [Token { kind: Kind::Name(name), .. }, path @ ..] = target else { continue };
            if line.indent > 0 {
                module.conditional.push((name.clone(), number));
                continue;
            }
            let value = expression(source, &module, value);
            let keys = keys(source, &module, path);
            match (keys, operator) {
                (Some(keys), "=") => set(&mut module, name, &keys, value, number),
                (Some(keys), "+=") if keys.is_empty() => {
                    let old = module.get(name).filter(|value| size(value) <= LARGEST).cloned();
                    let old = old.unwrap_or(Value::None);
                    let text = shown(source, tokens);
                    set(&mut module, name, &[], add(old, value).unwrap_or(Value::Unknown(text)), number);
                }
                // Whatever it does to the setting, what we knew of it is no longer so.
                _ => set(&mut module, name, &[], Value::Unknown(shown(source, tokens)), number),
            }
        }
    }
    module
}

/// An assignment: `targets[0] = targets[1] = … value`.
struct Parts<'a> {
    targets: Vec<&'a [Token]>,
    operator: &'static str,
    value: &'a [Token],
}

/// The named arguments of a call.
type Named = Vec<(String, Value)>;

/// Takes an assignment apart.
fn split(tokens: &[Token]) -> Option<Parts<'_>> {
    let (mut targets, mut depth, mut begin, mut operator) = (Vec::new(), 0_usize, 0, "=");
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Op("(" | "[" | "{") => depth += 1,
            Kind::Op(")" | "]" | "}") => depth = depth.saturating_sub(1),
            Kind::Op(assigns @ ("=" | "+=" | "-=" | "*=" | "|=" | "/=" | "%=")) if depth == 0 => {
                targets.push(tokens.get(begin..at)?);
                begin = at + 1;
                operator = assigns;
            }
            _ => {}
        }
    }
    // `NAME: type = value`
    for target in &mut targets {
        if let Some(colon) = target.iter().position(|token| token.kind == Kind::Op(":")) {
            *target = target.get(..colon)?;
        }
    }
    let value = tokens.get(begin..)?;
    (!targets.is_empty() && !value.is_empty()).then_some(Parts { targets, operator, value })
}

/// The keys of `["a"]["b"]`; `None` if it is something else.
fn keys(source: &str, module: &Module, path: &[Token]) -> Option<Vec<Value>> {
    let mut parser = Parser { source, module, tokens: path, at: 0, depth: 0 };
    let mut keys = Vec::new();
    while parser.at < path.len() {
        parser.take("[")?;
        keys.push(parser.sum()?);
        parser.take("]")?;
    }
    Some(keys)
}

fn set(module: &mut Module, name: &str, keys: &[Value], value: Value, line: usize) {
    let at = module.settings.iter().position(|setting| setting.name == name).unwrap_or_else(|| {
        module.settings.push(Assignment { name: name.to_owned(), value: Value::Dict(Vec::new()), line });
        module.settings.len() - 1
    });
    let (keys, value) = if keys.len() + depth(&value) <= DEEPEST {
        (keys, value)
    } else {
        (&[][..], Value::Unknown("nested too deep for a setting".to_owned()))
    };
    if let Some(setting) = module.settings.get_mut(at) {
        setting.line = line;
        put(&mut setting.value, keys, value);
    }
}

fn put(place: &mut Value, keys: &[Value], value: Value) {
    let Some((key, deeper)) = keys.split_first() else {
        *place = value;
        return;
    };
    let Value::Dict(entries) = place else {
        *place = Value::Unknown("a key is set in what is no dictionary".to_owned());
        return;
    };
    if !entries.iter().any(|(own, _)| own == key) {
        entries.push((key.clone(), Value::Dict(Vec::new())));
    }
    if let Some((_, inner)) = entries.iter_mut().find(|(own, _)| own == key) {
        put(inner, deeper, value);
    }
}

fn expression(source: &str, module: &Module, tokens: &[Token]) -> Value {
    let mut parser = Parser { source, module, tokens, at: 0, depth: 0 };
    match parser.tuple() {
        Some(value) if parser.at == tokens.len() => value,
        _ => Value::Unknown(shown(source, tokens)),
    }
}

/// Goes through the tokens of one expression. Whatever it does not know is `None`.
struct Parser<'a> {
    source: &'a str,
    module: &'a Module,
    tokens: &'a [Token],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn is(&self, operator: &str) -> bool {
        matches!(self.peek(), Some(Kind::Op(found)) if *found == operator)
    }

    fn take(&mut self, operator: &str) -> Option<()> {
        self.is(operator).then(|| self.at += 1)
    }

    /// `a, b` without brackets.
    fn tuple(&mut self) -> Option<Value> {
        let first = self.sum()?;
        if !self.is(",") {
            return Some(first);
        }
        let mut items = vec![first];
        while self.take(",").is_some() && self.at < self.tokens.len() {
            items.push(self.sum()?);
        }
        Some(Value::List(items))
    }

    fn sum(&mut self) -> Option<Value> {
        let mut value = self.product()?;
        loop {
            let minus = self.is("-");
            if self.take("+").is_none() && self.take("-").is_none() {
                return Some(value);
            }
            let right = self.product()?;
            value = match (minus, value, right) {
                (false, left, right) => add(left, right)?,
                (true, Value::Int(left), Value::Int(right)) => Value::Int(left.checked_sub(right)?),
                _ => return None,
            };
        }
    }

    fn product(&mut self) -> Option<Value> {
        let mut value = self.unary()?;
        while self.take("*").is_some() {
            value = match (value, self.unary()?) {
                (Value::Int(left), Value::Int(right)) => Value::Int(left.checked_mul(right)?),
                _ => return None,
            };
        }
        Some(value)
    }

    fn unary(&mut self) -> Option<Value> {
        if self.take("-").is_some() {
            return match self.atom()? {
                Value::Int(number) => Some(Value::Int(number.checked_neg()?)),
                Value::Float(number) => Some(Value::Float(-number)),
                _ => None,
            };
        }
        self.atom()
    }

    fn atom(&mut self) -> Option<Value> {
        self.depth += 1;
        let value = if self.depth > DEEPEST { None } else { self.atom_within() };
        self.depth -= 1;
        value
    }

    fn atom_within(&mut self) -> Option<Value> {
        let begin = self.at;
        let kind = self.peek()?.clone();
        self.at += 1;
        let value = match kind {
            Kind::Int(number) => Value::Int(number),
            Kind::Float(number) => Value::Float(number),
            Kind::Text(mut text) => {
                // Texts beside each other are one.
                while let Some(Kind::Text(more)) = self.peek() {
                    text.push_str(more);
                    self.at += 1;
                }
                Value::Text(text)
            }
            Kind::Op("[") => Value::List(self.items("]")?.0),
            Kind::Op("(") => match self.items(")")? {
                (mut items, false) if items.len() == 1 => items.remove(0),
                (items, _) => Value::List(items),
            },
            Kind::Op("{") => self.braces()?,
            Kind::Name(name) => self.named(&name, begin)?,
            Kind::Op(_) | Kind::Other => return None,
        };
        // `"…".format()`, `[…][0]` and whatever else one may do to a value.
        if self.is(".") || self.is("[") || self.is("(") { None } else { Some(value) }
    }

    /// What stands between brackets, and whether there was a comma.
    fn items(&mut self, close: &'static str) -> Option<(Vec<Value>, bool)> {
        let (mut items, mut comma) = (Vec::new(), false);
        while self.take(close).is_none() {
            items.push(self.element()?);
            if self.take(",").is_some() {
                comma = true;
            } else if !self.is(close) {
                return None;
            }
        }
        Some((items, comma))
    }

    fn braces(&mut self) -> Option<Value> {
        let (mut entries, mut items) = (Vec::new(), Vec::new());
        while self.take("}").is_none() {
            let first = self.element()?;
            if self.take(":").is_some() {
                entries.push((first, self.element()?));
            } else {
                items.push(first);
            }
            if self.take(",").is_none() && !self.is("}") {
                return None;
            }
        }
        match (entries.is_empty(), items.is_empty()) {
            (true, false) => Some(Value::List(items)),
            (_, true) => Some(Value::Dict(entries)),
            // `{**other, "key": value}`: what `other` is is not known, but what is written here holds.
            (false, false) => Some(Value::Dict(entries)),
        }
    }

    /// An element of a list or dictionary: if it is not understood, the others still are.
    fn element(&mut self) -> Option<Value> {
        let begin = self.at;
        if let Some(value) = self.sum()
            && matches!(self.peek(), Some(Kind::Op("," | ":" | "]" | ")" | "}")))
        {
            return Some(value);
        }
        self.at = begin;
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                Kind::Op("(" | "[" | "{") => depth += 1,
                Kind::Op("," | ":" | "]" | ")" | "}") if depth == 0 => break,
                Kind::Op(")" | "]" | "}") => depth -= 1,
                _ => {}
            }
            self.at += 1;
        }
        let skipped = self.tokens.get(begin..self.at).filter(|tokens| !tokens.is_empty())?;
        Some(Value::Unknown(shown(self.source, skipped)))
    }

    /// A constant, an earlier setting, or one of the calls that settings are made of.
    fn named(&mut self, name: &str, begin: usize) -> Option<Value> {
        match name {
            "None" => return Some(Value::None),
            "True" => return Some(Value::Bool(true)),
            "False" => return Some(Value::Bool(false)),
            _ => {}
        }
        let mut path = vec![name.to_owned()];
        while self.take(".").is_some() {
            let Kind::Name(next) = self.peek()?.clone() else { return None };
            path.push(next);
            self.at += 1;
        }
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        if self.take("[").is_some() {
            let [.., "environ"] = path.as_slice() else { return None };
            let variable = self.sum()?.text()?.to_owned();
            self.take("]")?;
            return Some(self.env(variable, begin));
        }
        if self.take("(").is_none() {
            let [name] = path.as_slice() else { return None };
            return self.module.get(name).filter(|value| size(value) <= LARGEST).cloned();
        }
        let (positional, named) = self.arguments()?;
        match path.as_slice() {
            ["env" | "config" | "getenv"] | ["env", _] | ["os", "getenv"] | [.., "environ", "get"] => {
                let variable = positional.first()?.text()?.to_owned();
                Some(self.env(variable, begin))
            }
            ["timedelta"] | [.., "timedelta"] => duration(&positional, &named),
            ["dict"] if positional.is_empty() => {
                Some(Value::Dict(named.into_iter().map(|(name, value)| (Value::Text(name), value)).collect()))
            }
            ["list" | "tuple" | "set" | "frozenset"] if named.is_empty() && positional.len() <= 1 => {
                match positional.into_iter().next() {
                    None => Some(Value::List(Vec::new())),
                    Some(Value::List(items)) => Some(Value::List(items)),
                    Some(_) => None,
                }
            }
            // Texts that are translated when they are shown.
            ["_" | "gettext" | "gettext_lazy"] => match positional.as_slice() {
                [Value::Text(text)] => Some(Value::Text(text.clone())),
                _ => None,
            },
            _ => None,
        }
    }

    fn env(&self, variable: String, begin: usize) -> Value {
        let text = shown(self.source, self.tokens.get(begin..self.at).unwrap_or_default());
        Value::Env(Env { variable, text })
    }

    fn arguments(&mut self) -> Option<(Vec<Value>, Named)> {
        let (mut positional, mut named) = (Vec::new(), Vec::new());
        while self.take(")").is_none() {
            let name = match (self.peek(), self.tokens.get(self.at + 1).map(|token| &token.kind)) {
                (Some(Kind::Name(name)), Some(Kind::Op("="))) => Some(name.clone()),
                _ => None,
            };
            if let Some(name) = name {
                self.at += 2;
                named.push((name, self.element()?));
            } else {
                positional.push(self.element()?);
            }
            if self.take(",").is_none() && !self.is(")") {
                return None;
            }
        }
        Some((positional, named))
    }
}

fn add(left: Value, right: Value) -> Option<Value> {
    Some(match (left, right) {
        (Value::Int(left), Value::Int(right)) => Value::Int(left.checked_add(right)?),
        (Value::Text(left), Value::Text(right)) => Value::Text(left + &right),
        (Value::List(left), Value::List(right)) => Value::List([left, right].concat()),
        _ => return None,
    })
}

/// A `timedelta`, in seconds.
fn duration(positional: &[Value], named: &[(String, Value)]) -> Option<Value> {
    const UNITS: [(&str, i64); 5] =
        [("days", 86_400), ("seconds", 1), ("minutes", 60), ("hours", 3600), ("weeks", 604_800)];
    let given = positional.iter().zip(["days", "seconds"]);
    let given = given.map(|(value, unit)| (unit, value));
    let named = named.iter().map(|(unit, value)| (unit.as_str(), value));
    let mut total = 0_i64;
    if positional.len() > 2 {
        return None;
    }
    for (unit, value) in given.chain(named) {
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let Value::Int(number) = value else { return None };
        total = total.checked_add(number.checked_mul(*seconds)?)?;
    }
    Some(Value::Int(total))
}

/// How many values a value is made of.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::List(items) => items.iter().map(size).sum(),
        Value::Dict(entries) => entries.iter().map(|(key, value)| size(key) + size(value)).sum(),
        Value::Text(text) => text.len() / 100,
        _ => 0,
    }
}

/// How many levels a value has.
fn depth(value: &Value) -> usize {
    1 + match value {
        Value::List(items) => items.iter().map(depth).max().unwrap_or(0),
        Value::Dict(entries) => {
            entries.iter().map(|(key, value)| depth(key).max(depth(value))).max().unwrap_or(0)
        }
        _ => 0,
    }
}

fn is_name(token: &Token, name: &str) -> bool {
    matches!(&token.kind, Kind::Name(found) if found == name)
}

/// What tokens look like in the source, on one line.
fn shown(source: &str, tokens: &[Token]) -> String {
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { return String::new() };
    let text = source.get(first.from..last.to).unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(source: &str) -> Module {
        Module::read(source).unwrap()
    }

    fn value(source: &str) -> Value {
        read(&format!("X = {source}")).get("X").unwrap().clone()
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn literals_and_what_is_made_of_them() {
        for (source, meant) in [
            ("60 * 60 * 24", Value::Int(86_400)),
            ("-5", Value::Int(-5)),
            ("10 - 3 + 1", Value::Int(8)),
            ("'a' \"b\"", text("ab")),
            ("('a'\n  'b')", text("ab")),
            ("'a' + 'b'", text("ab")),
            ("()", Value::List(vec![])),
            ("(1,)", Value::List(vec![Value::Int(1)])),
            ("1, 2", Value::List(vec![Value::Int(1), Value::Int(2)])),
            ("(1)", Value::Int(1)),
            ("{'a'}", Value::List(vec![text("a")])),
            ("{}", Value::Dict(vec![])),
            ("set()", Value::List(vec![])),
            ("frozenset({'a'})", Value::List(vec![text("a")])),
            ("[1] + [2]", Value::List(vec![Value::Int(1), Value::Int(2)])),
            (
                "{'a': True, 'b': None,}",
                Value::Dict(vec![(text("a"), Value::Bool(true)), (text("b"), Value::None)]),
            ),
            ("dict(a=1)", Value::Dict(vec![(text("a"), Value::Int(1))])),
            ("timedelta(days=14)", Value::Int(1_209_600)),
            ("datetime.timedelta(1, hours=2)", Value::Int(93_600)),
            ("_('German')", text("German")),
        ] {
            assert_eq!(value(source), meant, "{source}");
        }
    }

    #[test]
    fn the_environment_is_told_and_not_looked_into() {
        for source in [
            "env('KEY')",
            "os.environ['KEY']",
            "os.environ.get('KEY', 'x')",
            "os.getenv('KEY')",
            "env.bool('KEY', default=False)",
            "config('KEY', cast=int)",
        ] {
            let env = Env { variable: "KEY".to_owned(), text: source.to_owned() };
            assert_eq!(value(source), Value::Env(env), "{source}");
        }
    }

    #[test]
    fn what_is_not_understood_stays_what_it_is() {
        for source in [
            "BASE_DIR / 'db.sqlite3'",
            "f'{a}'",
            "a if DEBUG else b",
            "[x for x in y][0]",
            "not DEBUG",
            "lambda x: x",
            "'a'.lower()",
            "open('x').read()",
            "1 +",
            "9223372036854775807 * 2",
        ] {
            assert_eq!(value(source), Value::Unknown(source.to_owned()), "{source}");
        }
        let Value::Dict(entries) = value("{'a': f(1, {2: 3}), 'b': [g(), 2], **rest}") else { panic!() };
        assert_eq!(entries[0].1, Value::Unknown("f(1, {2: 3})".to_owned()));
        assert_eq!(entries[1].1, Value::List(vec![Value::Unknown("g()".to_owned()), Value::Int(2)]));
    }

    #[test]
    fn assignments_of_all_kinds() {
        let module = read(
            "from .base import *\nimport os\nA = B = 'x'\nC: int = 1\nD = {}\nD['k'] = {'z': 1}\nD['k']['y'] = A\n\
             E = [1]\nE += [2]\nF = {'a': 1}\nF.update(b=2)\nif DEBUG:\n    G = 1\ndef f():\n    H = 1\nI = E\nJ -= 1\n",
        );
        let names: Vec<&str> = module.settings.iter().map(|setting| setting.name.as_str()).collect();
        assert_eq!(names, ["A", "B", "C", "D", "E", "F", "I", "J"]);
        assert_eq!(module.get("B"), Some(&text("x")));
        assert_eq!(module.get("D").unwrap().get("k").unwrap().get("y"), Some(&text("x")));
        assert_eq!(module.get("I"), Some(&Value::List(vec![Value::Int(1), Value::Int(2)])));
        assert_eq!(module.get("J"), Some(&Value::Unknown("J -= 1".to_owned())));
        assert_eq!(module.conditional, [("F".to_owned(), 11), ("G".to_owned(), 13), ("H".to_owned(), 15)]);
        assert_eq!(module.imports, [("from .base import *".to_owned(), 1)]);
        assert_eq!(module.settings[3].line, 7);
    }

    #[test]
    fn nobody_fills_the_memory() {
        let module = read(&format!("X = [1]\n{}", "X += X\nX = [X, X]\n".repeat(60)));
        assert!(size(module.get("X").unwrap()) <= 3 * LARGEST);
    }

    #[test]
    fn nobody_digs_too_deep() {
        let deep = format!("X = {}{}", "[".repeat(5000), "]".repeat(5000));
        assert!(matches!(read(&deep).get("X"), Some(Value::Unknown(_)) | Some(Value::List(_))));
    }

    proptest! {
        #[test]
        fn whatever_it_is_it_is_no_panic(source in "\\PC*") {
            let _ = Module::read(&source);
        }

        #[test]
        fn nor_if_it_looks_like_python(
            source in "(A|B|=|\\+=|:| |\n|\\[|\\]|\\(|\\)|\\{|\\}|,|'x'|1|-|\\*|\\.|env|None|\\*\\*){0,40}"
        ) {
            let _ = Module::read(&source);
        }
    }
}

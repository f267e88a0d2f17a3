//! JSON: one list of accounts. Read one after the other, so that its length does not matter.

use std::io::{BufRead, Read};

use serde::Deserialize;
use serde_json::Value;

use crate::flat;
use crate::source::{Item, ReadError, Source};

/// Reads a JSON list. An element is an [`Account`](crate::Account), or an object with the columns of
/// [`Csv`](crate::Csv).
#[derive(Debug)]
pub struct JsonList<R> {
    reader: R,
    name: String,
    /// Elements so far.
    count: u64,
    ended: bool,
}

impl<R: BufRead> JsonList<R> {
    /// Begins to read the file called `name`.
    ///
    /// # Errors
    /// [`ReadError`] if it is no list.
    pub fn open(reader: R, name: &str) -> Result<Self, ReadError> {
        let mut list = Self { reader, name: name.to_owned(), count: 0, ended: false };
        match list.sign()? {
            Some(b'[') => Ok(list),
            _ => Err(list.error("not a list: [{…}, {…}]".to_owned())),
        }
    }

    /// The next element; `None` behind the last one.
    fn element(&mut self) -> Result<Option<Value>, ReadError> {
        if self.ended {
            return Ok(None);
        }
        let sign = self.sign()?;
        let begun = match (sign, self.count) {
            (Some(b']'), _) => {
                self.ended = true;
                return Ok(None);
            }
            (Some(b','), 1..) => self.sign()?,
            (sign, 0) => sign,
            _ => return Err(self.error("neither a comma nor the end of the list".to_owned())),
        };
        self.count += 1;
        if begun != Some(b'{') {
            return Err(self.error("not an object".to_owned()));
        }
        // Of an object it reads to the closing brace, and no further.
        let object = b"{".chain(&mut self.reader);
        let read = Value::deserialize(&mut serde_json::Deserializer::from_reader(object));
        read.map(Some).map_err(|error| self.error(error.to_string()))
    }

    /// The next byte that is not blank.
    fn sign(&mut self) -> Result<Option<u8>, ReadError> {
        loop {
            let mut byte = [0];
            match self.reader.read(&mut byte) {
                Ok(0) => return Ok(None),
                Ok(_) if byte[0].is_ascii_whitespace() => {}
                Ok(_) => return Ok(Some(byte[0])),
                Err(error) => return Err(self.error(error.to_string())),
            }
        }
    }

    fn error(&self, reason: String) -> ReadError {
        ReadError { place: format!("{}, account {}", self.name, self.count), reason }
    }
}

impl<R: BufRead + Send> Source for JsonList<R> {
    async fn next(&mut self, most: usize) -> Result<Vec<Item>, ReadError> {
        let mut items = Vec::new();
        while items.len() < most {
            let Some(value) = self.element()? else { break };
            items.push(Item::new(format!("account {}", self.count), flat::account_of(value)));
        }
        Ok(items)
    }
}

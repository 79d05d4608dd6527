//! What was said of each key in; its value, put together with others and the environment, out.

use super::super::Odd;
use super::super::limits::{DEPTH, FILE, STEPS};
use super::reader::{Node, Object, Piece, Raw};
use super::{Entry, Value};

/// The values of all keys that have one.
pub(super) fn resolve(root: &Object, variable: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Entry>, Odd> {
    let mut entries = Vec::new();
    Resolver { root, variable, steps: 0 }.leaves(root, &mut Vec::new(), &mut entries)?;
    Ok(entries)
}

struct Resolver<'a> {
    root: &'a Object,
    variable: &'a dyn Fn(&str) -> Option<String>,
    steps: usize,
}

impl Resolver<'_> {
    fn leaves(&mut self, of: &Object, path: &mut Vec<String>, out: &mut Vec<Entry>) -> Result<(), Odd> {
        for (key, node) in of {
            path.push(key.clone());
            match node {
                Node::Object(inner) => self.leaves(inner, path, out)?,
                Node::Leaf(said) => {
                    if let Some((value, line)) = self.last(said, 0)? {
                        out.push(Entry { path: path.clone(), value, line });
                    }
                }
            }
            path.pop();
        }
        Ok(())
    }

    /// The last that there is.
    fn last(&mut self, said: &[(Raw, usize)], depth: usize) -> Result<Option<(Value, usize)>, Odd> {
        for (raw, line) in said.iter().rev() {
            if let Some(value) = self.value(raw, *line, depth)? {
                return Ok(Some((value, *line)));
            }
        }
        Ok(None)
    }

    fn value(&mut self, raw: &Raw, line: usize, depth: usize) -> Result<Option<Value>, Odd> {
        self.steps += 1;
        if depth > DEPTH || self.steps > STEPS {
            return Err(Odd {
                line,
                what: "values that are put together of others go in a circle, or too far",
            });
        }
        Ok(Some(match raw {
            Raw::Null => Value::Null,
            Raw::List(all) => {
                let mut list = Vec::new();
                for one in all {
                    list.extend(self.value(one, line, depth + 1)?);
                }
                Value::List(list)
            }
            Raw::Object(all) => {
                let mut object = Vec::new();
                for (key, one) in all {
                    if let Some(value) = self.value(one, line, depth + 1)? {
                        object.push((key.clone(), value));
                    }
                }
                Value::Object(object)
            }
            Raw::Text(pieces) => {
                let mut text: Option<String> = None;
                for piece in pieces {
                    let one = match piece {
                        Piece::Text(one) => Some(one.clone()),
                        Piece::Reference { path, optional } => match self.reference(path, line, depth)? {
                            Some(Value::Text(one)) => Some(one),
                            // Alone it may be anything.
                            Some(other) if pieces.len() == 1 => return Ok(Some(other)),
                            Some(_) => {
                                return Err(Odd {
                                    line,
                                    what: "values that are put together of lists or objects are not understood",
                                });
                            }
                            None if *optional => None,
                            None => {
                                return Err(Odd {
                                    line,
                                    what: "a value that it is put together of is not there",
                                });
                            }
                        },
                    };
                    if let Some(one) = one {
                        let text = text.get_or_insert_default();
                        if text.len() + one.len() > FILE {
                            return Err(Odd {
                                line,
                                what: "values that are put together of others go in a circle, or too far",
                            });
                        }
                        text.push_str(&one);
                    }
                }
                match text {
                    Some(text) => Value::Text(text),
                    None => return Ok(None),
                }
            }
        }))
    }

    fn reference(&mut self, path: &[String], line: usize, depth: usize) -> Result<Option<Value>, Odd> {
        let root = self.root;
        let mut object = root;
        for (n, key) in path.iter().enumerate() {
            match object.iter().find(|(k, _)| k == key).map(|(_, node)| node) {
                Some(Node::Object(inner)) if n + 1 < path.len() => object = inner,
                Some(Node::Leaf(said)) if n + 1 == path.len() => {
                    return Ok(self.last(said, depth + 1)?.map(|(value, _)| value));
                }
                Some(Node::Object(_)) => {
                    return Err(Odd { line, what: "a reference to an object is not understood" });
                }
                _ => break,
            }
        }
        Ok((self.variable)(&path.join(".")).map(Value::Text))
    }
}

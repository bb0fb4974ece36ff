//! The keys that leave a command without ending it.

use std::str::FromStr;

use bytes::Bytes;

/// Keys that leave when they are typed one after the other. None: nothing leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DetachKeys(Vec<u8>);

/// What a piece of input comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// This goes to the command.
    Input(Bytes),
    /// This goes to the command, and then it is left.
    Leave(Bytes),
}

impl Default for DetachKeys {
    /// Those that container tools use.
    fn default() -> Self {
        Self(vec![control(b'p'), control(b'q')])
    }
}

const fn control(key: u8) -> u8 {
    key & 0x1f
}

impl FromStr for DetachKeys {
    type Err = &'static str;

    /// Keys with commas between, each a character or `ctrl-` and a letter or one of `@[\]^_`; or `none`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self(Vec::new()));
        }
        let keys = text.split(',').map(|key| {
            let name = key.strip_prefix("ctrl-");
            match name.unwrap_or(key).as_bytes() {
                [letter @ (b'a'..=b'z' | b'@' | b'[' | b'\\' | b']' | b'^' | b'_')]
                    if name.is_some() =>
                {
                    Ok(control(*letter))
                }
                [character] if name.is_none() && character.is_ascii_graphic() => Ok(*character),
                _ => Err("keys are like ctrl-p,ctrl-q: characters or ctrl-LETTER, or `none`"),
            }
        });
        keys.collect::<Result<_, _>>().map(Self)
    }
}

/// Looks for the keys in what is typed. The beginning of them is held back until it is clear what it was.
#[derive(Debug)]
pub(super) struct Watch {
    keys: DetachKeys,
    held: Vec<u8>,
}

impl Watch {
    pub(super) fn new(keys: DetachKeys) -> Self {
        Self { keys, held: Vec::new() }
    }

    pub(super) fn pass(&mut self, piece: Bytes) -> Typed {
        let keys = &self.keys.0;
        if keys.is_empty() {
            return Typed::Input(piece);
        }
        let mut passed = Vec::with_capacity(piece.len() + self.held.len());
        for byte in piece {
            self.held.push(byte);
            while !keys.starts_with(&self.held) {
                passed.push(self.held.remove(0));
            }
            if self.held.len() == keys.len() {
                self.held.clear();
                return Typed::Leave(passed.into());
            }
        }
        Typed::Input(passed.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &str, pieces: &[&'static str]) -> (String, bool) {
        let mut watch = Watch::new(keys.parse().unwrap());
        let mut all = Vec::new();
        for piece in pieces {
            match watch.pass(Bytes::from_static(piece.as_bytes())) {
                Typed::Input(bytes) => all.extend_from_slice(&bytes),
                Typed::Leave(bytes) => {
                    all.extend_from_slice(&bytes);
                    return (String::from_utf8(all).unwrap(), true);
                }
            }
        }
        (String::from_utf8(all).unwrap(), false)
    }

    #[test]
    fn the_keys_leave_and_are_not_passed_on() {
        assert_eq!(typed("ctrl-p,ctrl-q", &["ls\x10", "\x11rest"]), ("ls".into(), true));
        assert_eq!(typed("a,a,b", &["xaaab"]), ("xa".into(), true));
        assert_eq!("ctrl-p,ctrl-q".parse(), Ok(DetachKeys::default()));
    }

    #[test]
    fn keys_that_only_begin_so_are_passed_on() {
        assert_eq!(typed("ctrl-p,ctrl-q", &["\x10", "\x10", "x"]), ("\x10\x10x".into(), false));
        assert_eq!(typed("none", &["\x10\x11"]), ("\x10\x11".into(), false));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "ctrl-", "ctrl-pq", "ctrl-1", "pq", "a,,b", "é"] {
            text.parse::<DetachKeys>().expect_err(text);
        }
    }
}

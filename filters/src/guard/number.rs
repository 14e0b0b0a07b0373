//! Which of two numbers is greater, digit for digit: 9007199254740993 is greater than
//! 9007199254740992.

use std::cmp::Ordering;

/// A decimal number: its digits without zeros at either end, and where the point stands before the
/// first of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    is_negative: bool,
    digits: Box<[u8]>,
    point: i128,
}

impl Number {
    /// Reads a number's JSON text; nothing where it is none, or its exponent does not fit 64 bits.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (unsigned.get(..at)?, unsigned.get(at + 1..)?),
            None => (unsigned, "0"),
        };
        let exponent: i64 = exponent.parse().ok()?;
        let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if integer.is_empty() || !is_digits(integer) || !is_digits(fraction) {
            return None;
        }
        let all = || integer.bytes().chain(fraction.bytes());
        let zeros = all().take_while(|digit| *digit == b'0').count();
        let mut digits: Vec<u8> = all().skip(zeros).collect();
        let significant = digits.iter().rposition(|digit| *digit != b'0');
        digits.truncate(significant.map_or(0, |last| last + 1));
        let before = i128::try_from(integer.len()).ok()? - i128::try_from(zeros).ok()?;
        Some(Self {
            is_negative: text.starts_with('-') && !digits.is_empty(),
            point: if digits.is_empty() {
                0
            } else {
                before + i128::from(exponent)
            },
            digits: digits.into(),
        })
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // Without zeros at the end, what is a prefix is less.
            (false, false) => self
                .point
                .cmp(&other.point)
                .then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_order_whatever_their_spelling_and_length() {
        let ascending = [
            "-1e400",
            "-12",
            "-1.5",
            "-1e-400",
            "0",
            "1e-9223372036854775807",
            "0.09",
            "0.1",
            "1",
            "1.0000000000000000000000000000001",
            "9",
            "10",
            "9007199254740992",
            "9007199254740993",
            "123456789012345678901234567890",
            "1e400",
        ];
        for (at, one) in ascending.iter().enumerate() {
            for (other_at, other) in ascending.iter().enumerate() {
                let (one, other) = (Number::read(one).unwrap(), Number::read(other).unwrap());
                assert_eq!(one.cmp(&other), at.cmp(&other_at), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn spellings_of_one_number_are_equal() {
        for (one, other) in [
            ("0", "-0.0"),
            ("0e7", "0"),
            ("100", "1e2"),
            ("1.50", "15E-1"),
            ("0.001", "1e-3"),
        ] {
            assert_eq!(Number::read(one), Number::read(other), "{one} {other}");
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in [
            "",
            "-",
            "a",
            "1e",
            "e1",
            "1e99999999999999999999",
            "\"1\"",
            "true",
        ] {
            assert_eq!(Number::read(text), None, "{text}");
        }
    }
}

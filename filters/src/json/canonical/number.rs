//! Numbers in one spelling, digit for digit: 9007199254740993 is not 9007199254740992.
//!
//! **Invariant:** nothing goes through a float. Equal decimals have one spelling, the one ECMAScript
//! gives its numbers (and RFC 8785 with it), whatever their length.

/// Most digits before the point that are written out; larger numbers have an exponent.
const INTEGER_DIGITS_MAX: usize = 21;

/// Most zeros between the point and the first digit; smaller numbers have an exponent.
const LEADING_ZEROS_MAX: usize = 5;

/// Appends the number that `rest` begins with. What follows it; nothing where it is none.
///
/// A number whose exponent does not fit 64 bits stays as it is written: it is equal to itself only.
#[must_use]
pub fn write<'t>(rest: &'t str, out: &mut Vec<u8>) -> Option<&'t str> {
    let (decimal, text, rest) = Decimal::read(rest)?;
    if decimal.is_canonical() {
        out.extend_from_slice(text.as_bytes());
        return Some(rest);
    }
    let mut digits = [decimal.integer, decimal.fraction].concat().into_bytes();
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    digits.drain(..zeros);
    let significant = digits.iter().rposition(|digit| *digit != b'0');
    digits.truncate(significant.map_or(0, |last| last + 1));
    if digits.is_empty() {
        out.push(b'0');
        return Some(rest);
    }
    match decimal.point(zeros) {
        Some(point) => {
            if decimal.is_negative {
                out.push(b'-');
            }
            spell(&digits, point, out);
        }
        None => out.extend_from_slice(text.as_bytes()),
    }
    Some(rest)
}

/// A number's parts, as written.
struct Decimal<'t> {
    is_negative: bool,
    integer: &'t str,
    fraction: &'t str,
    /// With its sign; empty where there is none.
    exponent: &'t str,
    has_point: bool,
}

impl<'t> Decimal<'t> {
    /// Reads a number: its parts, its text, and what follows.
    fn read(text: &'t str) -> Option<(Self, &'t str, &'t str)> {
        let unsigned = text.strip_prefix('-');
        let (integer, mut rest) = digits(unsigned.unwrap_or(text))?;
        if integer.len() > 1 && integer.starts_with('0') {
            return None;
        }
        let mut decimal = Self {
            is_negative: unsigned.is_some(),
            integer,
            fraction: "",
            exponent: "",
            has_point: false,
        };
        if let Some(after) = rest.strip_prefix('.') {
            (decimal.fraction, rest) = digits(after)?;
            decimal.has_point = true;
        }
        if let Some(after) = rest.strip_prefix(['e', 'E']) {
            let (_, end) = digits(after.strip_prefix(['+', '-']).unwrap_or(after))?;
            decimal.exponent = after.get(..after.len() - end.len())?;
            rest = end;
        }
        let own = text.get(..text.len() - rest.len())?;
        Some((decimal, own, rest))
    }

    /// Whether it is spelled as [`spell`] would: so are nearly all.
    fn is_canonical(&self) -> bool {
        if !self.exponent.is_empty() || self.integer.len() > INTEGER_DIGITS_MAX {
            return false;
        }
        if !self.has_point {
            return self.integer != "0" || !self.is_negative;
        }
        let zeros = self.fraction.bytes().take_while(|digit| *digit == b'0');
        !self.fraction.ends_with('0') && (self.integer != "0" || zeros.count() <= LEADING_ZEROS_MAX)
    }

    /// Where the point is, counted from the first digit that is not zero: `zeros` are before it.
    fn point(&self, zeros: usize) -> Option<i64> {
        let exponent = match self.exponent {
            "" => 0,
            exponent => exponent.parse::<i64>().ok()?,
        };
        let integer = i64::try_from(self.integer.len()).ok()?;
        let point = exponent.checked_add(integer.checked_sub(i64::try_from(zeros).ok()?)?)?;
        // One less is written as an exponent.
        point.checked_sub(1).map(|_| point)
    }
}

/// Splits digits from what follows them; nothing where there are none.
fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at_checked(end).filter(|_| end > 0)
}

/// Writes `0.digits` times ten to the power of `point`. `digits` neither begins nor ends with zero.
fn spell(digits: &[u8], point: i64, out: &mut Vec<u8>) {
    let zeros = |n: usize| std::iter::repeat_n(b'0', n);
    match (
        usize::try_from(point),
        usize::try_from(point.unsigned_abs()),
    ) {
        (Ok(before @ 1..=INTEGER_DIGITS_MAX), _) => match digits.split_at_checked(before) {
            Some((integer, [])) => out.extend_from_slice(integer),
            Some((integer, fraction)) => {
                out.extend_from_slice(integer);
                out.push(b'.');
                out.extend_from_slice(fraction);
            }
            None => {
                out.extend_from_slice(digits);
                out.extend(zeros(before - digits.len()));
            }
        },
        (Ok(0) | Err(_), Ok(after @ 0..=LEADING_ZEROS_MAX)) => {
            out.extend_from_slice(b"0.");
            out.extend(zeros(after));
            out.extend_from_slice(digits);
        }
        (Ok(_) | Err(_), Ok(_) | Err(_)) => {
            let (first, others) = digits.split_at_checked(1).unwrap_or((digits, &[]));
            out.extend_from_slice(first);
            if !others.is_empty() {
                out.push(b'.');
                out.extend_from_slice(others);
            }
            let exponent = point - 1;
            let sign = if exponent < 0 { "" } else { "+" };
            out.extend_from_slice(format!("e{sign}{exponent}").as_bytes());
        }
    }
}

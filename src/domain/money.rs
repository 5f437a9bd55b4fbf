//! Amounts of money: whole minor units of a currency, never fractions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A currency by its ISO 4217 code, such as `USD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(iso_currency::Currency);

/// A text is not the code of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the ISO 4217 code of a currency, such as USD")]
pub struct BadCurrency;

impl Currency {
    /// `XXX`: no currency, of amounts that are 0.
    pub const NONE: Self = Self(iso_currency::Currency::XXX);

    /// Its code of three capital letters.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many digits of an amount stand behind the point: 2 of the dollar, 0 of the yen. A currency that has none on
    /// record counts whole units.
    #[must_use]
    pub fn digits(self) -> u16 {
        self.0.exponent().unwrap_or(0)
    }
}

impl FromStr for Currency {
    type Err = BadCurrency;

    fn from_str(code: &str) -> Result<Self, BadCurrency> {
        // What stands in an account is written one way: in capital letters.
        let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        let known = iso_currency::Currency::from_code(code).filter(|_| is_code);
        known.map(Self).ok_or(BadCurrency)
    }
}

impl TryFrom<String> for Currency {
    type Error = BadCurrency;

    fn try_from(code: String) -> Result<Self, BadCurrency> {
        code.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

/// An amount; below zero it is owed the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// How many minor units: cents of dollars.
    pub minor: i64,
    /// Of which currency.
    pub currency: Currency,
}

impl Money {
    /// Nothing, in this currency.
    #[must_use]
    pub const fn none(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }
}

/// The amount as a decimal number without its currency: `-25.00`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = usize::from(self.currency.digits());
        let text = format!("{:0width$}", self.minor.unsigned_abs(), width = digits + 1);
        let (whole, part) = text.split_at(text.len() - digits);
        let sign = if self.minor < 0 { "-" } else { "" };
        if digits == 0 {
            write!(f, "{sign}{whole}")
        } else {
            write!(f, "{sign}{whole}.{part}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_is_one_of_the_standard() {
        for (code, known) in [
            ("USD", true),
            ("EUR", true),
            ("JPY", true),
            ("usd", false),
            ("US", false),
            ("USDX", false),
            ("ZZZ", false),
            ("", false),
            ("€", false),
        ] {
            assert_eq!(code.parse::<Currency>().is_ok(), known, "{code}");
        }
    }

    #[test]
    fn an_amount_is_written_with_the_digits_of_its_currency() {
        for (minor, code, text) in [
            (2500, "USD", "25.00"),
            (5, "USD", "0.05"),
            (-5, "USD", "-0.05"),
            (0, "EUR", "0.00"),
            (2500, "JPY", "2500"),
            (-1, "JPY", "-1"),
            (12_345, "KWD", "12.345"),
            (i64::MIN, "JPY", "-9223372036854775808"),
        ] {
            let currency = code.parse().unwrap();
            assert_eq!(Money { minor, currency }.to_string(), text, "{minor} {code}");
        }
    }
}

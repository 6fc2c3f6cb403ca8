//! Whole numbers that carry their range in their type.
//!
//! A value is checked once, where it enters (path, query, JSON body, queue message), and never again.

use std::fmt;

/// A number that is missing, is not whole, or lies outside its range. Its text names the field and the range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be a whole number from {min} to {max}, not {got}")]
pub struct RangeError {
    /// The field's name on the wire, such as `resortID`.
    pub field: &'static str,
    /// Smallest allowed value.
    pub min: u64,
    /// Largest allowed value.
    pub max: u64,
    /// What was given, shortened.
    pub got: String,
}

/// Maximum length of an invalid value in an error message, in characters.
const SHOWN: usize = 40;

impl RangeError {
    /// Describes `got`, which was given as text, as outside `min..=max` of `field`.
    #[must_use]
    pub fn new(field: &'static str, min: u64, max: u64, got: &str) -> Self {
        let mut shown: String = got.chars().take(SHOWN).collect();
        if shown.len() < got.len() {
            shown.push_str("...");
        }
        Self {
            field,
            min,
            max,
            got: format!("{shown:?}"),
        }
    }

    /// Describes the number `got` as outside `min..=max` of `field`.
    pub fn of_number(field: &'static str, min: u64, max: u64, got: impl fmt::Display) -> Self {
        Self {
            field,
            min,
            max,
            got: got.to_string(),
        }
    }
}

/// Parses only digits, with optional leading zeros: no sign, no spaces. `None` for other text, or if the number does not
/// fit.
pub fn parse_digits(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// Declares a newtype over an unsigned integer with an inclusive range and the field's name on the wire.
macro_rules! ranged {
    ($(#[$doc:meta])* $name:ident($inner:ty), $field:literal, $min:literal..=$max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($inner);

        impl $name {
            /// The field's name on the wire.
            pub const FIELD: &'static str = $field;
            /// Smallest allowed value.
            pub const MIN: $inner = $min;
            /// Largest allowed value.
            pub const MAX: $inner = $max;

            /// Checks `value` against the range.
            ///
            /// # Errors
            /// If it is out of range.
            pub fn new(value: u64) -> Result<Self, $crate::ranged::RangeError> {
                if (u64::from(Self::MIN)..=u64::from(Self::MAX)).contains(&value)
                    && let Ok(inner) = <$inner>::try_from(value)
                {
                    Ok(Self(inner))
                } else {
                    Err(Self::refuse(value))
                }
            }

            /// The plain number.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }

            fn refuse(got: impl std::fmt::Display) -> $crate::ranged::RangeError {
                $crate::ranged::RangeError::of_number(
                    Self::FIELD,
                    Self::MIN.into(),
                    Self::MAX.into(),
                    got,
                )
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ranged::RangeError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match $crate::ranged::parse_digits(text) {
                    Some(value) => Self::new(value),
                    None => Err($crate::ranged::RangeError::new(
                        Self::FIELD,
                        Self::MIN.into(),
                        Self::MAX.into(),
                        text,
                    )),
                }
            }
        }
    };
}

/// Serialises a ranged number as a plain JSON integer; other forms are rejected.
macro_rules! json_integer {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(
                            f,
                            "{} as a whole number from {} to {}",
                            $name::FIELD,
                            $name::MIN,
                            $name::MAX
                        )
                    }

                    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<$name, E> {
                        $name::new(value).map_err(E::custom)
                    }

                    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<$name, E> {
                        match u64::try_from(value) {
                            Ok(value) => $name::new(value).map_err(E::custom),
                            Err(_) => Err(E::custom($name::refuse(value))),
                        }
                    }

                    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<$name, E> {
                        Err(E::custom($name::refuse(format_args!("{value:?}"))))
                    }
                }
                deserializer.deserialize_u64(Visitor)
            }
        }
    };
}

pub(crate) use {json_integer, ranged};

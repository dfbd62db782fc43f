//! Closed lists of words: one table gives the enum, its text in rows and JSON, and its parser.

use thiserror::Error;

/// A word that is not in its closed list; carries the list's name and the word.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{word}` is not a known {list}")]
pub struct UnknownWord {
    /// Name of the closed list.
    pub list: &'static str,
    /// The word as it was given.
    pub word: String,
}

macro_rules! text_enum {
    ($(#[$meta:meta])* $name:ident, $list:literal { $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every word of the list, in its order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as rows, JSON and logs have it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::text_enum::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::text_enum::UnknownWord { list: $list, word: word.to_owned() }),
                }
            }
        }
    };
}

pub(crate) use text_enum;

//! Identifiers: one newtype per noun over a time-ordered UUID (version 7).

use uuid::{Builder, Uuid};

use crate::clock::{Chance, Timestamp};

macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Before every other.
            pub const LOWEST: Self = Self(Uuid::nil());
            /// After every other.
            pub const HIGHEST: Self = Self(Uuid::max());

            /// A new id that sorts by `now`; its random part comes from `chance`.
            pub fn generate(now: Timestamp, chance: &dyn Chance) -> Self {
                let mut random = [0_u8; 10];
                chance.fill(&mut random);
                Self::made_of(now, &random)
            }

            /// The lowest id that may be generated at this moment or later.
            pub fn first_at(now: Timestamp) -> Self {
                Self::made_of(now, &[0; 10])
            }

            fn made_of(now: Timestamp, random: &[u8; 10]) -> Self {
                let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
                Self(Builder::from_unix_timestamp_millis(millis, random).into_uuid())
            }

            /// Takes an id that a row or a request carries.
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID itself, as rows hold it.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id!(
    /// A customer's account.
    AccountId
);
id!(
    /// A job: one paid order of one model.
    JobId
);
id!(
    /// Jobs that were ordered together.
    BatchId
);
id!(
    /// A file: an output, an extra or an upload.
    AssetId
);
id!(
    /// A duty to tell one recipient of one event.
    DeliveryId
);
id!(
    /// One movement of money.
    TransferId
);
id!(
    /// A bearer token; the id is not secret.
    TokenId
);
